"""A step compiled ahead of time computes what the plain one computes, and is found again on disk."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from compiled_check import CONFIG, Notes, batch

from glaswerk import runtime
from glaswerk.model import Decoder
from glaswerk.train import Checkpoints, GradientStep, TrainPlan, Windows, next_token_loss, train
from glaswerk.train import ahead as module


def says_it_failed(notes: Notes) -> None:
    """One line that names the error and a file with all of it."""
    (line,) = notes.lines
    found = re.fullmatch(r"compiling gradient failed \(RuntimeError, see (.+)\): training runs uncompiled", line)
    assert found and "RuntimeError" in Path(found[1]).read_text()


@pytest.mark.skipif(runtime.compiler() is None, reason="no C++ compiler here")
def test_compiled_gradients_are_the_plain_ones(tmp_path: Path, python: Callable[..., Any]) -> None:
    """In a process of its own: a compiler that other tests have used carries their state."""
    # a cache of its own too: other tests leave the compiler's folder in the environment, and it may be gone by now
    places = {"GLASWERK_HOME": str(tmp_path), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "compiler")}
    # CI: the compiler refuses more where this is set
    done = python("tests/train/compiled_check.py", timeout=280, GLASWERK_COMPILE="1", CI="true", **places)
    assert done.returncode == 0 and done.stdout.strip() == "equal", done.stderr


def test_without_a_compiler_it_says_so_and_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLASWERK_HOME", str(tmp_path))
    monkeypatch.delenv("GLASWERK_COMPILE", raising=False)
    monkeypatch.setattr(runtime, "compiler", lambda: None)
    notes = Notes()
    plan = TrainPlan(steps=2, batch=4, time=16, dtype="fp32", compile=True)
    train(Decoder(CONFIG), Windows(np.arange(500, dtype=np.uint16) % 48, 16, 4), next_token_loss, plan, progress=notes)
    assert any("no C++ compiler" in line for line in notes.lines)


def test_a_compiler_that_fails_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLASWERK_HOME", str(tmp_path))
    monkeypatch.setenv("GLASWERK_COMPILE", "1")
    monkeypatch.setattr(runtime, "compiler", lambda: "g++")

    def broken(*_: object) -> float:
        raise RuntimeError("g++ exploded")

    monkeypatch.setattr(module, "build", broken)
    notes = Notes()
    loss, _ = GradientStep(Decoder(CONFIG), next_token_loss, True, notes)(*batch())
    assert torch.isfinite(loss)
    says_it_failed(notes)


def test_a_damaged_library_is_one_line_and_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLASWERK_HOME", str(tmp_path))
    monkeypatch.setenv("GLASWERK_COMPILE", "1")
    monkeypatch.setattr(runtime, "compiler", lambda: "g++")
    notes = Notes()
    step = GradientStep(Decoder(CONFIG), next_token_loss, True, notes)
    name = f"gradient-{module.fingerprint('gradient', step.tensors(batch()), step.identity)}.pt2"
    (tmp_path / "compiled").mkdir()
    (tmp_path / "compiled" / name).write_bytes(b"PK half of a library")
    assert step.is_compiled(*batch())
    assert torch.isfinite(step(*batch())[0]) and not step.compiled
    says_it_failed(notes)
    assert not step.is_compiled(*batch())  # so that the next start compiles again


@pytest.mark.parametrize("swallowed", [True, False])
def test_ctrl_c_while_compiling_is_no_fallback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swallowed: bool
) -> None:
    """SIGINT kills g++ as well: its failure must not train a step uncompiled, which no resumed run could repeat."""
    monkeypatch.setenv("GLASWERK_HOME", str(tmp_path))
    monkeypatch.setenv("GLASWERK_COMPILE", "1")
    monkeypatch.setattr(runtime, "compiler", lambda: "g++")

    def killed(*_: object) -> float:
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            if not swallowed:
                raise
        raise RuntimeError("g++: interrupted")

    monkeypatch.setattr(module, "build", killed)
    notes = Notes()
    checkpoints = Checkpoints(tmp_path / "resume")
    plan = TrainPlan(steps=4, batch=4, time=16, dtype="fp32", compile=True)
    windows = Windows(np.arange(500, dtype=np.uint16) % 48, 16, 4)
    model = Decoder(CONFIG)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    with pytest.raises(KeyboardInterrupt):
        train(model, windows, next_token_loss, plan, checkpoints=checkpoints, progress=notes)
    assert checkpoints.steps() == [] and notes.lines == []
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_all_compiling_comes_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dropout: float
) -> None:
    """The optimizer's too, whose example gradients must not draw random numbers of a step."""
    monkeypatch.setenv("GLASWERK_HOME", str(tmp_path))
    monkeypatch.setenv("GLASWERK_COMPILE", "1")
    monkeypatch.setattr(runtime, "compiler", lambda: "g++")
    asked: list[object] = []

    def broken(*_: object) -> float:
        asked.append(signal.getsignal(signal.SIGINT).__self__.at_once)  # type: ignore[union-attr]
        raise RuntimeError("g++ exploded")

    monkeypatch.setattr(module, "build", broken)
    models = []
    for compiling in (True, False):
        model = Decoder(replace(CONFIG, dropout=dropout))
        model.reset_parameters(torch.Generator().manual_seed(7))
        torch.manual_seed(3)
        plan = TrainPlan(steps=3, batch=4, time=16, dtype="fp32", compile=compiling, compile_optimizer=True)
        train(model, Windows(np.arange(500, dtype=np.uint16) % 48, 16, 4), next_token_loss, plan)
        models.append(model)
    assert asked == [True] * (1 if dropout else 2)
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(a, b)


