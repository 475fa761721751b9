"""What all benchmarks share: rounds that take turns, median and spread, the machine, peers that may be
missing.

Rounds are interleaved, in turning order, so that a machine that slows down slows everybody down.
"""

from __future__ import annotations

import contextlib
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

from glaswerk.errors import GlaswerkError
from glaswerk.progress import Progress

ROOT = Path(__file__).resolve().parent.parent
#: packages whose version belongs to a figure, where they are installed
VERSIONS = ("torch", "numpy", "transformers", "accelerate", "tokenizers", "tiktoken", "gigatoken", "rustbpe", "trl")


def say(line: str) -> None:
    """Progress, on stderr."""
    print(line, file=sys.stderr, flush=True)


class Clock(Progress):
    """Notes when each training step was done."""

    def __init__(self) -> None:
        self.steps: list[float] = []

    def advance(self, amount: float, **facts: Any) -> None:
        if amount:
            self.steps.append(time.perf_counter())

    def rate(self, warmup: int, tokens: int) -> float:
        """Tokens per second after the first ``warmup`` steps, of ``tokens`` each."""
        return (len(self.steps) - warmup) * tokens / (self.steps[-1] - self.steps[warmup - 1])


class Worker:
    """One side in a process of its own, ``python -m MODULE NAME FOLDER``, asleep between its rounds; for every line
    that it reads it prints a figure."""

    def __init__(self, module: str, name: str, folder: Path) -> None:
        self.name = name
        command = [sys.executable, "-m", module, name, str(folder)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self) -> float:
        """The figure of one round."""
        assert self.process.stdin and self.process.stdout
        with contextlib.suppress(BrokenPipeError):  # it failed: then there is no line either
            print(file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise GlaswerkError(f"{self.name} failed; what it said stands above")
        return float(line)

    def close(self) -> None:
        """Let it end."""
        self.process.kill()
        self.process.communicate()


def interleaved(contestants: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Call each contestant once per round, each round beginning with another one; name -> its figures in
    order.
    """
    figures: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            figures[name].append(contestants[name]())
            say(f"round {turn + 1}/{rounds}  {name}: {figures[name][-1]:,.4g}")
    return figures


def spread(figures: Sequence[float]) -> dict[str, float | int]:
    """Median, smallest, largest and number of figures."""
    return {
        "median": statistics.median(figures),
        "min": min(figures),
        "max": max(figures),
        "rounds": len(figures),
    }


def medians_of(figures: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Each contestant's median."""
    return {name: statistics.median(values) for name, values in figures.items()}


def machine() -> dict[str, Any]:
    """This machine: cores, load, measured GEMM peaks (GFLOP/s) and read bandwidth (GB/s), versions."""
    import torch

    from glaswerk import runtime

    return {
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else -1.0,
        "device": str(runtime.device()),
        "processor": processor(),
        "fp32_gflops": runtime.gemm_peak(torch.float32) / 1e9,
        "bf16_gflops": runtime.gemm_peak(torch.bfloat16) / 1e9,
        "read_gbs": runtime.read_bandwidth() / 1e9,
        "versions": {"python": platform.python_version(), **versions()},
    }


def processor() -> str:
    """The processor's name as Linux tells it, else as Python does."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Name -> version of what is installed of VERSIONS."""
    found = {}
    for name in VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def peer(name: str) -> ModuleType:
    """Import a peer; raises :class:`GlaswerkError` that says how to install it."""
    try:
        return import_module(name)
    except ImportError as error:
        raise GlaswerkError(f"the peer {name} is not installed: run `make setup-bench`") from error


def nanogpt() -> Path:
    """The nanoGPT clone that ``NANOGPT_DIR`` names, with its characters prepared from its own input.txt.

    Raises :class:`GlaswerkError` that says what is missing.
    """
    named = os.environ.get("NANOGPT_DIR")
    if not named:
        raise GlaswerkError(
            "the peer nanoGPT is missing: clone github.com/karpathy/nanoGPT and set NANOGPT_DIR to the clone"
        )
    clone = Path(named).resolve()
    for needed in ("train.py", "model.py", "config/train_shakespeare_char.py"):
        if not (clone / needed).is_file():
            raise GlaswerkError(f"NANOGPT_DIR={named} is no clone of nanoGPT: it has no {needed}")
    data = clone / "data" / "shakespeare_char"
    if not (data / "input.txt").is_file():
        raise GlaswerkError(
            f"{data / 'input.txt'} is missing: put the tinyshakespeare text there (1,115,394 characters)"
        )
    if not all((data / name).is_file() for name in ("train.bin", "val.bin", "meta.pkl")):
        # its own script; with input.txt there it downloads nothing
        finished(
            subprocess.run([sys.executable, str(data / "prepare.py")], capture_output=True, text=True),
            "prepare.py",
        )
    return clone


def nanogpt_model(clone: Path) -> ModuleType:
    """nanoGPT's ``model.py`` as a module."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("nanogpt_model", clone / "model.py")
    if spec is None or spec.loader is None:
        raise GlaswerkError(f"{clone / 'model.py'} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules["nanogpt_model"] = module
    spec.loader.exec_module(module)
    return module


def timed_process(command: Sequence[str], what: str, cwd: Path = ROOT, **environment: str) -> float:
    """Seconds from process start to process end; raises :class:`GlaswerkError` with its last line if it
    failed.
    """
    began = time.perf_counter()
    done = subprocess.run(
        list(command),
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        stdin=subprocess.DEVNULL,
    )
    seconds = time.perf_counter() - began
    finished(done, what)
    return seconds


def finished(done: subprocess.CompletedProcess[str], what: str) -> None:
    """Raise :class:`GlaswerkError` with a process's last line if it failed."""
    if done.returncode != 0:
        told = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise GlaswerkError(f"{what} failed with exit code {done.returncode}: {told}")
