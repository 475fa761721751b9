"""Looking at weights: the pieces are the whole model, a piece's numbers are the model's own, the summary is exact."""

from __future__ import annotations

import pytest
import torch

from glaswerk.errors import GlaswerkError
from glaswerk.lens import weights
from glaswerk.lens.weights import looked_at, numbers_of, piece, pieces, shrunk
from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.quantize import quantize


def decoder(shape: str) -> Decoder:
    make = getattr(ModelConfig, shape)
    more = {"kv_heads": 2} if shape == "modern" else {}
    model = Decoder(make(vocabulary_size=300, width=64, layers=2, heads=4, context=32, **more))
    model.reset_parameters(torch.Generator().manual_seed(1))
    for parameter in model.parameters():
        parameter.data.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
    return model


@pytest.mark.parametrize("shape", ["modern", "classic"])
def test_the_pieces_are_the_whole_model(shape: str) -> None:
    model = decoder(shape)
    biases = sum(value.numel() for name, value in model.named_parameters() if name.endswith("bias"))
    assert sum(each.numbers for each in pieces(model)) + biases == model.parameters_count()["total"]
    by_part: dict[str, int] = {}
    for each in pieces(model):
        by_part[each.part] = by_part.get(each.part, 0) + each.numbers
        assert tuple(numbers_of(each).shape) == each.shape
    assert by_part["embedding"] == model.parameters_count()["embedding"]


def test_fused_matrices_are_taken_apart_at_the_right_rows() -> None:
    model = decoder("modern")
    fused = model.blocks[1].attention.qkv.weight
    parts = [numbers_of(piece(model, name, 1)) for name in "qkv"]
    assert torch.equal(torch.cat(parts), fused)
    both = [numbers_of(piece(model, name, 0)) for name in ("gate", "up")]
    assert torch.equal(torch.cat(both), model.blocks[0].mlp.up.weight)


def test_a_quantized_model_shows_what_its_blocks_stand_for() -> None:
    model = decoder("modern")
    plain = numbers_of(piece(model, "v", 1))
    quantize(model, 8)
    blocks = model.blocks[1].attention.qkv.weight()[-len(plain) :]
    shown = numbers_of(piece(model, "v", 1))
    assert torch.equal(shown, blocks) and not torch.equal(shown, plain)
    assert float((shown - plain).abs().max()) < 0.02 * float(plain.abs().max())


def test_the_summary_is_that_of_the_numbers() -> None:
    model = decoder("classic")
    told, values = looked_at(piece(model, "down", 0)), model.blocks[0].mlp.down.weight.detach()
    assert told["mean"] == pytest.approx(float(values.mean()), abs=1e-7)
    assert (told["min"], told["max"]) == (float(values.min()), float(values.max()))
    assert sum(told["counts"]) == told["seen"] == told["numbers"] == values.numel()
    middle = int(((values >= -told["reach"] / 61) & (values < told["reach"] / 61)).sum())
    assert abs(told["counts"][30] - middle) <= 2, "the bar in the middle"


def test_a_large_matrix_is_looked_at_in_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "MOST", 5000)
    model = decoder("modern")
    one = piece(model, "embedding", 0)
    seen = numbers_of(one)
    assert seen.numel() <= 5000 and torch.equal(seen, model.embedding.detach()[:: 300 // len(seen)][: len(seen)])
    assert looked_at(one)["numbers"] == 300 * 64


def test_a_picture_keeps_the_size_of_its_numbers() -> None:
    matrix = torch.randn(200, 100, generator=torch.Generator().manual_seed(0))
    small, single = shrunk(matrix)
    assert small.shape == (64, 64) and not single
    assert float(small.square().mean().sqrt()) == pytest.approx(1.0, rel=0.05)
    own, single = shrunk(matrix[:9, :9])
    assert single and torch.equal(own, matrix[:9, :9])


@pytest.mark.parametrize(("name", "layer", "told"), [("nothing", 0, "it has embedding"), ("q", 2, "there are 0 to 1")])
def test_what_is_not_there_is_one_line(name: str, layer: int, told: str) -> None:
    with pytest.raises(GlaswerkError, match=told):
        piece(decoder("modern"), name, layer)
