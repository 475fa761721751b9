"""Quantized matrices: small whole numbers in blocks of 32 neighbours of a row, each block with its own scale.

The formats are GGUF's, so that a file's blocks are used as they are; our own models are quantized to the same: int8
means Q8_0, int4 means Q4_1. Left out: the formats themselves (``formats/blocks.py``), how they lie in memory
(``native/tiles.py``), calibration, and K-quants, which are expanded when a file is read.

Shapes: N outputs, K inputs, B bytes of a row's blocks.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glaswerk.errors import GlaswerkError
from glaswerk.formats import blocks
from glaswerk.model.mlp import Linear
from glaswerk.model.native import many, ops
from glaswerk.model.native.memory import lasting
from glaswerk.model.native.tiles import BLOCK, KINDS, expand_matrix, expand_rows, pack

#: bits -> the kind that our own matrices get
KIND_OF_BITS = {8: "Q8_0", 4: "Q4_1"}


class QuantizedLinear(nn.Module):
    """Stands where a ``Linear`` stood, or where the embedding stood, which is a matrix of one row per token. ``q`` and
    ``scale`` are tiles (``native/tiles.py``).
    """

    def __init__(self, kind: str, q: Tensor, scale: Tensor, outputs: int, inputs: int, bias: Tensor | None) -> None:
        super().__init__()
        self.kind, self.outputs, self.inputs = kind, outputs, inputs
        self.q: Tensor
        self.scale: Tensor
        self.register_buffer("q", q)
        self.register_buffer("scale", scale)
        # a parameter, so that it is found and filled by name like a plain layer's
        self.bias = None if bias is None else nn.Parameter(bias.detach(), requires_grad=False)

    @classmethod
    def from_blocks(cls, kind: str, blocks_NB: Tensor, inputs: int, bias: Tensor | None = None) -> QuantizedLinear:
        """From the blocks of a GGUF file, ``[N, bytes of a row]`` (uint8); no number changes."""
        if kind not in KINDS:
            raise GlaswerkError(f"blocks must be one of {', '.join(KINDS)}, not {kind}")
        width = -(-inputs // BLOCK) * KINDS[kind]
        if blocks_NB.dim() != 2 or blocks_NB.shape[1] != width or blocks_NB.dtype != torch.uint8:
            raise GlaswerkError(
                f"{kind} rows of {inputs} numbers have {width} bytes, here they have the shape {list(blocks_NB.shape)}"
            )
        q, scale = map(lasting, pack(kind, blocks_NB))
        return cls(kind, q, scale, len(blocks_NB), inputs, bias)

    @classmethod
    def from_weight(cls, weight_NK: Tensor, bits: int, bias: Tensor | None = None) -> QuantizedLinear:
        """Quantize a matrix to ``bits`` 8 or 4. Raises :class:`GlaswerkError` where 4 bits do not fit its width."""
        if bits not in KIND_OF_BITS:
            raise GlaswerkError(f"weights can be quantized to 8 or 4 bits, not {bits}")
        kind, inputs = KIND_OF_BITS[bits], weight_NK.shape[1]
        if bits == 4 and inputs % BLOCK:
            raise GlaswerkError(f"int4 needs matrices whose inputs are a multiple of {BLOCK}, here {inputs}; use int8")
        padded = F.pad(weight_NK.detach().float(), (0, -inputs % BLOCK)).cpu().numpy()
        blocks_NB = torch.from_numpy(blocks.quantize(kind, padded)).to(weight_NK.device)
        return cls.from_blocks(kind, blocks_NB, inputs, bias)

    def weight(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The matrix ``[N, K]`` that the whole numbers stand for."""
        return expand_matrix(self.kind, self.q, self.scale, self.outputs, self.inputs, dtype)

    def rows(self, ids: Tensor) -> Tensor:
        """Some rows of the matrix, fp32 ``[..., K]`` for ids ``[...]``: a look into the embedding."""
        if ids.shape == (1, 1) and ops.at_hand(ids):
            return ops.row_blocks(ids, self.q, self.scale, self.kind, self.inputs)
        if many.ready():
            return many.row_blocks(ids.contiguous(), self.q, self.scale, self.kind, self.inputs)
        return expand_rows(self.kind, self.q, self.scale, ids, self.inputs)

    def forward(self, x: Tensor) -> Tensor:
        """``x @ weight.T + bias``."""
        if ops.ready(x):
            return ops.linear_blocks(x, self.q, self.scale, self.bias, self.kind, self.outputs)
        return self.many(x)

    def swiglu(self, x: Tensor) -> Tensor:
        """``silu(gate) * up`` of gate rows, then up rows, of many tokens inside ``many.prompt``."""
        return many.gemm_blocks(x, self.q, self.scale, self.bias, self.kind, self.outputs, True)

    def many(self, x: Tensor) -> Tensor:
        """The product for many rows at once; where bytes are not multiplied fast, through the expanded matrix."""
        if x.dtype == torch.float32 and many.fast(x):
            return many.gemm_blocks(x.contiguous(), self.q, self.scale, self.bias, self.kind, self.outputs, False)
        return F.linear(x, self.weight(x.dtype), None if self.bias is None else self.bias.to(x.dtype))

    # what is asked of an embedding, be it a plain matrix or this
    @property
    def shape(self) -> torch.Size:
        """``[N, K]``."""
        return torch.Size((self.outputs, self.inputs))

    @property
    def device(self) -> torch.device:
        """Where the numbers lie."""
        return self.q.device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of what is computed from it."""
        return torch.float32


def quantize_linear(layer: Linear, bits: int) -> QuantizedLinear:
    """A quantized copy of one layer."""
    return QuantizedLinear.from_weight(layer.weight, bits, layer.bias)


def quantize(model: nn.Module, bits: int) -> nn.Module:
    """Replace every ``Linear`` inside ``model`` (in place) by its quantized copy; returns ``model``."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Linear):
                setattr(parent, name, quantize_linear(child, bits))
    return model


def is_quantized(model: nn.Module) -> bool:
    """Whether some of its matrices are quantized for inference."""
    return any(isinstance(part, QuantizedLinear) for part in model.modules())
