"""One batch of raw documents made clean: normalised, filtered, and summed up in hashes.

``clean_batch`` is what the worker processes run. It keeps the text of what it drops only as short examples.
Left out: duplicates, which need all batches, see `duplicates`.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
import zlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from glaswerk.corpora.document import Document
from glaswerk.corpora.shingles import Words, band_keys

#: a document with fewer characters than this is dropped
SHORTEST = 12
#: a document with a larger share of characters that are no letter, digit or space is dropped
MOST_SYMBOLS = 0.5
#: a document that shrinks to less than this share (zlib) says the same thing over and over
REPETITIVE = 0.1

_CONTROL = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b"
    "\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\ufff9-\ufffb]"
)
_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_HARD_SPACES = re.compile("[\u00a0\u2000-\u200a\u202f\u205f]")
_TRAILING = re.compile(r"[ \t]+$", re.MULTILINE)
_BLANK_LINES = re.compile(r"\n{4,}")
_ASCII_CONTROL = bytes([*range(9), *range(11, 32), 127])
# UTF-8 read as cp1252 or Latin-1: a lead byte turned letter, then a continuation byte turned character
_MOJIBAKE = re.compile("[ÂÃâÅÄÐÑÎÏ][\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]")
_as_json = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode
_REASONS = ("too short", "mostly symbols", "repetition")


@dataclass
class Cleaned:
    """What came out of one batch. Arrays have one row per kept document."""

    lines: bytes  # JSON lines, without the split
    line_bytes: np.ndarray  # (N,) int64
    characters: np.ndarray  # (N,) int64
    text_bytes: np.ndarray  # (N,) int64
    hashes: np.ndarray  # (N,) uint64, of the whole text
    bands: np.ndarray  # (N, BANDS) uint64
    read: int = 0
    read_characters: int = 0
    dropped: dict[str, tuple[int, int, list[dict[str, Any]]]] = field(default_factory=dict)
    repaired: Counter[str] = field(default_factory=Counter)


def normalise(text: str, repaired: Counter[str] | None = None) -> str:
    """Unicode NFC, plain line ends and spaces, no control characters, mojibake mended; idempotent.

    ``repaired`` counts what was found. Spaces at line starts stay (source code); text that is fine is not
    copied.
    """
    counts = repaired if repaired is not None else Counter()
    if not text.isascii():
        text = _normalise_unicode(text, counts)
    if _may_hold_control(text):
        if _LINE_ENDS.search(text):
            text = _LINE_ENDS.sub("\n", text)
            counts["line ends"] += 1
        if _CONTROL.search(text):
            text = _CONTROL.sub("", text)
            counts["control characters"] += 1
            if not text.isascii():  # letters that it stood between may now be one, or mojibake
                return normalise(text, counts)
    if " \n" in text or "\t\n" in text:
        text = _TRAILING.sub("", text)
    if "\n\n\n\n" in text:
        text = _BLANK_LINES.sub("\n\n\n", text)
    return text.strip("\n").rstrip() if text[:1].isspace() or text[-1:].isspace() else text


def _may_hold_control(text: str) -> bool:
    """False only where no pattern above can match: bytes are searched ten times as fast as characters."""
    data = text.encode("utf-8")
    if len(data.translate(None, _ASCII_CONTROL)) != len(data):
        return True
    return len(data) != len(text) and (b"\xc2" in data or b"\xe2" in data or b"\xef" in data)


def _normalise_unicode(text: str, counts: Counter[str]) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        # halves of surrogate pairs: a true pair becomes its character, a lone half the replacement character
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        counts["lone surrogates"] += 1
    if _MOJIBAKE.search(text):
        import ftfy

        fixed = ftfy.fix_encoding(text)
        if fixed != text:
            text = fixed
            counts["mojibake"] += 1
    if not text.isascii() and _HARD_SPACES.search(text):
        text = _HARD_SPACES.sub(" ", text)
    if not unicodedata.is_normalized("NFC", text):
        text = unicodedata.normalize("NFC", text)
        counts["not NFC"] += 1
        return _normalise_unicode(text, counts)  # a letter put together may begin mojibake
    return text


def _one_line(name: str) -> str:
    """A title, source or topic on one line, normalised as the text is."""
    return name if name.isascii() and name.isprintable() else " ".join(normalise(name).split())


def is_repetitive(text: str, data: bytes) -> bool:
    """Whether a text says the same thing over and over: by compression, where one of three probes recurs."""
    size = len(text)
    if size < 200:
        return size >= 24 and text.count(text[size // 2]) * 4 >= size and len(set(text)) <= 3
    probes = (text[at : at + 12] for at in (size // 4, size // 2, size * 3 // 4))
    if all(text.count(probe) * 12 < 0.05 * size + 36 for probe in probes):
        return False
    return len(zlib.compress(data, 1)) < REPETITIVE * len(data)


def clean_batch(batch: list[tuple[str, str, str, str]]) -> Cleaned:
    """Clean one batch of ``(text, title, source, topic)``. Pure: equal batches give equal results."""
    repaired: Counter[str] = Counter()
    dropped: dict[str, tuple[int, int, list[dict[str, Any]]]] = {}
    kept: list[tuple[str, str, str, str]] = []
    coded: list[bytes] = []
    read_characters = 0

    def drop(reason: str, text: str, title: str, source: str) -> None:
        count, characters, examples = dropped.get(reason, (0, 0, []))
        if len(examples) < 5:
            examples.append({"source": source, "title": title, "text": text[:160]})
        dropped[reason] = (count + 1, characters + len(text), examples)

    for text, title, source, topic in batch:
        read_characters += len(text)
        text = normalise(text, repaired)
        title, source, topic = _one_line(title), _one_line(source), _one_line(topic)
        if len(text) < SHORTEST:
            drop("too short", text, title, source)
            continue
        data = text.encode("utf-8")
        if is_repetitive(text, data):
            drop("repetition", text, title, source)
            continue
        kept.append((text, title, source, topic))
        coded.append(data)

    words = Words.of(coded)
    sizes = np.array([len(data) for data in coded], dtype=np.int64)
    characters = np.array([len(row[0]) for row in kept], dtype=np.int64)
    # counted in characters: every character that is no letter, digit, space or part of a longer UTF-8 letter
    symbols = words.symbols > MOST_SYMBOLS * np.maximum(characters, 1)
    for at in np.flatnonzero(symbols).tolist():
        drop("mostly symbols", *kept[at][:3])
    keep = np.flatnonzero(~symbols)
    if len(keep) < len(kept):
        kept = [kept[at] for at in keep.tolist()]
        coded = [coded[at] for at in keep.tolist()]
        sizes, characters = sizes[keep], characters[keep]
        words = Words.of(coded)
    lines = [
        _as_json({"text": text, "title": title, "source": source, "topic": topic}).encode() + b"\n"
        for text, title, source, topic in kept
    ]
    hashes = [int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little") for data in coded]
    return Cleaned(
        lines=b"".join(lines),
        line_bytes=np.array([len(line) for line in lines], dtype=np.int64),
        characters=characters,
        text_bytes=sizes,
        hashes=np.array(hashes, dtype=np.uint64),
        bands=band_keys(words),
        read=len(batch),
        read_characters=read_characters,
        dropped={reason: dropped[reason] for reason in _REASONS if reason in dropped},
        repaired=repaired,
    )


def as_rows(documents: list[Document]) -> list[tuple[str, str, str, str]]:
    """Documents as plain tuples, which travel to other processes faster."""
    return [(d.text, d.title, d.source, d.topic) for d in documents]