def test_switched_off_on_purpose_it_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLASWERK_HOME", str(tmp_path))
    monkeypatch.setenv("GLASWERK_COMPILE", "0")
    notes = Notes()
    step = GradientStep(Decoder(CONFIG), next_token_loss, True, notes)
    assert torch.isfinite(step(*batch())[0])
    assert notes.lines == [] and not step.compiled


@pytest.mark.parametrize("works", [True, False])
def test_on_another_device_the_forward_alone_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, works: bool
) -> None:
    """No GPU needed: the path is entered by hand, with a stand-in for the just-in-time compiler."""
    monkeypatch.setenv("GLASWERK_HOME", str(tmp_path))
    handed: list[object] = []

    def compiler(function: torch.nn.Module, **_: object) -> object:
        def call(*tensors: torch.Tensor) -> torch.Tensor:
            if not works:
                raise RuntimeError("no Triton")
            return function(*tensors)

        handed.append(function)
        return call

    monkeypatch.setattr(torch, "compile", compiler)
    notes = Notes()
    step = GradientStep(Decoder(CONFIG), next_token_loss, True, notes)
    step.run, step.shapes = step.forward_compiled(step.tensors(batch())), [part.shape for part in batch()]
    assert handed == [step.module]
    assert step.compiled is works
    if works:
        assert notes.lines == []
    else:
        says_it_failed(notes)
    loss, gradients = step(*batch())
    plain_loss, plain = step.plain(batch())
    torch.testing.assert_close(loss, plain_loss)
    for ours, expected in zip(gradients, plain, strict=True):
        torch.testing.assert_close(ours, expected)


def test_the_tensors_decide_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CPU tensors on a machine with a GPU get a library, not the GPU's compiler; and the other way round."""
    monkeypatch.setenv("GLASWERK_HOME", str(tmp_path))
    monkeypatch.setenv("GLASWERK_COMPILE", "1")
    monkeypatch.setattr(runtime, "compiler", lambda: "g++")
    monkeypatch.setattr(runtime, "device", lambda: torch.device("cuda"))
    built: list[Path] = []
    monkeypatch.setattr(module, "build", lambda function, example, file: built.append(file) or 0.0)
    monkeypatch.setattr(module, "load", lambda file: None)

    def double(tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        return [tensor * 2 for tensor in tensors]

    def not_here(function: object, **_: object) -> object:
        raise AssertionError("torch.compile for CPU tensors")

    with monkeypatch.context() as patched:
        patched.setattr(torch, "compile", not_here)
        module.ahead("double", double, [torch.ones(2)], "", Notes())
    assert len(built) == 1
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    monkeypatch.setattr(runtime, "device", lambda: torch.device("cpu"))
    assert module.ahead("double", double, [torch.ones(2, device="meta")], "", Notes()) is double
    assert len(built) == 1


def test_what_decides_a_library_decides_its_name() -> None:
    example = [torch.zeros(2, 3)]
    name = module.fingerprint("gradient", example, "a")
    assert name == module.fingerprint("gradient", [torch.ones(2, 3)], "a")
    others = {
        module.fingerprint("optimizer", example, "a"),
        module.fingerprint("gradient", example, "b"),
        module.fingerprint("gradient", [torch.zeros(3, 3)], "a"),
        module.fingerprint("gradient", [torch.zeros(2, 3, dtype=torch.bfloat16)], "a"),
    }
    assert name not in others and len(others) == 4


def test_gelu_by_sigmoid_is_gelu() -> None:
    """The form that compiled steps use, value and slope, against PyTorch's own and its autograd."""
    x = torch.linspace(-8, 8, 4001, dtype=torch.float32, requires_grad=True)
    expected = torch.nn.functional.gelu(x, approximate="tanh")
    (slope,) = torch.autograd.grad(expected.sum(), x)
    ours = module.gelu_by_sigmoid(x.detach(), approximate="tanh")
    torch.testing.assert_close(ours, expected.detach(), atol=2e-6, rtol=1e-5)
    gradient = torch.full_like(x, 3.0)
    backward = module.gelu_by_sigmoid_backward(gradient, x.detach(), approximate="tanh")
    torch.testing.assert_close(backward, 3 * slope, atol=1e-5, rtol=1e-4)
    assert module.gelu_by_sigmoid(x, approximate="none") is NotImplemented  # the erf form is another function
