"""The best validation loss on tinyshakespeare's characters that 10 minutes of training reach, any model, two
threads.

Ours is a process of ``recipes/shakespeare_best.py``; its saved weights are scored on the full validation
split in windows of the model's own context. The peer is a fixed bound; nanoGPT's own best figure for this
data (its README: a 10.65 M model, 3 minutes on one A100) stands beside it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT, nanogpt, timed_process
from benchmarks.score import score_folder
from glaswerk.errors import GlaswerkError

BOUND = 1.55
NANOGPT_ON_A_GPU = 1.4697
MINUTES = 10


def run() -> dict[str, Any]:
    """One run of 10 minutes; a run that takes longer than it may is no result."""
    data = nanogpt() / "data" / "shakespeare_char" / "input.txt"
    recipe = ROOT / "recipes" / "shakespeare_best.py"
    if not recipe.is_file():
        raise GlaswerkError(f"{recipe.relative_to(ROOT)} is missing: it trains our side")
    with tempfile.TemporaryDirectory(prefix="glaswerk-best-loss-") as scratch:
        out = Path(scratch) / "out"
        command = [
            sys.executable,
            str(recipe),
            "--data",
            str(data),
            "--minutes",
            str(MINUTES),
            "--out",
            str(out),
        ]
        seconds = timed_process(command, recipe.name, OMP_NUM_THREADS="2")
        if seconds > MINUTES * 60 * 1.02:
            raise GlaswerkError(f"{recipe.name} took {seconds:.0f} s, more than its {MINUTES} minutes")
        loss, parameters = score_folder(out, data)
    return {
        "ours": loss,
        "peer": BOUND,
        "peer_name": "fixed bound",
        "unit": "nats/character",
        "ratio": BOUND / loss,
        "seconds": seconds,
        "rounds": 1,
        "parameters": parameters,
        "nanogpt_published": NANOGPT_ON_A_GPU,
    }
