"""From tokens to text that may be shown: whole characters only, and nothing that may be the beginning of a
stop text.
"""

from __future__ import annotations

from collections.abc import Sequence

from glaswerk.tokenizer.interface import Tokenizer
from glaswerk.tokenizer.stream import StreamDecoder


class Writer:
    """``push(id)`` returns the text that is safe to show. Once a stop text appeared, ``stopped`` is True and
    nothing from its first character on is ever returned; it may span any number of tokens.
    """

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str] = ()) -> None:
        self.decoder = StreamDecoder(tokenizer)
        self.stop = tuple(stop)
        self.held = ""
        self.stopped = False

    def push(self, number: int) -> str:
        """Take one token."""
        return self.take(self.decoder.push(number))

    def flush(self) -> str:
        """Nothing more comes: what was held back, with bytes that became no character as U+FFFD."""
        shown = self.take(self.decoder.flush())
        if self.stopped:
            return shown
        shown, self.held = shown + self.held, ""
        return shown

    def take(self, text: str) -> str:
        """Cut at the first stop text, or hold back an end that may become one."""
        if self.stopped:
            return ""
        text = self.held + text
        found = [place for place in (text.find(stop) for stop in self.stop) if place >= 0]
        if found:
            self.stopped, self.held = True, ""
            return text[: min(found)]
        keep = max((overlap(text, stop) for stop in self.stop), default=0)
        cut = len(text) - keep
        self.held = text[cut:]
        return text[:cut]


def overlap(text: str, stop: str) -> int:
    """The length of the longest end of ``text`` that is a beginning of ``stop``, but not all of it."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
