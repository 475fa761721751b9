"""Looking inside: every value that a prompt caused, named, summed up, explained."""

from __future__ import annotations

from glaswerk.lens.trace import Step, Trace, trace

__all__ = ["Step", "Trace", "trace"]
