"""NF4: frozen matrices in four bits, for adapters to be trained beside them (QLoRA, Dettmers et al. 2023).

Weights are about normally distributed, so the 16 values are quantiles of a normal distribution (with an exact zero),
scaled to [-1, 1]; every 64 weights share one scale, their largest absolute value. The scales are quantized in turn
("double quantization"): their mean is taken off, and every 256 of them become bytes, again with a scale: 4.13 bits a
weight in all. Numbers and layout are those of bitsandbytes. Nothing is kept dequantized, also not for the backward
pass: a matrix is unpacked when it is needed, and let go.

Left out: quantization for inference, which ``quantize.py`` does with fast products; paged optimizers.
Shapes: N outputs, K inputs.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glaswerk.errors import GlaswerkError
from glaswerk.model.lora import LoRALinear
from glaswerk.model.mlp import Linear
from glaswerk.model.quantize import QuantizedLinear

#: weights that share a scale, and scales that share a scale of theirs
BLOCK, BLOCK_OF_SCALES = 64, 256


@cache
def code_book() -> Tensor:
    """The 16 values, ascending, fp32: 8 normal quantiles below zero, zero, 7 above, divided by the largest.

    The outermost quantile is the mean of 1 - 1/32 and 1 - 1/30, half a step inside the tails of 16 and 15 values.
    """
    outer = (31 / 32 + 29 / 30) / 2
    below = -torch.special.ndtri(torch.linspace(outer, 0.5, 8, dtype=torch.float64)[:-1])
    above = torch.special.ndtri(torch.linspace(outer, 0.5, 9, dtype=torch.float64)[:-1])
    values = torch.cat((below, torch.zeros(1, dtype=torch.float64), above)).sort().values
    return (values / values.abs().max()).float()


@cache
def byte_book() -> Tensor:
    """256 values for scales, ascending, fp32: a sign, a power of ten from 1e-6 to 1, and a fraction that has the more
    steps the larger the power (dynamic trees, Dettmers 2015)."""
    values = [torch.tensor([0.0, 1.0])]
    for power in range(7):
        edges = torch.linspace(0.1, 1.0, 2**power + 1)
        middles = 10.0 ** (power - 6) * (edges[:-1] + edges[1:]) / 2
        values += [middles, -middles]
    return torch.cat(values).sort().values


def nearest(x: Tensor, book: Tensor) -> Tensor:
    """The place of the book's nearest value, uint8, for each number."""
    between = (book[:-1] + book[1:]) / 2
    return torch.bucketize(x, between.to(x.device)).to(torch.uint8)


def in_blocks(x: Tensor, size: int) -> Tensor:
    """All numbers in rows of ``size``, the last one filled up with zeros."""
    flat = x.flatten()
    return F.pad(flat, (0, -len(flat) % size)).view(-1, size)


