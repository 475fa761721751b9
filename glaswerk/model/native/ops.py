"""The C++ operations as torch operations ``glaswerk::...``, each beside the plain PyTorch it must equal.

An operation is three things: a schema, its plain form, and a :class:`Call`, which says what the kernel reads and
writes. Running an operation makes a step of its call and runs it; recording a program (``generate/program.py``) keeps
the steps and runs them again. Kernels compute in fp32 for one token; weights may be fp32, bf16 or quantized blocks.

Shapes: T = 1, C width, H query heads, G key/value heads, D head width, S slots, N outputs, K inputs, I tiles, J blocks.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from glaswerk.model.native.build import Step, library
from glaswerk.model.native.tiles import BLOCK, KINDS, expand_matrix, expand_rows

OPERATIONS = torch.library.Library("glaswerk", "DEF")
#: operation -> how its result and its arguments become a call
CALLS: dict[str, Callable[..., Call]] = {}
#: operation -> the PyTorch that it must equal
PLAIN: dict[str, Callable[..., Any]] = {}


@dataclass(frozen=True, slots=True)
class Call:
    """A kernel, what it works on (results first; None: not there), its sizes and its number. ``shared``: the threads
    share the work and must wait for each other; otherwise each computes all of it for itself.
    """

    kernel: str
    tensors: tuple[Tensor | None, ...]
    sizes: tuple[int, ...]
    number: float = 0.0
    shared: bool = False

    def step(self, found: ctypes.CDLL, address: Callable[[Tensor], int] = Tensor.data_ptr) -> Step:
        """The call as C++ reads it. ``address`` says where a tensor lies."""
        step = Step(kernel=ctypes.cast(found[f"gw_{self.kernel}"], ctypes.c_void_p).value)
        step.number, step.shared = self.number, self.shared
        for place, tensor in enumerate(self.tensors):
            step.at[place] = None if tensor is None else address(tensor)
        for place, size in enumerate(self.sizes):
            step.size[place] = size
        return step


class State(threading.local):
    """What this thread was told."""

    plain_only = False
    #: inside `many.prompt`
    many = False


STATE = State()


def at_hand(x: Tensor) -> bool:
    """Whether this is inference on the CPU (inference mode, nothing being compiled) and the library is there."""
    if torch.compiler.is_compiling():  # the compiler cannot look at what follows
        return False
    here = torch.is_inference_mode_enabled() and x.device.type == "cpu" and not STATE.plain_only
    return here and library() is not None


def ready(x: Tensor) -> bool:
    """Whether ``x`` is one token's vector (or its heads) on its way through inference on the CPU, in fp32, and the
    library is there: then, and only then, the modules use the operations of this file.
    """
    return at_hand(x) and x.shape[0] == 1 and x.shape[-2] == 1 and x.dtype == torch.float32


@contextmanager
def plain_only() -> Iterator[None]:
    """In this thread, nothing of this file is used meanwhile."""
    before, STATE.plain_only = STATE.plain_only, True
    try:
        yield
    finally:
        STATE.plain_only = before


def run(call: Call) -> None:
    """Compute a call now."""
    found = library()
    assert found is not None
    step = call.step(found)
    threads = torch.get_num_threads() if call.shared else 1
    programs = (ctypes.POINTER(Step) * threads)(*[ctypes.pointer(step)] * threads)
    found.gw_run(programs, 1, threads)


def operation(schema: str, call: Callable[..., Call], result: Callable[..., Tensor]) -> Callable[..., Any]:
    """Register the decorated plain function as ``glaswerk::NAME`` with its kernel. ``result`` makes the (still empty)
    result from the arguments, also where they hold no data.
    """
    name = schema.partition("(")[0]
    OPERATIONS.define(schema)
    CALLS[name] = call

    def register(plain: Callable[..., Any]) -> Any:
        PLAIN[name] = plain

        def native(*arguments: Any) -> Any:
            if library() is None:
                return plain(*arguments)
            out = result(*arguments)
            run(call(out, *arguments))
            return out

        OPERATIONS.impl(name, native, "CPU")
        OPERATIONS.impl(name, plain, "CUDA")
        OPERATIONS.impl(name, result, "Meta")
        return getattr(torch.ops.glaswerk, name).default

    return register


def half_precision(parameter: Tensor) -> int:
    """1 for bf16 parameters, 0 for fp32."""
    return int(parameter.dtype == torch.bfloat16)


def like_first(x: Tensor, *_: Any) -> Tensor:
    """A result of the first argument's shape."""
    return torch.empty(x.shape, dtype=torch.float32, device=x.device)


