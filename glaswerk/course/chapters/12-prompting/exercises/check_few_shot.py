"""Checks few_shot.py: one function ``check(module)``; AssertionError says what is wrong."""

from __future__ import annotations

import statistics
from types import ModuleType

import numpy as np


def check(module: ModuleType) -> None:
    """Raises AssertionError with a line for the learner."""
    got = module.prompt([("2+2", "4"), ("3+5", "8")], "7+10", "{question} =")
    wanted = "2+2 = 4\n3+5 = 8\n7+10 ="
    assert got == wanted, f"prompt: {got!r} should be {wanted!r}"
    bare = module.prompt([], "hot", "The opposite of {question} is")
    assert bare == "The opposite of hot is", f"prompt: without examples it is the filled template alone, not {bare!r}"
    lines = module.prompt([("a", "{question}")], "b", "Q: {question}\nA:")
    assert lines == "Q: a\nA: {question}\nQ: b\nA:", "prompt: fill only the template, never what an answer says"
    rng = np.random.default_rng(12)
    for wordings, count in ((2, 4), (10, 32), (7, 50)):
        rights = [(rng.random(count) < rng.random()).astype(int).tolist() for _ in range(wordings)]
        shares = [sum(row) / count for row in rights]
        found = module.spread([list(row) for row in rights])
        assert isinstance(found, tuple) and len(found) == 3, "spread: return three numbers: lowest, highest, deviation"
        for name, got_one, right in zip(
            ("lowest share", "highest share", "standard deviation"),
            found,
            (min(shares), max(shares), statistics.stdev(shares)),
            strict=True,
        ):
            assert abs(got_one - right) < 1e-9, (
                f"spread: the {name} of {wordings} wordings is {right:.4f}, not {got_one}"
            )
