"""Weight-only quantization: a matrix as small whole numbers and scales; activations stay as they are.

int8: one scale per row, ``w ~ scale * q`` with q in [-127, 127]. int4: one scale and one offset per 32
neighbours of a row, ``w ~ scale * q + low`` with q in [0, 15], two to a byte. Simple and correct: the product
expands the matrix first. Left out: fast kernels, calibration, the embedding (it is also the head where they
are tied, and stays as loaded).

Shapes: N outputs, K inputs.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glaswerk.errors import GlaswerkError
from glaswerk.model.mlp import Linear

#: neighbours that share a scale at 4 bits
GROUP = 32


def quantize_int8(weight_NK: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers ``[N, K]`` (int8) and scales ``[N, 1]`` (fp32)."""
    weight_NK = weight_NK.float()
    scale_N1 = weight_NK.abs().amax(1, keepdim=True).clamp_min(1e-12) / 127
    return (weight_NK / scale_N1).round().clamp(-127, 127).to(torch.int8), scale_N1


def quantize_int4(weight_NK: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Bytes ``[N, K/2]`` (even columns in the low half), scales and lows ``[N, K/32, 1]`` (fp32).

    Raises :class:`GlaswerkError` where K is no multiple of 32.
    """
    N, K = weight_NK.shape
    if K % GROUP:
        raise GlaswerkError(f"int4 needs matrices whose inputs are a multiple of {GROUP}, here {K}; use int8")
    groups = weight_NK.float().view(N, K // GROUP, GROUP)
    low, high = groups.amin(2, keepdim=True), groups.amax(2, keepdim=True)
    scale = (high - low).clamp_min(1e-12) / 15
    q_NK = ((groups - low) / scale).round().clamp(0, 15).to(torch.uint8).view(N, K)
    return q_NK[:, 0::2] | (q_NK[:, 1::2] << 4), scale, low


class QuantizedLinear(nn.Module):
    """Stands where a ``Linear`` stood. ``bits`` is 8 or 4."""

    def __init__(self, weight_NK: Tensor, bias: Tensor | None, bits: int) -> None:
        super().__init__()
        if bits not in (8, 4):
            raise GlaswerkError(f"weights can be quantized to 8 or 4 bits, not {bits}")
        self.bits = bits
        if bits == 8:
            q, scale = quantize_int8(weight_NK)
            low = None
        else:
            q, scale, low = quantize_int4(weight_NK)
        self.register_buffer("q", q)
        self.register_buffer("scale", scale)
        self.register_buffer("low", low)
        # a parameter, so that it is found and filled by name like a plain layer's
        self.bias = None if bias is None else nn.Parameter(bias.detach(), requires_grad=False)
        self.q: Tensor
        self.scale: Tensor
        self.low: Tensor | None

    def weight(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The matrix ``[N, K]`` that the whole numbers stand for."""
        if self.bits == 8:
            return self.q.to(dtype) * self.scale.to(dtype)
        assert self.low is not None
        halves = torch.stack((self.q & 15, self.q >> 4), -1).view(self.q.shape[0], -1, GROUP)
        return (halves.to(dtype) * self.scale.to(dtype) + self.low.to(dtype)).view(self.q.shape[0], -1)

    def forward(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.to(x.dtype)
        if self.bits == 8:  # a row's scale can wait until after the product
            y = F.linear(x, self.q.to(x.dtype)) * self.scale[:, 0].to(x.dtype)
            return y if bias is None else y + bias
        return F.linear(x, self.weight(x.dtype), bias)


def quantize_linear(layer: Linear, bits: int) -> QuantizedLinear:
    """A quantized copy of one layer."""
    return QuantizedLinear(layer.weight.detach(), layer.bias, bits)


def quantize(model: nn.Module, bits: int) -> nn.Module:
    """Replace every ``Linear`` inside ``model`` (in place) by its quantized copy; returns ``model``."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Linear):
                setattr(parent, name, quantize_linear(child, bits))
    return model