class NF4Linear(nn.Module):
    """Stands where a ``Linear`` stood. ``codes``: two weights a byte, the first in the upper half."""

    def __init__(self, weight_NK: Tensor, bias: Tensor | None = None) -> None:
        """Quantize ``weight_NK``. Raises :class:`GlaswerkError` for a matrix with an odd number of weights or with
        one that is no finite number."""
        super().__init__()
        weight_NK = weight_NK.detach().float()
        if weight_NK.numel() % 2:
            raise GlaswerkError("NF4 packs two weights a byte: this matrix has an odd number of them")
        if not bool(weight_NK.isfinite().all()):
            raise GlaswerkError("NF4 cannot hold a weight that is no finite number")
        self.outputs, self.inputs = weight_NK.shape
        blocks = in_blocks(weight_NK, BLOCK)
        scale = blocks.abs().amax(1)
        places = nearest(blocks / scale.clamp_min(1e-38)[:, None], code_book()).flatten()[: weight_NK.numel()]
        self.codes: Tensor
        self.scales: Tensor
        self.scale_of_scales: Tensor
        self.mean: Tensor
        self.register_buffer("codes", places[0::2] << 4 | places[1::2])
        self.register_buffer("mean", scale.mean())
        rest = in_blocks(scale - self.mean, BLOCK_OF_SCALES)
        self.register_buffer("scale_of_scales", rest.abs().amax(1))
        quotient = rest / self.scale_of_scales.clamp_min(1e-38)[:, None]
        self.register_buffer("scales", nearest(quotient, byte_book()).flatten()[: len(scale)])
        self.bias = None if bias is None else nn.Parameter(bias.detach(), requires_grad=False)

    def weight(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The matrix ``[N, K]`` that the codes stand for."""
        scale = dequantized_scales(self.scales, self.scale_of_scales, self.mean)
        return unpacked(self.codes, scale.to(dtype), self.outputs, self.inputs)

    def forward(self, x: Tensor) -> Tensor:
        """``x @ weight.T + bias``."""
        y: Tensor = Product.apply(x, self.codes, self.scales, self.scale_of_scales, self.mean, self.outputs)
        return y if self.bias is None else y + self.bias.to(x.dtype)


def dequantized_scales(scales: Tensor, scale_of_scales: Tensor, mean: Tensor) -> Tensor:
    """The scale of every block of weights, fp32."""
    values = byte_book().to(scales.device)[scales.long()]
    return values * scale_of_scales.repeat_interleave(BLOCK_OF_SCALES)[: len(values)] + mean


def unpacked(codes: Tensor, scale: Tensor, outputs: int, inputs: int) -> Tensor:
    """The matrix ``[N, K]`` in the dtype of ``scale``: every byte looks up its two values at once."""
    book = code_book().to(scale)
    both = torch.stack((book.repeat_interleave(16), book.repeat(16)), 1)  # byte -> its two values
    # looked up as one number of twice the size, which is twice as fast
    pair = {2: torch.int32, 4: torch.int64}[book.element_size()]
    values = both.view(pair).flatten().index_select(0, codes.int()).view(book.dtype)
    if len(values) % BLOCK:
        return (values * scale.repeat_interleave(BLOCK)[: len(values)]).view(outputs, inputs)
    return (values.view(-1, BLOCK) * scale[:, None]).view(outputs, inputs)


class Product(torch.autograd.Function):
    """``x @ weight.T`` with the weight unpacked for the product, and once more for the gradient of ``x``."""

    @staticmethod
    def forward(context, x, codes, scales, scale_of_scales, mean, outputs):  # type: ignore[no-untyped-def]
        context.save_for_backward(codes, scales, scale_of_scales, mean)
        context.outputs = outputs
        scale = dequantized_scales(scales, scale_of_scales, mean)
        return F.linear(x, unpacked(codes, scale.to(x.dtype), outputs, x.shape[-1]))

    @staticmethod
    def backward(context, gradient):  # type: ignore[no-untyped-def]
        codes, scales, scale_of_scales, mean = context.saved_tensors
        scale = dequantized_scales(scales, scale_of_scales, mean).to(gradient.dtype)
        inputs = 2 * codes.numel() // context.outputs
        return gradient @ unpacked(codes, scale, context.outputs, inputs), None, None, None, None, None


def quantize_frozen(model: nn.Module) -> nn.Module:
    """Put every linear layer inside the blocks of ``model`` into NF4, in place; adapters beside them stay as they are.
    Blocks of a GGUF file are unpacked and packed anew. Returns ``model``."""
    for parent in list(model.get_submodule("blocks").modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Linear):
                setattr(parent, name, NF4Linear(child.weight, child.bias))
            elif isinstance(child, QuantizedLinear):
                setattr(parent, name, NF4Linear(child.weight(), child.bias))
            elif isinstance(child, LoRALinear):
                child.merged = None
    return model


def bits_per_weight(layer: NF4Linear) -> float:
    """What a weight costs, everything counted."""
    tensors = (layer.codes, layer.scales, layer.scale_of_scales, layer.mean)
    return 8.0 * sum(tensor.nbytes for tensor in tensors) / (layer.outputs * layer.inputs)
