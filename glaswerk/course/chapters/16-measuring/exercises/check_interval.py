"""Checks interval.py against the library: one function ``check(module)``; AssertionError says what is wrong."""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np

from glaswerk.evaluate.metrics.intervals import difference, mean


def check(module: ModuleType) -> None:
    """Raises AssertionError with a line for the learner."""
    rng = np.random.default_rng(1)
    for count, share in ((25, 0.6), (100, 0.6), (400, 0.9)):
        before = (rng.random(count) < share).astype(int).tolist()
        after = (rng.random(count) < share).astype(int).tolist()
        given = module.interval(list(before))
        assert isinstance(given, tuple) and len(given) == 2, "interval: return two numbers: the share, the half-width"
        p = mean(before)
        assert abs(given[0] - p) < 1e-9, f"interval: of {count} grades the share is {p}, not {given[0]}"
        half = 1.96 * math.sqrt(p * (1 - p) / count)
        assert abs(given[1] - half) < 1e-3, (
            f"interval: at {p:.2f} of {count} the half-width is {half:.4f}, not {given[1]}"
        )
        given = module.paired(list(before), list(after))
        assert isinstance(given, tuple) and len(given) == 3, "paired: return three numbers: the mean, gained, lost"
        pairs = list(zip(before, after, strict=True))
        wanted = (difference(before, after)[0], pairs.count((0, 1)), pairs.count((1, 0)))
        for name, got, right in zip(("the mean", "wrong to right", "right to wrong"), given, wanted, strict=True):
            assert abs(got - right) < 1e-9, f"paired: {name} is {right}, not {got}"
