"""Our GGUF reader and writer against the `gguf` package, and against files that lie."""

from __future__ import annotations

import random
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glaswerk.errors import GlaswerkError
from glaswerk.formats.blocks import KINDS, quantize, row_bytes
from glaswerk.formats.gguf import GGUFFile, NewTensor, Texts, write_gguf

RANDOM = np.random.default_rng(0)


def some(kind: str, rows: int, width: int) -> np.ndarray:
    return RANDOM.integers(0, 256, (rows, row_bytes(kind, width)), np.uint8)


def simple(path: Path) -> Path:
    """A small valid file of ours with every kind of value and several kinds of tensors."""
    metadata = {
        "general.architecture": "llama",
        "a.whole": 7,
        "a.negative": -7,
        "a.large": 1 << 40,
        "a.point": 0.25,
        "a.true": True,
        "a.list": np.array([1, -2, 3], np.int32),
        "a.points": np.array([0.5, 1.5], np.float32),
        "a.texts": ["", "ein", "größer", "日本"],
        "a.nothing": np.array([], np.float32),
    }
    tensors = [
        NewTensor("one", "F32", (5,), lambda: quantize("F32", np.arange(5, dtype=np.float32)[None])),
        NewTensor("two", "Q8_0", (3, 64), lambda: some("Q8_0", 3, 64)),
        NewTensor("three", "F16", (2, 3, 4), lambda: some("F16", 6, 4)),
    ]
    write_gguf(path, metadata, tensors)
    return path


def test_what_we_write_the_gguf_package_reads(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    path = simple(tmp_path / "x.gguf")
    ours, theirs = GGUFFile(path), gguf.GGUFReader(path)
    for name, value in ours.metadata.items():
        given = theirs.fields[name].contents()
        assert list(value) == given if isinstance(value, (Texts, np.ndarray)) else value == given
    assert theirs.fields["a.texts"].contents() == ["", "ein", "größer", "日本"]
    assert theirs.fields["a.negative"].contents() == -7 and theirs.fields["a.large"].contents() == 1 << 40
    assert len(theirs.tensors) == 3
    for tensor in theirs.tensors:
        info = ours.tensors[tensor.name]
        assert tensor.tensor_type.name == info.kind and tuple(reversed(tensor.shape.tolist())) == info.shape
        assert bytes(tensor.data.tobytes()) == ours.raw(tensor.name).tobytes()
    np.testing.assert_array_equal(ours.raw("one").view(np.float32)[0], np.arange(5))


@pytest.mark.parametrize("alignment", [32, 64, 8])
def test_what_the_gguf_package_writes_we_read(tmp_path: Path, alignment: int) -> None:
    gguf = pytest.importorskip("gguf")
    path = tmp_path / "x.gguf"
    writer = gguf.GGUFWriter(path, "qwen3")
    writer.add_custom_alignment(alignment)
    writer.add_uint8("a.u8", 200)
    writer.add_int8("a.i8", -100)
    writer.add_uint16("a.u16", 60_000)
    writer.add_int16("a.i16", -30_000)
    writer.add_int64("a.i64", -(1 << 50))
    writer.add_float64("a.f64", 0.1)
    writer.add_bool("a.bool", False)
    writer.add_array("a.texts", ["x", "yy", ""])
    writer.add_array("a.flags", [True, False])
    writer.add_array("a.numbers", [1, 2, 3])
    data = {}
    for kind in KINDS:
        width = 2 * KINDS[kind].weights
        data[kind] = some(kind, 3, width)
        writer.add_tensor(kind, data[kind], raw_dtype=gguf.GGMLQuantizationType[kind])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    file = GGUFFile(path)
    expected = {
        "a.u8": 200, "a.i8": -100, "a.u16": 60_000, "a.i16": -30_000, "a.i64": -(1 << 50), "a.f64": 0.1,
        "a.bool": False, "general.alignment": alignment, "general.architecture": "qwen3",
    }  # fmt: skip
    assert {name: file.metadata[name] for name in expected} == expected
    assert list(file.metadata["a.texts"]) == ["x", "yy", ""] and file.metadata["a.texts"][1:] == ["yy", ""]
    assert list(file.metadata["a.flags"]) == [True, False] and list(file.metadata["a.numbers"]) == [1, 2, 3]
    assert set(file.tensors) == set(KINDS)
    for kind, raw in data.items():
        info = file.tensors[kind]
        assert (info.kind, info.shape) == (kind, (3, 2 * KINDS[kind].weights))
        np.testing.assert_array_equal(file.raw(kind), raw)
        file.release(kind)
        np.testing.assert_array_equal(file.raw(kind), raw)


def test_a_real_file_is_read_as_the_gguf_package_reads_it(pulled: Any) -> None:
    gguf = pytest.importorskip("gguf")
    (path,) = pulled("smollm2").glob("*.gguf")
    ours, theirs = GGUFFile(path), gguf.GGUFReader(path)
    skipped = {"GGUF.version", "GGUF.tensor_count", "GGUF.kv_count"}
    assert set(ours.metadata) == set(theirs.fields) - skipped
    for name, value in ours.metadata.items():
        given = theirs.fields[name].contents()
        assert list(value) == given if isinstance(value, (Texts, np.ndarray)) else value == given
    assert {t.name: (t.tensor_type.name, int(t.data_offset)) for t in theirs.tensors} == {
        name: (info.kind, info.start) for name, info in ours.tensors.items()
    }


# ------------------------------------------------------------------------------------------ files that lie
def text(value: str | bytes) -> bytes:
    value = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(value)) + value


