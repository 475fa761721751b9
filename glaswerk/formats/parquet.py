"""One column of texts out of a Parquet file: what the index of the pulled GloVe vectors needs, and no more.

Read: a single required or null-free column of strings, in one row group, pages of version 1, plain or by dictionary,
packed with Snappy or not at all. Everything else is refused by name. Left out: the rest of Parquet; pyarrow has it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from glaswerk.errors import GlaswerkError

MAGIC = b"PAR1"
#: no page known to us unpacks to more
LARGEST_PAGE = 64_000_000
DATA, DICTIONARY = 0, 2
PLAIN, BY_DICTIONARY = 0, (2, 8)


def read_texts(path: Path) -> list[str]:
    """The column's texts, in order. Raises :class:`GlaswerkError` for a file that is damaged or of another kind."""
    try:
        content = path.read_bytes()
        if content[:4] != MAGIC or content[-4:] != MAGIC:
            raise ValueError("it is no Parquet file")
        end = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
        return [text.decode() for text in _pages(content, 4, end)]
    except OSError as error:
        raise GlaswerkError(f"{path} cannot be read ({error.strerror}); pull it again") from None
    except (ValueError, IndexError, KeyError) as error:
        raise GlaswerkError(f"{path} is not a Parquet file that can be read here ({error}); pull it again") from None


def _pages(content: bytes, place: int, end: int) -> list[bytes]:
    known: list[bytes] = []
    found: list[bytes] = []
    while place < end and content[place] == 0x15:  # a page begins with its kind, a small number
        header, place = _struct(content, place)
        packed = content[place : place + header[3]]
        place += header[3]
        if not 0 <= header[2] <= LARGEST_PAGE or len(packed) != header[3]:
            raise ValueError("a page is larger than the file")
        page = _unsnap(packed, header[2]) if header[2] != header[3] else packed
        if header[1] == DICTIONARY:
            known = _plain(page, header[7][1])
        elif header[1] == DATA:
            count, encoding = header[5][1], header[5][2]
            values = page[4 + int.from_bytes(page[:4], "little") :]  # behind the levels, which say that none is null
            if encoding == PLAIN:
                found += _plain(values, count)
            elif encoding in BY_DICTIONARY:
                found += [known[number] for number in _indices(values, count)]
            else:
                raise ValueError(f"encoding {encoding} is not supported")
        else:
            raise ValueError(f"pages of kind {header[1]} are not supported")
    return found


def _plain(page: bytes, count: int) -> list[bytes]:
    """Each text after its length, four bytes."""
    found, place = [], 0
    for _ in range(count):
        length = int.from_bytes(page[place : place + 4], "little")
        if place + 4 + length > len(page):
            raise ValueError("a text ends outside its page")
        found.append(page[place + 4 : place + 4 + length])
        place += 4 + length
    return found


def _indices(values: bytes, count: int) -> list[int]:
    """Places in the dictionary: runs of one number, or groups of eight with a few bits each."""
    width, place = values[0], 1
    if width > 32:
        raise ValueError("a place in the dictionary has more than 32 bits")
    found: list[int] = []
    while len(found) < count:
        head, place = _varint(values, place)
        if head & 1:
            size = (head >> 1) * width
            bits = np.unpackbits(np.frombuffer(values[place : place + size], np.uint8), bitorder="little")
            found += (bits.reshape(-1, width).astype(np.int64) << np.arange(width)).sum(1).tolist()
        else:
            size = (width + 7) // 8
            found += [int.from_bytes(values[place : place + size], "little")] * min(head >> 1, count - len(found))
        if place + size > len(values) or head < 2:
            raise ValueError("a page ends early")
        place += size
    return found[:count]


# ---------------------------------------------------------------------------------------------- the layers below
def _varint(content: bytes, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, and the place behind it."""
    number = shift = 0
    while True:
        byte = content[place]
        number |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return number, place
        if shift > 63:
            raise ValueError("a number is too long")


def _struct(content: bytes, place: int, depth: int = 0) -> tuple[dict[int, Any], int]:
    """A structure in Thrift's compact form, field number -> value: whole numbers, booleans, structures; other kinds of
    fields do not occur in a page's header but as statistics, which are skipped."""
    if depth > 4:
        raise ValueError("a header is nested too deep")
    found: dict[int, Any] = {}
    field = 0
    while head := content[place]:
        place += 1
        kind = head & 15
        if head >> 4:
            field += head >> 4
        else:
            number, place = _varint(content, place)
            field = _signed(number)
        if kind in (1, 2):
            found[field] = kind == 1
        elif kind in (3, 4, 5, 6):
            number, place = _varint(content, place)
            found[field] = _signed(number)
        elif kind == 8:
            length, place = _varint(content, place)
            place += length
        elif kind == 12:
            found[field], place = _struct(content, place, depth + 1)
        else:
            raise ValueError(f"a header has a field of kind {kind}")
    return found, place + 1


def _signed(number: int) -> int:
    """Zigzag: 0, -1, 1, -2, ... are written as 0, 1, 2, 3, ..."""
    return number >> 1 ^ -(number & 1)


def _unsnap(packed: bytes, wanted: int) -> bytes:
    """Snappy's packing undone: stretches as they are, and copies of what came before."""
    length, place = _varint(packed, 0)
    if length != wanted:
        raise ValueError("a page has another length than it says")
    out = bytearray()
    while place < len(packed):
        head = packed[place]
        kind, place = head & 3, place + 1
        if kind == 0:
            size = head >> 2
            if size >= 60:
                extra = size - 59
                size = int.from_bytes(packed[place : place + extra], "little")
                place += extra
            out += packed[place : place + size + 1]
            place += size + 1
            continue
        if kind == 1:
            size, back = 4 + (head >> 2 & 7), (head >> 5) << 8 | packed[place]
            place += 1
        else:
            width = 2 if kind == 2 else 4
            size, back = 1 + (head >> 2), int.from_bytes(packed[place : place + width], "little")
            place += width
        start = len(out) - back
        if back == 0 or start < 0 or len(out) + size > wanted:
            raise ValueError("a copy begins before its page")
        if back >= size:
            out += out[start : start + size]
        else:  # it copies what it is just writing
            out += (bytes(out[start:]) * (size // back + 1))[:size]
    if len(out) != wanted:
        raise ValueError("a page ends early")
    return bytes(out)
