"""The exceptions that a user is meant to read."""

from __future__ import annotations


class GlaswerkError(Exception):
    """Something the user can mend. Its text is one clear line: what is wrong, then how to mend it.

    The command line prints it as it is, without a traceback, and exits with 1. ``german`` is the same line for a German
    page of the lab; without it such a page shows the English one.
    """

    def __init__(self, text: str, german: str = "") -> None:
        super().__init__(text)
        self.german = german or text


class NotHere(GlaswerkError):
    """Something that can be fetched or made and is not on this machine yet."""


class NoModel(GlaswerkError):
    """No model is open."""
