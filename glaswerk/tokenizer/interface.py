"""What every tokenizer is: text to whole numbers and back, with the same few methods on every rung of the
ladder.

characters -> words -> bytes -> BPE. Each rung owns :meth:`Tokenizer.encode_plain` and
:meth:`Tokenizer.token_bytes`; everything else is here. Left out: how a vocabulary is found (each rung) and
file formats (``folder.py``).
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from glaswerk.errors import GlaswerkError

#: the marks that a model reads as structure, never as text: end of a document, start and end of a chat turn
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


class Tokenizer(ABC):
    """Text <-> ids. ``special`` maps the text of each special token to its id.

    Special tokens are found only where the caller asks with ``special=True``: by default, text that merely
    looks like one is encoded as the plain text it is.
    """

    def __init__(self, special: Mapping[str, int]) -> None:
        self.special: dict[str, int] = dict(special)
        self._special_bytes = {number: name.encode() for name, number in self.special.items()}

    @property
    @abstractmethod
    def vocabulary_size(self) -> int:
        """One more than the largest id, special tokens included."""

    @abstractmethod
    def encode_plain(self, text: str) -> list[int]:
        """Ids of ``text`` with no special token in it. ``text`` is valid Unicode (see
        :func:`valid_unicode`).
        """

    @abstractmethod
    def plain_bytes(self, number: int) -> bytes:
        """The bytes of one id that is no special token; raises ``LookupError`` for an id that is none."""

    @abstractmethod
    def as_json(self) -> dict[str, Any]:
        """The vocabulary in the Hugging Face ``tokenizer.json`` form."""

    @property
    def end_id(self) -> int:
        """The id that ends a document: ``<|endoftext|>``, else the nearest thing a stranger's vocabulary
        has.
        """
        for name in (SPECIAL[0], "<|end_of_text|>", "</s>", "<eos>", "<|eot_id|>", "<|im_end|>"):
            if name in self.special:
                return self.special[name]
        raise GlaswerkError("this tokenizer has no token that ends a document; train it with special tokens")

    def encode(self, text: str, *, special: bool = False) -> list[int]:
        """Ids of ``text``. With ``special=True``, special tokens in the text become their single id."""
        text = valid_unicode(text)
        if not special or not self.special:
            return self.encode_plain(text)
        ids: list[int] = []
        for part in self.split_special(text):
            if part in self.special:
                ids.append(self.special[part])
            else:
                ids += self.encode_plain(part)
        return ids

    def split_special(self, text: str) -> list[str]:
        """``text`` cut before and after each special token in it; no part is empty."""
        if not self.special:
            return [text] if text else []
        return [part for part in self._special_pattern.split(text) if part]

    def encode_batch(self, texts: Sequence[str], *, special: bool = False) -> list[list[int]]:
        """:meth:`encode` of each text; the fast rungs use every core."""
        return [self.encode(text, special=special) for text in texts]

    def encode_arrays(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Ids of all texts one after the other (uint32 ``[tokens]``) and how many each has (int64
        ``[texts]``).

        The quickest way to a long array of ids: no Python list is made on the fast rungs.
        """
        return flat(self.encode_batch(texts))

    def token_bytes(self, number: int) -> bytes:
        """The bytes that one id stands for. Raises :class:`GlaswerkError` for an id outside the
        vocabulary.
        """
        if number in self._special_bytes:
            return self._special_bytes[number]
        try:
            if number < 0:
                raise LookupError
            return self.plain_bytes(int(number))
        except LookupError:
            raise GlaswerkError(
                f"{number} is no id of this tokenizer; its ids go from 0 to {self.vocabulary_size - 1}"
            ) from None

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes of a sequence of ids, joined."""
        return b"".join([self.token_bytes(number) for number in ids])

    def decode(self, ids: Iterable[int]) -> str:
        """The text of a sequence of ids; bytes that form no character become U+FFFD."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def save(self, folder: Path | str) -> None:
        """Write ``tokenizer.json`` and ``tokenizer_config.json``; `tokenizers` and transformers load them."""
        from glaswerk.tokenizer.folder import save

        save(self, Path(folder))

    @cached_property
    def _special_pattern(self) -> re.Pattern[str]:
        longest_first = sorted(self.special, key=len, reverse=True)
        return re.compile("(" + "|".join(map(re.escape, longest_first)) + ")")


def valid_unicode(text: str) -> str:
    """``text`` with halves of surrogate pairs joined, and lone halves, which no UTF-8 can hold, as U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def number_special(first: int, special: Iterable[str]) -> dict[str, int]:
    """Ids for special tokens at the end of a vocabulary whose plain ids stop before ``first``."""
    return {name: first + place for place, name in enumerate(special)}


def flat(batch: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Lists of ids as one array of ids (uint32) and one of lengths (int64)."""
    lengths = np.fromiter(map(len, batch), np.int64, len(batch))
    return np.fromiter(chain.from_iterable(batch), np.uint32, int(lengths.sum())), lengths
