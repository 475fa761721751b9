"""Broken files of every format we read: each opens or is refused in one line; none crashes, hangs or eats the memory.

A slice of a few seconds per format here; ``make test-all`` opens 20,000 of each, 120,000 in all. Case ``n`` of a format
is the same file everywhere: ``python -m tests.fuzz.worker FORMAT n 60 1 FOLDER`` opens just that one again.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).resolve().parents[2]


def fuzz(kind: str, first: int, seconds: float, most: int, folder: Path) -> dict[str, Any]:
    """A worker's report; a process that died is a failure with the number of its case."""
    command = [sys.executable, "-m", "tests.fuzz.worker", kind, str(first), str(seconds), str(most), str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds + 120)
    now = folder / "now"
    assert done.returncode == 0, f"case {now.read_text() if now.exists() else first}: {done.stderr[-800:]}"
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("kind", sorted(TARGETS))
def test_a_slice_of_broken_files(kind: str, tmp_path: Path) -> None:
    report = fuzz(kind, 0, 4, 400, tmp_path)
    assert report["files"] > 0 and not report["problems"], report


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", sorted(TARGETS))
def test_twenty_thousand_broken_files(kind: str, tmp_path: Path) -> None:
    report = fuzz(kind, 1_000_000, 1500, 20_000, tmp_path)
    assert report["files"] == 20_000 and not report["problems"], report
