"""Read safetensors files, memory-mapped and bounds-checked.

A file is: 8 bytes length of the header, the header (JSON: name -> dtype, shape, start and end of its bytes),
the bytes. Everything in the header is checked before a byte is used, so a truncated or hostile file is one
clear line, never a crash. Pages that were read can be handed back to the system, so reading costs no second
copy in memory. Left out: writing (the safetensors package does it), and what the numbers mean to torch.
"""

from __future__ import annotations

import json
import math
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glaswerk.errors import GlaswerkError
from glaswerk.formats import strict_json

#: the largest header that is read (the format's own library has the same limit), and most values in it: about
#: nine for each tensor, and no real model has more than some ten thousand in a file
HEADER_LIMIT, HEADER_VALUES = 100_000_000, 2_000_000
#: no tensor of a real model has more sizes
MOST_DIMENSIONS = 8
#: the dtypes that are read, and the bytes of one number
DTYPES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


@dataclass(frozen=True, slots=True)
class Entry:
    """One tensor of a file: its dtype's name in the file, its shape, and where its bytes are, counted from the
    start of the file.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


class SafetensorsFile:
    """An open file: ``entries`` by name, ``metadata`` (text by name, as its writer said), and :meth:`raw`. Raises
    :class:`GlaswerkError` where the file is broken.
    """

    metadata: dict[str, str]

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            if path.exists() and not path.is_file():
                raise GlaswerkError(f"cannot read {path}: it is no file")
            with open(path, "rb") as file:
                size = path.stat().st_size
                if size < 8:
                    raise self.broken(f"it has only {size} bytes")
                self.map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError as error:
            raise GlaswerkError(f"{path} is missing: the model folder is not complete; copy it again") from error
        except OSError as error:
            raise GlaswerkError(f"cannot read {path}: {error.strerror or error}") from error
        self.entries = self.parse(size)

    def broken(self, what: str, name: str | None = None) -> GlaswerkError:
        """The error for a file that is not what it should be; ``name``: the tensor in whose description that shows."""
        place = "" if name is None else self.place(name)
        return GlaswerkError(
            f"{self.path} is damaged or not a safetensors file: {what}{place}; copy or download it again"
        )

    def place(self, name: str) -> str:
        """Where in the file a tensor's description begins, in words; nothing where its name is spelled oddly."""
        at = self.map.find(json.dumps(name, ensure_ascii=False).encode("utf-8", "replace") + b":")
        return f" (described at byte {at:,})" if at > 0 else ""

    def parse(self, size: int) -> dict[str, Entry]:
        """Check the whole header against the file's size."""
        length = int.from_bytes(self.map[:8], "little")
        if length > min(size - 8, HEADER_LIMIT):
            raise self.broken(f"its header claims {length} bytes and the file has {size}")
        header = strict_json.parse(self.map[8 : 8 + length], f"{self.path}: its header", HEADER_VALUES)
        if not isinstance(header, dict):
            raise self.broken("its header is not a JSON object")
        said = header.pop("__metadata__", None)
        pairs = said.items() if isinstance(said, dict) else ()
        self.metadata = {key: value for key, value in pairs if isinstance(value, str)}
        entries = {name: self.entry(name, value, 8 + length, size) for name, value in header.items()}
        previous = 8 + length
        for name, entry in sorted(entries.items(), key=lambda item: (item[1].start, item[1].end)):
            if entry.start < previous:
                raise self.broken(f"tensor {name[:80]!r} overlaps another one at byte {entry.start:,}", name)
            previous = entry.end
        return entries

    def entry(self, name: str, value: Any, base: int, size: int) -> Entry:
        """Check one tensor's description."""
        shown = name if len(name) <= 80 else name[:77] + "..."
        if not isinstance(value, dict):
            raise self.broken(f"tensor {shown!r} is not described by an object", name)
        kind = value.get("dtype")
        if not isinstance(kind, str) or kind not in DTYPES:
            raise GlaswerkError(
                f"{self.path}: tensor {shown!r} has the unsupported dtype {str(kind)[:20]!r}{self.place(name)}"
            )
        shape: list[int] = value.get("shape", [-1])
        offsets: list[int] = value.get("data_offsets", [])
        if not whole_numbers(shape) or not whole_numbers(offsets) or len(offsets) != 2 or len(shape) > MOST_DIMENSIONS:
            raise self.broken(f"tensor {shown!r} has no valid shape and data_offsets", name)
        start, end = base + offsets[0], base + offsets[1]
        if start > end or end > size:
            raise self.broken(
                f"tensor {shown!r} should lie at bytes {start} to {end} and the file has {size}: it is cut short", name
            )
        if math.prod(shape) * DTYPES[kind] != end - start:
            raise self.broken(f"tensor {shown!r} of shape {shape} does not fit its {end - start} bytes", name)
        return Entry(kind, tuple(shape), start, end)

    def raw(self, name: str) -> np.ndarray:
        """The tensor's bytes as they lie in the mapped file (uint8, flat, read-only)."""
        entry = self.entries[name]
        return np.frombuffer(self.map, np.uint8, entry.end - entry.start, entry.start)

    def release(self, name: str) -> None:
        """Hand the tensor's pages back to the system; they are read from the file again if they are needed
        again.
        """
        entry = self.entries[name]
        page = mmap.PAGESIZE
        start = -(-entry.start // page) * page
        length = (entry.end - start) // page * page
        if length > 0 and hasattr(mmap, "MADV_DONTNEED"):
            self.map.madvise(mmap.MADV_DONTNEED, start, length)

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)


def whole_numbers(values: Any) -> bool:
    """Whether ``values`` is a list of whole numbers of at most 63 bits, none below 0."""
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 1 << 63 for value in values)
