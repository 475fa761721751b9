"""Bytes to text, losing nothing: UTF-8, UTF-16, cp1252 and UTF-8 with broken places, told apart and reported.

A byte that is not UTF-8 is read as the cp1252 character it stands for, wherever it is, so that a cp1252
file, a broken UTF-8 file and a file glued together from both come out right. Left out: guessing among other
legacy encodings (a Cyrillic or Japanese file in one of them comes out garbled, and the report names it),
except where an HTML page says.
"""

from __future__ import annotations

import codecs
import re
import threading
from collections.abc import Iterator
from typing import BinaryIO

#: how much is read at a time, in bytes
BLOCK = 1 << 20
_SAMPLE = 8192
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: its mark begins with UTF-16's
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
#: first bytes of files that are no text though they may hold some
_MAGIC = (
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a zip archive (or an office document)"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x1f\x8b", "gzip inside"),
    (b"BZh9", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"GGUF", "a GGUF model"),
    (b"PAR1", "a Parquet file"),
)
_READ_ANYWAY = {"utf-8", "ascii", "cp1252", "iso8859-1", "iso8859-15"}
_NOT_FOR_FILES = {"undefined", "idna", "punycode", "unicode-escape", "raw-unicode-escape"}
_WIDE = ("utf-16", "utf-32")
_CONTROL = bytes([*range(9), *range(14, 27), *range(28, 32)])
_count = threading.local()


def _as_cp1252(error: UnicodeError) -> tuple[str, int]:
    """Codec error handler: the bytes in question as cp1252, counted."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    bad = error.object[error.start : error.end]
    _count.bad = getattr(_count, "bad", 0) + len(bad)
    return bad.decode("cp1252", "replace"), error.end


codecs.register_error("glaswerk-cp1252", _as_cp1252)


def why_binary(sample: bytes) -> str:
    """What kind of binary file begins like this, or "" for text. ``sample``: the first bytes of the file."""
    for magic, kind in _MAGIC:
        if sample.startswith(magic):
            return f"not text: {kind}"
    if not sample or _wide(sample):
        return ""
    if len(sample.translate(None, _CONTROL)) < 0.97 * len(sample):
        return "not text: binary data"
    return ""


def _wide(sample: bytes) -> str:
    """UTF-16 or UTF-32, by their mark or, for UTF-16 without one, by every other byte being zero."""
    for mark, name in _BOMS[1:]:
        if sample.startswith(mark):
            return name
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    half = max(len(sample) // 2, 1)
    if len(sample) >= 4 and max(even, odd) > 0.4 * half and min(even, odd) < 0.02 * half:
        return "utf-16-be" if even > odd else "utf-16-le"
    return ""


def decode_stream(stream: BinaryIO, hint: str = "") -> Iterator[tuple[str, str, int]]:
    """Yield ``(text, encoding, bytes that were not UTF-8)`` of a file, block by block, line ends as ``\\n``.

    The last triple's ``encoding`` is the verdict on the file: "utf-8", "utf-16-le", "cp1252", "utf-8,
    broken", ... ``hint`` names an encoding that the file claims for itself.
    """
    block = stream.read(BLOCK)
    name = _wide(block[:_SAMPLE]) or _known(hint)
    if name in ("", "utf-8"):
        name, errors = "utf-8", "glaswerk-cp1252"
    else:
        errors = "replace"
    decoder = codecs.getincrementaldecoder(name)(errors)
    bad = letters = 0
    first, held = True, ""
    while True:
        _count.bad = 0
        text = held + decoder.decode(block, final=not block)
        bad += _count.bad
        if first:
            text, first = text.removeprefix("\ufeff"), False
        held = ""
        if block and text.endswith("\r"):
            text, held = text[:-1], "\r"
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        if not text.isascii():
            letters += sum(map(len, re.findall(r"[^\x00-\x7f]+", text)))
        verdict = name
        if bad:
            # few well-formed characters beside many stray bytes: the file never was UTF-8
            verdict = "utf-8, broken" if letters - bad > bad else "cp1252"
        if text:
            yield text, verdict, bad
        if not block:
            break
        block = stream.read(BLOCK)


def _known(name: str) -> str:
    """A codec's plain name; "" for what no page is written in and for what the UTF-8 path reads anyway.

    UTF-16 and UTF-32 are among the first: a claim that could be read byte by byte is in neither.
    """
    try:
        codec = codecs.lookup(name)
    except (LookupError, ValueError):
        return ""
    found = codec.name
    is_text = getattr(codec, "_is_text_encoding", True)  # False: hex, base64, rot13, zlib ...
    return "" if not is_text or found in _READ_ANYWAY or found in _NOT_FOR_FILES or found.startswith(_WIDE) else found
