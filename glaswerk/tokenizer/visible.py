"""GPT-2's trick to write any bytes as printable text: each of the 256 bytes has a visible stand-in.

Printable bytes stand for themselves; the other 68 get the characters from U+0100 on, in order (Radford et al.
2019). ``tokenizer.json`` files write their vocabulary in this way: a space is ``Ġ``, a line end ``Ċ``.
"""

from __future__ import annotations

_PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_OTHERS = [value for value in range(256) if value not in _PRINTABLE]

#: byte values in the order of their stand-ins' code points: the order that decides ties in training
BYTE_ORDER = (*_PRINTABLE, *_OTHERS)
#: byte value -> visible character, as a table for ``str.translate`` on latin-1 text
_TO_VISIBLE = {value: chr(value) for value in _PRINTABLE} | {value: chr(256 + n) for n, value in enumerate(_OTHERS)}
_TO_BYTE = {ord(shown): value for value, shown in _TO_VISIBLE.items()}


def visible(token: bytes) -> str:
    """``b" the"`` -> ``"Ġthe"``."""
    return token.decode("latin-1").translate(_TO_VISIBLE)


def from_visible(shown: str) -> bytes | None:
    """``"Ġthe"`` -> ``b" the"``; None where a character is no stand-in."""
    try:
        return bytes([_TO_BYTE[ord(character)] for character in shown])
    except KeyError:
        return None
