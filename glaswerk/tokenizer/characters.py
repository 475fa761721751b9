"""The lowest rung: every character that occurred in training is a token.

Small vocabulary, no merging, long sequences; and a character that never occurred has no id at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from glaswerk.errors import GlaswerkError
from glaswerk.tokenizer.interface import Tokenizer, number_special, valid_unicode


class CharacterTokenizer(Tokenizer):
    """``characters[id]`` is the character of an id."""

    def __init__(self, characters: Iterable[str], special: Mapping[str, int]) -> None:
        super().__init__(special)
        self.characters = [character for character in characters if character not in self.special]
        self.ids = {character: number for number, character in enumerate(self.characters)}

    @classmethod
    def train(cls, texts: Iterable[str], special: Iterable[str] = ()) -> CharacterTokenizer:
        """All characters of ``texts``, in code-point order; then the special tokens."""
        characters = sorted(set().union(*map(valid_unicode, texts)))
        return cls(characters, number_special(len(characters), special))

    @property
    def vocabulary_size(self) -> int:
        return len(self.characters) + len(self.special)

    def encode_plain(self, text: str) -> list[int]:
        try:
            return [self.ids[character] for character in text]
        except KeyError as missing:
            raise GlaswerkError(
                f"the character {missing.args[0]!r} did not occur in the training text, so it has no id; "
                "a byte or BPE tokenizer can encode any text"
            ) from None

    def plain_bytes(self, number: int) -> bytes:
        return self.characters[number].encode()

    def as_json(self) -> dict[str, Any]:
        """A BPE whose tokens are single characters and that merges nothing."""
        from glaswerk.tokenizer.huggingface import frame

        model: dict[str, Any] = {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "vocab": self.ids,
            "merges": [],
        }
        return {**frame(model, self.special), "decoder": {"type": "Fuse"}}
