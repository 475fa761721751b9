"""Limits by key: requests and tokens a minute, as buckets that fill up evenly (off where nothing is set).

A request pays for its prompts and for the longest replies it may get, and gets back what it did not use. One that is
larger than a whole minute's share needs a full bucket. Left out: limits across several processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable

#: keys that are remembered; full buckets need not be
MOST = 10_000


class Bucket:
    """``most`` a minute. ``now`` gives seconds."""

    def __init__(self, most: int, now: Callable[[], float]) -> None:
        self.most, self.now = most, now
        self.level, self.when = float(most), now()

    def fill(self) -> float:
        """What is in it now."""
        now = self.now()
        self.level = min(self.most, self.level + (now - self.when) * self.most / 60)
        self.when = now
        return self.level

    def wait(self, cost: float) -> float:
        """Seconds until it holds so much; 0: now."""
        return max(0.0, (min(cost, self.most) - self.fill()) * 60 / self.most)

    def change(self, by: float) -> None:
        """Put in or take out."""
        self.level = min(self.most, self.fill() + by)


class Rates:
    """All keys' buckets; 0 switches a limit off."""

    def __init__(self, requests: int, tokens: int, now: Callable[[], float] = time.monotonic) -> None:
        self.limits = {name: most for name, most in (("requests", requests), ("tokens", tokens)) if most}
        self.now = now
        self.buckets: dict[str, dict[str, Bucket]] = {}

    def take(self, key: str, **costs: float) -> float:
        """Pay, e.g. ``take("a", requests=1)``; or the seconds to wait, and nothing was paid."""
        if not self.limits:
            return 0.0
        if len(self.buckets) > MOST:
            self.buckets = {
                name: of for name, of in self.buckets.items() if any(b.fill() < b.most for b in of.values())
            }
        of = self.buckets.setdefault(key, {name: Bucket(most, self.now) for name, most in self.limits.items()})
        paid = {name: cost for name, cost in costs.items() if name in of}
        if wait := max((of[name].wait(cost) for name, cost in paid.items()), default=0.0):
            return wait
        for name, cost in paid.items():
            of[name].change(-min(cost, of[name].most))
        return 0.0

    def give_back(self, key: str, **amounts: float) -> None:
        """What was paid and not used."""
        for name, amount in amounts.items():
            if name in self.limits and key in self.buckets:
                self.buckets[key][name].change(amount)
