"""Reading what benchmarks were pulled as; what is not here is pulled first, as corpora are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glaswerk import pull
from glaswerk.formats.json_lines import lines, parsed
from glaswerk.progress import Progress


def folder(name: str, progress: Progress | None = None) -> Path:
    """The folder of a pulled benchmark; raises :class:`GlaswerkError` where it cannot be pulled."""
    return pull.path(name) if pull.is_pulled(name) else pull.pull(name, progress)


def json_lines(name: str, file: str) -> Iterator[dict[str, Any]]:
    """The JSON objects in a file of a benchmark, one a line, gzipped or not."""
    for where, line in lines(folder(name) / file, f"benchmark {name}"):
        yield parsed(line, where)
