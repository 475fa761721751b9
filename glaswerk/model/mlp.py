"""The feed-forward part of a block: GELU (GPT-2) or SwiGLU (Shazeer 2020), and the plain matrix both are made
of.

Shapes: B batch, T time, C width, M neurons.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glaswerk.model.config import ModelConfig
from glaswerk.model.native import between, many, ops
from glaswerk.model.taps import Taps, tap


class Linear(nn.Module):
    """``x @ weight.T + bias`` with ``weight [out, in]``, computed in the dtype of ``x``.

    So fp32 weights serve a bf16 forward pass (mixed precision) with a cast and no second copy of the class.
    """

    def __init__(self, inputs: int, outputs: int, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        if ops.ready(x):
            return ops.linear(x, self.weight, self.bias)
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return F.linear(x, self.weight.to(x.dtype), bias)


class MLP(nn.Module):
    """``down(gelu(up(x)))``, or with SwiGLU ``down(silu(gate(x)) * up(x))``; gate and up are one matrix, gate
    rows first."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gated = config.activation == "swiglu"
        self.neurons = config.mlp_width
        self.up = Linear(config.width, config.mlp_width * (2 if self.gated else 1), config.mlp_bias)
        self.down = Linear(config.mlp_width, config.width, config.mlp_bias)

    def forward(self, x_BTC: Tensor, taps: Taps | None = None, name: str = "") -> Tensor:
        """``pre`` is what enters the activation function, ``post`` what the neurons hand on."""
        if self.gated and many.ready():
            post_BTM = self.up.swiglu(x_BTC)  # type: ignore[operator]  # a QuantizedLinear stands there
        elif self.gated and taps is None and between.ready(x_BTC):
            post_BTM = between.swiglu(self.up(x_BTC))
        elif self.gated:
            gate_BTM, up_BTM = self.up(x_BTC).split(self.neurons, -1)
            gate_BTM = tap(taps, name + "pre", gate_BTM)
            up_BTM = tap(taps, name + "up", up_BTM)
            post_BTM = swiglu(gate_BTM, up_BTM)
        else:
            post_BTM = gelu(tap(taps, name + "pre", self.up(x_BTC)))
        return tap(taps, name + "output", self.down(tap(taps, name + "post", post_BTM)))


def swiglu(gate_BTM: Tensor, up_BTM: Tensor) -> Tensor:
    """``silu(gate) * up``."""
    return ops.swiglu(gate_BTM, up_BTM) if ops.ready(gate_BTM) else F.silu(gate_BTM) * up_BTM


def gelu(x_BTM: Tensor) -> Tensor:
    """GELU in the form with tanh, as in GPT-2."""
    if many.ready():
        return many.gelu(x_BTM)
    return ops.gelu(x_BTM) if ops.ready(x_BTM) else F.gelu(x_BTM, approximate="tanh")
