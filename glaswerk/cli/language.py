"""The language of the verbs that speak to a learner: the one asked for, else that of the system, else English."""

from __future__ import annotations

import os

from glaswerk.course import LANGUAGES
from glaswerk.errors import GlaswerkError


def chosen(asked: str | None) -> str:
    """``en`` or ``de``. Raises :class:`GlaswerkError` for a language that the course is not written in."""
    if asked is None:
        system = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "")
        return system[:2] if system[:2] in LANGUAGES else LANGUAGES[0]
    if asked not in LANGUAGES:
        raise GlaswerkError(f"--lang is one of {', '.join(LANGUAGES)}, not {asked!r}")
    return asked
