"""How sure a figure is: standard errors and intervals, for one mean and for the difference of two.

All draws are seeded: the same values give the same interval. Left out: dependent items (a benchmark's questions are
taken as independent).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

#: 95 % of a normal distribution lie within so many standard deviations
NORMAL_95 = 1.959963984540054
RESAMPLES = 2000
#: Student's t for 95 % with so many degrees of freedom
STUDENT = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31, 9: 2.26}


def mean(values: Sequence[float]) -> float:
    """The mean; NaN of nothing."""
    return float(np.mean(values)) if len(values) else math.nan


def standard_error(values: Sequence[float]) -> float:
    """Of the mean: the sample's standard deviation over the root of its size; NaN for fewer than two values."""
    return float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


def wilson(right: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927): unlike the bootstrap, it is honest where none or all are right."""
    if not count:
        return 0.0, 1.0
    share, z2 = right / count, NORMAL_95**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = NORMAL_95 / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def over_seeds(values: Sequence[float]) -> float:
    """The half-width of the 95 % interval of a mean of few values; 0 of a single one, of which nothing is known."""
    if len(values) < 2:
        return 0.0
    return STUDENT.get(len(values) - 1, NORMAL_95) * standard_error(values)


def several(shares: Sequence[float], count: int) -> tuple[float, float]:
    """The 95 % interval of the mean of ``shares`` that several trainings reached on the same ``count`` items: what
    other items would change (Wilson's, of one training), or what other trainings would (Student's), whichever is more.
    Taken together the items would count as often as there are trainings, and the interval hold none of them."""
    middle = mean(shares)
    low, high = wilson(round(middle * count), count)
    half = over_seeds(shares)
    return max(0.0, min(low, middle - half)), min(1.0, max(high, middle + half))


def bootstrap(
    values: Sequence[float] | np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray] | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    share: float = 0.95,
) -> tuple[float, float]:
    """The percentile interval (Efron 1979) of ``statistic``, the mean by default: it maps ``[resamples, n]`` values, or
    ``[resamples, n, k]`` where each value is a row of ``k``, to ``[resamples]``. NaN of nothing."""
    data = np.asarray(values, dtype=np.float64)
    if not len(data):
        return math.nan, math.nan
    picked = np.random.default_rng(seed).integers(len(data), size=(resamples, len(data)))
    drawn = data[picked]
    found = drawn.mean(1) if statistic is None else statistic(drawn)
    low, high = np.quantile(found, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of a mean: Wilson's where every value is 0 or 1, else the bootstrap's."""
    if len(values) and all(value in (0, 1) for value in values):
        return wilson(round(sum(values)), len(values))
    return bootstrap(values)


def difference(before: Sequence[float], after: Sequence[float], *, seed: int = 0) -> tuple[float, float, float]:
    """The mean of ``after - before`` on the same items, with its paired bootstrap interval: what the items have in
    common, their difficulty, does not blur it. Raises ``ValueError`` where the two differ in length."""
    if len(before) != len(after):
        raise ValueError(f"{len(before)} and {len(after)} values are not of the same items")
    change = np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64)
    return (mean(change.tolist()), *bootstrap(change.tolist(), seed=seed))


def pass_at_k(count: int, right: int, k: int) -> float:
    """The unbiased estimate that one of ``k`` draws is right, when ``right`` of ``count`` were (Chen et al. 2021):
    1 - C(count - right, k) / C(count, k). Raises ``ValueError`` unless 1 <= k <= count and 0 <= right <= count."""
    if not 1 <= k <= count or not 0 <= right <= count:
        raise ValueError(f"pass@{k} needs at least {k} draws and at most as many right ones, not {right} of {count}")
    return 1.0 - math.comb(count - right, k) / math.comb(count, k)
