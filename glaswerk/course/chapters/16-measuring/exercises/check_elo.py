"""Checks elo.py. A check is one function ``check(module)``; AssertionError says what is wrong."""

from __future__ import annotations

import math
from types import ModuleType


def check(module: ModuleType) -> None:
    """Raises AssertionError with a line for the learner."""
    for won, lost in ((7, 3), (5, 5), (10, 1), (1, 4)):
        got, right = module.strength(won, lost), 400 * math.log10(won / lost)
        assert abs(got - right) < 1e-6, f"strength: {won} to {lost} is {right:.1f} points, not {got}"
        share = module.expected(right)
        assert abs(share - won / (won + lost)) < 1e-9, (
            f"expected: {right:.1f} points more mean {won / (won + lost):.3f} of the votes, not {share}"
        )
    assert abs(module.expected(400) - 10 / 11) < 1e-9, "expected: 400 points are odds of ten to one"
