"""How long ``glaswerk --help`` takes, from process start to process end, against a fixed bound of 0.35 s."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.measure import finished, interleaved, spread, timed_process
from glaswerk.errors import GlaswerkError

BOUND = 0.35
ROUNDS = 15


def run() -> dict[str, Any]:
    """Median of 15 runs; what the same machine needs for ``python -c pass`` stands beside it."""
    command = Path(sys.executable).with_name("glaswerk")
    if not command.exists():
        raise GlaswerkError(f"{command} is missing: run `make setup`")
    probe = "import sys, glaswerk.cli.main as m; m.dispatch(['--help']); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    finished(done, "`glaswerk --help` without torch")
    contestants = {
        "ours": lambda: timed_process([str(command), "--help"], "glaswerk --help"),
        "python -c pass": lambda: timed_process([sys.executable, "-c", "pass"], "python"),
    }
    figures = interleaved(contestants, ROUNDS)
    result: dict[str, Any] = {
        "ours": spread(figures["ours"])["median"],
        "peer": BOUND,
        "peer_name": "fixed bound",
        "unit": "s",
        "spread": {name: spread(values) for name, values in figures.items()},
        "torch_loaded": False,
    }
    result["ratio"] = result["peer"] / result["ours"]
    other = shutil.which("transformers", path=str(command.parent))
    if other:
        help_of = [timed_process([other, "--help"], "transformers --help") for _ in range(3)]
        result["transformers --help"] = spread(help_of)
    return result
