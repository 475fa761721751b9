"""How many replies may be there at once: those that run and a queue of those that wait. Whoever comes when it is full
is told so at once, and when to come again, instead of waiting without an end.

A key that fills the room keeps nobody else out: up to an equal share, others are let in beside it, and so there may be
twice as many as there should.
"""

from __future__ import annotations

from collections import Counter

from glaswerk.serve.api.problem import Problem


class Room:
    """Places for ``most`` replies."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.held: Counter[str] = Counter()
        #: nobody new comes in: the server is about to stop
        self.closed = False

    @property
    def taken(self) -> int:
        """Places that are taken."""
        return self.held.total()

    def enter(self, key: str, count: int = 1, has: int = 0) -> None:
        """Take places for a request of this key that ``has`` some, or raise :class:`Problem` 503."""
        if self.closed:
            raise Problem(503, "the server is being stopped; ask again in a moment", code="stopping", retry_after=5)
        if count + has > self.most:
            raise Problem(400, f"{count + has} replies are asked at once and there is room for {self.most}", param="n")
        share = self.most // len({key, *self.held})
        if self.taken + count > (self.most if self.held[key] + count > share else 2 * self.most):
            raise Problem(503, "the queue is full; ask again in a moment", code="queue_full", retry_after=2)
        self.held[key] += count

    def leave(self, key: str, count: int) -> None:
        """Give places back."""
        self.held[key] -= count
        if not self.held[key]:
            del self.held[key]
