"""The C++ operations against the plain PyTorch each stands for, with this processor's instructions and without."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from glaswerk.model.native import build, memory, ops
from glaswerk.model.native.tiles import KINDS
from glaswerk.model.quantize import QuantizedLinear

if build.library() is None:
    pytest.skip("there is no C++ compiler here, or GLASWERK_COMPILE=0", allow_module_level=True)


@pytest.fixture(params=["native", "portable"], autouse=True)
def instructions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs with both libraries."""
    if request.param == "portable":
        found = build.library(portable=True)
        assert found is not None
        monkeypatch.setattr(ops, "library", lambda: found)


def same(name: str, *arguments: Any, to: float = 1e-5) -> None:
    """The kernel's result is that of the plain function, to ``to`` of its largest number."""
    plain = ops.PLAIN[name](*arguments)
    ours = getattr(torch.ops.glaswerk, name)(*arguments)
    assert ours.shape == plain.shape and ours.dtype == plain.dtype
    assert (ours - plain).abs().max() <= to * plain.abs().max().clamp_min(1e-6)


both_dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
widths = pytest.mark.parametrize("width", [1, 12, 16, 45, 576])


@both_dtypes
@widths
def test_rows_of_a_table(width: int, dtype: torch.dtype) -> None:
    table = torch.randn(9, width).to(dtype)
    for number in (0, 8):
        same("row", torch.tensor([[number]]), table, to=0)


@both_dtypes
@widths
def test_norms(width: int, dtype: torch.dtype) -> None:
    x, weight, bias = torch.randn(1, 3, 1, width) * 7 + 2, torch.randn(width).to(dtype), torch.randn(width).to(dtype)
    same("rms_norm", x, weight, 1e-5)
    same("layer_norm", x, weight, bias, 1e-5)
    same("rms_norm", torch.zeros(1, 1, width), weight, 1e-5)


@widths
def test_sums_and_activations(width: int) -> None:
    x, y = torch.randn(1, 1, width) * 5, torch.randn(1, 1, width)
    same("add", x, y, to=0)
    same("swiglu", x, y)
    same("gelu", x)


def test_activations_far_from_zero() -> None:
    x = torch.tensor([[[-2e4, -200.0, -90.0, -1e-30, 0.0, 1e-30, 90.0, 200.0, 2e4]]])
    same("swiglu", x, torch.ones_like(x))
    same("gelu", x)


