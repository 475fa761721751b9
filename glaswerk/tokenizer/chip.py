"""A token for the eye: what stands on its chip, in the terminal and in the lab."""

from __future__ import annotations

MARKS = {" ": "·", "\n": "⏎", "\r": "␍", "\t": "⇥"}


def chip(token: bytes) -> str:
    """Spaces as ``·``, line ends as ``⏎``, tabs as ``⇥``; bytes that are no character as hex, and characters
    that nobody sees (control, joining, change of direction) as ``<200d>``, so that none can change the screen.
    """
    try:
        text = token.decode()
    except UnicodeDecodeError:
        return " ".join(f"{value:02x}" for value in token)
    return "".join(
        MARKS.get(character) or (character if character.isprintable() else f"<{ord(character):02x}>")
        for character in text
    )
