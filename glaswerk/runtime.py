"""What this machine offers: device, threads, seeds, determinism, a compiler, and its measured peaks.

No side effects on import. Left out: anything about models.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import shutil
import sys
import time
from functools import cache

import torch

from glaswerk.home import subfolder


def device() -> torch.device:
    """The best device there is: CUDA, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def seed_everything(seed: int) -> None:
    """Seed torch on every device. (NumPy generators are passed around explicitly.)"""
    torch.manual_seed(seed)


def deterministic(on: bool = True) -> None:
    """Make equal inputs give equal bits (same machine, threads and versions); costs about 10 % in training."""
    if on:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(on, warn_only=False)
    # filling every uninitialised buffer is a debugging aid that costs a pass over memory, not a source of equal bits
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def keep_memory() -> None:
    """Let glibc keep what is freed for the next step. Otherwise it gives each large block back to the system, which
    clears every page anew: a tenth of a training step. Elsewhere nothing happens. Stays on in this process.
    """
    if sys.platform != "linux":
        return
    trim_threshold, top_pad, mmap_max = -1, -2, -4  # as malloc.h numbers them
    with contextlib.suppress(OSError, AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(top_pad, 2**26)
        mallopt(mmap_max, 0)


def threads() -> int:
    """How many CPU threads torch computes with."""
    return torch.get_num_threads()


def compiler() -> str | None:
    """The C++ compiler that ``torch.compile`` would use on the CPU, or None."""
    return compiler_on(os.environ.get("PATH"), os.environ.get("CXX"))


@cache
def compiler_on(path: str | None, named: str | None) -> str | None:
    """:func:`compiler`, looked for once: native operations ask at every call whether they are there."""
    if named:
        return shutil.which(named, path=path)
    return shutil.which("g++", path=path) or shutil.which("clang++", path=path)


def can_compile() -> bool:
    """Whether ``torch.compile`` can work here; sets its on-disk cache to the home folder.

    ``GLASWERK_COMPILE=0`` switches compilation off.
    """
    if os.environ.get("GLASWERK_COMPILE", "1") == "0":
        return False
    if device().type == "cpu" and compiler() is None:
        return False
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(subfolder("compiled")))
    return True


def why_not_compiled() -> str:
    """The reason, where :func:`can_compile` says no."""
    return "GLASWERK_COMPILE=0 says so" if os.environ.get("GLASWERK_COMPILE") == "0" else "there is no C++ compiler"


def fast_bf16() -> bool | None:
    """Whether this processor multiplies bf16 in hardware (AVX512-BF16, AMX); None where that cannot be asked."""
    if device().type != "cpu" or platform.machine().lower() not in ("x86_64", "amd64"):
        return None
    asked = [getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    return None if None in asked else any(ask() for ask in asked if ask is not None)


def gemm_peak(dtype: torch.dtype, seconds: float = 0.3, size: int = 1024) -> float:
    """Measured peak of a square matrix product in FLOP/s: the best of repeated products over ``seconds``."""
    where = device()
    a = torch.randn(size, size, device=where).to(dtype)
    b = torch.randn(size, size, device=where).to(dtype)
    best = 0.0
    for _ in range(2):
        a @ b
    _wait()
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop:
        began = time.perf_counter()
        a @ b
        _wait()
        best = max(best, 2.0 * size**3 / (time.perf_counter() - began))
    return best


def read_bandwidth(seconds: float = 0.3, megabytes: int = 256) -> float:
    """Measured memory-read bandwidth in bytes/s: the best sum over an array larger than the caches."""
    data = torch.ones(megabytes * 1024 * 1024 // 4, device=device())
    best = 0.0
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop:
        began = time.perf_counter()
        data.sum()
        _wait()
        best = max(best, data.numel() * 4 / (time.perf_counter() - began))
    return best


def fast_dtype() -> torch.dtype:
    """bf16 where its matrix products are measured to be at least 1.5x as fast as fp32, else fp32."""
    return torch.bfloat16 if gemm_peak(torch.bfloat16, 0.1) > 1.5 * gemm_peak(torch.float32, 0.1) else torch.float32


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
