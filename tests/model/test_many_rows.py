"""Attention of one new token in each of many rows, in C++: what the plain form computes, taken only where it may."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.attention import explicit_attention
from glaswerk.model.cache import Cache
from glaswerk.model.mixed import cast_once
from glaswerk.model.native import between, rows

needs_library = pytest.mark.skipif(rows.library() is None, reason="no C++ compiler here")

#: B, H, G, S, D: whole and broken sixteens of keys, one to six queries that share them, narrow and wide heads
SHAPES = [(3, 4, 4, 37, 64), (2, 9, 3, 16, 64), (5, 8, 2, 50, 32), (4, 6, 1, 5, 16), (2, 4, 2, 70, 80)]


def drawn(B: int, H: int, G: int, S: int, D: int) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, and keys and values that are the first S slots of more."""
    torch.manual_seed(1)
    kv = torch.randn(2, B, G, S + 9, D).bfloat16()
    return torch.randn(B, H, 1, D).bfloat16(), kv[0][:, :, :S], kv[1][:, :, :S]


def close(found: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> None:
    """Within bf16's rounding of the result."""
    expected = explicit_attention(q.double(), k.double(), v.double(), mask)
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=2**-8)


@needs_library
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_kernel_is_the_plain_form(shape: tuple[int, ...]) -> None:
    q, k, v = drawn(*shape)
    B, S = shape[0], shape[3]
    mask = torch.arange(S) >= torch.arange(B)[:, None, None]
    with torch.inference_mode(), between.fused():
        assert rows.ready(q, k)
        for seen in (None, mask):
            close(rows.attend(q, k, v, seen), q, k, v, seen)


@needs_library
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_rows_that_begin_alike_are_read_in_one_of_them(shape: tuple[int, ...]) -> None:
    """What the others have in these slots is never looked at."""
    q, k, v = drawn(*shape)
    alike, first = shape[3] // 2, torch.arange(shape[0]) // 2 * 2
    whole_k, whole_v = k.clone(), v.clone()
    for whole in (whole_k, whole_v):
        whole[:, :, :alike] = whole[first][:, :, :alike]
    for part in (k, v):
        part[1::2, :, :alike] = torch.nan
    with torch.inference_mode():
        close(rows.attend(q, k, v, None, first, alike), q, whole_k, whole_v, None)


def test_it_is_taken_only_where_it_was_asked_for() -> None:
    q, k, _ = drawn(*SHAPES[0])
    with torch.inference_mode():
        assert not rows.ready(q, k)
        with between.fused():
            assert rows.ready(q, k) == (rows.library() is not None)
            assert not rows.ready(q.float(), k.float()) and not rows.ready(q.expand(-1, -1, 2, -1), k)
            assert not rows.ready(q, k.transpose(1, 2).contiguous().transpose(1, 2))
    with between.fused():
        assert not rows.ready(q, k), "a gradient would be lost"


def decoder(shape: str) -> Decoder:
    make = ModelConfig.modern if shape == "modern" else ModelConfig.classic
    model = Decoder(make(vocabulary_size=97, width=64, layers=2, heads=2, context=48)).eval()
    generator = torch.Generator().manual_seed(2)
    for value in model.parameters():
        value.data.normal_(0.0, 0.2, generator=generator)
    model.compute_dtype = torch.bfloat16
    return model


@pytest.mark.parametrize("shape", ["modern", "classic"])
def test_a_cache_whose_rows_begin_alike(shape: str) -> None:
    """Two prompts, read once, for five rows, of which some leave: the logits of fp32, to bf16's rounding."""
    model = decoder(shape)
    prompts, which = torch.arange(14).view(2, 7) * 5, torch.tensor([0, 0, 1, 1, 0])
    said, kept = torch.arange(15).view(5, 3) * 6, torch.tensor([1, 3, 4])
    with torch.inference_mode(), between.fused():
        cache = Cache(model.config, 2, 10, torch.bfloat16)
        model.hidden(prompts, cache=cache)
        cache.keep(which)
        cache.begin_alike(which, 7)
        assert cache.first_B is not None and cache.first_B.tolist() == [0, 0, 2, 2, 0]
        model(said[:, :1], cache=cache)
        cache.keep(kept)
        assert cache.first_B.tolist() == [0, 1, 0]
        model(said[kept, 1:2], cache=cache)
        found = model(said[kept, 2:], cache=cache)[:, 0].float()
    model.compute_dtype = None
    with torch.inference_mode():
        expected = model(torch.cat((prompts[which], said), 1)[kept])[:, -1]
    assert float((found - expected).abs().max()) < 0.03 * float(expected.abs().max())


def test_casting_once_changes_no_bit_and_leaves_no_trace() -> None:
    model = decoder("modern")
    before = {name: value.data_ptr() for name, value in model.named_parameters()}
    ids = torch.arange(24).view(2, 12)
    with torch.no_grad():
        expected = model(ids)
        with cast_once(model):
            assert model.blocks[0].mlp.up.weight.dtype == torch.bfloat16
            assert torch.equal(model(ids), expected)
    assert {name: value.data_ptr() for name, value in model.named_parameters()} == before
    with pytest.raises(RuntimeError), cast_once(model):
        raise RuntimeError
    assert model.embedding.dtype == torch.float32
