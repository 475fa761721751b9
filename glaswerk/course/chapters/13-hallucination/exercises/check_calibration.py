"""Checks calibration.py against the library: one function ``check(module)``; AssertionError says what is wrong."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from glaswerk.evaluate.metrics.calibration import brier, calibration_error


def check(module: ModuleType) -> None:
    """Raises AssertionError with a line for the learner."""
    rng = np.random.default_rng(31)
    cases = [([0.95, 0.95, 0.05, 0.65], [1, 0, 0, 1], 10), ([0.0, 1.0, 0.5, 0.25], [0, 1, 1, 0], 4)]
    for count, bins in ((50, 10), (300, 15)):
        sure = rng.random(count)
        cases.append((sure.tolist(), (rng.random(count) < sure**2).astype(int).tolist(), bins))
    for confidence, right, bins in cases:
        got, wanted = module.ece(list(confidence), list(right), bins), calibration_error(confidence, right, bins)
        assert abs(got - wanted) < 1e-9, f"ece: with {bins} bins and {len(right)} answers it is {wanted:.4f}, not {got}"
        got, wanted = module.brier(list(confidence), list(right)), brier(confidence, right)
        assert abs(got - wanted) < 1e-9, f"brier: of {len(right)} answers it is {wanted:.4f}, not {got}"
