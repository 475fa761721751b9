"""Ctrl-C that lets the running step finish, so that what is saved is a whole step."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class Interrupt:
    """While open, the first SIGINT or SIGTERM sets ``asked``; a second one interrupts at once. With ``at_once`` the
    first one does too, and ``asked`` still tells of it where something swallowed the ``KeyboardInterrupt``.

    Outside the main thread, where Python allows no handlers, it does nothing.
    """

    def __init__(self, at_once: bool = False) -> None:
        self.asked, self.at_once = False, at_once
        self.before: dict[int, Any] = {}

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.before[number] = signal.signal(number, self.ask)
        return self

    def ask(self, number: int, frame: FrameType | None) -> None:
        """The handler."""
        again, self.asked = self.asked, True
        if again or self.at_once:
            raise KeyboardInterrupt

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
