"""Checks abstain.py against the library: one function ``check(module)``; AssertionError says what is wrong."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from glaswerk.evaluate.metrics.calibration import abstention


def check(module: ModuleType) -> None:
    """Raises AssertionError with a line for the learner."""
    rng = np.random.default_rng(13)
    for count, skill in ((12, 0.9), (40, 0.4), (200, 0.6)):
        sure = np.round(rng.random(count), 2)  # some are equally sure
        right = (rng.random(count) < skill * sure + 0.1).astype(int).tolist()
        confidence = [float(value) for value in sure]
        points = abstention(confidence, right)
        for point in points[:: max(1, len(points) // 5)]:
            got = module.kept(list(confidence), list(right), point.threshold)
            assert isinstance(got, tuple) and len(got) == 2, "kept: return two numbers: the coverage, the risk"
            assert abs(got[0] - point.coverage) < 1e-9, (
                f"kept: at t = {point.threshold} the coverage is {point.coverage:.4f}, not {got[0]}"
            )
            assert abs(got[1] - point.risk) < 1e-9, (
                f"kept: at t = {point.threshold} the risk is {point.risk:.4f}, not {got[1]}"
            )
        assert module.kept(list(confidence), list(right), 1.5) == (0, 0), "kept: above all confidences it is (0, 0)"
        for cost in (0, 1, 5):
            gains = {point.threshold: count * point.coverage * (1 - point.risk - cost * point.risk) for point in points}
            most = max(0.0, *gains.values())
            chosen = module.best_threshold(list(confidence), list(right), cost)
            gain = 0.0 if chosen == 2.0 else gains.get(chosen)
            assert gain is not None, f"best_threshold: {chosen} is none of the confidences, and not 2.0"
            assert abs(gain - most) < 1e-6, (
                f"best_threshold: at cost {cost} {chosen} brings {gain:.1f} points, {most:.1f} can be had"
            )
