"""A run's folder: made, opened, locked, its events, a stage finished, and what happens where its files are damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glaswerk.errors import GlaswerkError
from glaswerk.run import Run


def test_what_is_created_can_be_opened(tmp_path: Path) -> None:
    made = Run.create(tmp_path / "paris", seed=3, minutes=5)
    opened = Run(tmp_path / "paris")
    assert opened.data == made.data == {"name": "paris", "seed": 3, "minutes": 5, "stages": {}}
    assert opened.name == "paris" and Run.is_run(tmp_path / "paris") and not Run.is_run(tmp_path)


def test_it_is_named_as_a_command_wants_it(tmp_path: Path) -> None:
    assert Run.create(tmp_path / "runs" / "paris", seed=0).argument == "runs/paris"
    assert Run.create(tmp_path / "elsewhere" / "paris", seed=0).argument == "paris"


def test_a_folder_without_a_run_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(GlaswerkError, match=r"is not a run \(it has no run.json\)"):
        Run(tmp_path)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(GlaswerkError, match="holds other files and is not a run"):
        Run.create(tmp_path, seed=0)
    assert not Run.is_run(tmp_path)


def test_what_a_killed_creation_left_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / ".run.json.abc123.part").write_text('{"name":')
    assert Run.create(tmp_path, seed=0).data["seed"] == 0


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"stages": []}', "\x00\x00", "[" * 100_000])
def test_a_damaged_manifest_is_one_clear_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(GlaswerkError, match=r"run.json.*damaged") as error:
        Run(tmp_path)
    assert "\n" not in str(error.value)


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    one, two = Run.create(tmp_path / "run", seed=0), Run(tmp_path / "run")
    with one.lock(), pytest.raises(GlaswerkError, match="being written by another process"), two.lock():
        pass
    with two.lock():  # freed
        pass


def test_the_lock_reads_what_others_wrote_meanwhile(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    mine = Run.create(tmp_path / "run", seed=0)
    theirs = Run(tmp_path / "run")
    with theirs.lock():
        theirs.finish("base", {"loss": 1.5})
    with mine.lock():
        assert mine.data["stages"] == {"base": {"loss": 1.5}}
        mine.finish("sft", {})
    assert list(Run(tmp_path / "run").data["stages"]) == ["base", "sft"]


def test_finishing_a_stage_records_it_and_drops_what_resuming_needed(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", seed=0)
    with pytest.raises(GlaswerkError, match="no finished stage yet"):
        run.latest_stage()
    for name in ("base", "sft"):
        run.resume(name).mkdir(parents=True)
        run.stage(name).mkdir()
        (run.stage(name) / "model.safetensors").write_bytes(b"")
    run.finish("base", {"steps": 3})
    assert not run.resume("base").exists() and run.resume("sft").exists()
    assert run.finished("base") and not run.finished("sft") and run.latest_stage() == "base"
    run.finish("sft", {})
    assert not (run.path / "resume").exists()
    assert Run(run.path).latest_stage() == "sft" and Run(run.path).data["stages"]["base"] == {"steps": 3}


def test_events_come_back_in_order_without_a_torn_last_line(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", seed=0)
    assert list(run.events()) == [] and run.events_size() == 0
    run.emit(kind="sample", stage="base", text="Grüße")
    size = run.events_size()
    run.emit(kind="step", stage="base", step=2)
    whole = run.events_file.read_bytes()
    run.events_file.write_bytes(whole + json.dumps({"text": "Gr\u00fc"}, ensure_ascii=False).encode()[:-3])
    first, second = {"kind": "sample", "stage": "base", "text": "Grüße"}, {"kind": "step", "stage": "base", "step": 2}
    assert list(run.events()) == [first, second]
    run.cut_events("none")  # the torn line goes
    run.emit(kind="step", stage="other", step=1)
    run.cut_events("base", size)
    assert list(run.events()) == [first, {"kind": "step", "stage": "other", "step": 1}], "another stage's stay"


def test_a_stage_that_starts_anew_loses_its_events(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", seed=0)
    run.cut_events("base")  # nothing there yet
    for stage in ("base", "sft"):
        for step in (10, 20):
            run.emit(kind="step", stage=stage, step=step)
    with open(run.events_file, "a") as log:
        log.write('{"kind": "st')
    run.cut_events("dpo")  # has none: only the torn line goes
    assert [(event["stage"], event["step"]) for event in run.events()] == [
        ("base", 10), ("base", 20), ("sft", 10), ("sft", 20)
    ]  # fmt: skip
    assert run.events_file.read_bytes().endswith(b"\n")
    run.cut_events("base")
    assert [(event["stage"], event["step"]) for event in run.events()] == [("sft", 10), ("sft", 20)]
    run.cut_events("sft")
    assert run.events_size() == 0
