"""Quantized matrices against their own expansion, and how far that may be from the original."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from glaswerk.errors import GlaswerkError
from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.mlp import Linear
from glaswerk.model.native.tiles import KINDS
from glaswerk.model.quantize import QuantizedLinear, quantize


def block_by_block(kind: str, block: bytes) -> list[float]:
    """The 32 numbers of one block, the slow way, as the format defines them."""
    d = np.frombuffer(block[:2], np.float16)[0].astype(np.float32)
    if kind == "Q8_0":
        return [float(d * q) for q in np.frombuffer(block[2:], np.int8)]
    m = np.frombuffer(block[2:4], np.float16)[0].astype(np.float32) if kind == "Q4_1" else -8 * d
    q = np.frombuffer(block[-16:], np.uint8)
    return [float(d * n + m) for n in [*(q & 15), *(q >> 4)]]


def some_blocks(kind: str, N: int, J: int) -> Tensor:
    """Random blocks with scales of ordinary size."""
    blocks = torch.randint(0, 256, (N, J, KINDS[kind]), dtype=torch.uint8)
    scales = (torch.rand(N, J, 2) * 0.02 - 0.01).to(torch.float16).view(torch.uint8)
    offsets = 4 if kind == "Q4_1" else 2
    blocks[..., :offsets] = scales[..., :offsets]
    return blocks.view(N, -1)


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("N", [5, 16, 35])
@torch.no_grad()
def test_a_files_blocks_keep_every_number(kind: str, N: int) -> None:
    blocks = some_blocks(kind, N, 3)
    layer = QuantizedLinear.from_blocks(kind, blocks, 96)
    size = KINDS[kind]
    slow = [
        [x for i in range(0, len(row), size) for x in block_by_block(kind, bytes(row[i : i + size].tolist()))]
        for row in blocks
    ]
    assert torch.allclose(layer.weight(), torch.tensor(slow), rtol=1e-6, atol=1e-8)
    ids = torch.tensor([[N - 1, 0], [3, N // 2]])
    assert torch.equal(layer.rows(ids), layer.weight()[ids])
    assert layer.q.nbytes + layer.scale.nbytes == blocks.nbytes * (-(-N // 16) * 16) // N


@pytest.mark.parametrize("bits", [8, 4])
@torch.no_grad()
def test_no_number_is_further_from_its_original_than_half_a_step(bits: int) -> None:
    weight = torch.randn(40, 96)
    weight[3] = 0.0
    weight[4] = 0.25
    layer = QuantizedLinear.from_weight(weight, bits)
    groups = weight.view(40, 3, 32)
    reach = groups.amax(2) - groups.amin(2) if bits == 4 else groups.abs().amax(2)
    step = reach / (15 if bits == 4 else 127)
    error = (layer.weight() - weight).view(40, 3, 32).abs().amax(2)
    # fp16 rounds the scales themselves
    assert (error <= step * 0.5 + groups.abs().amax(2) * 1e-3 + 1e-7).all()
    assert torch.equal(layer.weight()[3], weight[3])


@pytest.mark.parametrize("kind", list(KINDS))
@torch.no_grad()
def test_the_product_is_that_of_the_expanded_matrix(kind: str) -> None:
    bias = torch.randn(40)
    layer, x = QuantizedLinear.from_blocks(kind, some_blocks(kind, 40, 3), 96, bias), torch.randn(5, 96)
    slow = torch.stack([sum(layer.weight()[n, k] * x[:, k] for k in range(96)) for n in range(40)], 1) + bias
    assert torch.allclose(layer(x), slow, atol=1e-4)


@torch.no_grad()
def test_eight_bits_take_any_width() -> None:
    weight, x = torch.randn(7, 45), torch.randn(2, 45)
    layer = QuantizedLinear.from_weight(weight, 8)
    assert layer.weight().shape == (7, 45) and (layer.weight() - weight).abs().max() < 0.02
    assert torch.allclose(layer(x), x @ layer.weight().T, atol=1e-5)


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(GlaswerkError, match="multiple of 32"):
        QuantizedLinear.from_weight(torch.ones(4, 40), 4)
    with pytest.raises(GlaswerkError, match="8 or 4"):
        QuantizedLinear.from_weight(torch.ones(4, 32), 3)
    with pytest.raises(GlaswerkError, match="one of Q8_0"):
        QuantizedLinear.from_blocks("Q5_0", torch.zeros(4, 22, dtype=torch.uint8), 32)
    with pytest.raises(GlaswerkError, match="have 40 bytes"):
        QuantizedLinear.from_blocks("Q4_1", torch.zeros(4, 20, dtype=torch.uint8), 64)


@torch.no_grad()
def test_an_embedding_may_be_quantized() -> None:
    model = Decoder(ModelConfig.modern(vocabulary_size=50, width=64, layers=1, heads=2, context=32)).eval()
    model.blocks[0].mlp.down.weight.normal_(0, 0.1)
    plain = Decoder(model.config).eval()
    plain.load_state_dict(model.state_dict())
    table = QuantizedLinear.from_weight(model.embedding, 8)
    plain.embedding.copy_(table.weight())
    model.set_embedding(table)
    ids = torch.arange(30)[None]
    assert torch.allclose(model(ids), plain(ids), atol=1e-5)
    with pytest.raises(GlaswerkError, match="embedding must be"):
        model.set_embedding(QuantizedLinear.from_weight(torch.ones(4, 32), 8))


@torch.no_grad()
def test_a_quantized_model_stays_close() -> None:
    model = Decoder(ModelConfig.modern(vocabulary_size=50, width=64, layers=2, heads=2, context=32)).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.normal_(0, 0.1)
    ids = torch.arange(30)[None]
    exact = model(ids)
    for bits, bound in ((8, 0.03), (4, 0.35)):
        copy = Decoder(model.config).eval()
        copy.load_state_dict(model.state_dict())
        quantize(copy, bits)
        assert not any(isinstance(module, Linear) for module in copy.modules())
        distance = (copy(ids) - exact).norm() / exact.norm()
        assert 0 < distance < bound
