"""Causal attention for training on a CPU in bf16, as one torch operation with a gradient; ``causal.cpp`` computes it.

The plain forms below are its oracle, and stand in where the library is not there. Left out: dropout, padding, a cache,
fp32: those take the other ways of ``attention.py``.

Shapes: B batch, T time, H query heads, G key/value heads, D head width, n = H + 2 G.
"""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor

from glaswerk.model.native import build
from glaswerk.model.native.ops import OPERATIONS


class Causal(ctypes.Structure):
    """The record that ``causal.cpp`` reads."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("qkv", "heads", "sizes", "slope", "slopes")),
        *((name, ctypes.c_int64) for name in "BTHGD"),
        ("scale", ctypes.c_float),
    )


KERNELS = ("gw_causal", "gw_causal_backward")


def library() -> ctypes.CDLL | None:
    """The compiled operation; None where there is no compiler, or no instruction for products of bf16."""
    return build.kernels(build.usable_compiler(), "causal.cpp", Causal, KERNELS, if_says="gw_causal_fast")


def ready(x_BTC: Tensor, head_width: int) -> bool:
    """Whether attention over ``x`` can be computed here."""
    if torch.compiler.is_compiling() or x_BTC.device.type != "cpu" or x_BTC.dtype != torch.bfloat16:
        return False
    return x_BTC.shape[1] % 16 == 0 and head_width % 16 == 0 and library() is not None


def call(kernel: str, qkv: Tensor, groups: int, heads: Tensor, sizes: Tensor, *slopes: Tensor) -> None:
    """Run one of the two kernels."""
    found = library()
    assert found is not None
    B, T, n, D = qkv.shape
    slope, slopes_of_qkv = slopes or (None, None)
    record = Causal(
        qkv.data_ptr(), heads.data_ptr(), sizes.data_ptr(),
        None if slope is None else slope.data_ptr(), None if slopes_of_qkv is None else slopes_of_qkv.data_ptr(),
        B, T, n - 2 * groups, groups, D, D**-0.5,
    )  # fmt: skip
    getattr(found, kernel)(ctypes.byref(record), torch.get_num_threads())


def empty(qkv: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """The results, still without numbers: heads ``[B, T, H, D]`` and, in fp32, ``[B, H, T]``."""
    B, T, n, D = qkv.shape
    H = n - 2 * groups
    return qkv.new_empty(B, T, H, D), qkv.new_empty(B, H, T, dtype=torch.float32)


def scores(qkv: Tensor, groups: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Queries ``[B, G, R, T, D]``, keys and values ``[B, G, 1, T, D]``, and the scores of what may be seen."""
    q, k, v = qkv.float().transpose(1, 2).split((qkv.shape[2] - 2 * groups, groups, groups), 1)
    q, k, v = (part.unflatten(1, (groups, -1)) for part in (q, k, v))
    ahead = torch.ones(qkv.shape[1], qkv.shape[1], dtype=torch.bool).triu(1)
    return q, k, v, (q @ k.mT * qkv.shape[-1] ** -0.5).masked_fill(ahead, float("-inf"))


def plain_forward(qkv: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """:func:`forward` with a table of all weights, in fp32."""
    _, _, v, seen = scores(qkv, groups)
    heads = (seen.softmax(-1) @ v).flatten(1, 2).transpose(1, 2)
    return heads.to(qkv.dtype).contiguous(), seen.logsumexp(-1).flatten(1, 2)


def plain_backward(slope: Tensor, qkv: Tensor, heads: Tensor, sizes: Tensor, groups: int) -> Tensor:
    """:func:`backward` with a table of all weights, in fp32."""
    q, k, v, seen = scores(qkv, groups)
    weights = seen.softmax(-1)
    slope = slope.float().transpose(1, 2).unflatten(1, (groups, -1))
    of_weights = slope @ v.mT
    of_scores = weights * (of_weights - (weights * of_weights).sum(-1, keepdim=True)) * qkv.shape[-1] ** -0.5
    of_q, of_k = of_scores @ k, (of_scores.mT @ q).sum(2)
    of_v = (weights.mT @ slope).sum(2)
    return torch.cat((of_q.flatten(1, 2), of_k, of_v), 1).transpose(1, 2).to(qkv.dtype).contiguous()


def forward(qkv: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """Heads, and for the backward pass the log of each query's sum of exponentials."""
    if library() is None:
        return plain_forward(qkv, groups)
    heads, sizes = empty(qkv, groups)
    call("gw_causal", qkv.contiguous(), groups, heads, sizes)
    return heads, sizes


def backward(slope: Tensor, qkv: Tensor, heads: Tensor, sizes: Tensor, groups: int) -> Tensor:
    """The gradient of ``qkv``, from that of the heads."""
    if library() is None:
        return plain_backward(slope, qkv, heads, sizes, groups)
    qkv = qkv.contiguous()
    slopes = qkv.new_empty(qkv.shape)
    call("gw_causal_backward", qkv, groups, heads, sizes, slope.contiguous(), slopes)
    return slopes


OPERATIONS.define("causal(Tensor qkv, int groups) -> (Tensor, Tensor)")
OPERATIONS.define("causal_backward(Tensor slope, Tensor qkv, Tensor heads, Tensor sizes, int groups) -> Tensor")
OPERATIONS.impl("causal", forward, "CPU")
OPERATIONS.impl("causal_backward", backward, "CPU")
OPERATIONS.impl("causal", empty, "Meta")
OPERATIONS.impl("causal_backward", lambda slope, qkv, heads, sizes, groups: qkv.new_empty(qkv.shape), "Meta")


class CausalAttention(torch.autograd.Function):
    """The operation with its gradient."""

    @staticmethod
    def forward(context: Any, qkv: Tensor, groups: int) -> Tensor:  # type: ignore[override]
        heads, sizes = torch.ops.glaswerk.causal(qkv, groups)
        context.save_for_backward(qkv, heads, sizes)
        context.groups = groups
        return heads  # type: ignore[no-any-return]

    @staticmethod
    def backward(context: Any, slope: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return torch.ops.glaswerk.causal_backward(slope, *context.saved_tensors, context.groups), None


def causal_attention(qkv_BTnD: Tensor, groups: int) -> Tensor:
    """softmax(q·k / sqrt(D), each query up to its own place)·v, ``[B, T, H, D]``, of query, key and value heads in one
    bf16 tensor: H, then ``groups`` each. :func:`ready` says where this can be called.
    """
    return CausalAttention.apply(qkv_BTnD, groups)  # type: ignore[no-any-return,no-untyped-call]
