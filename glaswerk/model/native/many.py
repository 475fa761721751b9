"""The C++ operations for many tokens at once: a prompt, or the guesses of a draft.

Beside each stands the plain PyTorch it must equal, as in ``ops.py``. They are used by models whose matrices are
quantized, all of them or none: PyTorch's own threads wait by looking, as ours do, and where the two take turns each
waits for the processors that the other holds. :func:`prompt` says that the turns are ours.

Shapes: B batch = 1, T time, C width, H query heads, G key/value heads, D head width, S slots, N outputs, M neurons.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from glaswerk.model.native import ops
from glaswerk.model.native.build import library
from glaswerk.model.native.ops import OPERATIONS, PLAIN, STATE, Call, half_precision, like_first, operation
from glaswerk.model.native.tiles import KINDS, expand_matrix, expand_rows

#: queries that the attention kernel takes at once, and keys: results are laid out for whole numbers of them
KEYS = 32


def fast(x: Tensor) -> bool:
    """Whether ``x`` is in inference on the CPU, and this processor multiplies bytes faster than floats."""
    found = library() if ops.at_hand(x) else None
    return found is not None and bool(found.gw_fast_bytes())


@contextmanager
def prompt() -> Iterator[None]:
    """The decoder's way through many tokens of one text, fp32; inside, all operations are ours."""
    before, STATE.many = STATE.many, True
    try:
        yield
    finally:
        STATE.many = before


def ready() -> bool:
    """Whether this is inside :func:`prompt`."""
    return not torch.compiler.is_compiling() and STATE.many


