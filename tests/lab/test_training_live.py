"""A run that trains in another process, as the lab sees it: its events as they are written, its stages as they come."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.weights import save_model
from glaswerk.run import Run
from glaswerk.serve import events
from glaswerk.serve.holder import Holder
from glaswerk.tokenizer import train_bpe

TEXT = "Paris ist die Hauptstadt von Frankreich. The cat sat on the mat. " * 30
WRITER = """
import sys, time
from glaswerk.run import Run
run = Run(sys.argv[1])
for step in range(1, 21):
    run.emit(kind="step", stage="base", step=step, loss=3 / step, rate=0.01, tokens_per_second=100.0)
    time.sleep(0.02)
run.cut_events("base", 200)  # as a resumed training does
run.emit(kind="step", stage="base", step=3, loss=1.0, rate=0.01, tokens_per_second=100.0)
for step in range(1, 9):
    run.emit(kind="round", stage="grpo", step=step, reward=step / 10, kl=step / 5, entropy=1.0, loss=0.0, tokens=9)
"""


def stage(run: Run, name: str, seed: int) -> None:
    tokenizer = train_bpe([TEXT], 300)
    model = Decoder(ModelConfig.modern(vocabulary_size=300, width=32, layers=1, heads=2, context=32))
    model.reset_parameters(torch.Generator().manual_seed(seed))
    save_model(run.stage(name), model, tokenizer)
    run.finish(name, {"name": name})


def test_events_of_another_process_arrive_and_a_cut_back_log_starts_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "PAUSE", 0.02)
    Run.create(tmp_path / "paris", seed=0)
    seen: list[dict[str, Any]] = []

    async def watch() -> None:
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "paris")])
        deadline = time.monotonic() + 60
        holder = Holder(None, tmp_path)
        log = Run(tmp_path / "paris")

        def over() -> bool:
            return time.monotonic() > deadline or (writer.poll() is not None and seen == list(log.events()))

        async for line in events.stream(holder.training, over):
            if not line.startswith("data: "):
                continue
            told = json.loads(line[6:])
            assert told["run"] == "paris"
            for event in told["events"]:
                if event["kind"] == "reset":
                    seen.clear()
                else:
                    seen.append(event)

    asyncio.run(watch())
    assert seen == list(Run(tmp_path / "paris").events()), "the page has what the file has, no more and no less"


def wait_for(holder: Holder, stage: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        holder.look_again()
        if holder.state == "ready" and holder.model().origin.stage == stage:
            return
        time.sleep(0.05)
    pytest.fail(f"{stage} was not opened: {holder.status()}")


@pytest.mark.parametrize("named", [True, False])
def test_stages_are_opened_as_they_finish(tmp_path: Path, named: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from glaswerk import pull

    monkeypatch.setattr(pull, "is_pulled", lambda name: False)
    holder = Holder(str(tmp_path / "paris") if named else None, tmp_path)
    holder.start()
    while holder.state == "loading":  # a run that begins after the lab
        time.sleep(0.02)
    assert holder.state == ("failed" if named else "recorded")
    run = Run.create(tmp_path / "paris", seed=0)
    Run.create(tmp_path / "other", seed=0)
    holder.look_again()
    assert holder.state == "none", "nothing is finished, and that is no failure"
    if named:
        assert holder.training() == run.path, "the run asked for, not the one written to last"
    stage(run, "base", 1)
    wait_for(holder, "base")
    stage(run, "sft", 2)
    wait_for(holder, "sft")


def test_a_stage_that_was_asked_for_stays_open(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "paris", seed=0)
    stage(run, "base", 1)
    holder = Holder(str(run.stage("base")), tmp_path)
    holder.start()
    wait_for(holder, "base")
    stage(run, "sft", 2)
    holder.look_again()
    assert holder.state == "ready" and holder.model().origin.stage == "base"


def test_the_lab_opens_on_a_run_that_has_no_model_yet(tmp_path: Path) -> None:
    """Where no such run exists the verb refuses (``test_cli.py``); one that trains its first stage is shown."""
    run = Run.create(tmp_path / "paris", seed=0)
    command = [sys.executable, "-m", "glaswerk", "lab", str(run.path), "--port", "0", "--json", "--no-open"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as lab:
        assert lab.stdout is not None
        said = lab.stdout.readline()
        lab.send_signal(signal.SIGINT)
        assert json.loads(said)["url"].startswith("http://127.0.0.1:")
        assert lab.wait(30) == 0
