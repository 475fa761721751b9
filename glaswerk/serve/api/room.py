"""How many replies may be there at once: those that run and a queue of those that wait. Whoever comes when it is full
is told so at once, and when to come again, instead of waiting without an end.
"""

from __future__ import annotations

from glaswerk.serve.api.problem import Problem


class Room:
    """Places for ``most`` replies."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0
        #: nobody new comes in: the server is about to stop
        self.closed = False

    def enter(self, count: int = 1, has: int = 0) -> None:
        """Take places for somebody who ``has`` some, or raise :class:`Problem` 503."""
        if self.closed:
            raise Problem(503, "the server is being stopped; ask again in a moment", code="stopping", retry_after=5)
        if count + has > self.most:
            raise Problem(400, f"{count + has} replies are asked at once and there is room for {self.most}", param="n")
        if self.taken + count > self.most:
            raise Problem(503, "the queue is full; ask again in a moment", code="queue_full", retry_after=2)
        self.taken += count

    def leave(self, count: int) -> None:
        """Give places back."""
        self.taken -= count
