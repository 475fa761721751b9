"""Quantized matrices: small whole numbers in blocks of 32 neighbours of a row, each block with its own scale.

The three block formats are those of GGUF files, so that a file's blocks are used as they are and our own models
are quantized to the same: ``Q8_0``: ``w = d q``, q in [-128, 127]; ``Q4_0``: ``w = d (q - 8)``, q in [0, 15];
``Q4_1``: ``w = d q + m``. ``d`` and ``m`` are fp16. int8 here means Q8_0, int4 means Q4_1.

In memory 16 rows lie side by side in *tiles* (:func:`pack`), so that one vector instruction serves 16 rows; see
``native/linear.h``. Left out: calibration; K-quants, which are expanded when a file is read.

Shapes: N outputs, K inputs, B bytes of a row's blocks. I tiles of 16 rows, J blocks of 32 columns.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glaswerk.errors import GlaswerkError
from glaswerk.model.mlp import Linear

#: neighbours that share a scale
BLOCK = 32
#: rows of a tile
ROWS = 16
#: kind -> bytes of a block in a GGUF file: d, for Q4_1 also m, then the whole numbers
KINDS = {"Q8_0": 34, "Q4_0": 18, "Q4_1": 20}
#: bits -> the kind that our own matrices get
KIND_OF_BITS = {8: "Q8_0", 4: "Q4_1"}


# ---------------------------------------------------------------------------------------------- blocks
def encode(weight_NK: Tensor, kind: str) -> Tensor:
    """A matrix as blocks ``[N, B]`` (uint8), each number rounded to the nearest its block can hold.

    Raises :class:`GlaswerkError` where K is no multiple of 32.
    """
    N, K = weight_NK.shape
    if K % BLOCK:
        raise GlaswerkError(f"{kind} needs matrices whose inputs are a multiple of {BLOCK}, here {K}")
    groups = weight_NK.detach().float().view(N, K // BLOCK, BLOCK)
    if kind == "Q8_0":
        scale = half(groups.abs().amax(2, keepdim=True) / 127)
        q = (groups / scale.float().clamp_min(TINY)).round().clamp(-127, 127).to(torch.int8).view(torch.uint8)
        return torch.cat((scale.view(torch.uint8), q), 2).view(N, -1)
    if kind == "Q4_0":
        # the number furthest from zero becomes -8: that side has one more step
        furthest = groups.gather(2, groups.abs().argmax(2, keepdim=True))
        offsets = [half(furthest / -8)]
        low = offsets[0].float() * -8
    else:
        lowest, highest = groups.amin(2, keepdim=True), groups.amax(2, keepdim=True)
        offsets = [half((highest - lowest) / 15), half(lowest)]
        low = offsets[1].float()
    scale32 = offsets[0].float()
    scale32 = torch.where(scale32 == 0, torch.inf, scale32)
    q = ((groups - low) / scale32).round().clamp(0, 15).to(torch.uint8)
    halves = q[..., :16] | (q[..., 16:] << 4)
    return torch.cat((*(offset.view(torch.uint8) for offset in offsets), halves), 2).view(N, -1)


#: below this fp16 has no number: a scale is then zero, and so is its block
TINY = 2.0**-24


def half(x: Tensor) -> Tensor:
    """``x`` in fp16, at most its largest number."""
    return x.clamp(-65504, 65504).to(torch.float16)


def pack(kind: str, blocks_NB: Tensor) -> tuple[Tensor, Tensor]:
    """Blocks as tiles: the whole numbers ``[I, J, bytes]`` (uint8) and the scales ``[I, J, 1 or 2, 16]``
    (fp16: d, then m).

    Byte ``[i, j, (c, r, b)]`` belongs to row ``16 i + r`` and column ``32 j + 4 c + b``: four neighbours of a row
    fill one 32-bit lane, 16 rows one vector. Q8_0 stores ``q + 128``, so that all are unsigned. With 4 bits the
    low half of a byte is that column, the high half the one 16 further, as in the file. No number changes.
    Missing rows of the last tile are zero.
    """
    N, tiles = len(blocks_NB), -(-len(blocks_NB) // ROWS)
    blocks = F.pad(blocks_NB, (0, 0, 0, tiles * ROWS - N)).view(tiles, ROWS, -1, KINDS[kind])
    offsets = 4 if kind == "Q4_1" else 2
    scale = blocks[..., :offsets].contiguous().view(torch.float16)  # [I, 16, J, 1 or 2]
    q = blocks[..., offsets:].unflatten(3, (-1, 4)).permute(0, 2, 3, 1, 4).flatten(2)
    return (q ^ 128 if kind == "Q8_0" else q.contiguous()), scale.permute(0, 2, 3, 1).contiguous()


def expand(kind: str, q: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """What the tiles stand for: ``[..., J, 16, 32]`` of ``q [..., J, bytes]`` and ``scale [..., J, 1 or 2, 16]``."""
    q = q.unflatten(-1, (-1, ROWS, 4)).transpose(-3, -2)  # [..., J, 16, c, 4]
    d = scale[..., 0, :, None].to(dtype)
    if kind == "Q8_0":
        return (q.flatten(-2) ^ 128).view(torch.int8).to(dtype) * d
    whole = torch.cat(((q & 15).flatten(-2), (q >> 4).flatten(-2)), -1)
    if kind == "Q4_0":
        return (whole.to(torch.int8) - 8).to(dtype) * d
    return whole.to(dtype) * d + scale[..., 1, :, None].to(dtype)


# ---------------------------------------------------------------------------------------------- layers
class QuantizedLinear(nn.Module):
    """Stands where a ``Linear`` stood, or where the embedding stood, which is a matrix of one row per token."""

    def __init__(self, kind: str, q: Tensor, scale: Tensor, outputs: int, inputs: int, bias: Tensor | None) -> None:
        super().__init__()
        self.kind, self.outputs, self.inputs = kind, outputs, inputs
        self.register_buffer("q", q)
        self.register_buffer("scale", scale)
        # a parameter, so that it is found and filled by name like a plain layer's
        self.bias = None if bias is None else nn.Parameter(bias.detach(), requires_grad=False)
        self.q: Tensor
        self.scale: Tensor

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
        return cls(kind, *pack(kind, blocks_NB), len(blocks_NB), inputs, bias)

    @classmethod
    def from_weight(cls, weight_NK: Tensor, bits: int, bias: Tensor | None = None) -> QuantizedLinear:
        """Quantize a matrix to ``bits`` 8 or 4. Raises :class:`GlaswerkError` where 4 bits do not fit its width."""
        if bits not in KIND_OF_BITS:
            raise GlaswerkError(f"weights can be quantized to 8 or 4 bits, not {bits}")
        inputs = weight_NK.shape[1]
        if bits == 4 and inputs % BLOCK:
            raise GlaswerkError(f"int4 needs matrices whose inputs are a multiple of {BLOCK}, here {inputs}; use int8")
        padded = F.pad(weight_NK.detach(), (0, -inputs % BLOCK))
        kind = KIND_OF_BITS[bits]
        return cls.from_blocks(kind, encode(padded, kind), inputs, bias)

    def weight(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The matrix ``[N, K]`` that the whole numbers stand for."""
        tiles = expand(self.kind, self.q, self.scale, dtype).transpose(1, 2)  # [I, 16, J, 32]
        return tiles.reshape(-1, tiles.shape[2] * BLOCK)[: self.outputs, : self.inputs]

    def rows(self, ids: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Some rows of the matrix, ``[..., K]`` for ids ``[...]``: a look into the embedding."""
        flat = ids.reshape(-1)
        tiles = expand(self.kind, self.q[flat // ROWS], self.scale[flat // ROWS], dtype)
        rows = tiles[torch.arange(len(flat), device=flat.device), :, flat % ROWS].flatten(1)
        return rows[:, : self.inputs].view(*ids.shape, self.inputs)

    def forward(self, x: Tensor) -> Tensor:
        """``x @ weight.T + bias``."""
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
