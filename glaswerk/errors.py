"""The one exception a user is meant to read."""

from __future__ import annotations


class GlaswerkError(Exception):
    """Something the user can mend. Its text is one clear line: what is wrong, then how to mend it.

    The command line prints it as it is, without a traceback, and exits with 1.
    """
