"""SentencePiece's BPE as Hugging Face writes it (Llama 2, TinyLlama, Mistral): characters merge, bytes are
the fallback.

A space is written ``▁``; a character that no token holds is spelt in byte tokens ``<0x00>`` to ``<0xFF>``.
Read and used only, never trained. Left out: unigram models and SentencePiece's own ``.model`` files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from glaswerk.errors import GlaswerkError
from glaswerk.tokenizer.bpe import merge
from glaswerk.tokenizer.interface import Tokenizer
from glaswerk.tokenizer.split import flatten

SPACE = "▁"
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class MetaspaceBPE(Tokenizer):
    """``texts[id]`` is the token as the file writes it (None: unused)."""

    def __init__(self, document: dict[str, Any], vocabulary: dict[str, int], special: dict[str, int]) -> None:
        super().__init__(special)
        self.source = document
        self.ids = vocabulary
        self.texts: list[str | None] = [None] * (1 + max(vocabulary.values()))
        for text, number in vocabulary.items():
            self.texts[number] = text
        self._size = max(len(self.texts), 1 + max(special.values(), default=-1))
        self.byte_ids = [vocabulary.get(f"<0x{value:02X}>") for value in range(256)]
        self.unknown = vocabulary.get(str(document["model"].get("unk_token")))
        self.prefix, self.prefix_after_special, self.cut = _spaces(document)
        self.once = document.get("pre_tokenizer") is not None  # Metaspace adds no second space, Prepend does
        if None in self.byte_ids and self.unknown is None:
            raise GlaswerkError("tokenizer.json: byte tokens are missing, and there is no unknown token")
        self.strips = any(
            step.get("type") == "Strip" and step.get("content") == " " and step.get("start") == 1
            for step in flatten(document.get("decoder") or {"type": "none"}, "decoders")
        )

    @classmethod
    def from_json(
        cls,
        document: dict[str, Any],
        vocabulary: dict[str, int],
        pairs: list[tuple[str, str]],
        special: dict[str, int],
    ) -> MetaspaceBPE:
        """From the checked parts of a ``tokenizer.json``; raises :class:`GlaswerkError` for what is not
        supported.
        """
        from glaswerk.tokenizer.huggingface import merge_ids

        if document["model"].get("byte_fallback") is not True:
            raise GlaswerkError(
                "tokenizer.json: a BPE that is neither byte-level nor has byte_fallback is not supported"
            )
        made = cls(document, vocabulary, special)
        merges = merge_ids(pairs, vocabulary)
        made.ranks = {(left, right): rank for rank, (left, right, _) in enumerate(merges)}
        made.merged = [whole for _, _, whole in merges]
        return made

    ranks: dict[tuple[int, int], int]
    merged: list[int]

    @property
    def vocabulary_size(self) -> int:
        return self._size

    def encode(self, text: str, *, special: bool = False) -> list[int]:
        if not special or not self.special:
            return super().encode(text)
        ids: list[int] = []
        for place, part in enumerate(self.split_special(text)):
            if part in self.special:
                ids.append(self.special[part])
            else:
                ids += self._pieces(part, self.prefix and (place == 0 or self.prefix_after_special))
        return ids

    def encode_plain(self, text: str) -> list[int]:
        return self._pieces(text, self.prefix)

    def _pieces(self, text: str, prefix: bool) -> list[int]:
        text = text.replace(" ", SPACE)
        if prefix and text and not (self.once and text.startswith(SPACE)):
            text = SPACE + text
        pieces: Sequence[str] = re.findall(f"{SPACE}[^{SPACE}]*|[^{SPACE}]+", text) if self.cut else [text]
        ids: list[int] = []
        for piece in pieces:
            ids += merge(self._start(piece), self.ranks, self.merged)
        return ids

    def _start(self, piece: str) -> list[int]:
        """A piece as characters, or as bytes where a character has no token."""
        ids: list[int] = []
        for character in piece:
            number = self.ids.get(character)
            if number is not None:
                ids.append(number)
                continue
            spelt = [self.byte_ids[value] for value in character.encode()]
            if None in spelt:
                # unknown characters that stand together are one unknown token, as fuse_unk says
                fuse = self.source["model"].get("fuse_unk") is True
                if self.unknown is not None and not (fuse and ids and ids[-1] == self.unknown):
                    ids.append(self.unknown)
            else:
                ids += [number for number in spelt if number is not None]
        return ids

    def plain_bytes(self, number: int) -> bytes:
        text = self.texts[number]
        if text is None:
            raise LookupError(number)
        byte = _BYTE.fullmatch(text)
        return bytes([int(byte[1], 16)]) if byte else text.replace(SPACE, " ").encode()

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes of the ids, without the space that encoding put in front."""
        joined = super().decode_bytes(ids)
        return joined[1:] if self.strips and joined.startswith(b" ") else joined

    def as_json(self) -> dict[str, Any]:
        return self.source


def _spaces(document: dict[str, Any]) -> tuple[bool, bool, bool]:
    """(a space is put first, also after a special token, text is cut before each space): the two forms in
    use.

    Older files: normalizer Prepend + Replace, no pre_tokenizer. Newer ones: pre_tokenizer Metaspace.
    """
    normalizer, pre_tokenizer = document.get("normalizer"), document.get("pre_tokenizer")
    if document["model"].get("ignore_merges"):
        raise GlaswerkError("tokenizer.json: ignore_merges with byte_fallback is not supported")
    if pre_tokenizer is None and normalizer is not None:
        steps = flatten(normalizer, "normalizers")
        replace = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
        if steps == [{"type": "Prepend", "prepend": SPACE}, replace]:
            return True, True, False
        if steps == [replace]:
            return False, False, False
        raise GlaswerkError(f"tokenizer.json: the normalizer {[step['type'] for step in steps]} is not supported")
    if normalizer is None and isinstance(pre_tokenizer, dict) and pre_tokenizer.get("type") == "Metaspace":
        if pre_tokenizer.get("replacement") != SPACE:
            raise GlaswerkError("tokenizer.json: a Metaspace with another replacement is not supported")
        scheme = pre_tokenizer.get("prepend_scheme", "always")
        if scheme not in ("always", "first", "never"):
            raise GlaswerkError(f"tokenizer.json: the prepend_scheme {str(scheme)[:40]!r} is not supported")
        return scheme != "never", scheme == "always", pre_tokenizer.get("split", True) is not False
    kinds = [part.get("type") if isinstance(part, dict) else part for part in (normalizer, pre_tokenizer)]
    shown = [repr(kind)[:40] for kind in kinds]
    raise GlaswerkError(f"tokenizer.json: normalizer {shown[0]} with pre_tokenizer {shown[1]} is not supported")
