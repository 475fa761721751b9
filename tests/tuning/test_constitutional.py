"""``align --method constitution`` from the outside: both halves, what is kept, going on, refusals."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from glaswerk.align import constitution
from glaswerk.align.constitution import Local
from glaswerk.cli.main import dispatch
from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.task import Messages
from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.weights import load_model, save_model
from glaswerk.opened import load
from glaswerk.run import Run
from glaswerk.tokenizer import load as load_tokenizer
from glaswerk.tuning import align, constitutional


@pytest.fixture
def judge(run: Path, tmp_path: Path) -> str:
    """A model that can read long questions: random weights, the run's tokenizer."""
    tokenizer = load_tokenizer(str(run / "tokenizer"))
    torch.manual_seed(0)
    size = tokenizer.vocabulary_size
    model = Decoder(ModelConfig.modern(vocabulary_size=size, width=64, layers=1, heads=2, context=1024)).eval()
    for value in model.parameters():
        torch.nn.init.normal_(value, std=0.4)
    folder = tmp_path / "judge"
    save_model(folder, model, tokenizer)
    for file in ("tokenizer_config.json", "generation_config.json"):
        shutil.copyfile(run / "sft" / file, folder / file)
    return str(folder)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constitutional, "REPLY", 12)
    monkeypatch.setattr(constitutional, "MOST", 48)
    monkeypatch.setattr(constitution, "MARGIN", 1e-4)


def lines(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_both_halves_and_what_is_kept(run: Path, judge: str) -> None:
    report = align(run, method="constitution", judge=judge, steps=2)
    stage = Run(run).data["stages"]["constitution"]
    assert report["stage"] == "constitution" and stage["judge"] == "judge" and stage["principles"] >= 5
    said = [row for row in lines(run / "constitution" / "revisions.jsonl") if "failed" not in row]
    changed = [row for row in said if row["revision"] and row["revision"] != str(row["answer"]).strip()]
    assert {"question", "answer", "principle", "critique", "revision"} == said[0].keys() and changed
    verdicts = [row for row in lines(run / "constitution" / "verdicts.jsonl") if "failed" not in row]
    assert len(verdicts) == len(said) and stage["pairs"] > 0
    assert load(str(run)).origin.stage == "constitution"
    assert not torch.equal(load_model(run / "sft").embedding, load_model(run / "constitution").embedding)


def test_an_interrupted_stage_asks_nothing_twice(
    run: Path, judge: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Path(shutil.copytree(run, tmp_path / "other"))
    whole = align(other, method="constitution", judge=judge, steps=3)
    asked: list[Messages] = []
    write, prefer = Local.write, Local.prefer

    def counted(self: Local, talks: Sequence[Messages], max_tokens: int, seed: int) -> list[str | None]:
        if len(asked) > 35:
            raise KeyboardInterrupt
        asked.extend(talks)
        return write(self, talks, max_tokens, seed)

    with monkeypatch.context() as patch:
        patch.setattr(Local, "write", counted)
        with pytest.raises(KeyboardInterrupt):
            align(run, method="constitution", judge=judge, steps=3)
    kept = (run / "resume" / "constitution" / "revisions.jsonl").read_text(encoding="utf-8")
    count = [0]

    def stops(self: Local, talks: Sequence[Messages]) -> list[float | None]:
        count[0] += 1
        if count[0] == 3:
            raise KeyboardInterrupt
        return prefer(self, talks)

    with monkeypatch.context() as patch:
        patch.setattr(Local, "prefer", stops)
        with pytest.raises(KeyboardInterrupt):
            align(run, method="constitution", judge=judge, steps=3)
    assert (run / "resume" / "constitution" / "revisions.jsonl").read_text(encoding="utf-8").startswith(kept)
    assert align(run, method="constitution", judge=judge, steps=3)["sha256"] == whole["sha256"]
    for name in ("revisions.jsonl", "verdicts.jsonl", "pairs.jsonl"):
        assert (run / "constitution" / name).read_bytes() == (other / "constitution" / name).read_bytes()


def test_a_judge_that_says_nothing_usable_stops(run: Path, judge: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Local, "write", lambda self, talks, *_: ["..."] * len(talks))
    before = load_model(run / "sft").embedding
    with pytest.raises(GlaswerkError, match=r"gave no usable critique and revision for \d+ of \d+ answers"):
        align(run, method="constitution", judge=judge, steps=8)
    assert not (run / "constitution").exists() and torch.equal(load_model(run / "sft").embedding, before)
    assert (run / "resume" / "constitution" / "revisions.jsonl").is_file(), "what it gave is kept, as is said"


def test_verdicts_that_depend_on_the_order_are_no_preference(
    run: Path, judge: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Local, "prefer", lambda self, talks: [1.0] * len(talks))
    align(run, method="constitution", judge=judge, steps=2)
    stage = Run(run).data["stages"]["constitution"]
    assert stage["pairs"] == 0 and stage["judge: no difference beside the order"] == 20 and stage["revisions"] > 0
    assert not (run / "constitution" / "pairs.jsonl").exists()


def test_a_judge_that_breaks_off_loses_nothing_it_said(
    run: Path, judge: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was slow or paid for is kept where the judge stops answering, and going on asks the rest."""
    other = Path(shutil.copytree(run, tmp_path / "other"))
    whole = align(other, method="constitution", judge=judge, steps=3)
    count, write = [0], Local.write

    def dies(self: Local, talks: Sequence[Messages], max_tokens: int, seed: int) -> list[str | None]:
        count[0] += len(talks)
        if count[0] > 35:
            raise GlaswerkError("the judge does not answer")
        return write(self, talks, max_tokens, seed)

    with monkeypatch.context() as patch:
        patch.setattr(Local, "write", dies)
        with pytest.raises(GlaswerkError, match="does not answer"):
            align(run, method="constitution", judge=judge, steps=3)
    assert (run / "resume" / "constitution" / "revisions.jsonl").is_file()
    assert align(run, method="constitution", judge=judge, steps=3)["sha256"] == whole["sha256"]


def test_a_judge_that_cannot_read_enough_is_refused_before_it_is_asked(run: Path) -> None:
    rules = run / "long.txt"
    rules.write_text("Be kind and short and plain and honest. " * 20, encoding="utf-8")
    with pytest.raises(GlaswerkError, match=r"reads \d+ tokens, of which what a judge is asked takes \d+"):
        align(run, method="constitution", data=[str(rules)], steps=2)
    assert not (run / "resume").exists() and "constitution" not in Run(run).data["plan"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--data", "{empty}"], "has no principle: write each as a paragraph"),
        (["--data", "{none}"], "none.txt"),
        (["--judge", "nosuch"], "there is no model 'nosuch'"),
        (["--judge", "http://127.0.0.1:9/v1?x"], "is no judge behind an API"),
        (["--task", "addition"], "--task is for ppo, grpo"),
        (["--data", "a.txt", "--data", "b.txt"], "one file of principles"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    run: Path, tmp_path: Path, options: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.txt").write_text("# nothing\n", encoding="utf-8")
    places = {"empty": tmp_path / "empty.txt", "none": tmp_path / "none.txt", "run": run}
    arguments = ["align", str(run), "--method", "constitution", *(each.format(**places) for each in options)]
    assert dispatch(arguments) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert says in said and "Traceback" not in said
    assert not (run / "resume").exists() and "constitution" not in Run(run).data["plan"]
