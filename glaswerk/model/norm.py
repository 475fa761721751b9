"""The two norms: RMSNorm (Zhang & Sennrich 2019) and LayerNorm (Ba et al. 2016), over the last axis.

Both compute in fp32 inside, whatever the dtype of the input, and return the input's dtype. Left out: where
they stand in a block (always before the part they feed), see ``decoder.py``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glaswerk.model.native import between, many, ops


class RMSNorm(nn.Module):
    """``x / sqrt(mean(x²) + eps) * weight``; ``weight`` has shape ``[width]``."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        if ops.ready(x):
            return ops.rms_norm(x, self.weight, self.eps)
        if many.ready():
            return many.rms_norm(x, self.weight, self.eps)
        if not (self.weight.requires_grad and torch.is_grad_enabled()) and between.ready(x):
            return between.rms_norm(x, self.weight, self.eps)
        x32 = x.float()
        scale = torch.rsqrt(x32.square().mean(-1, keepdim=True) + self.eps)
        return (x32 * scale * self.weight).to(x.dtype)


class LayerNorm(nn.Module):
    """``(x - mean(x)) / sqrt(var(x) + eps) * weight + bias``; ``weight`` and ``bias`` have shape
    ``[width]``."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        if ops.ready(x):
            return ops.layer_norm(x, self.weight, self.bias, self.eps)
        if many.ready():
            return many.layer_norm(x, self.weight, self.bias, self.eps)
        return F.layer_norm(x, self.weight.shape, self.weight.to(x.dtype), self.bias.to(x.dtype), self.eps)


def make_norm(kind: str, width: int, eps: float) -> nn.Module:
    """``kind`` is ``"rms"`` or ``"layer"``."""
    return RMSNorm(width, eps) if kind == "rms" else LayerNorm(width, eps)
