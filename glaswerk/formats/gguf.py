"""GGUF, the one-file format of llama.cpp (versions 2 and 3): read memory-mapped and bounds-checked, and written.

A file is: ``GGUF``, the version, how many tensors and how many metadata values; the metadata (name, type,
value); a description of each tensor (name, sizes, type, offset); padding; the tensors' bytes. A stranger's
file is believed in nothing: every count, length, type, size, alignment and offset is checked against the
bytes that are there before memory is set aside, and what is wrong is said in one line with the field and its
place in the file. Long lists of texts are not unpacked; only their places are kept. Left out: big-endian files,
files split in several, lists of lists, and what the values mean (``model/gguf.py``, ``tokenizer/gguf.py``).
"""

from __future__ import annotations

import math
import mmap
import os
import struct
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np

from glaswerk.errors import GlaswerkError
from glaswerk.formats.blocks import KINDS, row_bytes
from glaswerk.home import replacing

MAGIC = b"GGUF"
ALIGNMENT = 32
#: far above what real files hold; a file that claims more is refused before it is read
MOST_VALUES, MOST_TENSORS = 10_000, 100_000
#: texts in all lists together (the largest vocabularies have 256,000 tokens and 500,000 merges)
MOST_TEXTS = 4_000_000
LONGEST_NAME, LONGEST_TEXT = 1_000, 16_000_000
#: no tensor has more sizes
MOST_DIMENSIONS = 4
#: texts of a list that are read at once
PORTION = 4_096
UNSIGNED = struct.Struct("<Q")

