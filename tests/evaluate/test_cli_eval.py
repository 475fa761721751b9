"""``glaswerk eval``: JSON, tables, what a run keeps and how its stages differ, and what cannot be done."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glaswerk.cli.eval import bar, one_line
from glaswerk.cli.main import dispatch
from glaswerk.errors import GlaswerkError
from glaswerk.evaluate import kept, score
from glaswerk.evaluate.task import Task, pair
from glaswerk.run import Run


def ask(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = dispatch(["eval", *words])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


@pytest.fixture
def own(tmp_path: Path) -> str:
    file = tmp_path / "mine.jsonl"
    rows = [{"question": f"Which is {k}?", "options": ["one", "two", "three"], "answer": k % 3} for k in range(8)]
    file.write_text("\n".join(map(json.dumps, rows)))
    return str(file)


def test_json_is_one_object(folders: dict[str, Path], own: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = ask(capsys, str(folders["modern"]), own, "letters", "--limit", "4", "--json")
    assert code == 0 and len(out.strip().splitlines()) == 1
    found = json.loads(out)
    assert {row["task"] for row in found["results"]} == {"mine", "letters"}
    first = found["results"][0]
    assert first["n"] == 4 and first["metric"] == "accuracy" and first["chance"] == pytest.approx(1 / 3, abs=1e-6)
    assert first["low"] <= first["value"] <= first["high"] and "✓ mine" in err
    wrong = [sample for sample in found["wrong"] if sample["task"] == "letters"]
    assert wrong and {"asked", "expected", "reply", "grade", "item"} <= set(wrong[0])


def test_the_table_says_value_interval_chance_and_errors(
    folders: dict[str, Path], own: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for width in ("80", "120"):
        monkeypatch.setenv("COLUMNS", width)
        code, out, _ = ask(capsys, str(folders["modern"]), own, "letters")
        assert code == 0 and "mine accuracy" in out and "0.333" in out and "without full marks" in out
        assert ("┃" in out) == (width == "120")
        assert max(map(len, out.strip().splitlines()[:-1])) <= int(width), out
        assert out.strip().splitlines()[-1].startswith("next: glaswerk eval")


def test_a_runs_stages_are_kept_and_compared(
    run: Path, own: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "town"
    shutil.copytree(run, copy)
    code, out, _ = ask(capsys, str(copy), own, "corpus-titles", "corpus-facts", "held-out", "--json")
    assert code == 0
    found = json.loads(out)
    assert {row["model"] for row in found["results"]} == {"town/base", "town/sft"}
    assert {(change["task"], change["before"], change["after"]) for change in found["changes"]} == {
        (task, "base", "sft") for task in ("mine", "corpus-titles", "corpus-facts", "held-out")
    }
    base, sft = ({row["task"]: row for row in kept.read(copy / stage)} for stage in ("base", "sft"))
    for change in found["changes"]:
        grades = [np.array(stage[change["task"]]["grades"]) for stage in (base, sft)]
        assert change["value"] == pytest.approx(float((grades[1] - grades[0]).mean()), abs=1e-5)
        assert change["low"] <= change["value"] <= change["high"]
    assert base["held-out"]["metric"] == "bits per byte" and base["held-out"]["others"][0]["metric"] == "perplexity"
    # one stage alone: the other is shown beside it from what was kept, and nothing is kept twice
    code, out, _ = ask(capsys, str(copy / "sft"), own)
    assert code == 0 and "base" in out and "sft" in out and "change" in out
    assert len(kept.read(copy / "sft")) == 4
    # asked in another way it is another result
    ask(capsys, str(copy / "sft"), own, "--shots", "1")
    assert len(kept.read(copy / "sft")) == 5 and Run(copy).writers() == ["base", "sft"]
    code, out, _ = ask(capsys, str(copy / "sft"), own, "--limit", "1")
    assert code == 0 and "(1 item, guessing gets" in out
    (copy / "sft" / kept.FILE).write_text('{"results": 3}')
    with pytest.raises(GlaswerkError, match=r"evaluation\.json is damaged: delete it"):
        kept.read(copy / "sft")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["helaswag"], "did you mean 'hellaswag'"),
        (["corpus-facts"], "name a run or one of its stages"),
        (["held-out"], "name a run or one of its stages"),
        (["nowhere.jsonl"], "cannot read"),
        (["nowhere.txt"], "cannot read"),
        (["letters", "--limit", "0"], "--limit 0 asks nothing"),
        (["letters", "--samples", "0"], "--samples at least 1"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    folders: dict[str, Path], words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = ask(capsys, str(folders["modern"]), *words)
    assert code == 1 and out == "" and said in err and len(err.strip().splitlines()) == 1


def test_a_text_file_is_a_task(folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "some.txt").write_text("The river runs through the old town. " * 60)
    code, out, _ = ask(capsys, str(folders["modern"]), str(tmp_path / "some.txt"), "--json")
    rows = json.loads(out)["results"]
    assert code == 0 and [row["metric"] for row in rows] == ["bits per byte", "perplexity"]
    assert [row["chance"] for row in rows] == [8, None]  # what guessing tokens costs depends on the vocabulary


def test_replies_that_cannot_be_drawn_are_said(
    folders: dict[str, Path], own: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "some.txt").write_text("The river runs through the old town. " * 60)
    words = (str(folders["modern"]), own, str(tmp_path / "some.txt"), "--limit", "2", "--json")
    assert json.loads(ask(capsys, *words)[1])["notes"] == []
    _, out, err = ask(capsys, *words, "--samples", "3")
    assert [note.partition(", ")[2].partition(":")[0] for note in json.loads(out)["notes"]] == ["mine", "some"]
    assert err.count("no replies were drawn") == 2
    _, out, _ = ask(capsys, *words[:2], *words[3:], "--samples", "3", "--write")
    assert json.loads(out)["notes"] == [] and {row["how"] for row in json.loads(out)["results"]} == {"drawn"}


class Drawn(Task):
    """Graded by its length, so that draws differ; its own figure has the name that draws have too."""

    name, metric, max_tokens = "drawn", "pass@1", 4

    def __len__(self) -> int:
        return 3

    def conversation(self, i: int) -> list[dict[str, str]]:
        return pair(f"Which {i}?", "one")

    def grade(self, i: int, reply: str) -> float:
        return float(len(reply) % 2)


def test_greedy_and_drawn_replies_are_kept_apart(opened: Any, tmp_path: Path) -> None:
    greedy, drawn = score(opened, Drawn()), score(opened, Drawn(), samples=4, seed=1)
    assert greedy.measures[0].metric == drawn.measures[0].metric == "pass@1"
    for found in (greedy, drawn, drawn, greedy):
        kept.keep(tmp_path, found)
    assert [(row["how"], row["grades"]) for row in kept.read(tmp_path)] == [
        ("drawn", pytest.approx(drawn.grades, abs=1e-6)),
        ("written", greedy.grades),
    ]


def test_ctrl_c_shows_what_is_done(
    folders: dict[str, Path], own: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from glaswerk.cli import eval as verb

    real = verb.one

    def once(opened: Any, name: str, *rest: Any) -> Any:
        if name == "letters":
            raise KeyboardInterrupt
        return real(opened, name, *rest)

    monkeypatch.setattr(verb, "one", once)
    code, out, err = ask(capsys, str(folders["modern"]), own, "letters")
    assert code == 130 and "mine" in out and "interrupted" in err


def test_bars_and_lines() -> None:
    assert bar(0.5, 0.25, 0.75, 0.5, 8).replace("[logit]", "").replace("[/logit]", "").replace("[faint]", "").replace(
        "[/faint]", ""
    ) == "██▒▒┃▒··"  # fmt: skip
    assert (
        one_line("a  b\nc", 10) == "a b c" and len(one_line("word " * 50, 40)) == 40 and one_line("", 9) == "(nothing)"
    )
