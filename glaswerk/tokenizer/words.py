"""Words as tokens: what most people think of first. Every word that is not in the vocabulary becomes
``<unk>``.

Text is cut into words, single marks of punctuation and runs of spaces; the most frequent ones get ids.
"walk", "walks" and "walked" have nothing to do with each other here, and a name that training never saw is
lost for good.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import regex

from glaswerk.errors import GlaswerkError
from glaswerk.tokenizer.interface import Tokenizer, number_special, valid_unicode

UNKNOWN = "<unk>"
WORDS = r"\w+|\s+|[^\w\s]"


class WordTokenizer(Tokenizer):
    """``words[id]`` is the word of an id; id 0 is ``<unk>``."""

    def __init__(self, words: Iterable[str], special: Mapping[str, int]) -> None:
        super().__init__(special)
        self.words = list(words)
        self.ids = {word: number for number, word in enumerate(self.words)}
        self._find = regex.compile(WORDS).findall

    @classmethod
    def train(cls, texts: Iterable[str], vocabulary_size: int, special: Iterable[str] = ()) -> WordTokenizer:
        """The most frequent words of ``texts`` (of equals, the first in code-point order); then the special
        tokens.
        """
        special = tuple(special)
        if vocabulary_size < 2 + len(special):
            raise GlaswerkError(f"a vocabulary of {vocabulary_size} has no room for a word")
        find = regex.compile(WORDS).findall
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(find(valid_unicode(text)))
        counts.pop(UNKNOWN, None)
        by_count = sorted(counts, key=lambda word: (-counts[word], word))
        words = [UNKNOWN, *by_count[: vocabulary_size - 1 - len(special)]]
        return cls(words, number_special(len(words), special))

    @property
    def vocabulary_size(self) -> int:
        return len(self.words) + len(self.special)

    def encode_plain(self, text: str) -> list[int]:
        return [self.ids.get(word, 0) for word in self._find(text)]

    def plain_bytes(self, number: int) -> bytes:
        return self.words[number].encode()

    def as_json(self) -> dict[str, Any]:
        """A ``WordLevel`` model."""
        from glaswerk.tokenizer.huggingface import frame

        model = {"type": "WordLevel", "vocab": self.ids, "unk_token": UNKNOWN}
        cut = {"type": "Split", "pattern": {"Regex": WORDS}, "behavior": "Isolated", "invert": False}
        return {**frame(model, self.special), "pre_tokenizer": cut, "decoder": {"type": "Fuse"}}

    @classmethod
    def from_json(cls, document: dict[str, Any], vocabulary: dict[str, int], special: dict[str, int]) -> WordTokenizer:
        """Read back what :meth:`as_json` wrote; other WordLevel models are refused."""
        cut = document.get("pre_tokenizer")
        words = sorted(vocabulary, key=vocabulary.__getitem__)
        ours = isinstance(cut, dict) and cut.get("pattern") == {"Regex": WORDS} and not document.get("normalizer")
        if not ours or words[0] != UNKNOWN or sorted(vocabulary.values()) != list(range(len(words))):
            raise GlaswerkError("tokenizer.json: a WordLevel model that Glaswerk did not write is not supported")
        return cls(words, special)
