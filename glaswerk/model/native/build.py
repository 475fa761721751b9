"""Builds the C++ of this folder, once per machine, and loads it: one library for inference, one for training.

Libraries lie in the home folder; their names say which sources, flags, compiler and processor made them, so a change of
any of them builds anew. Left out: what is in it (``ops.py`` calls it; each ``.cpp`` says what it computes).
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from glaswerk import runtime
from glaswerk.errors import GlaswerkError
from glaswerk.home import replacing, subfolder

FOLDER = Path(__file__).parent
SOURCES = (
    "small.cpp", "linear.cpp", "attention.cpp", "many.cpp", "gemm.cpp", "attend_many.cpp", "paged.cpp", "run.cpp",
)  # fmt: skip
#: -ffp-contract: a product and a sum may be one instruction. No -ffast-math: sums are added in the order written
FLAGS = ("-std=c++17", "-O3", "-ffp-contract=fast", "-fPIC", "-pthread", "-w")


class Step(ctypes.Structure):
    """One operation with its addresses and sizes; see ``step.h``."""

    _fields_ = (
        ("kernel", ctypes.c_void_p),
        ("at", ctypes.c_void_p * 8),
        ("size", ctypes.c_int64 * 8),
        ("number", ctypes.c_double),
        ("shared", ctypes.c_int64),
    )


@cache
def library(portable: bool = False) -> ctypes.CDLL | None:
    """The compiled library, built now if it is not in the home folder; None where that is impossible, after one line
    on stderr that says why (none where ``GLASWERK_COMPILE=0`` says so).

    ``portable`` leaves out the instructions that only some processors have; tests compare both.
    """
    if os.environ.get("GLASWERK_COMPILE", "1") == "0":
        return None
    compiler = runtime.compiler()
    if compiler is None:
        say("no C++ compiler: inference runs on PyTorch's own operations, several times slower (install g++)")
        return None
    try:
        return load(built(compiler, portable))
    except (GlaswerkError, OSError, subprocess.SubprocessError) as error:
        first = str(getattr(error, "stderr", None) or error).strip().splitlines()[0]
        say(f"building the C++ operations failed, inference runs on PyTorch's own, several times slower: {first}")
        return None


def usable_compiler() -> str | None:
    """The C++ compiler; None where there is none, or ``GLASWERK_COMPILE=0`` forbids its use."""
    return None if os.environ.get("GLASWERK_COMPILE", "1") == "0" else runtime.compiler()


def alone(compiler: str, source: str, *flags: str) -> ctypes.CDLL | None:
    """One source as a library of its own, compiled first if it is not there; None where that fails."""
    try:
        return ctypes.CDLL(str(built(compiler, False, Path(source).stem, (source,), flags)))
    except (GlaswerkError, OSError, subprocess.SubprocessError):
        return None


@cache
def kernels(
    compiler: str | None, source: str, record: type[ctypes.Structure], names: tuple[str, ...], if_says: str = ""
) -> ctypes.CDLL | None:
    """One source's functions ``gw_...``, each of which takes the address of a ``record`` and a number of threads;
    looked for once for each compiler that there is. None where there is none, where the library was made for another
    record, and where its function ``if_says`` says no."""
    found = None if compiler is None else alone(compiler, source, "-fopenmp")
    if found is None or getattr(found, f"gw_size_of_{Path(source).stem}")() != ctypes.sizeof(record):
        return None
    for name in names:
        kernel = getattr(found, name)
        kernel.argtypes, kernel.restype = (ctypes.c_void_p, ctypes.c_int), None
    return found if not if_says or getattr(found, if_says)() else None


def built(
    compiler: str,
    portable: bool,
    name: str = "operations",
    sources: tuple[str, ...] = SOURCES,
    more: tuple[str, ...] = (),
) -> Path:
    """The library's file, compiled first if it is not there. Raises ``SubprocessError`` where the compiler fails."""
    # "native" is what this processor can do; Apple's compiler knows it under another flag
    native = "-mcpu=native" if platform.machine() in ("arm64", "aarch64") else "-march=native"
    flags = (*FLAGS, native, *more, *(("-DGLASWERK_PORTABLE",) if portable else ()))
    file = subfolder("compiled") / f"{name}-{fingerprint(compiler, flags)}.so"
    if not file.is_file():
        with replacing(file) as part, tempfile.TemporaryDirectory(dir=file.parent) as place:

            def run(*arguments: str) -> None:
                subprocess.run([compiler, *flags, *arguments], check=True, capture_output=True, text=True, timeout=300)

            def compiled(name: str) -> str:
                run("-c", str(FOLDER / name), "-o", f"{place}/{name}.o")
                return f"{place}/{name}.o"

            # one compiler per source and core: somebody waits for their first answer
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                objects = list(pool.map(compiled, sources))
            run("-shared", *objects, "-o", str(part))
    return file


def fingerprint(compiler: str, flags: tuple[str, ...]) -> str:
    """What the library depends on, in 16 letters."""
    found = hashlib.sha256(repr((compiler, flags, platform.machine(), processor())).encode())
    for path in sorted((*FOLDER.glob("*.cpp"), *FOLDER.glob("*.h"))):
        found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()[:16]


def processor() -> str:
    """Which processor this is and what it can do: a home folder may be shared between machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n\n", 1)[0].splitlines()
    except OSError:
        return platform.processor()
    names = ("model name", "flags", "Features", "CPU part")
    return "\n".join(line for line in lines if line.startswith(names))


def load(file: Path) -> ctypes.CDLL:
    """Map the library. Raises ``OSError`` where it is damaged or from another version."""
    found = ctypes.CDLL(str(file))
    found.gw_run.argtypes = (ctypes.c_void_p, ctypes.c_int64, ctypes.c_int)
    found.gw_run.restype = None
    found.gw_size_of_step.restype = ctypes.c_int64
    if found.gw_size_of_step() != ctypes.sizeof(Step):
        raise OSError(f"{file} was built from other sources: delete it")
    return found


def say(line: str) -> None:
    """One line for people, where results do not go."""
    print(line, file=sys.stderr)
