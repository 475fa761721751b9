"""Memory: a corpus larger than the stated bound is read and built within it, measured in a fresh process."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from glaswerk.corpora import BYTES_PER_DOCUMENT, MEMORY_BOUND

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak memory from /proc")

#: print how much the peak of resident memory rose above what the interpreter and its libraries took
MEASURE = """
import sys
from pathlib import Path
import numpy, ftfy, py3langid
from glaswerk import corpora
py3langid.classify("a")
def peak():
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
before = peak()
kind, source, out, workers = sys.argv[1:]
if kind == "read":
    count = sum(1 for _ in corpora.read([source]))
else:
    count = corpora.build([source], Path(out), workers=int(workers)).documents
print(peak() - before, count)
"""


def generate(path: Path, megabytes: int) -> None:
    """Text in which no two paragraphs are alike, without any blank lines in one third of it."""
    with open(path, "w", encoding="utf-8") as out:
        size = number = 0
        while size < megabytes * 1_000_000:
            numbers = range(number, number + 500)
            gap = "\n\n" if (number // 500) % 3 else " "
            block = gap.join(
                f"Das {n * 7919 % 1000003} ist {n}, also {n * 31 % 8191} und {n * 17 % 4099}." for n in numbers
            )
            out.write(block + gap)
            size, number = size + len(block), number + 500


def measure(python: Callable[..., subprocess.CompletedProcess[str]], *arguments: str) -> tuple[int, int]:
    ran = python("-c", MEASURE, *arguments, timeout=280)
    assert ran.returncode == 0, ran.stderr
    rose, count = ran.stdout.split()
    return int(rose), int(count)


def test_reading_holds_a_block_at_a_time(
    tmp_path: Path, python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    generate(tmp_path / "large.txt", 120)
    rose, count = measure(python, "read", str(tmp_path / "large.txt"), "", "0")
    assert count > 10_000
    assert rose < 80_000_000, f"reading 120 MB held {rose / 1e6:.0f} MB"


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["0", "2"])
def test_building_stays_within_the_stated_bound(
    tmp_path: Path, python: Callable[..., subprocess.CompletedProcess[str]], workers: str
) -> None:
    megabytes = 2 * MEMORY_BOUND // 1_000_000
    generate(tmp_path / "large.txt", megabytes)
    rose, count = measure(python, "build", str(tmp_path / "large.txt"), str(tmp_path / "out"), workers)
    allowed = MEMORY_BOUND + BYTES_PER_DOCUMENT * count
    assert rose < allowed, f"{megabytes} MB held {rose / 1e6:.0f} MB, more than {allowed / 1e6:.0f} MB"
