"""NF4 against the published values, against a slow version of itself, and against bitsandbytes where it is there."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from glaswerk.errors import GlaswerkError
from glaswerk.model import Decoder, ModelConfig, adapter, lora
from glaswerk.model.lora import LoRAConfig
from glaswerk.model.mlp import Linear
from glaswerk.model.nf4 import (
    BLOCK,
    NF4Linear,
    bits_per_weight,
    byte_book,
    code_book,
    dequantized_scales,
    quantize_frozen,
    unpacked,
)
from glaswerk.model.quantize import quantize
from glaswerk.model.weights import save_model

#: the QLoRA paper's appendix E
PUBLISHED = [
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
]  # fmt: skip


def weights(rows: int = 48, columns: int = 128, seed: int = 0) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)) * 0.05


def test_the_code_book_is_the_published_one() -> None:
    assert (code_book() - torch.tensor(PUBLISHED)).abs().max() < 1e-5
    assert code_book()[7] == 0.0 and bool((code_book().diff() > 0).all())


def test_the_byte_book() -> None:
    """256 values: 0, 1, and in every power of ten twice as many as in the one below, on both sides."""
    book = byte_book()
    assert len(book) == 256 and bool((book.diff() > 0).all()) and book[-1] == 1.0 and 0.0 in book.tolist()
    for power in range(7):
        high = 10.0 ** (power - 6)
        inside = [value for value in book.tolist() if 0.1 * high < value < high]
        assert len(inside) == 2**power
        assert inside[0] == pytest.approx(0.1 * high + 0.45 * high / 2**power, rel=1e-5)


def test_quantization_the_slow_way() -> None:
    """Number by number: each block by its largest value, each weight to the nearest of 16, each scale to the nearest
    of 256 after the mean is taken off."""
    weight = weights(20, 160)
    layer = NF4Linear(weight)
    flat, book, steps = weight.flatten().tolist(), code_book().tolist(), byte_book().tolist()
    blocks = [flat[start : start + BLOCK] for start in range(0, len(flat), BLOCK)]
    scales = [max(map(abs, block)) for block in blocks]
    mean = math.fsum(scales) / len(scales)
    second = [max(abs(s - mean) for s in scales[at : at + 256]) for at in range(0, len(scales), 256)]
    wanted = []
    for number, block in enumerate(blocks):
        largest = second[number // 256]
        step = min(steps, key=lambda value: abs(value - (scales[number] - mean) / largest))
        for value in block:
            code = min(book, key=lambda code: abs(code - value / scales[number]))
            wanted.append(code * (step * largest + mean))
    found = layer.weight().flatten()
    assert (found - torch.tensor(wanted)).abs().max() < 1e-5
    assert layer.weight().shape == weight.shape and (layer.weight() - weight).abs().max() < 0.2 * weight.abs().max()


def test_against_bitsandbytes() -> None:
    """Codes, books and dequantized numbers. A scale that lies in the middle of two bytes may become either."""
    functional = pytest.importorskip("bitsandbytes.functional")
    weight = weights(64, 576)
    codes, state = functional.quantize_4bit(weight, blocksize=64, compress_statistics=True, quant_type="nf4")
    layer = NF4Linear(weight)
    assert torch.equal(layer.codes, codes.flatten())
    assert (byte_book() - state.state2.code).abs().max() < 1e-7 and (code_book() - state.code).abs().max() < 1e-6
    assert layer.mean == pytest.approx(float(state.offset), rel=1e-6)
    assert (layer.scales.int() - state.absmax.int()).abs().max() <= 1
    theirs = dequantized_scales(state.absmax, state.state2.absmax, state.offset)
    read = unpacked(codes.flatten(), theirs, *weight.shape)
    assert (read - functional.dequantize_4bit(codes, state)).abs().max() < 1e-5


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_product_and_its_gradient(dtype: torch.dtype, bias: bool) -> None:
    offset = torch.randn(48) if bias else None
    layer = NF4Linear(weights(), offset)
    x = torch.randn(2, 5, 128).to(dtype).requires_grad_()
    y = layer(x)
    y.float().square().sum().backward()
    other = x.detach().requires_grad_()
    wanted = F.linear(other, layer.weight(dtype), None if offset is None else offset.to(dtype))
    wanted.float().square().sum().backward()
    tolerance = 0.02 if dtype == torch.bfloat16 else 1e-5
    assert y.dtype == dtype and (y - wanted).abs().max() <= tolerance * wanted.abs().max()
    assert (x.grad - other.grad).abs().max() <= tolerance * other.grad.abs().max()


def test_four_bits_and_an_eighth_a_weight() -> None:
    assert bits_per_weight(NF4Linear(weights(512, 512))) == pytest.approx(4 + 8 / 64 + 32 / (64 * 256), abs=1e-3)


def test_zeros_and_bad_matrices() -> None:
    assert not NF4Linear(torch.zeros(4, 64)).weight().any()
    with pytest.raises(GlaswerkError, match="odd number"):
        NF4Linear(torch.ones(3, 3))
    with pytest.raises(GlaswerkError, match="no finite number"):
        NF4Linear(torch.tensor([[1.0, math.inf]]))


def test_a_quantized_base_under_adapters(tmp_path: Path) -> None:
    """QLoRA: the adapter reads and trains over the frozen NF4 matrices, and is saved for the base that it was."""
    config = ModelConfig.modern(vocabulary_size=97, width=64, layers=2, heads=4, context=32)
    model = Decoder(config).eval()
    for value in model.parameters():
        value.data.normal_(0.0, 0.2, generator=torch.Generator().manual_seed(0))
    ids = torch.randint(0, 97, (2, 12))
    known, plain = adapter.fingerprint(model), model(ids)
    lora.attach(model, LoRAConfig(4, 8.0))
    quantize_frozen(model)
    assert not any(isinstance(module, Linear) for module in model.blocks.modules())
    quantized = model(ids)
    assert 0.01 < (quantized - plain).abs().max() / plain.abs().max() < 0.5
    model(ids).logsumexp(-1).mean().backward()
    grads = {name: value.grad for name, value in model.named_parameters() if value.grad is not None}
    assert grads and all(".adapters." in name for name in grads) and any(grad.any() for grad in grads.values())
    with pytest.raises(GlaswerkError, match="before the base is quantized"):
        adapter.fingerprint(model)
    adapter.save(tmp_path, model, known=known)
    with torch.no_grad():
        for pair in lora.pairs(model, "default"):
            pair.b.normal_(0.0, 0.2)
        changed = model(ids)
        lora.bake(model)
        assert (model(ids) - changed).abs().max() < 1e-4 * changed.abs().max()
        assert (changed - quantized).abs().max() > 0.1


def test_a_quantized_model_is_not_saved(tmp_path: Path) -> None:
    config = ModelConfig.modern(vocabulary_size=97, width=64, layers=1, heads=4, context=32)
    for squeeze in (quantize_frozen, lambda model: quantize(model, 8)):
        with pytest.raises(GlaswerkError, match="a quantized model cannot be saved"):
            save_model(tmp_path / "never", squeeze(Decoder(config)))
    assert not (tmp_path / "never").exists()
