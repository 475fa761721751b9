"""Bytes as tokens: 256 ids are enough for any text in any language. What it costs is length.

This is BPE before its first merge; ``ByteTokenizer`` is written out all the same, because it is so short.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from glaswerk.tokenizer.interface import SPECIAL, Tokenizer, number_special


class ByteTokenizer(Tokenizer):
    """The id of a byte is its value; special tokens follow from 256."""

    def __init__(self, special: Iterable[str] = SPECIAL) -> None:
        super().__init__(number_special(256, special))

    @property
    def vocabulary_size(self) -> int:
        return 256 + len(self.special)

    def encode_plain(self, text: str) -> list[int]:
        return list(text.encode())

    def plain_bytes(self, number: int) -> bytes:
        if number > 255:
            raise LookupError(number)
        return bytes([number])

    def as_json(self) -> dict[str, Any]:
        """A byte-level BPE with no merges."""
        from glaswerk.tokenizer.bpe import BPETokenizer
        from glaswerk.tokenizer.patterns import GPT2
        from glaswerk.tokenizer.split import Split

        single = [bytes([value]) for value in range(256)]
        return BPETokenizer(single, [], Split.by_pattern(GPT2), self.special).as_json()