#: a metadata value's type number -> how it lies in the file
NUMBERS: dict[int, np.dtype] = {
    0: np.dtype("u1"),
    1: np.dtype("i1"),
    2: np.dtype("<u2"),
    3: np.dtype("<i2"),
    4: np.dtype("<u4"),
    5: np.dtype("<i4"),
    6: np.dtype("<f4"),
    7: np.dtype("?"),
    10: np.dtype("<u8"),
    11: np.dtype("<i8"),
    12: np.dtype("<f8"),
}
TEXT, LIST = 8, 9
#: a tensor's type number -> its name; only those in :data:`~glaswerk.formats.blocks.KINDS` can be read
TENSOR_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K",
    12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S",
    20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64",
    29: "IQ1_M", 30: "BF16", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor: its format, its shape (rows first, neighbours in a row last) and where its bytes are, counted
    from the start of the file."""

    kind: str
    shape: tuple[int, ...]
    start: int
    end: int


class Texts(Sequence[str]):
    """A list of texts that stays in the mapped file: one place is kept for each, and a text is made when it is
    asked for."""

    def __init__(self, file: GGUFFile, name: str, starts: np.ndarray) -> None:
        self.file, self.name, self.starts = file, name, starts

    def __len__(self) -> int:
        return len(self.starts)

    def __repr__(self) -> str:
        return f"<{len(self):,} texts>"

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return [self.file.text(int(start), self.name) for start in self.starts[place]]
        return self.file.text(int(self.starts[place]), self.name)

    def __iter__(self) -> Iterator[str]:
        """All of them, some thousands read at once."""
        for first in range(0, len(self.starts), PORTION):
            bounds = self.starts[first : first + PORTION].tolist()
            base, (*_, last) = bounds[0], bounds
            last += 8 + int.from_bytes(self.file.map[last : last + 8], "little")
            data = self.file.map[base:last]
            for start, end in zip(bounds, [*bounds[1:], last], strict=True):
                if end - start > LONGEST_TEXT:
                    yield self.file.text(start, self.name)
                try:
                    yield data[start - base + 8 : end - base].decode("utf-8")
                except UnicodeDecodeError:
                    yield self.file.text(start, self.name)  # which says where


class Metadata(dict[str, Any]):
    """The values by name, and ``places``: where in the file each begins."""

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[str, int] = {}


def place(metadata: Mapping[str, Any], name: str) -> str:
    """Where a value stands in its file, as the end of a sentence; nothing where it is not in a file."""
    at = metadata.places.get(name) if isinstance(metadata, Metadata) else None
    return "" if at is None else f" (at byte {at:,})"


class GGUFFile:
    """An open file: ``metadata`` by name, ``tensors`` by name, :meth:`raw`.

    Numbers, truth values and texts are plain Python, lists of numbers NumPy arrays, lists of texts
    :class:`Texts`. Raises :class:`GlaswerkError` where the file is broken.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        try:
            if self.path.exists() and not self.path.is_file():
                raise GlaswerkError(f"cannot read {self.path}: it is no file")
            with open(self.path, "rb") as file:
                self.size = os.fstat(file.fileno()).st_size
                if self.size < 24:
                    raise self.broken(f"it has only {self.size} bytes")
                self.map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError as error:
            raise GlaswerkError(f"there is no file {self.path}") from error
        except (OSError, ValueError) as error:
            raise GlaswerkError(f"cannot read {self.path}: {getattr(error, 'strerror', None) or error}") from error
        self.at = 0
        self.texts = 0  # in lists, so far
        self.metadata = Metadata()
        self.tensors: dict[str, TensorInfo] = {}
        self._parse()

    def broken(self, what: str, at: int | None = None) -> GlaswerkError:
        """The error for a file that is not what it should be; ``at``: the byte where that shows."""
        place = "" if at is None else f" (at byte {at:,})"
        return GlaswerkError(f"{self.path} is damaged or no GGUF file: {what}{place}; copy or download it again")

    # ------------------------------------------------------------------ reading
    def _parse(self) -> None:
        if self.map[:4] != MAGIC:
            raise self.broken(f"it begins with {self.map[:4]!r}, not {MAGIC!r}")
        self.at = 4
        version = self._number("<I", "the version")
        if version not in (2, 3):
            if version and version % 0x10000 == 0:
                raise GlaswerkError(f"{self.path} is a big-endian GGUF file, which is not supported (at byte 4)")
            raise GlaswerkError(f"{self.path} is GGUF version {version} (at byte 4); versions 2 and 3 are supported")
        tensors = self._count("<Q", "the number of tensors", MOST_TENSORS, each=24)
        values = self._count("<Q", "the number of metadata values", MOST_VALUES, each=13)
        for _ in range(values):
            at = self.at
            name = self._name("a metadata name")
            if name in self.metadata:
                raise self.broken(f"the metadata value {name!r} is there twice", at)
            self.metadata.places[name] = at
            self.metadata[name] = self._value(self._number("<I", f"the type of {name!r}"), name)
        alignment = self.metadata.get("general.alignment", ALIGNMENT)
        if type(alignment) is not int or not 1 <= alignment <= 65_536 or alignment & (alignment - 1):
            raise self.broken(
                f"general.alignment is {' '.join(repr(alignment).split())[:60]}, not a power of two up to 65,536",
                self.metadata.places["general.alignment"],
            )
        described = [self._description() for _ in range(tensors)]
        base = -(-self.at // alignment) * alignment
        for name, kind, shape, offset, at in described:
            if name in self.tensors:
                raise self.broken(f"the tensor {name!r} is there twice", at)
            if offset % alignment:
                raise self.broken(f"the offset {offset} of the tensor {name!r} is no multiple of {alignment}", at)
            start = base + offset
            end = start + math.prod(shape[:-1]) * row_bytes(kind, shape[-1])
            if end > self.size:
                raise self.broken(
                    f"the tensor {name!r} should end at byte {end:,} and the file has {self.size:,}: it is cut short",
                    at,
                )
            self.tensors[name] = TensorInfo(kind, shape, start, end)
        before, owner = 0, ""
        for name, tensor in sorted(self.tensors.items(), key=lambda item: item[1].start):
            if tensor.start < before:
                raise self.broken(f"the tensors {owner!r} and {name!r} overlap", tensor.start)
            before, owner = tensor.end, name

    def _description(self) -> tuple[str, str, tuple[int, ...], int, int]:
        """One tensor's name, kind, shape, offset, and where all that stood."""
        at = self.at
        name = self._name("a tensor's name")
        dimensions = self._number("<I", f"the number of dimensions of {name!r}")
        if not 1 <= dimensions <= MOST_DIMENSIONS:
            raise self.broken(f"the tensor {name!r} claims {dimensions} dimensions", at)
        sizes = [self._number("<Q", f"a size of {name!r}") for _ in range(dimensions)]
        number = self._number("<I", f"the type of {name!r}")
        offset = self._number("<Q", f"the offset of {name!r}")
        kind = TENSOR_TYPES.get(number, f"number {number}")
        if kind not in KINDS:
            raise GlaswerkError(
                f"{self.path}: the tensor {name!r} is of type {kind}, which is not supported (at byte {at:,}); "
                f"supported are {', '.join(KINDS)}"
            )
        if min(sizes) < 1 or math.prod(sizes) > 8 * self.size:  # the smallest format has half a byte a weight
            raise self.broken(f"the tensor {name!r} claims the sizes {sizes}", at)
        if sizes[0] % KINDS[kind].weights:
            raise self.broken(
                f"the rows of the tensor {name!r} have {sizes[0]} weights, no multiple of {KINDS[kind].weights}", at
            )
        return name, kind, tuple(reversed(sizes)), offset, at

    def _value(self, kind: int, name: str) -> Any:
        if kind in NUMBERS:
            (value,) = self._numbers(NUMBERS[kind], 1, name)
            return value.item()
        if kind == TEXT:
            start = self.at
            self._skip_text(name)
            return self.text(start, name)
        if kind != LIST:
            raise self.broken(f"the metadata value {name!r} is of type {kind}, which there is not", self.at - 4)
        inner = self._number("<I", f"the type inside {name!r}")
        if inner in NUMBERS:
            count = self._count("<Q", f"the length of {name!r}", self.size, each=NUMBERS[inner].itemsize)
            return self._numbers(NUMBERS[inner], count, name)
        if inner != TEXT:
            what = "a list of lists" if inner == LIST else f"a list of the type {inner}"
            raise self.broken(f"the metadata value {name!r} is {what}, which is not supported", self.at - 4)
        count = self._count("<Q", f"the length of {name!r}", MOST_TEXTS - self.texts, each=8)
        self.texts += count
        starts = array("q")  # 8 bytes for each, which has at least as many in the file
        for _ in range(count):
            starts.append(self.at)
            self._skip_text(name)
        return Texts(self, name, np.frombuffer(starts, np.int64))

    def _numbers(self, dtype: np.dtype, count: int, name: str) -> np.ndarray:
        start = self.at
        self._move(count * dtype.itemsize, name)
        if dtype.kind == "b":
            flags = np.frombuffer(self.map, np.uint8, count, start)
            if count and flags.max() > 1:
                raise self.broken(f"{name!r} holds a truth value that is neither 0 nor 1", start)
        return np.frombuffer(self.map, dtype, count, start)

    def _number(self, form: str, what: str) -> int:
        start = self.at
        self._move(struct.calcsize(form), what)
        (value,) = struct.unpack_from(form, self.map, start)
        return int(value)

    def _count(self, form: str, what: str, most: int, each: int) -> int:
        """A number of things of which each takes at least ``each`` bytes of the rest of the file."""
        value = self._number(form, what)
        if value > most or value * each > self.size - self.at:
            raise self.broken(f"{what} is {value:,}, more than the file can hold", self.at - 8)
        return value

    def _name(self, what: str) -> str:
        start = self.at
        if self._skip_text(what) > LONGEST_NAME:
            raise self.broken(f"{what} is longer than {LONGEST_NAME:,} bytes", start)
        return self.text(start, what)

    def _skip_text(self, what: str) -> int:
        start = self.at
        if start + 8 > self.size:
            raise self.broken(f"{what} should go on at byte {start:,}, where the file ends: it is cut short")
        (length,) = UNSIGNED.unpack_from(self.map, start)
        if length > self.size - start - 8:
            raise self.broken(f"{what} claims a text of {length:,} bytes, more than the file has left", start)
        self.at = start + 8 + length
        return length

    def text(self, start: int, what: str) -> str:
        """The text whose length stands at byte ``start`` (checked before)."""
        length = int.from_bytes(self.map[start : start + 8], "little")
        if length > LONGEST_TEXT:
            raise self.broken(f"{what!r} is a text of {length:,} bytes, more than any real one has", start)
        try:
            return self.map[start + 8 : start + 8 + length].decode("utf-8")
        except UnicodeDecodeError:
            raise self.broken(f"{what!r} is not valid UTF-8", start) from None

    def _move(self, length: int, what: str) -> None:
        if length > self.size - self.at:
            raise self.broken(f"{what} should go on at byte {self.at:,}, and the file ends there: it is cut short")
        self.at += length

    # ------------------------------------------------------------------ tensors
    def raw(self, name: str) -> np.ndarray:
        """The tensor's bytes as they lie in the mapped file, uint8 ``[rows, bytes of a row]``; read-only."""
        tensor = self.tensors[name]
        width = row_bytes(tensor.kind, tensor.shape[-1])
        return np.frombuffer(self.map, np.uint8, tensor.end - tensor.start, tensor.start).reshape(-1, width)

    def release(self, name: str) -> None:
        """Hand the tensor's pages back to the system; they are read again if they are needed again."""
        tensor = self.tensors[name]
        page = mmap.PAGESIZE
        start = -(-tensor.start // page) * page
        length = (tensor.end - start) // page * page
        if length > 0 and hasattr(mmap, "MADV_DONTNEED"):
            self.map.madvise(mmap.MADV_DONTNEED, start, length)


# ---------------------------------------------------------------------------------------------- writing
@dataclass(frozen=True, slots=True)
class NewTensor:
    """A tensor to write. ``make()`` gives its bytes, uint8 ``[rows, bytes of a row]``, when its turn comes, so that
    only one tensor at a time is in memory."""

    name: str
    kind: str
    shape: tuple[int, ...]
    make: Callable[[], np.ndarray]


def write_gguf(path: Path | str, metadata: Mapping[str, Any], tensors: Iterable[NewTensor]) -> None:
    """Write a GGUF file (version 3), crash-safely: a temporary file, renamed when it is complete.

    Whole numbers become uint32 (or the 64-bit type they need), numbers with a point float32, lists of numbers NumPy
    arrays' own types. Raises :class:`GlaswerkError` where the folder cannot be written.
    """
    tensors = list(tensors)
    head = [MAGIC, struct.pack("<IQQ", 3, len(tensors), len(metadata))]
    for name, value in metadata.items():
        head += [_packed_text(name), _packed(value)]
    offset = 0
    for tensor in tensors:
        sizes = tuple(reversed(tensor.shape))
        number = next(number for number, kind in TENSOR_TYPES.items() if kind == tensor.kind)
        head += [
            _packed_text(tensor.name),
            struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, number, offset),
        ]
        offset += _padded(_tensor_bytes(tensor))
    with replacing(Path(path)) as part, open(part, "wb") as file:
        file.write(b"".join(head))
        file.write(bytes(-file.tell() % ALIGNMENT))
        for tensor in tensors:
            raw = np.ascontiguousarray(tensor.make())
            if raw.dtype != np.uint8 or raw.nbytes != _tensor_bytes(tensor):
                raise ValueError(f"{tensor.name}: {raw.nbytes} bytes of {raw.dtype} for {_tensor_bytes(tensor)} bytes")
            file.write(raw.data)
            file.write(bytes(-raw.nbytes % ALIGNMENT))


def _tensor_bytes(tensor: NewTensor) -> int:
    return math.prod(tensor.shape[:-1]) * row_bytes(tensor.kind, tensor.shape[-1])


def _padded(length: int) -> int:
    return -(-length // ALIGNMENT) * ALIGNMENT


def _packed_text(text: str) -> bytes:
    encoded = text.encode("utf-8")
    return struct.pack("<Q", len(encoded)) + encoded


def _packed(value: Any) -> bytes:
    """A metadata value with its type in front."""
    if isinstance(value, str):
        return struct.pack("<I", TEXT) + _packed_text(value)
    if isinstance(value, np.ndarray):
        number = next(number for number, dtype in NUMBERS.items() if dtype == value.dtype)
        return struct.pack("<IIQ", LIST, number, len(value)) + value.astype(NUMBERS[number]).tobytes()
    if isinstance(value, (list, tuple)):
        return struct.pack("<IIQ", LIST, TEXT, len(value)) + b"".join(map(_packed_text, value))
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    if 0 <= value < 1 << 32:
        return struct.pack("<II", 4, value)
    return struct.pack("<IQ", 10, value) if value >= 0 else struct.pack("<Iq", 11, value)
