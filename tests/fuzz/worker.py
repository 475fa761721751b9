"""One process of the fuzzer: ``python -m tests.fuzz.worker FORMAT FIRST SECONDS MOST FOLDER``.

Opens broken files one after the other and prints, as JSON, how many there were, how many opened, and every case that
ended in anything but success or a one-line :class:`GlaswerkError`, took too long, or needed too much memory. The
number of the case at hand stands in ``FOLDER/now``, so that a crash of the whole process has its number too.
"""

from __future__ import annotations

import json
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from glaswerk.errors import GlaswerkError
from tests.fuzz.mutate import mutated
from tests.fuzz.targets import TARGETS

#: no file of the size of the seeds (up to 60 kB) may take longer; our own limits for expressions and templates are
#: 0.5 s here
LONGEST = 10.0
#: memory that opening a file may take: so many times its size, and so many bytes beside it
MEMORY_FACTOR, MEMORY_BESIDE = 1.5, 48_000_000
#: an error is one line of at most so many characters (a name of 1,000 bytes may be in it, escaped)
LONGEST_LINE = 2_000


class TooLong(BaseException):
    """The alarm rang."""


def ring(*_: Any) -> None:
    """The alarm's handler."""
    raise TooLong


class Memory:
    """The largest resident memory since :meth:`begin`, by Linux's own count; elsewhere always 0."""

    def __init__(self) -> None:
        self.status, self.clear = Path("/proc/self/status"), Path("/proc/self/clear_refs")
        self.works = self.clear.exists()

    def begin(self) -> None:
        """Set the high-water mark back to what is in use now."""
        if self.works:
            self.clear.write_text("5")
            self.before = self.read()

    def grown(self) -> int:
        """Bytes above what was in use at :meth:`begin`."""
        return self.read() - self.before if self.works else 0

    def read(self) -> int:
        """VmHWM in bytes."""
        line = next(line for line in self.status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024


def one(use: Any, folder: Path, data: bytes) -> tuple[str, str]:
    """How one file ended: ``opened``, ``refused`` with the line that was said, or ``wrong`` with what happened."""
    signal.setitimer(signal.ITIMER_REAL, LONGEST)
    try:
        use(folder, data)
        return "opened", ""
    except GlaswerkError as refusal:
        said = str(refusal)
        short = said.strip() and "\n" not in said and len(said) <= LONGEST_LINE
        return ("refused", said) if short else ("wrong", f"not one short line: {said[:300]!r}")
    except TooLong:
        return "wrong", f"took longer than {LONGEST:.0f} s: {where()}"
    except Exception as error:
        return "wrong", f"{type(error).__name__}: {where()}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def where() -> str:
    """The end of the traceback at hand, in one line."""
    lines = (line.strip() for line in traceback.format_exc().splitlines())
    return " | ".join([line for line in lines if line.strip("^~ ")][-7:])


def main(kind: str, first: int, seconds: float, most: int, folder: Path) -> dict[str, Any]:
    """Open variants ``first``, ``first`` + 1, ... until the time or the number is reached."""
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, ring)
    target = TARGETS[kind]
    seeds = target.seeds(folder)
    for seed in seeds:  # valid files open, else the fuzzer would prove nothing; and everything is imported now
        assert one(target.use, folder, seed) == ("opened", ""), f"a valid file: {one(target.use, folder, seed)}"
    memory, wrong, counts = Memory(), [], Counter()
    largest, slowest, began = 0, 0.0, time.monotonic()
    number = first
    while number < first + most and time.monotonic() - began < seconds:
        (folder / "now").write_text(str(number))
        data = mutated(seeds, target.aware, number, kind)
        memory.begin()
        start = time.monotonic()
        ended, said = one(target.use, folder, data)
        slowest = max(slowest, time.monotonic() - start)
        grown = memory.grown()
        largest = max(largest, grown)
        if grown > MEMORY_FACTOR * len(data) + MEMORY_BESIDE:
            ended, said = "wrong", f"needed {grown / 1e6:.0f} MB for {len(data):,} bytes"
        counts[ended] += 1
        if ended == "wrong":
            wrong.append([number, said])
        number += 1
    return {
        "format": kind, "first": first, "files": number - first, **counts, "seconds": time.monotonic() - began,
        "most_memory": largest, "slowest": slowest, "problems": wrong[:50],
    }  # fmt: skip


if __name__ == "__main__":
    kind, first, seconds, most, folder = sys.argv[1:]
    print(json.dumps(main(kind, int(first), float(seconds), int(most), Path(folder))))
