"""A decode step as a program: recorded once from the ordinary decoder, then run as one call per token.

A step of a small model is some 400 operations of a few microseconds; from Python each costs more to start than to
compute. So the decoder runs once under a recorder, which keeps every operation's step (its kernel, its addresses, its
sizes) in order, like a CUDA graph (Nvidia, 2019) on the CPU. Afterwards a token is: write its id, run the steps, read
the logits. Views cost nothing; anything that computes and is no recorded operation stops the recording, and the text is
then generated without a program. Nothing can be left out silently.

Left out: more than one row or token at a time; ``inplace.py`` records those of many texts.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from glaswerk.model.cache import Cache
from glaswerk.model.decoder import Decoder
from glaswerk.model.native import ops
from glaswerk.model.native.build import Step, library
from glaswerk.model.native.ops import CALLS, Call
from glaswerk.model.quantize import is_quantized

#: PyTorch's operations that are ours by another name
SAME = {torch.ops.aten.add.Tensor: "add"}
#: bytes between two results in a thread's memory: whole cache lines
LINE = 64
#: slots of a program's cache are a multiple of this, so that the next text often finds a program that fits
SLOTS = 256


class Unrecordable(Exception):
    """Something was computed that no recorded operation computes."""


class Recorder(TorchDispatchMode):
    """Keeps the calls of all operations inside the ``with``. Raises :class:`Unrecordable` for what it cannot keep."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # True, the default, imports the whole compiler at the first call: a second, and nothing is compiled here
        return False

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Sequence[Any] = (), options: Mapping[str, Any] | None = None
    ) -> Any:
        out = function(*arguments, **(options or {}))
        name = function.__name__.partition(".")[0] if function.namespace == "glaswerk" else SAME.get(function)
        if name is not None and not options:
            tensors = [argument for argument in arguments if isinstance(argument, Tensor)]
            if not all(tensor.is_contiguous() for tensor in tensors):
                raise Unrecordable(f"{function}: its arguments do not lie in one piece")
            if name == "add" and {tensor.numel() for tensor in tensors} != {out.numel()}:
                raise Unrecordable(f"{function} with broadcasting")
            self.calls.append(CALLS[name](out, *arguments))
        elif not is_view(function, arguments, out):
            raise Unrecordable(str(function))
        return out


def is_view(function: Any, arguments: Sequence[Any], out: Any) -> bool:
    """Whether all of ``out`` is memory of the arguments, looked at in another way."""
    if function._schema.is_mutable:
        return False
    given = {argument.untyped_storage().data_ptr() for argument in arguments if isinstance(argument, Tensor)}
    made = out if isinstance(out, (tuple, list)) else [out]
    return all(isinstance(view, Tensor) and view.untyped_storage().data_ptr() in given for view in made)


class Recording:
    """Recorded calls as one call: ``run`` computes them again, each thread its part."""

    def __init__(self, calls: Sequence[Call], results: Sequence[Tensor]) -> None:
        found = library()
        assert found is not None
        self.threads = torch.get_num_threads()
        self.steps, self.memory = laid_out(calls, results, found, self.threads)
        self.count = len(calls)
        # the steps know only addresses: what lies there must live as long as they do, also where a model moves on
        self.held = [tensor.untyped_storage() for call in calls for tensor in filter_none(call.tensors)]
        self._run = found.gw_run
        self._programs = (ctypes.c_void_p * self.threads)(*(ctypes.addressof(steps) for steps in self.steps))

    def run(self) -> None:
        """Compute all of it."""
        self._run(self._programs, self.count, self.threads)


class Program:
    """A model's decode step for one row, on its own ``cache``.

    ``logits [1, V]`` holds those of the last step, ``best`` and ``best_logit`` the likeliest token among the first
    ``known`` (its logit is NaN where one of the logits is no number).
    """

    def __init__(self, model: Decoder, cache: Cache, token: int, known: int) -> None:
        """Computes the step of ``token`` while recording it. Raises :class:`Unrecordable`."""
        self.cache, self.known = cache, known
        self.identity = identity(model)
        self._id = np.array([[token]])
        ids_BT = torch.from_numpy(self._id)
        value = torch.zeros(1)
        with torch.inference_mode(), Recorder() as recorder:
            self.logits = model.head(model.hidden(ids_BT, cache=cache)[:, -1])
            best = ops.argmax(self.logits[:, :known], value)
        self._best, self._value = best.numpy(), value.numpy()
        self.recording = Recording(recorder.calls, (self.logits, best))

    def step(self, token: int) -> None:
        """Read one more token."""
        self.cache.room(1)
        self._id[0, 0] = token
        self.recording.run()
        self.cache.length += 1

    @property
    def best(self) -> int:
        """The likeliest next token."""
        return int(self._best[0, 0])

    @property
    def best_logit(self) -> float:
        """Its logit."""
        return float(self._value[0])


