"""Quantized matrices against their own expansion, and how far that may be from the original."""

from __future__ import annotations

import pytest
import torch

from glaswerk.errors import GlaswerkError
from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.mlp import Linear
from glaswerk.model.quantize import QuantizedLinear, quantize, quantize_linear


@pytest.mark.parametrize("bits", [8, 4])
@torch.no_grad()
def test_the_product_is_that_of_the_expanded_matrix(bits: int) -> None:
    torch.manual_seed(0)
    layer = Linear(96, 40, bias=True)
    layer.weight.normal_()
    layer.weight[3] = 0.0
    assert layer.bias is not None
    layer.bias.normal_()
    packed, x = quantize_linear(layer, bits), torch.randn(5, 96)
    slow = torch.stack([sum(packed.weight()[n, k] * x[:, k] for k in range(96)) for n in range(40)], 1) + layer.bias
    assert torch.allclose(packed(x), slow, atol=1e-4)
    # no number is further from its original than half a step of its scale
    error = (packed.weight() - layer.weight).abs()
    step = packed.scale.repeat_interleave(32, 1)[:, :, 0] if bits == 4 else packed.scale
    assert (error <= step * 0.5001 + 1e-7).all()
    assert packed.q.nbytes == 40 * 96 * bits // 8


@torch.no_grad()
def test_four_bits_survive_packing() -> None:
    weight = torch.arange(16.0).repeat(4)[None] - 5
    assert torch.allclose(QuantizedLinear(weight, None, 4).weight(), weight, atol=1e-5)


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(GlaswerkError, match="multiple of 32"):
        QuantizedLinear(torch.ones(4, 40), None, 4)
    with pytest.raises(GlaswerkError, match="8 or 4"):
        QuantizedLinear(torch.ones(4, 32), None, 3)


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
