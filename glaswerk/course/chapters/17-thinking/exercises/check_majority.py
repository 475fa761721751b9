"""Checks majority.py against the library's vote; AssertionError says what is wrong."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from glaswerk.generate.thinking import vote


def check(module: ModuleType) -> None:
    """Raises AssertionError with a line for the learner."""
    rng = np.random.default_rng(0)
    said: list[str | None] = ["184", "174", None, "194"]
    for count in (1, 2, 3, 5, 8, 16):
        for _ in range(40):
            answers = [said[i] for i in rng.choice(4, count).tolist()]
            wanted = vote(answers).winner
            got = module.majority(list(answers))
            assert got == wanted, f"majority: of {answers} it is {wanted!r}, not {got!r}"
    assert module.majority([None, None]) is None, "majority: where nobody said anything it is None"
    got = module.price([30, 40, 50], [True, False, True])
    assert got == 60, f"price: 120 tokens for two right answers are 60 each, not {got}"
    assert module.price([30, 40], [False, False]) is None, "price: without a right answer there is none"
