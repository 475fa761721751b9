"""Tuning with adapters through the one loop: compiled as uncompiled, interrupted and resumed bit for bit, nothing but
adapters in a checkpoint."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lora_compiled_check import PLAN, adapted, talks, tuned
from safetensors.torch import load_file
from torch import Tensor

from glaswerk import runtime
from glaswerk.align.losses import answer_loss
from glaswerk.errors import GlaswerkError
from glaswerk.model import adapter, lora
from glaswerk.train import Checkpoints, train

KEEPING = replace(PLAN, steps=8, checkpoint_every=3)


class StopAfter:
    """Batches that interrupt as Ctrl-C would, while the step of this number runs."""

    def __init__(self, step: int) -> None:
        self.talks, self.step = talks(KEEPING.steps), step

    def batch(self, step: int) -> tuple[Tensor, ...]:
        if step == self.step:
            os.kill(os.getpid(), signal.SIGINT)
        return self.talks.batch(step)


def interrupted(folder: Path, quantized: bool = False) -> Checkpoints:
    """What is left of a training that was stopped after five of eight steps."""
    checkpoints = Checkpoints(folder)
    with pytest.raises(KeyboardInterrupt):
        train(adapted(quantized), StopAfter(4), answer_loss, KEEPING, checkpoints=checkpoints)
    return checkpoints


@pytest.mark.skipif(runtime.compiler() is None, reason="no C++ compiler here")
@pytest.mark.parametrize("base", ["plain", pytest.param("nf4", marks=pytest.mark.slow)])
def test_compiled_adapters_become_what_plain_ones_do(base: str, tmp_path: Path, python: Callable[..., Any]) -> None:
    places = {"GLASWERK_HOME": str(tmp_path), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "compiler")}
    done = python("tests/align/lora_compiled_check.py", base, timeout=280, GLASWERK_COMPILE="1", **places)
    assert done.returncode == 0 and done.stdout.strip() == "equal", done.stderr


@pytest.mark.parametrize("quantized", [False, True], ids=["plain base", "NF4 base"])
def test_interrupted_and_resumed_is_bitwise_the_same(quantized: bool, tmp_path: Path) -> None:
    straight, _ = tuned(KEEPING, quantized)
    checkpoints = interrupted(tmp_path, quantized)
    found = checkpoints.latest()
    assert found and found[0]["step"] == 5
    resumed = adapted(quantized)
    train(resumed, talks(KEEPING.steps), answer_loss, KEEPING, checkpoints=checkpoints)
    begun = adapted(quantized).state_dict()
    for (name, one), two in zip(straight.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, two), name
        assert torch.equal(one, begun[name]) == (".adapters." not in name), name  # only adapters were trained


def test_a_checkpoint_holds_adapters_and_nothing_of_the_base(tmp_path: Path) -> None:
    checkpoints = interrupted(tmp_path)
    assert [folder.name for folder in checkpoints.steps()] == ["step-000000003", "step-000000005"]
    model = adapted()
    trained = {name for name, value in model.named_parameters() if value.requires_grad}
    numbers = sum(value.numel() for name, value in model.named_parameters() if name in trained)
    for folder in checkpoints.steps():
        assert set(load_file(folder / "model.safetensors")) == trained
        assert all(".adapters.default." in name for name in trained)
        state = load_file(folder / "optimizer.safetensors")
        assert sum(value.numel() for value in state.values() if value.ndim == 2) == 2 * numbers  # AdamW's two moments
        # adapters and their moments; of the base's numbers there would be five times as many
        assert sum(file.stat().st_size for file in folder.glob("*or.safetensors")) < 4 * (2 * numbers) + 20_000


def test_another_adapter_does_not_take_up_a_checkpoint(tmp_path: Path) -> None:
    checkpoints = interrupted(tmp_path)
    model = adapted()
    lora.attach(model, lora.LoRAConfig(4, 8.0), "other")
    with pytest.raises(GlaswerkError, match=r"step-000000005 is not a checkpoint of this model: delete"):
        train(model, talks(KEEPING.steps), answer_loss, KEEPING, checkpoints=checkpoints)


def test_what_was_tuned_is_saved_and_another_base_refuses_it(tmp_path: Path) -> None:
    model, _ = tuned(PLAN)
    adapter.save(tmp_path, model, base="runs/paris/sft")
    fresh = adapted()
    lora.bake(fresh)  # a base that its old adapter has changed is another one
    with pytest.raises(GlaswerkError, match=r"is an adapter for other weights, those of runs/paris/sft"):
        adapter.load(fresh, tmp_path)
    again = adapted()
    adapter.load(again, tmp_path, "again")
    read = {pair.piece: pair for pair in lora.pairs(again, "again")}
    for pair in lora.pairs(model, "default"):
        assert torch.equal(pair.a, read[pair.piece].a) and torch.equal(pair.b, read[pair.piece].b)
