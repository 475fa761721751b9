"""Compiling ahead of time: a function of tensors becomes one shared library on disk, loaded in milliseconds.

``torch.compile`` traces and guards anew in each process, which costs seconds before the first step of every start. Here
the traced graph is handed to the same compiler (Inductor, Ansel et al. 2024) once; the library is kept in the home
folder under a name made of everything that decides it: this package's source, shapes, versions, the processor. Loading
it imports no compiler at all. Left out: what is compiled (``gradient.py``, ``optimizer.py``).
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import platform
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from glaswerk import runtime
from glaswerk.home import replacing, subfolder
from glaswerk.progress import Progress
from glaswerk.train.interrupt import Interrupt

#: a function of a flat list of tensors that returns some
Flat = Callable[[Sequence[Tensor]], Sequence[Tensor]]


def ahead(name: str, function: Flat, example: Sequence[Tensor], identity: str, progress: Progress) -> Flat:
    """``function`` as a compiled library for the shapes of ``example``; compiled now if it is not on disk yet.

    ``function`` must be pure and ``identity`` must name what it closes over (a configuration, say). Where compiling is
    impossible, ``function`` itself comes back, after one line that says so. Where the tensors are not on the CPU there
    is no library: ``function`` is compiled in this process. Raises ``KeyboardInterrupt`` on Ctrl-C or SIGTERM, also
    where the signal reached the C++ compiler first and arrived as its failure.
    """
    if not possible(progress):
        return function
    if example[0].device.type != "cpu":
        return tried(name, torch.compile(function, dynamic=False), function, example, progress)
    file = subfolder("compiled") / f"{name}-{fingerprint(name, example, identity)}.pt2"
    with Interrupt(at_once=True) as interrupt:
        try:
            if not file.is_file():
                seconds = build(function, example, file)
                progress.note(f"compiled {name} in {seconds:.0f} s, kept for next time")
            library = load(file)
        except Exception as error:  # whatever a compiler throws: the plain function is the same computation
            if not interrupt.asked:
                file.unlink(missing_ok=True)  # where it is there, it is damaged: the next start compiles again
                progress.note(failed(name, error))
                return function
        if interrupt.asked:
            raise KeyboardInterrupt
    return lambda tensors: library.boxed_run(list(tensors))  # type: ignore[no-any-return]


def possible(progress: Progress) -> bool:
    """Whether compiling can work here; says why not, unless it was switched off on purpose."""
    if runtime.can_compile():
        return True
    if os.environ.get("GLASWERK_COMPILE", "1") != "0":
        progress.note("no C++ compiler: training runs uncompiled, about half as fast (install g++ to change that)")
    return False


def tried(name: str, compiled: Flat, plain: Flat, example: Sequence[Tensor], progress: Progress) -> Flat:
    """``compiled`` if its first call, which compiles it, succeeds; else ``plain``, after one line that says so."""
    with Interrupt(at_once=True) as interrupt, torch.no_grad():
        try:
            compiled(example)
        except Exception as error:
            if not interrupt.asked:
                progress.note(failed(name, error))
                return plain
        if interrupt.asked:
            raise KeyboardInterrupt
    return compiled


def failed(name: str, error: Exception) -> str:
    """The line that says so; the whole traceback, which a compiler fills pages with, goes to a file that it names."""
    log = subfolder("compiled") / f"{name}-failed.txt"
    with contextlib.suppress(OSError):
        log.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    return f"compiling {name} failed ({type(error).__name__}, see {log}): training runs uncompiled"


def load(file: Path) -> Any:
    """The library in ``file``; raises ``RuntimeError`` if it is damaged or cannot be unpacked and mapped."""
    return torch._C._aoti.AOTIModelPackageLoader(str(file), "model", False, 1, -1)


def build(function: Flat, example: Sequence[Tensor], file: Path) -> float:
    """Trace, compile and write the library; returns the seconds it took."""
    began = time.perf_counter()
    from torch.fx.experimental.proxy_tensor import make_fx

    with warnings.catch_warnings(), quiet():
        warnings.simplefilter("ignore")
        aten = torch.ops.aten
        table: dict[Any, Callable[..., Any]] = {
            aten.gelu.default: gelu_by_sigmoid,
            aten.gelu_backward.default: gelu_by_sigmoid_backward,
        }
        graph = make_fx(lambda *tensors: tuple(function(tensors)), tracing_mode="real", decomposition_table=table)(
            *example
        )
        program = torch.export.export(graph, tuple(example))
        with replacing(file) as part, softmax_as_one_operation():
            package = part.with_suffix(".building.pt2")
            try:
                torch._inductor.aoti_compile_and_package(
                    program,
                    package_path=str(package),
                    inductor_configs={"aot_inductor.precompile_headers": False},
                )
                package.replace(part)
            finally:
                package.unlink(missing_ok=True)
    return time.perf_counter() - began


# -- what the compiler makes slow code of on a CPU: a tenth of a training step of GPT-2's shape (docs/log.md)

#: 2 * sqrt(2 / pi) and the cubic term of GELU's tanh form (Hendrycks & Gimpel 2016)
GELU_SCALE, GELU_CUBIC = 1.5957691216057308, 0.044715


def gelu_by_sigmoid(x: Tensor, *, approximate: str = "none") -> Tensor:
    """GELU's tanh form as ``x * sigmoid(2z)``, the same function: one exponential where a vectorised tanh takes several
    times as long. Anything but the tanh form is handed back to the compiler."""
    if approximate != "tanh":
        return NotImplemented
    x32 = x.float()
    return (x32 * torch.sigmoid(GELU_SCALE * (x32 + GELU_CUBIC * x32 * x32 * x32))).to(x.dtype)


def gelu_by_sigmoid_backward(gradient: Tensor, x: Tensor, *, approximate: str = "none") -> Tensor:
    """The derivative of :func:`gelu_by_sigmoid` times ``gradient``."""
    if approximate != "tanh":
        return NotImplemented
    x32 = x.float()
    s = torch.sigmoid(GELU_SCALE * (x32 + GELU_CUBIC * x32 * x32 * x32))
    slope = s + x32 * s * (1 - s) * GELU_SCALE * (1 + 3 * GELU_CUBIC * x32 * x32)
    return (gradient.float() * slope).to(x.dtype)


@contextlib.contextmanager
def softmax_as_one_operation() -> Iterator[None]:
    """Keep the compiler from taking softmax apart: its own version writes the exponentials to memory in fp32 and reads
    them back twice, PyTorch's own operation is five times as fast."""
    from torch._inductor.decomposition import decompositions
    from torch._inductor.lowering import lowerings, make_fallback, require_contiguous

    softmax = torch.ops.aten._softmax.default
    apart, lowered = decompositions.pop(softmax, None), lowerings.get(softmax)
    # said outright: the compiler would do the same by itself, but refuses to where the environment says CI
    make_fallback(softmax, require_contiguous, warn=False)
    try:
        yield
    finally:
        if apart is not None:
            decompositions[softmax] = apart
        if lowered is None:
            del lowerings[softmax]
        else:
            lowerings[softmax] = lowered


