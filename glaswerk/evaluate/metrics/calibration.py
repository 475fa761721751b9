"""Does a model know when it is right? Confidence against correctness.

``confidence`` is a probability per answer, ``right`` 1 or 0 (or a grade in between). Left out: how a confidence is got
(``scoring.py``), and mending it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers whose confidence lies in ``(low, high]`` (the first bin also holds ``low`` itself): how many, their mean
    confidence, and the share that is right. Both are 0 where there is none."""

    low: float
    high: float
    count: int
    confidence: float
    right: float


def reliability(confidence: Sequence[float], right: Sequence[float], bins: int = 10) -> list[Bin]:
    """The data of a reliability diagram, in bins of equal width (Guo et al. 2017)."""
    sure, correct = _same_length(confidence, right)
    place = np.clip(np.ceil(sure * bins) - 1, 0, bins - 1).astype(int)
    found = []
    for number in range(bins):
        here = place == number
        count = int(here.sum())
        means = (float(sure[here].mean()), float(correct[here].mean())) if count else (0.0, 0.0)
        found.append(Bin(number / bins, (number + 1) / bins, count, *means))
    return found


def calibration_error(confidence: Sequence[float], right: Sequence[float], bins: int = 10) -> float:
    """The expected calibration error (ECE, Naeini et al. 2015): the mean distance of confidence and correctness over
    the bins, weighted by how many answers lie in each. 0 is perfect."""
    total = max(1, len(confidence))
    return sum(b.count / total * abs(b.confidence - b.right) for b in reliability(confidence, right, bins))


def brier(confidence: Sequence[float], right: Sequence[float]) -> float:
    """The mean squared distance of confidence and outcome (Brier 1950). 0 is perfect, always saying 0.5 gets 0.25."""
    sure, correct = _same_length(confidence, right)
    return float(((sure - correct) ** 2).mean())


@dataclass(frozen=True, slots=True)
class Kept:
    """Answering only when at least ``threshold`` sure: the share of questions that is answered, and of those answers
    the share that is wrong."""

    threshold: float
    coverage: float
    risk: float


def abstention(confidence: Sequence[float], right: Sequence[float]) -> list[Kept]:
    """Risk against coverage (El-Yaniv and Wiener 2010), from the surest answers to all: one point per threshold, so
    answers that are equally sure are kept or left together."""
    sure, correct = _same_length(confidence, right)
    order = np.argsort(-sure, kind="stable")
    wrong = np.cumsum(1 - correct[order])
    points = []
    for place, threshold in enumerate(sure[order].tolist()):
        last_of_equals = place + 1 == len(order) or sure[order[place + 1]] < threshold
        if last_of_equals:
            points.append(Kept(threshold, (place + 1) / len(order), float(wrong[place]) / (place + 1)))
    return points


def area_under_risk(confidence: Sequence[float], right: Sequence[float]) -> float:
    """The mean risk over all coverages (AURC, Geifman and El-Yaniv 2018): the lower, the better confidence tells right
    from wrong. Answers that are equally sure share their risk, whatever their order."""
    points = abstention(confidence, right)
    total, before = 0.0, 0.0
    for point in points:
        total, before = total + (point.coverage - before) * point.risk, point.coverage
    return total


def _same_length(confidence: Sequence[float], right: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    if len(confidence) != len(right) or not len(confidence):
        raise ValueError(f"{len(confidence)} confidences and {len(right)} outcomes: there must be as many, and some")
    return np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=np.float64)
