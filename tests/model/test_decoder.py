"""The decoder against itself: cache, padding, taps, compiled graph, seeds, counts, and both ways of attention."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from glaswerk.errors import GlaswerkError
from glaswerk.model import Cache, Decoder, ModelConfig, Recording
from glaswerk.model.position import Rotary, rotate

V, CONTEXT = 97, 48


def config(shape: str, **features: Any) -> ModelConfig:
    if shape == "classic":
        return ModelConfig.classic(vocabulary_size=V, width=32, layers=2, heads=4, context=CONTEXT, **features)
    return ModelConfig.modern(
        vocabulary_size=V, width=32, layers=2, heads=4, kv_heads=2, head_width=12, context=CONTEXT, **features
    )


def decoder(shape: str, **features: Any) -> Decoder:
    model = Decoder(config(shape, **features)).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.15)
    return model


def tokens(*shape: int) -> Tensor:
    return torch.randint(0, V, shape, generator=torch.Generator().manual_seed(2))


both = pytest.mark.parametrize("shape", ["modern", "classic"])


@both
@torch.no_grad()
def test_reading_in_pieces_with_a_cache_equals_reading_at_once(shape: str) -> None:
    model, ids = decoder(shape), tokens(3, 40)
    whole = model(ids)
    cache = Cache(model.config, 3, CONTEXT)
    pieces = [model(part, cache=cache) for part in ids.split([7, 1, 1, 12, 1, 18], dim=1)]
    assert torch.allclose(torch.cat(pieces, 1), whole, atol=2e-5)
    assert cache.length == 40
    with pytest.raises(GlaswerkError, match="context of 48"):
        model(tokens(3, 9), cache=cache)
    with pytest.raises(GlaswerkError, match="slots"):
        model(tokens(3, 9), cache=Cache(model.config, 3, 8))


@both
@torch.no_grad()
def test_padding_on_the_left_changes_nothing(shape: str) -> None:
    model = decoder(shape)
    rows = [tokens(20), tokens(13), tokens(1)]
    pad = torch.tensor([20 - len(row) for row in rows])
    ids = torch.stack(
        [torch.cat((torch.zeros(int(n), dtype=torch.long), row)) for n, row in zip(pad, rows, strict=True)]
    )
    for path in ("explicit", "fused"):
        model.attention_path = path
        cache = Cache(model.config, 3, 21)
        out, more = model(ids, pad=pad, cache=cache), model(ids[:, -1:], pad=pad, cache=cache)
        assert out.isfinite().all()
        for b, row in enumerate(rows):
            alone = model(torch.cat((row, row[-1:]))[None])[0]
            assert torch.allclose(out[b, int(pad[b]) :], alone[:-1], atol=2e-5)
            assert torch.allclose(more[b, 0], alone[-1], atol=2e-5)


@both
@torch.no_grad()
def test_later_tokens_do_not_reach_back(shape: str) -> None:
    model, ids = decoder(shape), tokens(1, 30)
    changed = ids.clone()
    changed[0, 20:] = (changed[0, 20:] + 1) % V
    assert torch.equal(model(ids)[:, :20], model(changed)[:, :20])
    assert not torch.allclose(model(ids)[:, 20:], model(changed)[:, 20:])


@both
@torch.no_grad()
def test_recording_changes_no_bit_and_its_values_recompute_each_other(shape: str) -> None:
    model, ids = decoder(shape), tokens(2, 17)
    recording = Recording()
    assert torch.equal(model(ids, taps=recording), model(ids))
    v = recording.values
    for layer, block in enumerate(model.blocks):
        n = f"blocks.{layer}."
        before = v[
            "residual"
            if layer == 0 and shape == "classic"
            else "embeddings"
            if layer == 0
            else f"blocks.{layer - 1}.residual"
        ]
        scores = v[n + "attention.scores"].masked_fill(~v[n + "attention.mask"][:, None], float("-inf"))
        assert torch.allclose(scores.softmax(-1), v[n + "attention.weights"], atol=1e-6)
        assert v[n + "attention.q"].shape == (2, 4, 17, block.attention.head_width)
        values = v[n + "attention.v"].repeat_interleave(4 // block.attention.groups, 1)
        assert torch.allclose(v[n + "attention.weights"] @ values, v[n + "attention.heads"], atol=1e-5)
        joined = v[n + "attention.heads"].transpose(1, 2).flatten(2)
        assert torch.allclose(block.attention.output(joined), v[n + "attention.output"], atol=1e-5)
        assert torch.allclose(before + v[n + "attention.output"], v[n + "residual_mid"], atol=1e-6)
        assert torch.allclose(v[n + "residual_mid"] + v[n + "mlp.output"], v[n + "residual"], atol=1e-6)
    assert torch.allclose(model.head(v["norm"]), v["logits"], atol=1e-6)
    assert next(iter(v)) == "tokens" and list(v)[-1] == "logits"


@torch.no_grad()
def test_a_tap_may_edit() -> None:
    model, ids = decoder("modern"), tokens(1, 9)

    def without_the_mlp(name: str, value: Tensor) -> Tensor:
        return torch.zeros_like(value) if name == "blocks.1.mlp.output" else value

    edited = model(ids, taps=without_the_mlp)
    model.blocks[1].mlp.down.weight.zero_()
    assert torch.allclose(edited, model(ids), atol=1e-6)


@both
def test_without_taps_the_compiled_graph_has_no_trace_of_them(shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Captured whole (fullgraph), the graph is letter for letter that of a decoder in which tap() does not exist."""
    model, ids = decoder(shape), tokens(2, 16)

    def graph() -> str:
        found: list[str] = []

        def backend(module: torch.fx.GraphModule, _: Any) -> Callable[..., Any]:
            found.append(module.code)
            return module.forward

        torch._dynamo.reset()
        torch.compile(model, fullgraph=True, backend=backend)(ids)
        assert len(found) == 1
        return found[0]

    with_taps = graph()
    for room in ("attention", "decoder", "mlp"):
        monkeypatch.setattr(f"glaswerk.model.{room}.tap", lambda taps, name, value: value)
    assert graph() == with_taps
    assert "scaled_dot_product" not in with_taps and "softmax" in with_taps


