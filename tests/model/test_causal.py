"""Causal attention in C++ for training computes what the plain forms compute, and the decoder takes it where it may."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.attention import explicit_attention
from glaswerk.model.native import causal

needs_library = pytest.mark.skipif(causal.library() is None, reason="no C++ compiler, or no products of bf16 here")

#: B, T, H, G, D: one block of 64 queries, several, a last one that is not full; shared keys; narrow and wide heads
SHAPES = [
    (2, 64, 4, 4, 32),
    (1, 256, 6, 6, 64),
    (2, 48, 4, 2, 32),
    (3, 80, 6, 3, 16),
    (2, 16, 2, 1, 48),
    (1, 208, 4, 1, 128),
]


def drawn(B: int, T: int, H: int, G: int, D: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(B, T, H + 2 * G, D).bfloat16(), torch.randn(B, T, H, D).bfloat16()


def far(ours: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest value."""
    ours, expected = ours.detach().double(), expected.detach().double()
    return float((ours - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_plain_forms_are_autograds(shape: tuple[int, ...]) -> None:
    (qkv, slope), (H, G) = drawn(*shape), shape[2:4]
    exact = qkv.double().requires_grad_()
    q, k, v = exact.transpose(1, 2).split((H, G, G), 1)
    mask = torch.ones(1, shape[1], shape[1], dtype=torch.bool).tril()
    expected = explicit_attention(q, k, v, mask).transpose(1, 2)
    expected.backward(slope.double())
    heads, sizes = causal.plain_forward(qkv, G)
    assert exact.grad is not None
    assert far(heads, expected) < 4e-3
    assert far(causal.plain_backward(slope, qkv, heads, sizes, G), exact.grad) < 4e-3


@needs_library
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_kernels_are_the_plain_forms(shape: tuple[int, ...]) -> None:
    (qkv, slope), G = drawn(*shape), shape[3]
    plain, plain_sizes = causal.plain_forward(qkv, G)
    heads, sizes = causal.forward(qkv, G)
    assert far(heads, plain) < 8e-3  # weights are rounded to bf16 on the way
    torch.testing.assert_close(sizes, plain_sizes)
    ours = causal.backward(slope, qkv, heads, sizes, G)
    assert far(ours, causal.plain_backward(slope, qkv, plain, plain_sizes, G)) < 8e-3
    assert torch.equal(ours, causal.backward(slope, qkv, heads, sizes, G))  # the same bits each time


@needs_library
@pytest.mark.parametrize("make", [ModelConfig.modern, ModelConfig.classic])
def test_a_decoder_learns_the_same_with_it(make, monkeypatch: pytest.MonkeyPatch) -> None:
    config = make(vocabulary_size=48, width=64, layers=2, heads=4, context=32)
    model = Decoder(config)
    for p in model.parameters():
        p.data.add_(0.1 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())))
    ids = torch.randint(48, (2, 32), generator=torch.Generator().manual_seed(0))

    def gradients(path: str, dtype: torch.dtype | None) -> list[Tensor]:
        model.attention_path, model.compute_dtype = path, dtype
        return list(torch.autograd.grad(model(ids).float().logsumexp(-1).mean(), list(model.parameters())))

    called: list[int] = []
    monkeypatch.setattr(causal, "causal_attention", lambda *a, f=causal.causal_attention: called.append(1) or f(*a))
    exact = gradients("explicit", None)
    ours, explicit = gradients("auto", torch.bfloat16), gradients("explicit", torch.bfloat16)
    assert len(called) == config.layers
    for mine, other, true in zip(ours, explicit, exact, strict=True):
        # no further from the fp32 gradient than bf16 by the explicit way is, give or take the rounding of a few
        assert far(mine, true) < 2 * far(other, true) + 1e-2


@needs_library
@pytest.mark.parametrize("turned", [False, True])
def test_a_compiler_is_told_the_truth_about_the_results(turned: bool) -> None:
    """Shapes and strides without numbers are those with numbers, also where the argument lies otherwise in memory:
    compiled code reads results by the strides it was promised."""
    qkv, slope = drawn(2, 32, 4, 2, 16)
    if turned:
        qkv = qkv.transpose(1, 2).contiguous().transpose(1, 2)
    heads, sizes = causal.forward(qkv, 2)
    checks = ("test_schema", "test_faketensor")
    torch.library.opcheck(torch.ops.glaswerk.causal.default, (qkv, 2), test_utils=checks)
    torch.library.opcheck(torch.ops.glaswerk.causal_backward.default, (slope, qkv, heads, sizes, 2), test_utils=checks)


@needs_library
def test_what_is_no_number_is_not_hidden() -> None:
    qkv, _ = drawn(1, 32, 2, 2, 16)
    qkv[0, 5, 0, 3] = float("nan")  # of one query: its scores alone
    assert causal.forward(qkv, 2)[0][0, 5, 0].isnan().all()


@needs_library
def test_what_it_cannot_do_goes_another_way() -> None:
    x = torch.zeros(1, 32, 64, dtype=torch.bfloat16)
    assert causal.ready(x, 16)
    assert not causal.ready(x.float(), 16)
    assert not causal.ready(x[:, :30], 16)
    assert not causal.ready(x, 24)
