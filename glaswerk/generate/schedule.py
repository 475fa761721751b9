"""Whose turn it is: fair queueing by tokens (the virtual token counter of Sheng et al. 2024).

Each key has a counter of the tokens computed for it. The key with the lowest comes next, and inside a key who came
first. A key that was away starts no lower than the lowest of those that are here: nobody saves up turns by waiting.
Left out: weights for keys, deadlines.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar


class Entry(Protocol):
    """What waits: whose it is, and the how-manieth it came."""

    @property
    def key(self) -> str: ...

    @property
    def arrival(self) -> int: ...


E = TypeVar("E", bound=Entry)


class FairQueue(Generic[E]):
    """Entries ``enter`` once and ``leave`` once; in between they are taken out of the queue and may be put back, then
    in the order of their arrival."""

    def __init__(self) -> None:
        self.waiting: dict[str, list[E]] = {}
        self.here: Counter[str] = Counter()  # entries of each key that have not left, waiting or taken
        self.tokens: dict[str, int] = {}

    def __len__(self) -> int:
        """Entries that wait."""
        return sum(len(entries) for entries in self.waiting.values())

    def __iter__(self) -> Iterator[E]:
        """Those that wait, key by key."""
        return (entry for entries in self.waiting.values() for entry in entries)

    @property
    def lowest(self) -> int:
        """The lowest counter of those that are here; 0 where nobody is."""
        return min((self.tokens[key] for key in self.here), default=0)

    def enter(self, entry: E) -> None:
        """A new one."""
        if entry.key not in self.here:
            self.tokens[entry.key] = max(self.tokens.get(entry.key, 0), self.lowest)
        self.here[entry.key] += 1
        self.put(entry)

    def put(self, entry: E) -> None:
        """One waits (again)."""
        insort(self.waiting.setdefault(entry.key, []), entry, key=lambda other: other.arrival)

    def first(self) -> E | None:
        """The next one; it stays in the queue."""
        heads = [entries[0] for entries in self.waiting.values()]
        return min(heads, key=self.order, default=None)

    def order(self, entry: E) -> tuple[int, int]:
        """What those are sorted by whose turn it may be."""
        return self.tokens[entry.key], entry.arrival

    def take(self, entry: E) -> None:
        """One waits no longer."""
        entries = self.waiting[entry.key]
        entries.remove(entry)
        if not entries:
            del self.waiting[entry.key]

    def charge(self, key: str, tokens: int) -> None:
        """So many tokens were computed for the key."""
        self.tokens[key] += tokens

    def leave(self, entry: E) -> None:
        """One is done for good (and waits no more). Counters that would be lifted at their key's return are forgotten
        now, and all of them once nobody is here: they do not grow in number with every key ever seen."""
        self.here[entry.key] -= 1
        if self.here[entry.key] == 0:
            del self.here[entry.key]
        lowest = self.lowest
        for key in [key for key, tokens in self.tokens.items() if key not in self.here]:
            if not self.here or self.tokens[key] <= lowest:
                del self.tokens[key]