def number(name: str, value: int) -> bytes:
    return text(name) + struct.pack("<II", 4, value)


def described(name: str, sizes: list[int], kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, offset)


def made(values: list[bytes], tensors: list[bytes], data: int = 64, version: int = 3, **claims: int) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", version, claims.get("t", len(tensors)), claims.get("v", len(values)))
    body = head + b"".join(values) + b"".join(tensors)
    return body + bytes(-len(body) % 32) + bytes(data)


HUGE = 1 << 62
ATTACKS: list[tuple[bytes, str]] = [
    (b"", "only 0 bytes"),
    (b"GGUF", "only 4 bytes"),
    (b"GGML" + bytes(40), "begins with"),
    (made([], [], version=1), "version 1"),
    (made([], [], version=0x03000000), "big-endian"),
    (made([], [], t=HUGE), "number of tensors"),
    (made([], [], v=HUGE), "number of metadata values"),
    (made([], [], data=10_000, v=300), "there twice"),
    (made([number("a", 1), number("a", 1)], []), "'a' is there twice"),
    (made([text(b"\xff") + struct.pack("<II", 4, 1)], []), "not valid UTF-8"),
    (made([struct.pack("<Q", HUGE)], []), "a text of"),
    (made([number("n" * 1001, 1)], []), "longer than"),
    (made([text("a") + struct.pack("<I", 13)], []), "of type 13"),
    (made([text("a") + struct.pack("<IB", 7, 2)], []), "neither 0 nor 1"),
    (made([text("a") + struct.pack("<I", 8) + struct.pack("<Q", HUGE)], []), "a text of"),
    (made([text("a") + struct.pack("<IIQ", 9, 4, HUGE)], []), "the length of 'a'"),
    (made([text("a") + struct.pack("<IIQ", 9, 8, HUGE)], []), "the length of 'a'"),
    (made([text("a") + struct.pack("<IIQ", 9, 8, 8) + struct.pack("<Q", HUGE)], []), "a text of"),
    (made([text("a") + struct.pack("<IIQ", 9, 9, 1)], []), "a list of lists"),
    (made([text("a") + struct.pack("<IIQ", 9, 77, 1)], []), "a list of the type 77"),
    (made([number("general.alignment", 0)], []), "general.alignment"),
    (made([number("general.alignment", 48)], []), "general.alignment"),
    (made([number("general.alignment", 1 << 31)], []), "general.alignment"),
    (made([text("general.alignment") + struct.pack("<I", 8) + text("32")], []), "general.alignment"),
    (made([], [described("w", [])]), "0 dimensions"),
    (made([], [described("w", [1] * 5)]), "5 dimensions"),
    (made([], [text("w") + struct.pack("<I", 1 << 31)]), "dimensions"),
    (made([], [described("w", [0, 4])]), "the sizes"),
    (made([], [described("w", [1 << 32, 1 << 32])]), "the sizes"),
    (made([], [described("w", [HUGE, HUGE, HUGE, HUGE])]), "the sizes"),
    (made([], [described("w", [17])]), "cut short"),
    (made([], [described("w", [16], offset=32)]), "cut short"),
    (made([], [described("w", [4], offset=1 << 60)]), "cut short"),
    (made([], [described("w", [4], offset=5)]), "no multiple of 32"),
    (made([], [described("w", [33], kind=8)]), "no multiple of 32"),
    (made([], [described("w", [256], kind=10)]), "Q2_K, which is not supported"),
    (made([], [described("w", [256], kind=999)]), "number 999, which is not supported"),
    (made([], [described("w", [4]), described("w", [4], offset=32)]), "'w' is there twice"),
    (made([], [described("w", [12]), described("v", [4], offset=32)]), "overlap"),
]