def identity(model: Decoder) -> tuple[Any, ...]:
    """Where the weights lie, and everything else that a recording took for granted."""
    weights = (tensor for kind in (model.parameters(), model.buffers()) for tensor in kind)
    return (
        torch.get_num_threads(),
        *((tensor.data_ptr(), tensor.dtype, tensor.shape) for tensor in weights),
        *((type(part), len(part._forward_hooks), len(part._forward_pre_hooks)) for part in model.modules()),
    )


def laid_out(
    calls: Sequence[Call], results: Sequence[Tensor], found: ctypes.CDLL, threads: int
) -> tuple[list[Any], list[Tensor]]:
    """The calls as one array of steps per thread, and the memory they work in.

    What every thread computes for itself lies in a memory of its own, or they would get in each other's way. Memory
    is taken again as soon as nobody needs what is in it: a step then stays inside the processor's first cache. A
    result that all threads read is given free only after a meeting point.
    """
    last_use: dict[int, int] = {}
    for number, call in enumerate(calls):
        for tensor in call.tensors:
            if tensor is not None:
                last_use[storage(tensor)] = number
    kept = {storage(tensor) for tensor in results}
    offsets: dict[int, int] = {}  # where an intermediate result starts in its thread's (or the common) memory
    common: set[int] = set()  # which of them all threads share
    sizes = {True: 0, False: 0}
    free: dict[bool, list[tuple[int, int]]] = {True: [], False: []}  # (bytes, offset)
    waiting: list[tuple[int, int]] = []
    where: list[dict[int, tuple[bool, int]]] = []
    for number, call in enumerate(calls):
        made = call.tensors[0]
        assert made is not None
        if storage(made) not in kept:
            size = -(-made.untyped_storage().nbytes() // LINE) * LINE
            spare = free[call.shared]
            fitting = next((piece for piece in spare if piece[0] == size), None)
            if fitting is not None:
                spare.remove(fitting)
                offset = fitting[1]
            else:
                offset = sizes[call.shared]
                sizes[call.shared] += size
            offsets[storage(made)] = offset
            if call.shared:
                common.add(storage(made))
        where.append(
            {key: (key in common, offsets[key]) for key in map(storage, filter_none(call.tensors)) if key in offsets}
        )
        for key in {storage(tensor) for tensor in filter_none(call.tensors)}:
            if last_use[key] == number and key in offsets:
                piece = (-(-nbytes(call, key) // LINE) * LINE, offsets.pop(key))
                (waiting if key in common else free[False]).append(piece)
        if call.shared:
            free[True] += waiting
            waiting = []
    memory = [torch.zeros(sizes[True] + LINE, dtype=torch.uint8)]
    memory += [torch.zeros(sizes[False] + LINE, dtype=torch.uint8) for _ in range(threads)]
    programs = []
    for thread in range(threads):
        steps = (Step * len(calls))()
        for number, call in enumerate(calls):
            steps[number] = call.step(found, place_of(where[number], memory[0], memory[1 + thread]))
        programs.append(steps)
    return programs, memory


def place_of(where: Mapping[int, tuple[bool, int]], common: Tensor, own: Tensor) -> Callable[[Tensor], int]:
    """The addresses of a call's tensors: in the common memory, in the thread's own, or where they are."""

    def address(tensor: Tensor) -> int:
        found = where.get(storage(tensor))
        if found is None:
            return tensor.data_ptr()
        base = (common if found[0] else own).data_ptr()
        return -(-base // LINE) * LINE + found[1] + tensor.data_ptr() - storage(tensor)

    return address


def storage(tensor: Tensor) -> int:
    """Where a tensor's memory starts, whatever part of it the tensor shows."""
    return tensor.untyped_storage().data_ptr()


def nbytes(call: Call, key: int) -> int:
    """The bytes of the memory that starts at ``key``."""
    return next(t.untyped_storage().nbytes() for t in filter_none(call.tensors) if storage(t) == key)


def filter_none(tensors: Sequence[Tensor | None]) -> list[Tensor]:
    """Those that are there."""
    return [tensor for tensor in tensors if tensor is not None]


# ---------------------------------------------------------------------------------------------- one text
#: model -> programs nobody uses at the moment
SHELF: WeakKeyDictionary[Decoder, list[Program]] = WeakKeyDictionary()


#: how keys and values are kept where the weights are rounded too: half the bytes of fp32 to read for every token
KEPT_AS = torch.bfloat16
#: tokens of a prompt that are computed at once
PIECE = 512
#: prompts up to so many tokens are read without rounding activations to one byte
EXACT_UP_TO = 64


def read_prompt(model: Decoder, ids_BT: Tensor, cache: Cache, pad: Tensor | None = None) -> Tensor:
    """The hidden vector of the last token, ``[B, C]``; the cache gets all tokens. A long prompt is read piece by piece:
    only the cache grows with its length, and few queries are multiplied with keys that come after them.
    """
    pieces = ids_BT.split(max(1, PIECE // len(ids_BT)), 1)
    for piece_BT in pieces:
        x_BTC = model.hidden(piece_BT, cache=cache, pad=pad)
    return x_BTC[:, -1]


class Reader:
    """Reads one text for a model: prompts as they come, single tokens by a program where that is possible.

    ``known``: how many logits, from the first on, may be chosen. To be used in inference mode, and closed.
    """

    def __init__(self, model: Decoder, slots: int, known: int) -> None:
        self.model, self.known = model, known
        self.quantized = is_quantized(model)
        dtype = model.compute_dtype or model.embedding.dtype
        if self.quantized and ops.at_hand(model.norm.get_parameter("weight")):
            dtype = KEPT_AS
        self.program = take(model, slots, known, dtype)
        self.current = False  # whether the program made the last logits
        self.recordable = True
        if self.program is not None:
            self.cache = self.program.cache
        else:
            slots = max(slots, min(-(-slots // SLOTS) * SLOTS, model.config.context))
            self.cache = Cache(model.config, 1, slots, dtype, model.embedding.device)

    def read(self, ids_1T: Tensor) -> Tensor:
        """Logits ``[1, known]`` after these tokens; they are overwritten by the next call."""
        self.current = False
        # a question of a few words hangs on every rounding, and costs little exact
        short = self.cache.length == 0 and 1 < ids_1T.shape[1] <= EXACT_UP_TO
        alone = self.recordable and ops.at_hand(ids_1T)
        if short and alone and self.quantized:  # one by one: all of the matrices unpacked would take longer
            for token in ids_1T[0]:
                logits = self.read(token.view(1, 1))
            return logits
        if ids_1T.shape[1] > 1 or not alone:
            with ops.plain_only() if short else nullcontext():
                x_1C = read_prompt(self.model, ids_1T, self.cache)
            return self.model.head(x_1C)[:, : self.known]
        token, start = int(ids_1T), self.cache.length
        if self.program is not None:
            self.program.step(token)
        else:
            try:
                self.program = Program(self.model, self.cache, token, self.known)
            except Unrecordable:
                self.recordable, self.cache.length = False, start
                return self.read(ids_1T)
        self.current = True
        return self.program.logits[:, : self.known]

    def best(self) -> tuple[int, float] | None:
        """The likeliest token and its logit, where the last call has computed it on the way."""
        return (self.program.best, self.program.best_logit) if self.program is not None and self.current else None

    def close(self) -> None:
        """The program goes back on the shelf; no more reading."""
        if self.program is not None:
            shelf = SHELF.setdefault(self.model, [])
            shelf.append(self.program)
            del shelf[:-2]
            self.program = None
        self.recordable = False


def take(model: Decoder, slots: int, known: int, dtype: torch.dtype) -> Program | None:
    """A program from the shelf that fits, with an empty cache; it is the caller's alone."""
    shelf = SHELF.get(model, [])
    for program in list(shelf):
        try:
            shelf.remove(program)
        except ValueError:  # another thread took it
            continue
        if program.identity != identity(model):  # the weights are elsewhere now: it is of no use any more
            continue
        if program.cache.slots >= slots and program.known == known and program.cache.kv_L2BGSD.dtype == dtype:
            program.cache.length = 0
            return program
        shelf.append(program)
    return None