@both
def test_a_seed_fixes_the_weights(shape: str) -> None:
    def drawn(seed: int) -> Decoder:
        model = Decoder(config(shape))
        model.reset_parameters(torch.Generator().manual_seed(seed))
        return model

    a, b, c = drawn(5), drawn(5), drawn(6)
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    assert not torch.equal(a.embedding, c.embedding)
    assert abs(float(a.embedding.detach().std()) - 0.02) < 0.002
    # at the start the loss is that of guessing evenly
    loss = torch.nn.functional.cross_entropy(a(tokens(4, 32))[:, :-1].flatten(0, 1), tokens(4, 32)[:, 1:].flatten())
    assert abs(float(loss.detach()) - torch.tensor(V).log().item()) < 0.1


@both
@pytest.mark.parametrize("tied", [True, False])
def test_counts_are_those_of_the_real_thing(shape: str, tied: bool) -> None:
    model = Decoder(config(shape, tied=tied))
    assert model.parameters_count()["total"] == sum(p.numel() for p in model.parameters())
    with torch.utils.flop_counter.FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(tokens(1, 32))
    assert model.flops_per_token(32, training=False) * 32 == counter.get_total_flops()


def test_mixed_precision_keeps_fp32_weights_and_gradients() -> None:
    model = decoder("modern")
    expected = model(tokens(2, 16)).detach()
    model.compute_dtype = torch.bfloat16
    logits = model(tokens(2, 16))
    assert logits.dtype == torch.bfloat16
    assert (logits.float() - expected).abs().max() < 0.05 * expected.abs().max()
    logits.float().logsumexp(-1).sum().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in model.parameters())


@torch.no_grad()
def test_dropout_only_in_training() -> None:
    model = decoder("classic", dropout=0.5)
    assert torch.equal(model(tokens(1, 8)), model(tokens(1, 8)))
    model.train()
    assert not torch.equal(model(tokens(1, 8)), model(tokens(1, 8)))


def test_rotation_keeps_lengths_and_sees_only_distances() -> None:
    rotary = Rotary(config("modern"))
    x, y = torch.randn(2, 1, 1, 1, 12)
    products = []
    for shift in (0, 5, 30):
        q = rotate(x, *rotary(shift + 4, 1, torch.float32))
        k = rotate(y, *rotary(shift, 1, torch.float32))
        assert torch.allclose(q.norm(), x.norm(), atol=1e-5)
        products.append(float((q * k).sum()))
    assert max(products) - min(products) < 1e-4
    # the first pair turns by one radian per position
    pair = rotate(torch.tensor([1.0] + [0.0] * 11), *rotary(1, 1, torch.float32))[0]
    assert torch.allclose(pair[[0, 6]], torch.tensor([math.cos(1), math.sin(1)]), atol=1e-6)


@torch.no_grad()
def test_the_rotary_table_grows_and_stays_fp32() -> None:
    wide = ModelConfig.modern(vocabulary_size=V, width=16, layers=1, heads=2, context=10_000)
    model = Decoder(wide).to(torch.bfloat16)
    assert model.rotary is not None and model.rotary.cos_PD.dtype == torch.float32
    assert model.rotary.cos_PD.shape[0] == 4096
    model.rotary(9_000, 1, torch.float32)
    again = Decoder(wide).rotary
    assert again is not None
    positions = torch.tensor([9_000])
    assert torch.equal(again(positions, 1, torch.float32)[0][0], model.rotary(9_000, 1, torch.float32)[0])


def test_a_table_that_grew_while_generating_can_be_trained_through() -> None:
    model = Decoder(ModelConfig.modern(vocabulary_size=V, width=16, layers=1, heads=2, context=32))
    with torch.inference_mode():
        assert model.rotary is not None
        model.rotary.reach(64)  # a cache with more slots than the context
    model(torch.arange(8)[None] % V).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
