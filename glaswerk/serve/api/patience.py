"""uvicorn's HTTP/1.1 with an end to its patience: a connection on which no whole request head comes in time is closed.
Else a few hundred silent connections would keep everybody out, key or not.

The body has its own time (``routes.py``), and so has a reply that nobody reads.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

#: seconds for the head of a request
HEAD_SECONDS = 20.0


class Patient(H11Protocol):
    """As its parent, and closes what stays silent."""

    waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.wait()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.forget()

    @property
    def idle(self) -> bool:
        """No request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def wait(self) -> None:
        """Begin to wait for a head, or stop, where one is there."""
        if not self.idle:
            self.forget()
        elif self.waiting is None:
            self.waiting = self.loop.call_later(HEAD_SECONDS, self.late)

    def forget(self) -> None:
        """Wait no longer."""
        if self.waiting is not None:
            self.waiting.cancel()
            self.waiting = None

    def late(self) -> None:
        """The time is over."""
        self.waiting = None
        if self.idle:
            self.transport.close()
