"""How quantized matrices lie in memory: blocks of a file, turned so that one vector instruction serves 16 rows.

A block is 32 neighbours of a row with their own fp16 scale, in one of three formats of GGUF files
(``formats/blocks.py``): ``Q8_0``: ``w = d q``, q in [-128, 127]; ``Q4_0``: ``w = d (q - 8)``, q in [0, 15]; ``Q4_1``:
``w = d q + m``. A *tile* is 16 rows side by side. No number changes on the way. ``linear.h`` describes the same layout
to the kernels.

Shapes: N rows, B bytes of a row's blocks, I tiles of 16 rows, J blocks of 32 columns.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

#: neighbours that share a scale
BLOCK = 32
#: rows of a tile
ROWS = 16
#: bytes of a block: d, for Q4_1 also m, then the whole numbers. The kernels number the kinds in this order
KINDS = {"Q8_0": 34, "Q4_0": 18, "Q4_1": 20}


def pack(kind: str, blocks_NB: Tensor) -> tuple[Tensor, Tensor]:
    """Blocks as tiles: the whole numbers ``[I, J, bytes]`` (uint8) and the scales ``[I, J, 1 or 2, 16]`` (fp16: d, then
    m).

    Byte ``[i, j, (c, r, b)]`` belongs to row ``16 i + r`` and column ``32 j + 4 c + b``: four neighbours of a row fill
    one 32-bit lane, 16 rows one vector. Q8_0 stores ``q + 128``, so that all are unsigned. With 4 bits the low half of
    a byte is that column, the high half the one 16 further, as in the file. Missing rows of the last tile are zero.
    """
    N, I = len(blocks_NB), -(-len(blocks_NB) // ROWS)  # noqa: E741
    blocks = F.pad(blocks_NB, (0, 0, 0, I * ROWS - N)).view(I, ROWS, -1, KINDS[kind])
    offsets = 4 if kind == "Q4_1" else 2
    scale = blocks[..., :offsets].contiguous().view(torch.float16)  # [I, 16, J, 1 or 2]
    q = blocks[..., offsets:].unflatten(3, (-1, 4)).permute(0, 2, 3, 1, 4).flatten(2)
    return (q ^ 128 if kind == "Q8_0" else q.contiguous()), scale.permute(0, 2, 3, 1).contiguous()


def expand(kind: str, q: Tensor, scale: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """What tiles stand for: ``[..., J, 16, 32]`` of ``q [..., J, bytes]`` and ``scale [..., J, 1 or 2, 16]``."""
    q = q.unflatten(-1, (-1, ROWS, 4)).transpose(-3, -2)  # [..., J, 16, c, 4]
    d = scale[..., 0, :, None].to(dtype)
    if kind == "Q8_0":
        return (q.flatten(-2) ^ 128).view(torch.int8).to(dtype) * d
    whole = torch.cat(((q & 15).flatten(-2), (q >> 4).flatten(-2)), -1)
    if kind == "Q4_0":
        return (whole.to(torch.int8) - 8).to(dtype) * d
    return whole.to(dtype) * d + scale[..., 1, :, None].to(dtype)


def expand_matrix(
    kind: str, q: Tensor, scale: Tensor, outputs: int, inputs: int, dtype: torch.dtype = torch.float32
) -> Tensor:
    """The whole matrix ``[outputs, inputs]``."""
    tiles = expand(kind, q, scale, dtype).transpose(1, 2)  # [I, 16, J, 32]
    return tiles.reshape(-1, tiles.shape[2] * BLOCK)[:outputs, :inputs]


def expand_rows(
    kind: str, q: Tensor, scale: Tensor, ids: Tensor, inputs: int, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Some rows of the matrix, ``[..., inputs]`` for ids ``[...]``."""
    flat = ids.reshape(-1)
    tiles = expand(kind, q[flat // ROWS], scale[flat // ROWS], dtype)
    rows = tiles[torch.arange(len(flat), device=flat.device), :, flat % ROWS].flatten(1)
    return rows[:, :inputs].view(*ids.shape, inputs)