@pytest.mark.parametrize(("content", "what"), ATTACKS, ids=[f"{n}-{what}" for n, (_, what) in enumerate(ATTACKS)])
def test_a_file_that_lies_is_refused_in_one_line(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    with pytest.raises(GlaswerkError, match=what) as refused:
        GGUFFile(path)
    said = str(refused.value)
    assert "\n" not in said and len(said) < 400 and "x.gguf" in said


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "no.gguf", tmp_path):
        with pytest.raises(GlaswerkError):
            GGUFFile(path)


def test_every_cut_of_a_good_file_is_refused(tmp_path: Path) -> None:
    good = simple(tmp_path / "good.gguf").read_bytes()
    end = max(info.end for info in GGUFFile(tmp_path / "good.gguf").tensors.values())
    path = tmp_path / "cut.gguf"
    for length in range(end):
        path.write_bytes(good[:length])
        with pytest.raises(GlaswerkError):
            GGUFFile(path)
    path.write_bytes(good[:end])
    GGUFFile(path)


def use(path: Path) -> None:
    """Open a file and look at everything in it."""
    file = GGUFFile(path)
    for value in file.metadata.values():
        if isinstance(value, Texts):
            list(value)
    for name in file.tensors:
        file.raw(name).sum()


@pytest.mark.parametrize("rounds", [2_000, pytest.param(40_000, marks=pytest.mark.slow)])
def test_mutated_files_are_refused_or_read_within_their_size(tmp_path: Path, rounds: int) -> None:
    """Either it opens or it is refused in one line, and what is set aside stays near the size of the file."""
    good, draw = simple(tmp_path / "good.gguf").read_bytes(), random.Random(rounds)
    path, refused = tmp_path / "bad.gguf", 0
    use(tmp_path / "good.gguf")
    tracemalloc.start()
    try:
        for _ in range(rounds):
            bad = bytearray(good[: draw.choice([len(good), draw.randrange(1, len(good))])])
            for _ in range(draw.randint(1, 6)):
                place = draw.randrange(len(bad))
                if draw.random() < 0.3:
                    wide = struct.pack("<Q", draw.choice([0, 1, 2**31, 2**32, 2**63, 2**64 - 1, len(good), 1 << 20]))
                    bad[place : place + 8] = wide[: len(bad) - place]
                else:
                    bad[place] = draw.randrange(256)
            path.write_bytes(bytes(bad))
            try:
                use(path)
            except GlaswerkError as error:
                refused += 1
                assert "\n" not in str(error) and len(str(error)) < 2_000
        assert tracemalloc.get_traced_memory()[1] < 300_000  # the file's 1.6 kB and Python's own small change
    finally:
        tracemalloc.stop()
    assert rounds // 2 < refused < rounds


def test_a_long_list_of_texts_costs_no_more_than_its_file(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    write_gguf(path, {"texts": ["ab"] * 300_000}, [])
    tracemalloc.start()
    file = GGUFFile(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(file.metadata["texts"]) == 300_000 and file.metadata["texts"][-1] == "ab"
    assert peak < path.stat().st_size


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = simple(tmp_path / "x.gguf")
    before = path.read_bytes()

    def power_cut() -> np.ndarray:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_gguf(path, {}, [NewTensor("a", "F32", (1,), power_cut)])
    assert path.read_bytes() == before and [entry.name for entry in tmp_path.iterdir()] == ["x.gguf"]
