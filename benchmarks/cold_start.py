"""Seconds from process start to the first token on the screen: ``glaswerk generate smollm2 ...``, a whole new process
with everything already built and cached (a second start), against a bound of 2.5 s.

Beside it stands what ``import torch`` alone takes, in turn with ours: the aim is that plus half a second.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT, interleaved, spread, timed_process
from glaswerk import pull
from glaswerk.errors import GlaswerkError

BOUND, BEYOND_TORCH, ROUNDS = 2.5, 0.5, 5
PROMPT = "The capital of France is"


def run() -> dict[str, Any]:
    """Median of 5 starts after one that fills the caches."""
    pull.path("smollm2")
    command = Path(sys.executable).with_name("glaswerk")
    if not command.exists():
        raise GlaswerkError(f"{command} is missing: run `make setup`")
    arguments = [str(command), "generate", "smollm2", PROMPT, "--max-tokens", "16"]
    cold = first_token(arguments)
    importing = [sys.executable, "-c", "import torch"]
    figures = interleaved(
        {
            "ours": lambda: first_token(arguments),
            "import torch": lambda: timed_process(importing, "import torch"),
        },
        ROUNDS,
    )
    ours, torch_alone = (float(spread(figures[name])["median"]) for name in ("ours", "import torch"))
    return {
        "ours": ours,
        "peer": BOUND,
        "peer_name": "fixed bound",
        "unit": "s",
        "ratio": BOUND / ours,
        "aim_seconds": torch_alone + BEYOND_TORCH,
        "first_start": cold,
        "spread": {name: spread(values) for name, values in figures.items()},
    }


def first_token(command: list[str]) -> float:
    """Seconds until the process writes its first bytes; it is then left to finish.

    Raises :class:`GlaswerkError` with its last line where it fails.
    """
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, env=os.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    first = os.read(process.stdout.fileno(), 1)
    seconds = time.perf_counter() - began
    _, errors = process.communicate()
    if process.returncode or not first:
        told = (errors.decode(errors="replace").strip() or "it said nothing").splitlines()[-1]
        raise GlaswerkError(f"glaswerk generate failed with exit code {process.returncode}: {told}")
    return seconds