@pytest.mark.parametrize("D", [2, 12, 64])
def test_rotation(D: int) -> None:
    angle = torch.rand(1, D // 2)
    cos, sin = torch.cat((angle.cos(), angle.cos()), -1), torch.cat((-angle.sin(), angle.sin()), -1)
    same("rotary", torch.randn(1, 5, 1, D), cos, sin, to=1e-6)


@both_dtypes
@pytest.mark.parametrize(("N", "K"), [(1, 1), (7, 45), (35, 576), (64, 48)])
@pytest.mark.parametrize("with_bias", [True, False])
def test_matrices(N: int, K: int, with_bias: bool, dtype: torch.dtype) -> None:
    weight = torch.randn(N, K).to(dtype)
    same("linear", torch.randn(1, 1, K), weight, torch.randn(N).to(dtype) if with_bias else None)


def quantized(kind: str, N: int, K: int, bias: Tensor | None = None) -> QuantizedLinear:
    """Random blocks with scales of ordinary size and of both signs."""
    blocks = torch.randint(0, 256, (N, -(-K // 32), KINDS[kind]), dtype=torch.uint8)
    scales = (torch.rand(N, -(-K // 32), 2) * 0.02 - 0.01).to(torch.float16).view(torch.uint8)
    offsets = 4 if kind == "Q4_1" else 2
    blocks[..., :offsets] = scales[..., :offsets]
    return QuantizedLinear.from_blocks(kind, blocks.view(N, -1), K, bias)


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize(("N", "K"), [(1, 32), (35, 96), (48, 576), (20, 45)])
@pytest.mark.parametrize("with_bias", [True, False])
def test_quantized_matrices(kind: str, N: int, K: int, with_bias: bool) -> None:
    layer = quantized(kind, N, K, torch.randn(N) if with_bias else None)
    x = torch.randn(1, 1, K)
    x[..., :20] = 0
    same("linear_blocks", x, layer.q, layer.scale, layer.bias, kind, N)
    same("linear_blocks", torch.zeros(1, 1, K), layer.q, layer.scale, None, kind, N)
    for number in (0, N - 1):
        same("row_blocks", torch.tensor([[number]]), layer.q, layer.scale, kind, K, to=1e-6)


@pytest.mark.parametrize("kind", list(KINDS))
def test_rounding_the_vector_costs_little(kind: str) -> None:
    """Against the product with the vector as it is: two bytes for each number, a scale for 32."""
    layer, x = quantized(kind, 64, 576), torch.randn(1, 1, 576)
    exact = x @ layer.weight().T
    ours = ops.linear_blocks(x, layer.q, layer.scale, None, kind, 64)
    assert 0 < (ours - exact).norm() / exact.norm() < 5e-5


@both_dtypes
@pytest.mark.parametrize(("H", "G", "D"), [(4, 4, 12), (9, 3, 64), (3, 1, 128), (2, 2, 80)])
@pytest.mark.parametrize("used", [0, 1, 15, 40])
def test_attention_with_a_cache(H: int, G: int, D: int, used: int, dtype: torch.dtype) -> None:
    q, k, v = torch.randn(1, H, 1, D), torch.randn(1, G, 1, D), torch.randn(1, G, 1, D)
    caches = torch.randn(2, 1, G, 48, D).to(dtype)
    plain, ours = caches.clone(), caches.clone()
    position = torch.tensor([used])
    expected = ops.PLAIN["attend"](q, k, v, *plain, position, D**-0.5)
    got = ops.attend(q, k, v, *ours, position, D**-0.5)
    # the newest key is used before the cache rounds it
    assert (got - expected).abs().max() < (1e-5 if dtype == torch.float32 else 2e-2) * expected.abs().max()
    assert torch.equal(plain, ours) and not torch.equal(ours, caches)


@pytest.mark.parametrize("count", [1, 7, 16, 1000])
def test_the_first_of_the_largest(count: int) -> None:
    value = torch.zeros(1)
    for _ in range(20):
        logits = torch.randint(-5, 5, (1, count)).float()
        assert int(ops.argmax(logits, value)) == int(logits.argmax()) and value[0] == logits.max()
    for damage in (float("nan"), float("inf"), float("-inf")):
        logits[0, count // 2] = damage
        ops.argmax(logits, value)
        assert not value.isfinite()


def test_the_number_of_threads_changes_nothing() -> None:
    layer, x = quantized("Q4_1", 400, 64), torch.randn(1, 1, 64)
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3, 5):
            torch.set_num_threads(threads)
            results.append(ops.linear_blocks(x, layer.q, layer.scale, None, "Q4_1", 400))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(result, results[0]) for result in results)


def test_shapes_are_known_without_numbers() -> None:
    """On the device "meta", as torch's tools ask."""
    meta: Callable[..., Tensor] = lambda *shape: torch.empty(*shape, device="meta")  # noqa: E731
    assert ops.linear(meta(1, 1, 8), meta(5, 8), None).shape == (1, 1, 5)
    assert ops.rms_norm(meta(1, 1, 8), meta(8), 1e-5).shape == (1, 1, 8)
    assert ops.row(torch.empty(1, 1, dtype=torch.long, device="meta"), meta(9, 8)).shape == (1, 1, 8)


# ---------------------------------------------------------------------------------------------- building
def test_without_a_compiler_it_is_said_in_one_line(python: Callable[..., Any]) -> None:
    code = (
        "import torch\nfrom glaswerk.model.native import ops\n"
        "x = torch.randn(1, 1, 8)\n"
        "with torch.inference_mode():\n    print(ops.ready(x), ops.ready(x), ops.gelu(x).shape)\n"
    )
    done = python("-c", code, CXX="/nowhere/g++")
    assert done.returncode == 0 and done.stdout.strip() == "False False torch.Size([1, 1, 8])"
    assert done.stderr.count("\n") == 1 and "no C++ compiler" in done.stderr
    done = python("-c", code, GLASWERK_COMPILE="0")
    assert done.stdout.startswith("False") and not done.stderr


def test_a_compiler_that_fails_is_said_in_one_line(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GLASWERK_HOME", str(tmp_path))
    monkeypatch.setenv("CXX", "false")
    assert build.library.__wrapped__() is None
    assert capsys.readouterr().err.count("\n") == 1 and not list(tmp_path.rglob("*.so"))


def test_memory_for_weights_keeps_the_numbers_and_is_shared() -> None:
    many = [torch.randint(0, 256, (3, size), dtype=torch.uint8) for size in (1, 64, 100_000, memory.CHUNK)]
    many.append(torch.randn(5, 7).to(torch.float16))
    kept = [memory.lasting(tensor) for tensor in many]
    assert all(torch.equal(tensor, copy) and copy.is_contiguous() for tensor, copy in zip(many, kept, strict=True))
    assert all(copy.data_ptr() % 64 == 0 for copy in kept[:3])
    kept[0].fill_(7)
    assert torch.equal(many[1], kept[1]) and torch.equal(many[2], kept[2])
    empty = torch.empty(0, 4)
    assert memory.lasting(empty) is empty
