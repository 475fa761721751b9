"""WordPiece against `tokenizers`, and the example that everybody quotes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from glaswerk.tokenizer.wordpiece import WordPiece, longest_match
from tests.tokenizer.conftest import TEXTS


def test_the_longest_piece_from_the_left() -> None:
    known = {"un", "be", "believe", "##be", "##believ", "##able", "##a"}
    found = list(longest_match("unbelievable", known))
    assert [piece for piece, _ in found] == ["un", "##believ", "##able"]
    # what was tried for the second piece: every longer rest of the word, each once
    assert found[1][1] == ["##believable"[: 12 - cut] for cut in range(4)]
    assert [piece for piece, _ in longest_match("unzip", known)] == ["un", "[UNK]"]


def test_ids_are_those_of_tokenizers(pulled: Callable[[str], Path]) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    theirs = tokenizers.Tokenizer.from_file(str(pulled("minilm") / "tokenizer.json"))
    theirs.no_truncation()
    theirs.no_padding()
    ours = WordPiece.pulled()
    texts = [
        *TEXTS,
        "unbelievable unbelievably",
        "Donaudampfschifffahrt",
        "Straße, ẞ, Café!",
        "x" * 101,
        "",
        " 中文 ok",
    ]
    for text in texts:
        assert ours.encode(text) == theirs.encode(text, add_special_tokens=False).ids, text