# ---------------------------------------------------------------------------------------------- small ones
def _row_call(out: Tensor, ids: Tensor, table: Tensor) -> Call:
    return Call("row", (out, ids, table), (table.shape[1], half_precision(table)))


@operation(
    "row(Tensor ids, Tensor table) -> Tensor",
    _row_call,
    lambda ids, table: torch.empty(*ids.shape, table.shape[1], device=ids.device),
)
def row(ids: Tensor, table: Tensor) -> Tensor:
    """One row of a table, in fp32; ``ids`` holds one number."""
    return F.embedding(ids, table).float()


@operation(
    "rms_norm(Tensor x, Tensor weight, float eps) -> Tensor",
    lambda out, x, weight, eps: Call(
        "rms_norm", (out, x, weight), (x.numel() // x.shape[-1], x.shape[-1], half_precision(weight)), eps
    ),
    like_first,
)
def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """See ``model/norm.py``."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * weight


@operation(
    "layer_norm(Tensor x, Tensor weight, Tensor bias, float eps) -> Tensor",
    lambda out, x, weight, bias, eps: Call(
        "layer_norm", (out, x, weight, bias), (x.numel() // x.shape[-1], x.shape[-1], half_precision(weight)), eps
    ),
    like_first,
)
def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """See ``model/norm.py``."""
    return F.layer_norm(x, weight.shape, weight.float(), bias.float(), eps)


@operation(
    "rotary(Tensor x, Tensor cos, Tensor sin) -> Tensor",
    lambda out, x, cos, sin: Call("rotary", (out, x, cos, sin), (x.numel() // x.shape[-1], x.shape[-1])),
    like_first,
)
def rotary(x_BHTD: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """See ``model/position.py``."""
    first, second = x_BHTD.chunk(2, -1)
    return x_BHTD * cos + torch.cat((second, first), -1) * sin


@operation(
    "swiglu(Tensor gate, Tensor up) -> Tensor",
    lambda out, gate, up: Call("swiglu", (out, gate, up), (gate.numel(),)),
    like_first,
)
def swiglu(gate: Tensor, up: Tensor) -> Tensor:
    """See ``model/mlp.py``."""
    return F.silu(gate) * up


@operation("gelu(Tensor x) -> Tensor", lambda out, x: Call("gelu", (out, x), (x.numel(),)), like_first)
def gelu(x: Tensor) -> Tensor:
    """See ``model/mlp.py``."""
    return F.gelu(x, approximate="tanh")


@operation("add(Tensor a, Tensor b) -> Tensor", lambda out, a, b: Call("add", (out, a, b), (a.numel(),)), like_first)
def add(a: Tensor, b: Tensor) -> Tensor:
    """A sum of equal shapes."""
    return a + b


# ---------------------------------------------------------------------------------------------- matrices
def _linear_call(out: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None) -> Call:
    return Call("linear", (out, x, weight, bias), (*weight.shape, half_precision(weight)), shared=True)


@operation(
    "linear(Tensor x, Tensor weight, Tensor? bias) -> Tensor",
    _linear_call,
    lambda x, weight, bias: torch.empty(*x.shape[:-1], weight.shape[0], device=x.device),
)
def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``x @ weight.T + bias`` with fp32 or bf16 weights."""
    return F.linear(x, weight.float(), None if bias is None else bias.float())


def _linear_blocks_call(
    out: Tensor, x: Tensor, q: Tensor, scale: Tensor, bias: Tensor | None, kind: str, outputs: int
) -> Call:
    return Call(
        "linear_blocks",
        (out, x, q, scale, bias),
        (outputs, x.shape[-1], list(KINDS).index(kind)),
        shared=True,
    )


@operation(
    "linear_blocks(Tensor x, Tensor q, Tensor scale, Tensor? bias, str kind, int outputs) -> Tensor",
    _linear_blocks_call,
    lambda x, q, scale, bias, kind, outputs: torch.empty(*x.shape[:-1], outputs, device=x.device),
)
def linear_blocks(x: Tensor, q: Tensor, scale: Tensor, bias: Tensor | None, kind: str, outputs: int) -> Tensor:
    """``x @ weight.T + bias`` with quantized weights. The kernel rounds ``x`` to whole numbers of two bytes, with one
    scale for 32 of them; so does this.
    """
    weight = expand_matrix(kind, q, scale, outputs, x.shape[-1])
    return F.linear(rounded(x, 127 * 256), weight, None if bias is None else bias.float())


def rounded(x: Tensor, largest: int) -> Tensor:
    """``x`` as whole numbers up to ``largest``, times a scale for each block of 32."""
    blocks = F.pad(x, (0, -x.shape[-1] % BLOCK)).unflatten(-1, (-1, BLOCK))
    step = (blocks.abs().amax(-1, keepdim=True) / largest).clamp_min(1e-38)
    return ((blocks / step).round() * step).flatten(-2)[..., : x.shape[-1]]


@operation(
    "row_blocks(Tensor ids, Tensor q, Tensor scale, str kind, int inputs) -> Tensor",
    lambda out, ids, q, scale, kind, inputs: Call(
        "row_blocks", (out, ids, q, scale), (inputs, list(KINDS).index(kind))
    ),
    lambda ids, q, scale, kind, inputs: torch.empty(*ids.shape, inputs, device=ids.device),
)
def row_blocks(ids: Tensor, q: Tensor, scale: Tensor, kind: str, inputs: int) -> Tensor:
    """One row of a quantized matrix; ``ids`` holds one number."""
    return expand_rows(kind, q, scale, ids, inputs)


# ---------------------------------------------------------------------------------------------- attention
def _attend_call(
    out: Tensor, q: Tensor, k: Tensor, v: Tensor, keys: Tensor, values: Tensor, position: Tensor, scale: float
) -> Call:
    _, G, S, D = keys.shape
    sizes = (q.shape[1], G, D, S, half_precision(keys))
    return Call("attend", (out, q, k, v, keys, values, position), sizes, scale, shared=True)


@operation(
    "attend(Tensor q, Tensor k, Tensor v, Tensor(a!) keys, Tensor(b!) values, Tensor position, float scale) -> Tensor",
    _attend_call,
    like_first,
)
def attend(
    q_BHTD: Tensor,
    k_BGTD: Tensor,
    v_BGTD: Tensor,
    keys_BGSD: Tensor,
    values_BGSD: Tensor,
    position: Tensor,
    scale: float,
) -> Tensor:
    """Stores the new key and value in slot ``position`` of the cache and attends to it and all before."""
    used = int(position)
    keys_BGSD[:, :, used] = k_BGTD[:, :, 0]
    values_BGSD[:, :, used] = v_BGTD[:, :, 0]
    q_BGRD = q_BHTD.view(1, keys_BGSD.shape[1], -1, q_BHTD.shape[-1])
    scores_BGRS = scale * (q_BGRD @ keys_BGSD[:, :, : used + 1].float().transpose(-1, -2))
    heads_BGRD = scores_BGRS.softmax(-1) @ values_BGSD[:, :, : used + 1].float()
    return heads_BGRD.reshape(q_BHTD.shape)


@operation(
    "argmax(Tensor logits, Tensor(a!) value) -> Tensor",
    lambda out, logits, value: Call("argmax", (out, value, logits), (logits.numel(),)),
    lambda logits, value: torch.empty((1, 1), dtype=torch.long, device=logits.device),
)
def argmax(logits: Tensor, value: Tensor) -> Tensor:
    """The first of the largest logits, ``[1, 1]``; its value goes into ``value [1]``: NaN where one is none."""
    largest = logits.reshape(-1).max(0)
    value.copy_(largest.values[None] + 0 * logits.sum())
    return largest.indices.view(1, 1)