# ---------------------------------------------------------------------------------------------- small ones
@operation(
    "rms_norm_many(Tensor x, Tensor weight, float eps) -> Tensor",
    lambda out, x, weight, eps: Call(
        "rms_norm_many",
        (out, x, weight),
        (x.numel() // x.shape[-1], x.shape[-1], half_precision(weight)),
        eps,
        shared=True,
    ),
    like_first,
)
def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """See ``model/norm.py``."""
    return PLAIN["rms_norm"](x, weight, eps)


@operation(
    "layer_norm_many(Tensor x, Tensor weight, Tensor bias, float eps) -> Tensor",
    lambda out, x, weight, bias, eps: Call(
        "layer_norm_many",
        (out, x, weight, bias),
        (x.numel() // x.shape[-1], x.shape[-1], half_precision(weight)),
        eps,
        shared=True,
    ),
    like_first,
)
def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """See ``model/norm.py``."""
    return PLAIN["layer_norm"](x, weight, bias, eps)


@operation(
    "gelu_many(Tensor x) -> Tensor",
    lambda out, x: Call("gelu_many", (out, x), (x.numel(),), shared=True),
    like_first,
)
def gelu(x: Tensor) -> Tensor:
    """See ``model/mlp.py``."""
    return PLAIN["gelu"](x)


@operation(
    "add_many(Tensor a, Tensor b) -> Tensor",
    lambda out, a, b: Call("add_many", (out, a, b), (a.numel(),), shared=True),
    like_first,
)
def add(a: Tensor, b: Tensor) -> Tensor:
    """A sum of equally many numbers."""
    return a + b.view(a.shape)


@operation(
    "row_blocks_many(Tensor ids, Tensor q, Tensor scale, str kind, int inputs) -> Tensor",
    lambda out, ids, q, scale, kind, inputs: Call(
        "row_blocks_many", (out, ids, q, scale), (inputs, list(KINDS).index(kind), ids.numel()), shared=True
    ),
    lambda ids, q, scale, kind, inputs: torch.empty(*ids.shape, inputs, device=ids.device),
)
def row_blocks(ids: Tensor, q: Tensor, scale: Tensor, kind: str, inputs: int) -> Tensor:
    """Rows of a quantized matrix."""
    return expand_rows(kind, q, scale, ids, inputs)


# ---------------------------------------------------------------------------------------------- matrices
def _gemm_call(
    out: Tensor, x: Tensor, q: Tensor, scale: Tensor, bias: Tensor | None, kind: str, outputs: int, gated: bool
) -> Call:
    sizes = (x.numel() // x.shape[-1], outputs, x.shape[-1], list(KINDS).index(kind), int(gated))
    return Call("gemm_blocks", (out, x, q, scale, bias), sizes, shared=True)


@operation(
    "gemm_blocks(Tensor x, Tensor q, Tensor scale, Tensor? bias, str kind, int outputs, bool gated) -> Tensor",
    _gemm_call,
    lambda x, q, scale, bias, kind, outputs, gated: torch.empty(
        *x.shape[:-1], outputs // (2 if gated else 1), device=x.device
    ),
)
def gemm_blocks(
    x: Tensor, q: Tensor, scale: Tensor, bias: Tensor | None, kind: str, outputs: int, gated: bool
) -> Tensor:
    """``linear_blocks`` of ``ops.py`` for many rows of ``x``, which lie in one piece and are rounded to one byte each.
    ``gated``: the matrix is gate rows, then as many up rows (whole tiles of 16 of each), and the result is
    ``silu(gate) * up``.
    """
    weight = expand_matrix(kind, q, scale, outputs, x.shape[-1])
    y = F.linear(ops.rounded(x, 127), weight, None if bias is None else bias.float())
    if not gated:
        return y
    gate, up = y.chunk(2, -1)
    return F.silu(gate) * up


# ---------------------------------------------------------------------------------------------- attention
OPERATIONS.define(
    "attend_many(Tensor qkv, Tensor(a!) keys, Tensor(b!) values, Tensor? q_norm, Tensor? k_norm, Tensor? cos, "
    "Tensor? sin, int start, float eps) -> Tensor"
)


def attend_plain(
    qkv_BTE: Tensor,
    keys_BGSD: Tensor,
    values_BGSD: Tensor,
    q_norm_D: Tensor | None,
    k_norm_D: Tensor | None,
    cos_TD: Tensor | None,
    sin_TD: Tensor | None,
    start: int,
    eps: float,
) -> Tensor:
    """Stores the keys and values of T new tokens in the cache from slot ``start`` on, and attends from each to all
    before and itself: ``[1, T, H D]``. ``qkv`` holds the vectors of all heads of a token, ``[1, T, (H + 2 G) D]``. The
    kernel rounds queries, keys, values and weights to bf16 for the products.
    """
    G, D, T = keys_BGSD.shape[1], keys_BGSD.shape[-1], qkv_BTE.shape[1]
    heads = qkv_BTE.view(1, T, -1, D).transpose(1, 2)
    q, k, v = heads.split((heads.shape[1] - 2 * G, G, G), 1)
    if q_norm_D is not None and k_norm_D is not None:
        q, k = PLAIN["rms_norm"](q, q_norm_D, eps), PLAIN["rms_norm"](k, k_norm_D, eps)
    if cos_TD is not None and sin_TD is not None:
        q, k = PLAIN["rotary"](q, cos_TD, sin_TD), PLAIN["rotary"](k, cos_TD, sin_TD)
    end = start + T
    keys_BGSD[:, :, start:end], values_BGSD[:, :, start:end] = k, v
    seen = torch.arange(start, end, device=q.device)[:, None] >= torch.arange(end, device=q.device)
    k, v = keys_BGSD[:, :, :end].float(), values_BGSD[:, :, :end].float()
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=seen, enable_gqa=True)
    return out.transpose(1, 2).reshape(1, T, -1)


def attend_native(
    qkv_BTE: Tensor,
    keys_BGSD: Tensor,
    values_BGSD: Tensor,
    q_norm_D: Tensor | None,
    k_norm_D: Tensor | None,
    cos_TD: Tensor | None,
    sin_TD: Tensor | None,
    start: int,
    eps: float,
) -> Tensor:
    """The same by the two kernels of ``attend_many.cpp``."""
    if library() is None:
        return attend_plain(qkv_BTE, keys_BGSD, values_BGSD, q_norm_D, k_norm_D, cos_TD, sin_TD, start, eps)
    G, slots, D = keys_BGSD.shape[1:]
    T, H = qkv_BTE.shape[1], qkv_BTE.shape[2] // D - 2 * G
    used = -(-(start + T) // KEYS) * KEYS
    pairs = torch.empty(2, G * used * D, dtype=torch.bfloat16)
    out = qkv_BTE.new_empty(1, T, H * D)
    sizes = (T, H, G, D, slots, half_precision(keys_BGSD), start)
    lies = (pairs[0], pairs[1], keys_BGSD, values_BGSD, qkv_BTE, k_norm_D, cos_TD, sin_TD)
    ops.run(Call("lay_out", lies, sizes, eps, shared=True))
    looks = (out, pairs[0], pairs[1], qkv_BTE, q_norm_D, cos_TD, sin_TD)
    ops.run(Call("attend_many", looks, sizes, eps, shared=True))
    return out


OPERATIONS.impl("attend_many", attend_native, "CPU")
attend: Any = torch.ops.glaswerk.attend_many.default
