"""The verb ``exercise``: a stub to start from, right code passes, and every way to be wrong is one clear line."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from glaswerk.cli.main import dispatch
from glaswerk.course import exercise_child
from glaswerk.course.chapter import load_chapter
from glaswerk.course.exercise import check, stub_names, task_of, tasks
from glaswerk.course.outline import OUTLINE

RIGHT = """
import math
def softmax(row):
    most = max(row)
    shares = [math.exp(x - most) for x in row]
    return [share / sum(shares) for share in shares]
"""
WRONG = {
    "stub": ("def softmax(row):\n    raise NotImplementedError\n", ["still the stub", "softmax"]),
    "syntax": ("def softmax(row):\n    return [\n", ["line 2", "not Python"]),
    "name": ("def soft_max(row):\n    return row\n", ["defines no softmax"]),
    "overflow": (
        "import math\ndef softmax(row):\n    e = [math.exp(x) for x in row]\n    return [x / sum(e) for x in e]\n",
        ["line 3", "softmax([1000.0, 1001.0])", "OverflowError"],
    ),
    "number": ("def softmax(row):\n    return [1 / len(row)] * len(row)\n", ["softmax([1.0, 2.0, 3.0])", "0.09"]),
    "length": ("def softmax(row):\n    return row[1:]\n", ["1 numbers instead of 2"]),
    "own assert": ("def softmax(row):\n    assert row is None, 'mine'\n", ["line 2", "AssertionError: mine"]),
    "exit": ("import sys\nsys.exit(0)\n", ["line 2", "exit"]),
    "import": ("import no_such_module\ndef softmax(row):\n    return row\n", ["line 1", "no_such_module"]),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def verdict(folder: Path, text: str, limit: float = 10.0):
    file = folder / "softmax.py"
    file.write_text(text, encoding="utf-8")
    return check(task_of(load_chapter("attention"), file), file, limit)


def test_the_way_from_the_list_to_right(folder: Path, capsys: pytest.CaptureFixture) -> None:
    assert dispatch(["exercise", "04", "--lang", "de"]) == 0
    shown = capsys.readouterr().out
    assert "glaswerk exercise 4 softmax.py" in shown and "Zum" not in shown and "{=" not in shown
    assert dispatch(["exercise", "04", "softmax.py"]) == 0
    assert "def softmax" in (folder / "softmax.py").read_text()
    capsys.readouterr()
    assert dispatch(["exercise", "04", "softmax.py", "--lang", "en"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and "still the stub" in err and err.count("\n") == 1
    (folder / "softmax.py").write_text(RIGHT)
    assert dispatch(["exercise", "attention", "softmax.py", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["right"] and told["exercise"] == "softmax"


@pytest.mark.parametrize("how", WRONG)
def test_what_is_wrong_is_one_clear_line(folder: Path, how: str) -> None:
    """What the child says, without the child."""
    text, told = WRONG[how]
    file = folder / "softmax.py"
    file.write_text(text, encoding="utf-8")
    task = task_of(load_chapter("attention"), file)
    assert task.check is not None
    exercise_child.called.clear()
    kind, line = exercise_child.verdict(file, ["softmax"], exercise_child.load(task.check, "the_check"))
    assert kind in ("wrong", "stub", "error") and all(part in line for part in told), line


def test_code_that_ends_its_python_or_reads_the_keyboard(folder: Path) -> None:
    assert "ended the Python" in verdict(folder, "import os\nos._exit(0)\n").line
    found = verdict(folder, "x = input()\n")
    assert "line 1" in found.line and "EOFError" in found.line


def test_a_loop_without_an_end_is_stopped_and_its_line_named(folder: Path) -> None:
    began = time.perf_counter()
    found = verdict(folder, "def softmax(row):\n    while True:\n        pass\n", limit=1.0)
    assert found.kind == "time" and "1 s at line" in found.line and "softmax([0.0, 0.0])" in found.line
    assert time.perf_counter() - began < 30


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
def test_what_the_code_started_ends_with_it(folder: Path) -> None:
    text = "import os, time\nif not os.fork():\n    time.sleep(4)\n    open('late', 'w')\n    os._exit(0)\n"
    verdict(folder, text + RIGHT)
    time.sleep(5)
    assert not (folder / "late").exists()


def test_nothing_beside_the_file_is_run(folder: Path) -> None:
    (folder / "math.py").write_text("raise SystemExit('the wrong one')\n")
    (folder / "torch.py").write_text("raise SystemExit('the wrong one')\n")
    assert verdict(folder, RIGHT).right
    assert not (folder / "__pycache__").exists()


def test_another_name_is_found_by_its_functions(folder: Path) -> None:
    (folder / "mine.py").write_text(RIGHT)
    assert task_of(load_chapter("attention"), folder / "mine.py").id == "softmax"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["attention", "nothing.py"], "no task of chapter"),
        (["99"], "no chapter"),
        (["attention", "folder.py"], "no task|cannot read"),
        (["attention", "latin.py"], "UTF-8"),
        (["attention", "--lang", "fr"], "--lang"),
    ],
)
def test_bad_arguments_are_one_line(
    folder: Path, arguments: list[str], told: str, capsys: pytest.CaptureFixture
) -> None:
    import re

    (folder / "folder.py").mkdir()
    (folder / "latin.py").write_bytes(b"# caf\xe9\n")
    assert dispatch(["exercise", *arguments]) == 1
    err = capsys.readouterr().err
    assert re.search(told, err) and err.count("\n") == 1


@pytest.mark.parametrize("name", [found.name for found in OUTLINE if found.written])
def test_every_stub_is_told_to_be_one(folder: Path, name: str) -> None:
    """A stub that passed its own check would teach nothing."""
    for exercise in tasks(load_chapter(name)).values():
        assert exercise.stub is not None and exercise.check is not None
        judge = exercise_child.load(exercise.check, "the_check")
        kind, _ = exercise_child.verdict(exercise.stub, sorted(stub_names(exercise)), judge)
        assert kind != "right", f"{name}: the stub of {exercise.id} is accepted"
