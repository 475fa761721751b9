"""What stands between products, in C++ with its gradient, is what the modules compute; and where it is taken."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from glaswerk.align.losses import answer_loss
from glaswerk.model import Decoder, ModelConfig, lora
from glaswerk.model.native import between, causal
from glaswerk.model.norm import RMSNorm
from glaswerk.model.position import Rotary, rotate
from glaswerk.progress import Progress
from glaswerk.train import GradientStep

needs_library = pytest.mark.skipif(between.library() is None, reason="no C++ compiler here")


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).bfloat16()


def compared(ours: Callable[[Tensor], Tensor], exact: Callable[[Tensor], Tensor], x: Tensor) -> None:
    """Values and gradients, against fp64: as near as bf16 can be, half a step of the value itself."""
    mine, reference = x.clone().requires_grad_(), x.double().requires_grad_()
    y, wanted = ours(mine), exact(reference)
    assert y.dtype == torch.bfloat16 and y.shape == wanted.shape
    slope = drawn(*y.shape, seed=9)
    y.backward(slope)
    wanted.backward(slope.double())
    assert mine.grad is not None and reference.grad is not None
    for found, right in ((y, wanted), (mine.grad, reference.grad)):
        torch.testing.assert_close(found.double(), right, rtol=2**-8, atol=2**-9 * float(right.detach().abs().mean()))


@needs_library
@pytest.mark.parametrize("width", [576, 48, 20, 5])
def test_the_norm(width: int) -> None:
    weight, eps = drawn(width, seed=2) + 1.0, 1e-2

    def exact(x: Tensor) -> Tensor:
        return x * (x.square().mean(-1, keepdim=True) + eps).rsqrt() * weight.double()

    compared(lambda x: between.rms_norm(x, weight, eps), exact, drawn(3, 7, width))
    turned = drawn(3, width, 7)
    compared(lambda x: between.rms_norm(x.mT, weight, eps), lambda x: exact(x.mT), turned)


@needs_library
@pytest.mark.parametrize("shape", [(2, 5, 5, 64), (3, 16, 7, 16), (1, 4, 3, 36)], ids=str)
def test_turning(shape: tuple[int, ...]) -> None:
    _, T, n, D = shape
    rotary = Rotary(ModelConfig.modern(vocabulary_size=8, width=n * D, layers=1, heads=n, context=64, head_width=D))
    cos, sin = rotary(3, T, torch.bfloat16)

    def exact(x: Tensor) -> Tensor:
        heads = x.transpose(1, 2)
        return torch.cat((rotate(heads[:, :-1], cos.double(), sin.double()), heads[:, -1:]), 1).transpose(1, 2)

    compared(lambda x: between.rotated(x, cos, sin, n - 1), exact, drawn(*shape))


@needs_library
@pytest.mark.parametrize("neurons", [1536, 40, 3])
def test_the_gate(neurons: int) -> None:
    def exact(x: Tensor) -> Tensor:
        gate, up = x.chunk(2, -1)
        return torch.nn.functional.silu(gate) * up

    compared(between.swiglu, exact, 3 * drawn(2, 5, 2 * neurons))


def tuned(**settings: object) -> Decoder:
    """A frozen bf16 model with adapters that say something."""
    shape = {"width": 64, "layers": 2, "heads": 4, "kv_heads": 2, "context": 32, "qk_norm": False} | settings
    model = Decoder(ModelConfig.modern(vocabulary_size=61, **shape)).bfloat16()  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(0)
    for value in model.parameters():
        value.data.normal_(0.0, 0.15, generator=generator)
        if value.ndim == 1:
            value.data += 1
    lora.attach(model, lora.LoRAConfig(4, 8.0))
    for pair in lora.pairs(model, "default"):
        pair.b.data.normal_(0.0, 0.1, generator=generator)
    return model


def batch() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    ids, places = torch.randint(0, 61, (2, 32), generator=generator), torch.arange(5, 60, 2)
    return ids, places, torch.randint(0, 61, (len(places),), generator=generator)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often each kernel ran."""
    found: dict[str, int] = {}
    real = between.call

    def call(kernel: str, *rest: object, **more: object) -> None:
        found[kernel] = found.get(kernel, 0) + 1
        real(kernel, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(between, "call", call)
    return found


@needs_library
@pytest.mark.skipif(causal.library() is None, reason="no products of bf16 here")
@pytest.mark.parametrize("qk_norm", [False, True])
def test_an_uncompiled_step_takes_them_and_stays_what_it_was(qk_norm: bool, counted: dict[str, int]) -> None:
    """Against the same step in fp32: no further away than without them, loss and every gradient."""
    model = tuned(qk_norm=qk_norm)
    loss, gradients = GradientStep(model, answer_loss, False, Progress())(*batch())
    turns, norms = (0, 4 + 4 + 1) if qk_norm else (2, 4 + 1)
    assert (counted["norm"], counted.get("turn", 0), counted["gate"]) == (norms, turns, 2)
    # what lies below the first adapter needs no gradient: the first norm
    assert counted["norm_backward"] == norms - 1 and counted.get("turn_backward", 0) == turns
    counted.clear()
    trained = [value for value in model.parameters() if value.requires_grad]
    plain = torch.autograd.grad(answer_loss(model, *batch()), trained)
    assert not counted
    exact = model.float()
    exact_loss = answer_loss(exact, *batch())
    right = torch.autograd.grad(exact_loss, trained)
    assert loss.item() == pytest.approx(exact_loss.item(), rel=2e-3)

    def apart(found: tuple[Tensor, ...]) -> float:
        return max(float((a - b).norm() / b.norm()) for a, b in zip(found, right, strict=True))

    assert apart(tuple(gradients)) <= 1.3 * apart(plain) < 0.1


@needs_library
def test_where_they_are_not_taken(counted: dict[str, int]) -> None:
    x, norm = drawn(2, 3, 16), RMSNorm(16, 1e-5)
    with between.fused():
        assert between.ready(x) and not between.ready(x.float())
        norm(x)  # its weight learns
    assert not between.ready(x) and not counted
    with between.fused():
        assert norm(x.float()).dtype == torch.float32  # and fp32 is as exact as it was
    norm.requires_grad_(False)(x)
    assert not counted
    with between.fused():
        norm(x)
    assert counted == {"norm": 1}
