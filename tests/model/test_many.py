"""The operations for many tokens at once against plain PyTorch, and a prompt read by them against one read without."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.cache import Cache
from glaswerk.model.native import many, ops
from glaswerk.model.native.build import library
from glaswerk.model.native.ops import PLAIN
from glaswerk.model.quantize import QuantizedLinear, quantize

pytestmark = pytest.mark.skipif(library() is None, reason="there is no C++ compiler")


def near(a: Tensor, b: Tensor, tolerance: float) -> bool:
    """Equal up to a share of the largest number."""
    return bool((a - b).abs().max() <= tolerance * b.abs().max())


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "Q4_1"])
@pytest.mark.parametrize(("tokens", "outputs", "inputs"), [(1, 16, 32), (7, 40, 64), (13, 17, 96), (100, 96, 320)])
def test_products_for_many_tokens(kind: str, tokens: int, outputs: int, inputs: int) -> None:
    """Odd numbers of tokens, tiles and rows: what is left over of each is where such kernels go wrong."""
    torch.manual_seed(tokens)
    layer = layer_of(kind, torch.randn(outputs, inputs), torch.randn(outputs))
    x = torch.randn(1, tokens, inputs) * torch.rand(1, tokens, inputs) * 10
    asked = (x, layer.q, layer.scale, layer.bias, kind, outputs, False)
    with torch.inference_mode():
        assert near(many.gemm_blocks(*asked), PLAIN["gemm_blocks"](*asked), 1e-5)


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_1"])
@pytest.mark.parametrize("tokens", [5, 64])
def test_swiglu_inside_the_product(kind: str, tokens: int) -> None:
    torch.manual_seed(0)
    layer = layer_of(kind, torch.randn(96, 64), torch.randn(96))
    x = torch.randn(1, tokens, 64)
    asked = (x, layer.q, layer.scale, layer.bias, kind, 96, True)
    with torch.inference_mode():
        found = many.gemm_blocks(*asked)
        assert found.shape == (1, tokens, 48)
        assert near(found, PLAIN["gemm_blocks"](*asked), 1e-5)


@pytest.mark.parametrize("cache_dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("tokens", "start", "heads", "groups", "width"), [(2, 0, 2, 1, 16), (37, 0, 6, 3, 64), (20, 45, 4, 4, 80)]
)
@pytest.mark.parametrize("features", [True, False])
def test_attention(
    tokens: int, start: int, heads: int, groups: int, width: int, features: bool, cache_dtype: torch.dtype
) -> None:
    """With a beginning that is already in the cache or without, with norm and rotation or without."""
    torch.manual_seed(start)
    slots = start + tokens + 3
    keys, values = (torch.randn(1, groups, slots, width).to(cache_dtype) for _ in range(2))
    qkv = torch.randn(1, tokens, (heads + 2 * groups) * width)
    norms = (torch.rand(width) + 0.5, torch.rand(width) + 0.5) if features else (None, None)
    angle = torch.rand(tokens, width // 2)
    turn = (torch.cat((angle.cos(),) * 2, -1), torch.cat((-angle.sin(), angle.sin()), -1)) if features else (None, None)
    theirs = (keys.clone(), values.clone())
    with torch.inference_mode():
        found = many.attend(qkv, keys, values, *norms, *turn, start, 1e-6)
        expected = many.attend_plain(qkv, *theirs, *norms, *turn, start, 1e-6)
    assert near(found, expected, 2e-2)  # bf16 in the products
    # the cache holds the same numbers, and nothing behind them was touched
    tolerance = 1e-5 if cache_dtype == torch.float32 else 1e-2
    assert near(keys.float(), theirs[0].float(), tolerance) and near(values.float(), theirs[1].float(), tolerance)
    assert torch.equal(keys[:, :, start + tokens :], theirs[0][:, :, start + tokens :])


def test_attention_never_looks_ahead() -> None:
    torch.manual_seed(1)
    qkv = torch.randn(1, 40, 4 * 32)
    changed = qkv.clone()
    changed[:, 25:] = torch.randn(1, 15, 4 * 32)
    with torch.inference_mode():
        first, second = (
            many.attend(x, torch.zeros(1, 1, 40, 32), torch.zeros(1, 1, 40, 32), None, None, None, None, 0, 0.0)
            for x in (qkv, changed)
        )
    assert torch.equal(first[:, :25], second[:, :25])
    assert not torch.equal(first[:, 25:], second[:, 25:])


def test_small_operations() -> None:
    torch.manual_seed(2)
    a, b, weight, bias = torch.randn(1, 33, 48), torch.randn(1, 33, 48), torch.rand(48), torch.rand(48)
    layer = layer_of("Q8_0", torch.randn(50, 48), None)
    ids = torch.tensor([[3, 49, 0, 3, 17]])
    with torch.inference_mode():
        assert torch.equal(many.add(a, b), a + b)
        assert near(many.gelu(a), PLAIN["gelu_many"](a), 1e-5)
        assert near(many.rms_norm(a, weight, 1e-6), PLAIN["rms_norm"](a, weight, 1e-6), 1e-5)
        assert near(many.layer_norm(a, weight, bias, 1e-5), PLAIN["layer_norm"](a, weight, bias, 1e-5), 1e-5)
        rows = many.row_blocks(ids, layer.q, layer.scale, "Q8_0", 48)
        assert torch.equal(rows, PLAIN["row_blocks_many"](ids, layer.q, layer.scale, "Q8_0", 48))


@pytest.mark.parametrize("shape", ["modern", "classic"])
@pytest.mark.parametrize("bits", [4, 8])
def test_a_prompt_in_two_pieces_against_the_plain_decoder(
    shape: str, bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equal up to the rounding of activations to bytes; the second piece looks at the first through the cache."""
    model = quantized(shape, bits)
    ids = torch.randint(200, (1, 45), generator=torch.Generator().manual_seed(3))
    used = []
    attend = many.attend
    monkeypatch.setattr(many, "attend", lambda *given: used.append(1) or attend(*given))
    with torch.inference_mode():
        if not many.fast(ids):
            pytest.skip("this processor has no products of bytes")
        cache, plain_cache = (Cache(model.config, 1, 64) for _ in range(2))
        found = torch.cat([model.hidden(piece, cache=cache) for piece in ids.split(30, 1)], 1)
        assert len(used) == 2 * model.config.layers
        with ops.plain_only():
            expected = model.hidden(ids, cache=plain_cache)
    assert cache.length == plain_cache.length == 45
    assert near(found, expected, 0.05)
    assert torch.nn.functional.cosine_similarity(found, expected, -1).min() > 0.999


def layer_of(kind: str, weight: Tensor, bias: Tensor | None) -> QuantizedLinear:
    """A matrix in blocks of a kind."""
    from glaswerk.formats import blocks

    K = weight.shape[1]
    padded = torch.nn.functional.pad(weight, (0, -K % 32))
    packed = torch.from_numpy(blocks.quantize(kind, padded.numpy()))
    return QuantizedLinear.from_blocks(kind, packed, K, bias)


def quantized(shape: str, bits: int) -> Decoder:
    """A small random model in which every block counts."""
    torch.manual_seed(0)
    build = getattr(ModelConfig, shape)
    model = Decoder(build(vocabulary_size=200, width=64, layers=2, heads=2, context=64))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.normal_(0, parameter.shape[1] ** -0.5)
    return quantize(model.eval(), bits)  # type: ignore[return-value]
