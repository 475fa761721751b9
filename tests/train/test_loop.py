"""The loop: overfits one batch, resumes bit for bit, refuses to go on with a broken loss, survives kill -9."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from glaswerk import runtime
from glaswerk.errors import GlaswerkError
from glaswerk.model import Decoder, ModelConfig
from glaswerk.progress import Progress
from glaswerk.run import Run
from glaswerk.train import Checkpoints, Diverged, MuonAdamW, TrainPlan, Windows, next_token_loss, train

CONFIG = ModelConfig.modern(vocabulary_size=48, width=32, layers=2, heads=2, context=16, mlp_width=64)
PLAN = TrainPlan(steps=12, batch=4, time=16, dtype="fp32", compile=False, warmup=2, checkpoint_every=3)


@pytest.fixture(autouse=True)
def deterministic():
    before = torch.are_deterministic_algorithms_enabled()
    runtime.deterministic()
    yield
    runtime.deterministic(before)


def fresh(config: ModelConfig = CONFIG) -> Decoder:
    model = Decoder(config)
    model.reset_parameters(torch.Generator().manual_seed(7))
    return model


def data(length: int = 2000) -> Windows:
    return Windows(np.random.default_rng(0).integers(0, 48, length).astype(np.uint16), 16, 4, seed=5)


class OneBatch:
    """The same batch for ever."""

    def batch(self, step: int) -> tuple[torch.Tensor, ...]:
        return data().batch(0)


class Stop(KeyboardInterrupt):
    pass


class StopAfter:
    """Data that interrupts as Ctrl-C would, while the step of this number runs."""

    def __init__(self, windows: Windows, step: int):
        self.windows, self.step = windows, step

    def batch(self, step: int) -> tuple[torch.Tensor, ...]:
        if step == self.step:
            os.kill(os.getpid(), signal.SIGINT)
        return self.windows.batch(step)


@pytest.mark.parametrize("shape", ["modern", "classic"])
def test_overfits_one_batch(shape: str) -> None:
    config = CONFIG if shape == "modern" else ModelConfig.classic(
        vocabulary_size=48, width=32, layers=2, heads=2, context=16
    )  # fmt: skip
    result = train(fresh(config), OneBatch(), next_token_loss, replace(PLAN, steps=150, checkpoint_every=0))
    final = fresh(config)
    train(final, OneBatch(), next_token_loss, replace(PLAN, steps=150, checkpoint_every=0))
    with torch.no_grad():
        assert next_token_loss(final.eval(), *OneBatch().batch(0)).item() < 0.05
    assert result.steps == 150 and result.tokens == 150 * 64


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_interrupted_and_resumed_is_bitwise_the_same(tmp_path: Path, dropout: float) -> None:
    config = replace(CONFIG, dropout=dropout)
    torch.manual_seed(3)
    straight = fresh(config)
    train(straight, data(), next_token_loss, PLAN)
    torch.manual_seed(3)
    stopped = fresh(config)
    checkpoints = Checkpoints(tmp_path / "resume")
    with pytest.raises(KeyboardInterrupt):
        train(stopped, StopAfter(data(), 7), next_token_loss, PLAN, checkpoints=checkpoints)
    assert checkpoints.latest() is not None and checkpoints.latest()[0]["step"] == 8
    torch.manual_seed(99)  # resuming restores the generator, whatever was drawn since
    resumed = fresh(config)
    train(resumed, data(), next_token_loss, PLAN, checkpoints=checkpoints)
    for (name, a), b in zip(straight.named_parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b), name


def test_accumulation_is_a_larger_batch() -> None:
    large, small = fresh(), fresh()
    tokens = np.random.default_rng(0).integers(0, 48, 2000).astype(np.uint16)
    plan = replace(PLAN, steps=4, checkpoint_every=0)
    train(large, Windows(tokens, 16, 8, 5), next_token_loss, replace(plan, batch=8))
    train(small, Windows(tokens, 16, 4, 5), next_token_loss, replace(plan, batch=4, accumulate=2))
    for a, b in zip(large.parameters(), small.parameters(), strict=True):
        # Muon's bf16 turns rounding of the mean into differences of its own precision
        torch.testing.assert_close(a, b, atol=6e-3, rtol=0)


def test_events_are_cut_back_to_the_checkpoint(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", seed=0)
    plan = replace(PLAN, log_every=1)
    checkpoints = Checkpoints(run.resume("base"))
    with pytest.raises(KeyboardInterrupt):
        train(fresh(), StopAfter(data(), 4), next_token_loss, plan, checkpoints=checkpoints, log=run)
    run.emit(kind="step", stage="base", step=999)  # as if it had gone on after the checkpoint and then lost power
    train(fresh(), data(), next_token_loss, plan, checkpoints=checkpoints, log=run)
    assert [event["step"] for event in run.events() if event["kind"] == "step"] == list(range(1, 13))


def test_a_loss_that_is_no_number_stops_with_its_step(tmp_path: Path) -> None:
    calls = 0

    def bad(model: Decoder, ids: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return next_token_loss(model, ids, targets) * (float("nan") if calls == 6 else 1.0)

    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(Diverged, match=r"step 6; the last good checkpoint is kept"):
        train(fresh(), data(), bad, PLAN, checkpoints=checkpoints)
    facts = checkpoints.latest()
    assert facts is not None and facts[0]["step"] == 3


def test_a_checkpoint_of_another_plan_is_refused(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "resume")
    with pytest.raises(KeyboardInterrupt):
        train(fresh(), StopAfter(data(), 2), next_token_loss, PLAN, checkpoints=checkpoints)
    with pytest.raises(GlaswerkError, match="another plan"):
        train(fresh(), data(), next_token_loss, replace(PLAN, steps=99), checkpoints=checkpoints)


def interrupted(folder: Path, step: int = 2) -> Checkpoints:
    """The checkpoints of training that was stopped in this step."""
    checkpoints = Checkpoints(folder / "resume")
    with pytest.raises(KeyboardInterrupt):
        train(fresh(), StopAfter(data(), step), next_token_loss, PLAN, checkpoints=checkpoints)
    return checkpoints


def edit_facts(folder: Path, **facts: object) -> None:
    """Change facts of a checkpoint; None removes one."""
    state = json.loads((folder / "state.json").read_text())
    state = {name: value for name, value in {**state, **facts}.items() if value is not None}
    (folder / "state.json").write_text(json.dumps(state))


FOREIGN = r"step-\d+ is not a checkpoint of this model: delete .*resume$"


def test_a_checkpoint_of_another_model_is_one_clear_line(tmp_path: Path) -> None:
    checkpoints = interrupted(tmp_path)
    for other in (replace(CONFIG, layers=1), replace(CONFIG, rope_theta=5e5)):  # the second has the same shapes
        with pytest.raises(GlaswerkError, match=FOREIGN):
            train(fresh(other), data(), next_token_loss, PLAN, checkpoints=checkpoints)


@pytest.mark.parametrize("fact", ["seconds", "timed", "events", "compiled", "model"])
def test_a_checkpoint_without_its_facts_is_one_clear_line(tmp_path: Path, fact: str) -> None:
    checkpoints = interrupted(tmp_path)
    edit_facts(checkpoints.steps()[-1], **{fact: None})
    with pytest.raises(GlaswerkError, match=FOREIGN):
        train(fresh(), data(), next_token_loss, PLAN, checkpoints=checkpoints)


def test_a_checkpoint_of_foreign_files_is_one_clear_line(tmp_path: Path) -> None:
    checkpoints = interrupted(tmp_path)
    newest = checkpoints.steps()[-1]
    sums = json.loads((newest / "state.json").read_text())["sha256"]
    (newest / "model.safetensors").write_bytes(b"no tensors")
    edit_facts(newest, sha256={**sums, "model.safetensors": hashlib.sha256(b"no tensors").hexdigest()})
    with pytest.raises(GlaswerkError, match=FOREIGN):
        train(fresh(), data(), next_token_loss, PLAN, checkpoints=checkpoints)


def test_a_checkpoint_that_lists_no_files_is_not_whole(tmp_path: Path) -> None:
    checkpoints = interrupted(tmp_path, 7)
    older, newest = checkpoints.steps()
    edit_facts(newest, sha256={})
    assert checkpoints.latest()[1] == older


def test_mixing_compiled_and_uncompiled_steps_is_said(tmp_path: Path) -> None:
    class Notes(Progress):
        def __init__(self) -> None:
            self.lines: list[str] = []

        def note(self, line: str) -> None:
            self.lines.append(line)

    checkpoints, notes = interrupted(tmp_path), [Notes(), Notes()]
    again = StopAfter(data(), 4)
    with pytest.raises(KeyboardInterrupt):
        train(fresh(), again, next_token_loss, PLAN, checkpoints=checkpoints, progress=notes[0])
    assert not any("mix" in line for line in notes[0].lines)
    edit_facts(checkpoints.steps()[-1], compiled=True)
    train(fresh(), data(), next_token_loss, PLAN, checkpoints=checkpoints, progress=notes[1])
    assert sum("compiled and uncompiled steps mix" in line for line in notes[1].lines) == 1


def test_killed_before_the_first_checkpoint_no_step_is_told_twice(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", seed=0)
    run.emit(kind="note", stage="before")
    for step in (1, 2):
        run.emit(kind="step", stage="base", step=step)  # and then it was killed
    plan = replace(PLAN, log_every=1)
    train(fresh(), data(), next_token_loss, plan, checkpoints=Checkpoints(run.resume("base")), log=run)
    assert [event["step"] for event in run.events() if event["kind"] == "step"] == list(range(1, 13))
    assert next(run.events())["kind"] == "note"


@pytest.mark.parametrize("last", [6, 12])
def test_weights_that_are_no_numbers_are_never_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: int) -> None:
    """A finite loss can have gradients that are not: then the loss shows it one step after the checkpoint."""
    step = MuonAdamW.step

    def broken(self: MuonAdamW, gradients: list[torch.Tensor], factor: float) -> None:
        step(self, gradients, factor)
        if self.steps == last:
            self.parameters[-1].data[..., 0] = float("inf")

    monkeypatch.setattr(MuonAdamW, "step", broken)
    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(Diverged, match=rf"weight .* at step {last}; the last good checkpoint is kept"):
        train(fresh(), data(), next_token_loss, PLAN, checkpoints=checkpoints)
    assert checkpoints.latest()[0]["step"] == last - 3


def test_damaged_checkpoints_are_passed_over_or_named(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "resume")
    with pytest.raises(KeyboardInterrupt):
        train(fresh(), StopAfter(data(), 7), next_token_loss, PLAN, checkpoints=checkpoints)
    older, newest = checkpoints.steps()
    weights = newest / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-7])  # truncated, as a crash of the file system may leave it
    assert checkpoints.latest()[1] == older
    (older / "state.json").write_text("[]")
    with pytest.raises(GlaswerkError, match=r"no checkpoint in .* is readable"):
        checkpoints.latest()


def test_a_full_disk_leaves_the_older_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = Checkpoints(tmp_path)
    model = {"w": torch.ones(3)}
    checkpoints.save(1, model, {}, {})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("glaswerk.train.checkpoint.sync_file", full)
    with pytest.raises(GlaswerkError, match="no space left"):
        checkpoints.save(2, model, {}, {})
    assert checkpoints.latest()[0]["step"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["step-000000001"]


def kill_and_resume(folder: Path, kills: int, seed: int) -> None:
    """Run the script below, kill it at random moments, check after each kill, and let it finish at last."""
    script = Path(__file__).parent / "victim.py"
    chance = random.Random(seed)
    killed = 0
    for _ in range(40 * kills):
        if killed == kills:
            break
        process = subprocess.Popen([sys.executable, str(script), str(folder)], stdout=subprocess.PIPE)
        process.stdout.readline()  # it says so when its first step begins
        time.sleep(chance.uniform(0.0, 0.6))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.wait()
        process.stdout.close()
        latest = Checkpoints(folder / "resume").latest()  # raises if none of those there is readable
        for found in Checkpoints(folder / "resume").steps():
            state = json.loads((found / "state.json").read_text())
            assert set(state["sha256"]) == {"model.safetensors", "optimizer.safetensors", "random.safetensors"}
        if latest is not None and latest[0]["step"] >= 4000:
            break
    assert killed > 0


def test_kill_9_never_leaves_an_unreadable_checkpoint(tmp_path: Path) -> None:
    kill_and_resume(tmp_path, kills=5, seed=1)


@pytest.mark.slow
def test_kill_9_fifty_times(tmp_path: Path) -> None:
    kill_and_resume(tmp_path, kills=50, seed=2)
