"""Rotary positions (RoPE, Su et al. 2021) in the half-split form that Hugging Face checkpoints use.

A head's vector is taken as ``D/2`` pairs ``(x[i], x[i + D/2])``; at position ``p`` pair ``i`` is turned by
the angle ``p * theta^(-2i/D)``. So the product of a query and a key depends only on how far apart they stand.
Left out: learned positions, which are a plain table in ``decoder.py``.

Shapes: B batch, T time, H heads, D head width, P positions in the table.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from glaswerk.model.config import ModelConfig
from glaswerk.model.native import ops

#: rows of the table made at once; it grows by doubling where a model's context is longer
FIRST_ROWS = 4096


class Rotary(nn.Module):
    """The table of cosines and sines, kept in fp32 whatever dtype the model is moved to."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.cos_PD: Tensor
        self.sin_PD: Tensor
        self.fill(min(config.context, FIRST_ROWS), torch.device("cpu"))

    def fill(self, rows: int, device: torch.device) -> None:
        """Compute the first ``rows`` positions. The sine's first half is negated: see :func:`rotate`."""
        with torch.inference_mode(False):  # a table that generation grew must still carry gradients in training
            angle_PD = torch.outer(torch.arange(rows, dtype=torch.float32, device="cpu"), frequencies(self.config))
            cos, sin = angle_PD.cos(), angle_PD.sin()
            self.register_buffer("cos_PD", torch.cat((cos, cos), -1).to(device), persistent=False)
            self.register_buffer("sin_PD", torch.cat((-sin, sin), -1).to(device), persistent=False)

    def _apply(self, fn, recurse: bool = True):  # type: ignore[no-untyped-def]
        # .to(bfloat16) must not round the table, and .to(device) or .to_empty must still move it
        super()._apply(fn, recurse)
        self.fill(self.cos_PD.shape[0], self.cos_PD.device)
        return self

    def forward(self, positions: Tensor | int, time: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Cosine and sine, to be multiplied with ``[B, H, T, D]``: of ``time`` positions from the int
        ``positions`` on, ``[T, D]``; or of a tensor of positions ``[T]`` or ``[B, T]``, ``[1 or B, 1, T,
        D]``.
        """
        if isinstance(positions, int):
            self.reach(positions + time)
            cos, sin = self.cos_PD[positions : positions + time], self.sin_PD[positions : positions + time]
        else:
            if self.cos_PD.shape[0] < self.config.context:  # a stranger's context may be any: no further than needed
                self.reach(int(positions.max()) + 1)
            # a head axis, where there is a batch axis
            cos, sin = (table[positions].unsqueeze(-3) for table in (self.cos_PD, self.sin_PD))
        return cos.to(dtype), sin.to(dtype)

    def at(self, position: Tensor, within: int) -> tuple[Tensor, Tensor]:
        """Cosine and sine of the one position ``[1]`` below ``within``, ``[1, D]``, looked up where it is computed."""
        self.reach(within)
        return ops.row(position, self.cos_PD), ops.row(position, self.sin_PD)

    def reach(self, rows: int) -> None:
        """Grow the table so that it holds at least ``rows`` positions."""
        if rows > self.cos_PD.shape[0]:
            self.fill(max(rows, min(2 * self.cos_PD.shape[0], self.config.context)), self.cos_PD.device)


def rotate(x_BHTD: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair of ``x`` by its angle; ``sin`` has its first half negated, so that one swap of halves is
    enough."""
    if ops.ready(x_BHTD):
        return ops.rotary(x_BHTD, cos, sin)
    first, second = x_BHTD.chunk(2, -1)
    return x_BHTD * cos + torch.cat((second, first), -1) * sin


def frequencies(config: ModelConfig) -> Tensor:
    """``theta^(-2i/D)`` for each pair ``i``, shape ``[D/2]``, fp32; slowed for long contexts the way Llama
    3.1 does it (its technical report, 2024) where the config says so."""
    exponent = torch.arange(0, config.head_width, 2, dtype=torch.int64, device="cpu").float() / config.head_width
    plain = 1.0 / (config.rope_theta**exponent)
    if config.rope_llama3 is None:
        return plain
    factor, low, high, trained = config.rope_llama3
    wavelength = 2 * math.pi / plain
    # short waves stay, long waves are slowed by `factor`, those between are blended
    blend = ((trained / wavelength - low) / (high - low)).clamp(0.0, 1.0)
    return (1 - blend) * plain / factor + blend * plain
