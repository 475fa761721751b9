"""How long work tells what it does, without knowing who listens.

Rooms take a ``Progress`` and call it; the command line passes one that draws, tests and library users pass none
(``Progress()`` is silent). Left out: any drawing, see ``glaswerk/cli/terminal.py``.
"""

from __future__ import annotations

from typing import Any


class Progress:
    """A listener that ignores everything; subclass it to draw. One step is open at a time."""

    def start(self, title: str, total: float | None = None, unit: str = "") -> None:
        """A step begins. ``total`` (in ``unit``) is known or None."""

    def advance(self, amount: float, **facts: Any) -> None:
        """``amount`` more of the open step is done; ``facts`` are figures worth showing (loss, tokens/s)."""

    def done(self, line: str) -> None:
        """The open step is finished; ``line`` is its one-line result."""

    def note(self, line: str) -> None:
        """A line that stands for itself: a choice and its reason, a warning, a sample."""
