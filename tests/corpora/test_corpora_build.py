"""Building and packing a corpus end to end: files, splits, reports, refusals, and that nothing is half-written."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from glaswerk.corpora import Document, Packed, build, documents, fingerprint, pack
from glaswerk.corpora import build as _build_function
from glaswerk.corpora.crew import Crew
from glaswerk.errors import GlaswerkError

Python = Callable[..., subprocess.CompletedProcess[str]]


def prose(seed: int, characters: int) -> str:
    rng = random.Random(seed)
    words = ["".join(rng.choices("abcdefghijklmnop", k=rng.randint(2, 9))) for _ in range(2_000)]
    text = ""
    while len(text) < characters:
        text += " ".join(rng.choices(words, k=12)).capitalize() + ".\n" + ("\n" if rng.random() < 0.3 else "")
    return text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small mixed corpus with one of everything that goes wrong."""
    made = tmp_path / "texts"
    made.mkdir()
    (made / "book.txt").write_text(prose(1, 60_000), encoding="utf-8")
    (made / "old.txt").write_bytes(("Über allen Gipfeln ist Ruh. " * 3 + prose(2, 3_000)).encode("cp1252"))
    rows = [{"text": prose(n, 300), "title": f"T{n}"} for n in range(10, 40)]
    lines = [json.dumps(row) for row in rows] + [json.dumps(rows[3]), "{broken", json.dumps({"text": "short"})]
    (made / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (made / "picture.png").write_bytes(b"\x89PNG" + bytes(100))
    return made


def byte_tokens(texts: list[str]) -> list[list[int]]:
    return [list(text.encode("utf-8")) for text in texts]


def test_build_writes_documents_and_a_report_that_adds_up(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    report = build([str(folder)], out)
    found = list(documents(out))
    assert len(found) == report.documents and sum(len(d.text) for d in found) == report.characters
    sides = [json.loads(line)["split"] for line in (out / "documents.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sides.count("val") == report.splits["val"]["documents"] >= 1
    assert [d.text for d in documents(out, "train")] == [
        d.text for d, s in zip(found, sides, strict=True) if s == "train"
    ]
    written = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(report.to_json()))
    assert written["read"]["documents"] == report.documents + sum(d["documents"] for d in written["dropped"].values())
    assert written["dropped"]["exact duplicate"]["examples"][0]["title"] == "T13"
    assert written["dropped"]["too short"]["documents"] == 1
    assert written["broken_lines"]["named"][0]["line"] == 32
    assert written["decoded"]["named"] == [{"file": "old.txt", "encoding": "cp1252", "bytes_not_utf8": 3}]
    assert written["skipped_files"]["named"][0]["file"] == "picture.png"
    assert sum(written["lengths"]["documents"]) == report.documents
    assert abs(sum(written["languages"]["shares"].values()) - 1) < 0.02 or len(written["languages"]["shares"]) == 12
    assert str(tmp_path) not in (out / "report.json").read_text() + (out / "documents.jsonl").read_text()
    assert sorted(p.name for p in out.iterdir()) == ["documents.jsonl", "report.json"]


def test_the_same_texts_give_the_same_bytes_with_any_number_of_workers(folder: Path, tmp_path: Path) -> None:
    for index, workers in enumerate((0, 2, None)):
        build([str(folder)], tmp_path / str(index), workers=workers)
    for name in ("documents.jsonl", "report.json"):
        assert len({(tmp_path / str(index) / name).read_bytes() for index in range(3)}) == 1
    build([str(folder)], tmp_path / "other", seed=1)
    assert (tmp_path / "other" / "documents.jsonl").read_bytes() != (tmp_path / "0" / "documents.jsonl").read_bytes()


def test_strict_stops_and_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(GlaswerkError, match=r"rows\.jsonl:32"):
        build([str(folder)], tmp_path / "corpus", strict=True)
    assert list((tmp_path / "corpus").iterdir()) == []


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "holds no files"),
        ({"empty.txt": b""}, "no usable text.*empty.txt: empty"),
        (
            {"small.txt": b"A few words only, far too few to learn from."},
            r"0\.0 kB of clean text in 1 documents.*at least 20 kB",
        ),
        ({"pic.txt": b"\x89PNG" + bytes(99)}, "no usable text.*PNG"),
        ({"a.xyz": b"text"}, "no usable text.*unknown kind"),
        ({"a.txt": b"!? " * 9_000}, "no usable text.*dropped"),
    ],
)
def test_too_little_text_says_what_is_there(tmp_path: Path, files: dict[str, bytes], says: str) -> None:
    (tmp_path / "in").mkdir()
    for name, data in files.items():
        (tmp_path / "in" / name).write_bytes(data)
    with pytest.raises(GlaswerkError, match=says) as caught:
        build([str(tmp_path / "in")], tmp_path / "corpus")
    assert "\n" not in str(caught.value)
    out = tmp_path / "corpus"
    assert not out.exists() or list(out.iterdir()) == []


