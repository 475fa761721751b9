"""What stands between the matrix products of a block, for tuning on a CPU in bf16 without a compiled step: RMSNorm with
a frozen weight, the turning of queries and keys, SwiGLU, each with its gradient in one pass (``between.cpp``).

A compiled step fuses the same by itself, after a minute of compiling; so :func:`fused` is asked for where there is
none. The plain forms are those of the modules (``norm.py``, ``position.py``, ``mlp.py``). Left out: weights that learn.

Shapes: B batch, T time, C width, n heads of queries, keys and values, D head width, M neurons.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from glaswerk.model.native import build


class Between(ctypes.Structure):
    """The record that ``between.cpp`` reads."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("x", "slope", "to", "weight", "scales", "cos", "sin")),
        *((name, ctypes.c_int64) for name in ("rows", "width", "period", "D", "turned")),
        ("eps", ctypes.c_float),
    )


class State(threading.local):
    """What this thread was told."""

    fused = False


STATE = State()


KERNELS = tuple(f"gw_between_{name}{way}" for name in ("norm", "turn", "gate") for way in ("", "_backward"))


def library() -> ctypes.CDLL | None:
    """The compiled operations; None where there is no compiler."""
    return build.kernels(build.usable_compiler(), "between.cpp", Between, KERNELS)


@contextmanager
def fused() -> Iterator[None]:
    """Inside, modules take the operations of this file where they can."""
    before, STATE.fused = STATE.fused, True
    try:
        yield
    finally:
        STATE.fused = before


def ready(x: Tensor) -> bool:
    """Whether the operations can be taken for ``x``."""
    if torch.compiler.is_compiling() or not STATE.fused:
        return False
    return x.device.type == "cpu" and x.dtype == torch.bfloat16 and library() is not None


def call(
    kernel: str, rows: int, width: int, eps: float = 0.0, sizes: tuple[int, int, int] = (0, 0, 0), **tensors: Tensor
) -> None:
    """Run one kernel; ``sizes`` are period, D and turned, and tensors that it does not read are left out."""
    found = library()
    assert found is not None and all(tensor.is_contiguous() for tensor in tensors.values())
    period, D, turned = sizes
    places = {name: tensor.data_ptr() for name, tensor in tensors.items()}
    record = Between(rows=rows, width=width, period=period, D=D, turned=turned, eps=eps, **places)
    getattr(found, f"gw_between_{kernel}")(ctypes.byref(record), torch.get_num_threads())


class Norm(torch.autograd.Function):
    """RMSNorm whose weight does not learn."""

    @staticmethod
    def forward(context: Any, x_BTC: Tensor, weight_C: Tensor, eps: float) -> Tensor:  # type: ignore[override]
        x_BTC, weight_C = x_BTC.contiguous(), weight_C.float().contiguous()
        C = x_BTC.shape[-1]
        y_BTC, scales = torch.empty_like(x_BTC), torch.empty(x_BTC.numel() // C)
        call("norm", len(scales), C, eps, x=x_BTC, to=y_BTC, weight=weight_C, scales=scales)
        context.save_for_backward(x_BTC, weight_C, scales)
        return y_BTC

    @staticmethod
    def backward(context: Any, slope_BTC: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        x, weight, scales = context.saved_tensors
        to, slope = torch.empty_like(x), slope_BTC.contiguous()
        call("norm_backward", len(scales), x.shape[-1], x=x, slope=slope, to=to, weight=weight, scales=scales)
        return to, None, None


class Turn(torch.autograd.Function):
    """Queries and keys by their angles; values as they are."""

    @staticmethod
    def forward(context: Any, qkv: Tensor, cos: Tensor, sin: Tensor, turned: int) -> Tensor:  # type: ignore[override]
        qkv, cos, sin = qkv.contiguous(), cos.contiguous(), sin.contiguous()
        B, T, n, D = qkv.shape
        to = torch.empty_like(qkv)
        call("turn", B * T, n * D, sizes=(T, D, turned * D), x=qkv, to=to, cos=cos, sin=sin)
        context.save_for_backward(cos, sin)
        context.turned = turned
        return to

    @staticmethod
    def backward(context: Any, slope: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[override]
        cos, sin = context.saved_tensors
        slope = slope.contiguous()
        B, T, n, D = slope.shape
        to = torch.empty_like(slope)
        sizes = (T, D, context.turned * D)
        call("turn_backward", B * T, n * D, sizes=sizes, slope=slope, to=to, cos=cos, sin=sin)
        return to, None, None, None


class Gate(torch.autograd.Function):
    """SwiGLU of gate and up side by side."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:  # type: ignore[override]
        x = x.contiguous()
        M = x.shape[-1] // 2
        to = x.new_empty(*x.shape[:-1], M)
        call("gate", x.numel() // (2 * M), M, x=x, to=to)
        context.save_for_backward(x)
        return to

    @staticmethod
    def backward(context: Any, slope: Tensor) -> Tensor:  # type: ignore[override]
        (x,) = context.saved_tensors
        to, M = torch.empty_like(x), slope.shape[-1]
        call("gate_backward", slope.numel() // M, M, x=x, slope=slope.contiguous(), to=to)
        return to


def rms_norm(x_BTC: Tensor, weight_C: Tensor, eps: float) -> Tensor:
    """``x / sqrt(mean(x²) + eps) * weight``; no gradient reaches the weight."""
    return Norm.apply(x_BTC, weight_C, eps)  # type: ignore[no-any-return,no-untyped-call]


def rotated(qkv_BTnD: Tensor, cos_TD: Tensor, sin_TD: Tensor, turned: int) -> Tensor:
    """The first ``turned`` heads by the angles of their place, the others as they are."""
    return Turn.apply(qkv_BTnD, cos_TD, sin_TD, turned)  # type: ignore[no-any-return,no-untyped-call]


def swiglu(gate_up_BTM: Tensor) -> Tensor:
    """``silu(gate) * up`` of ``[..., 2 M]``, gate first."""
    return Gate.apply(gate_up_BTM)  # type: ignore[no-any-return,no-untyped-call]