@contextlib.contextmanager
def quiet():  # type: ignore[no-untyped-def]
    """Keep the compiler's chatter off the terminal."""
    level = logging.getLogger("torch").level
    logging.getLogger("torch").setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.getLogger("torch").setLevel(level)


def known(name: str, example: Sequence[Tensor], identity: str) -> bool:
    """Whether the library is on disk already."""
    return (subfolder("compiled") / f"{name}-{fingerprint(name, example, identity)}.pt2").is_file()


def fingerprint(name: str, example: Sequence[Tensor], identity: str) -> str:
    """Names a library: equal fingerprints mean equal machine code."""
    shapes = [(tuple(tensor.shape), tensor.stride(), str(tensor.dtype)) for tensor in example]
    deterministic = torch.are_deterministic_algorithms_enabled()
    facts = (name, shapes, identity, deterministic, torch.get_num_threads(), machine(), sources())
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:24]


@cache
def machine() -> str:
    """Versions and the processor's abilities."""
    abilities = ""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        abilities = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    parts = (torch.__version__, platform.python_version(), platform.machine(), abilities, os.environ.get("CXX", ""))
    return hashlib.sha256(repr(parts).encode()).hexdigest()


@cache
def sources() -> str:
    """A digest of the code that can stand behind a compiled function: this package, line by line."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.parent.glob("*/*.py")):
        if file.parent.name in ("model", "train", "align"):
            digest.update(file.read_bytes())
    return digest.hexdigest()