def test_twenty_kilobytes_always_do(tmp_path: Path) -> None:
    """Also as one line without any break, which leaves the fewest documents."""
    for name, text in (("lines", prose(3, 20_500)), ("one", " ".join(prose(4, 20_500).split()))):
        (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")
        report = build([str(tmp_path / f"{name}.txt")], tmp_path / name)
        assert report.splits["train"]["documents"] >= 1 and report.splits["val"]["documents"] >= 1
        assert report.splits["train"]["characters"] > report.splits["val"]["characters"]


def test_an_interruption_leaves_no_half_written_corpus(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    for step in ("_decide", "_second_pass"):
        with monkeypatch.context() as patch:
            patch.setitem(_build_function.__globals__, step, stop)
            with pytest.raises(KeyboardInterrupt):
                build([str(folder)], tmp_path / "corpus")
        assert list((tmp_path / "corpus").iterdir()) == []


def test_a_full_disk_and_an_unwritable_folder_are_one_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(GlaswerkError, match="a file of that name is in the way"):
        build([str(folder)], tmp_path / "file")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setitem(_build_function.__globals__, "_second_pass", full)
    with pytest.raises(GlaswerkError, match="no space left"):
        build([str(folder)], tmp_path / "corpus")


def test_documents_of_no_corpus_and_of_a_damaged_one(tmp_path: Path) -> None:
    with pytest.raises(GlaswerkError, match="no corpus in this folder"):
        list(documents(tmp_path))
    (tmp_path / "documents.jsonl").write_text('{"text": "a", "ti')
    with pytest.raises(GlaswerkError, match=r"documents\.jsonl:1 is damaged"):
        list(documents(tmp_path))


@pytest.mark.parametrize(("size", "dtype"), [(257, "uint16"), (65_536, "uint16"), (65_537, "uint32")])
def test_pack_is_every_document_with_its_end(folder: Path, tmp_path: Path, size: int, dtype: str) -> None:
    out = tmp_path / "corpus"
    report = build([str(folder)], out)
    index = pack(out, byte_tokens, size, 256)
    packed = Packed(out)
    assert (
        packed.info == index and packed.train.dtype == packed.val.dtype == np.dtype(dtype) and index["dtype"] == dtype
    )
    for split in ("train", "val"):
        texts = [d.headed.encode() for d in documents(out, split)]
        array, starts = getattr(packed, split), packed.document_starts(split)
        expected = [token for text in texts for token in [*text, 256]]
        assert array.tolist() == expected
        assert starts.tolist() == [sum(len(t) + 1 for t in texts[:n]) for n in range(len(texts))]
        facts = index[split]
        assert facts["documents"] == len(texts) and facts["tokens"] == len(expected)
        assert facts["bytes"] == sum(map(len, texts)) >= report.splits[split]["bytes"]
        assert facts["sha256"] == hashlib.sha256((out / f"{split}.bin").read_bytes()).hexdigest()


def test_pack_takes_arrays_as_well(folder: Path, tmp_path: Path) -> None:
    def arrays(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        ids = np.frombuffer("".join(texts).encode(), dtype=np.uint8)
        return ids, np.array([len(text.encode()) for text in texts])

    build([str(folder)], tmp_path / "corpus")
    assert pack(tmp_path / "corpus", arrays, 257, 256) == pack(tmp_path / "corpus", byte_tokens, 257, 256)


def test_pack_refuses_ids_outside_the_vocabulary(folder: Path, tmp_path: Path) -> None:
    build([str(folder)], tmp_path / "corpus")
    with pytest.raises(GlaswerkError, match="outside its vocabulary"):
        pack(tmp_path / "corpus", byte_tokens, 100, 0)
    with pytest.raises(GlaswerkError, match="end token"):
        pack(tmp_path / "corpus", byte_tokens, 257, 257)
    assert not (tmp_path / "corpus" / "index.json").exists() and not list((tmp_path / "corpus").glob("*.bin"))


def test_a_truncated_pack_is_refused(folder: Path, tmp_path: Path) -> None:
    build([str(folder)], tmp_path / "corpus")
    pack(tmp_path / "corpus", byte_tokens, 257, 256)
    path = tmp_path / "corpus" / "val.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(GlaswerkError, match=r"val\.bin is missing or truncated"):
        Packed(tmp_path / "corpus")


def test_a_helper_that_dies_is_one_line() -> None:
    with Crew(2) as crew, pytest.raises(GlaswerkError, match="helper process died"):
        list(crew.map(_die, [1, 2, 3]))


def _die(_: int) -> None:
    import os

    os._exit(3)


def test_helpers_work_from_a_script_without_a_guard(folder: Path, tmp_path: Path, python: Python) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\nfrom glaswerk import corpora\nprint('once')\n"
        f"corpora.build([{str(folder)!r}], Path({str(tmp_path / 'out')!r}), workers=2)\n"
        "assert 'torch' not in sys.modules\n"
    )
    ran = python(str(script))
    assert (ran.returncode, ran.stdout) == (0, "once\n"), ran.stderr


def test_the_verb_prints_one_json_object_and_exports(folder: Path, tmp_path: Path, python: Python) -> None:
    target = tmp_path / "clean.jsonl"
    home = {"GLASWERK_HOME": str(tmp_path / "home")}
    ran = python("-m", "glaswerk", "corpus", str(folder), "--json", "--export", str(target), **home)
    facts = json.loads(ran.stdout)
    assert ran.returncode == 0 and facts["documents"] == len(target.read_text(encoding="utf-8").splitlines())
    assert facts["words"] and len(facts["samples"]) == 5
    assert list((tmp_path / "home" / "tmp").iterdir()) == []
    shown = python("-m", "glaswerk", "corpus", str(folder), **home)
    assert shown.returncode == 0 and "exact duplicate" in shown.stdout and "rows.jsonl:32" in shown.stdout
    assert shown.stdout.strip().splitlines()[-1].startswith("Next: glaswerk run")
    strict = python("-m", "glaswerk", "corpus", str(folder), "--strict", **home)
    assert strict.returncode == 1 and "rows.jsonl:32" in strict.stderr and "Traceback" not in strict.stderr
    nothing = python("-m", "glaswerk", "corpus", str(tmp_path / "missing"), **home)
    assert nothing.returncode == 1 and nothing.stderr.count("\n") == 1


def test_a_text_stands_under_its_title_once() -> None:
    assert Document("A hat covers heads.", "Hat").headed == "Hat\n\nA hat covers heads."
    assert Document("# Hat\nA hat covers heads.", "Hat").headed == "# Hat\nA hat covers heads."
    assert Document("Just text.").headed == "Just text."


def test_half_surrogates_in_any_field_and_in_a_file_name_can_be_written(folder: Path, tmp_path: Path) -> None:
    half = "x \ud800 y"
    rows = [{"text": prose(n, 300) + half, "title": half, "topic": half} for n in range(50, 53)]
    rows.append({"text": "short", "title": half, "topic": half})
    lines = "\n".join(map(json.dumps, rows))
    names = [b"caf\xe9.jsonl", b"caf\xe9.png"]
    try:
        for name in names:
            Path(os.fsdecode(os.path.join(os.fsencode(folder), name))).write_text(lines, encoding="utf-8")  # noqa: PTH118
    except OSError:
        pytest.skip("this file system refuses names that are not UTF-8")
    assert fingerprint([str(folder)])
    report = build([str(folder)], tmp_path / "corpus")
    (made, *_) = [d for d in documents(tmp_path / "corpus") if d.source.startswith("caf")]
    assert (made.source, made.title, made.topic) == ("caf\ufffd.jsonl", "x \ufffd y", "x \ufffd y")
    assert "caf\ufffd.png" in [skipped["file"] for skipped in report.skipped]
    assert any(example["title"] == "x \ufffd y" for example in report.dropped["too short"].examples)


def test_what_a_killed_build_or_pack_left_is_removed_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    kept = [out / ".mine.part", out / "notes.part"]
    beside = tmp_path / ".build-other"

    def leave() -> None:
        (out / ".build-abc").mkdir(parents=True)
        (out / ".build-abc" / "documents").write_text("half")
        beside.mkdir(exist_ok=True)
        for path in [out / ".documents.jsonl.x1.part", out / ".train.bin.x2.part", *kept]:
            path.write_text("half")

    def names() -> set[str]:
        return {path.name for path in out.iterdir()} - {path.name for path in kept}

    leave()
    (out / "documents.jsonl").write_text("from a build that did not get to its report\n")
    build([str(folder)], out)
    assert names() == {"documents.jsonl", "report.json"}
    assert len(list(documents(out))) > 30, "the unfinished build's documents are replaced"
    leave()
    pack(out, byte_tokens, 257, 256)
    assert not [name for name in names() if name.startswith(".")]
    assert all(path.exists() for path in kept) and beside.is_dir()
