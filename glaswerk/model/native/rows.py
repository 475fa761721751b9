"""One new token in each of many rows looks at the keys that a cache holds, in bf16 on a CPU (``rows.cpp``).

Products of such small matrices cost PyTorch a copy of all keys and values at every step; here they are read where they
lie. It stands in where ``between.fused`` says so, in inference. The plain form is ``explicit_attention``, which also
stands in where there is no compiler. Left out: gradients, fp32.

Shapes: B rows, H query heads, G key/value heads, S slots in use, D head width.
"""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from glaswerk.model.native import between, build


class Rows(ctypes.Structure):
    """The record that ``rows.cpp`` reads."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("q", "keys", "values", "mask", "heads", "first")),
        *((name, ctypes.c_int64) for name in ("B", "H", "G", "S", "D", "row", "head", "alike")),
        ("scale", ctypes.c_float),
    )


def library() -> ctypes.CDLL | None:
    """The compiled operation; None where there is no compiler."""
    return build.kernels(build.usable_compiler(), "rows.cpp", Rows, ("gw_rows",))


def ready(q_BHTD: Tensor, k_BGSD: Tensor) -> bool:
    """Whether these queries can meet these keys here: one token of each row, each slot's numbers in one piece and slot
    behind slot."""
    if not between.ready(q_BHTD) or torch.is_grad_enabled() or q_BHTD.shape[2] != 1:
        return False
    D = q_BHTD.shape[3]
    return D % 16 == 0 and k_BGSD.stride()[2:] == (D, 1) and k_BGSD.dtype == torch.bfloat16 and library() is not None


def attend(
    q_BHTD: Tensor,
    k_BGSD: Tensor,
    v_BGSD: Tensor,
    mask_BTS: Tensor | None = None,
    first_B: Tensor | None = None,
    alike: int = 0,
) -> Tensor:
    """softmax(q·k / sqrt(D), masked)·v, ``[B, H, 1, D]``; ``mask`` is True where a row may look. Keys and values must
    lie alike. The first ``alike`` slots of a row are read in row ``first_B``, which has the same there: a prompt is
    then fetched from memory once for all replies to it.
    """
    found = library()
    assert found is not None and k_BGSD.stride() == v_BGSD.stride()
    (B, H, _, D), (G, S) = q_BHTD.shape, k_BGSD.shape[1:3]
    q_BHTD = q_BHTD.contiguous()
    heads_BHTD = torch.empty_like(q_BHTD)
    mask_BTS = None if mask_BTS is None else mask_BTS.expand(B, 1, S).contiguous()
    record = Rows(
        q_BHTD.data_ptr(), k_BGSD.data_ptr(), v_BGSD.data_ptr(), None if mask_BTS is None else mask_BTS.data_ptr(),
        heads_BHTD.data_ptr(), None if first_B is None else first_B.data_ptr(),
        B, H, G, S, D, *k_BGSD.stride()[:2], alike, D**-0.5,
    )  # fmt: skip
    found.gw_rows(ctypes.byref(record), torch.get_num_threads())
    return heads_BHTD
