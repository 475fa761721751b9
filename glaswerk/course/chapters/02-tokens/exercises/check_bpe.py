"""Checks bpe.py against the library's own merging. A check is one function ``check(module)``; AssertionError says what
is wrong."""

from __future__ import annotations

from itertools import pairwise
from types import ModuleType

from glaswerk.tokenizer.bpe import merge

TEXTS = ("the cat sat on the mat", "aaaa", "aaaaa", "abababab", "banana bandana")


def check(module: ModuleType) -> None:
    """Raises AssertionError with a line for the learner."""
    for text in TEXTS:
        pairs = list(pairwise(text))
        most = max(pairs.count(pair) for pair in pairs)
        wanted = next(pair for pair in pairs if pairs.count(pair) == most)
        given = module.most_frequent_pair(list(text))
        assert tuple(given) == wanted, f"most_frequent_pair({list(text)}) is {given!r}, not {wanted!r}"
        ids = merge([ord(sign) for sign in text], {(ord(wanted[0]), ord(wanted[1])): 0}, [-1])
        joined = [wanted[0] + wanted[1] if number == -1 else chr(number) for number in ids]
        found = module.merge(list(text), wanted)
        assert found == joined, f"merge({list(text)}, {wanted}) is {found}, not {joined}"
    untouched = ["a", "b"]
    module.merge(untouched, ("a", "b"))
    assert untouched == ["a", "b"], "merge must not change the list that it was given"
