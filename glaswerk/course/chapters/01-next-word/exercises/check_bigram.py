"""Checks bigram.py by plain counting. A check is one function ``check(module)``; AssertionError says what is wrong."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from types import ModuleType


def check(module: ModuleType) -> None:
    """Raises AssertionError with a line for the learner."""
    text = ["the", "cat", "sat", "on", "the", "mat", "and", "the", "cat", "ran"]
    for words, word in ((text, "the"), (text, "sat"), (text, "ran"), (text, "dog"), (["a", "a", "a"], "a"), ([], "a")):
        seen = Counter(after for before, after in pairwise(words) if before == word)
        wanted = {after: count / seen.total() for after, count in seen.items()}
        given = module.followers(list(words), word)
        assert isinstance(given, dict), f"followers(..., {word!r}) must be a dict, not {type(given).__name__}"
        fits = given.keys() == wanted.keys() and all(abs(given[each] - wanted[each]) < 1e-9 for each in wanted)
        assert fits, f"followers({' '.join(words)!r}, {word!r}) is {given}, not {wanted}"
