"""JSON, one value a line: what people write by hand or keep line by line. Errors name the file and the line.

Left out: corpora, whose broken lines are skipped and counted (``corpora/readers.py``).
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glaswerk.errors import GlaswerkError


def lines(file: Path, what: str) -> Iterator[tuple[str, str]]:
    """``(where, line)`` for every line that is not empty, also of a gzipped file. Raises :class:`GlaswerkError` where
    it cannot be read; ``what`` names the kind of file."""
    opener: Any = gzip.open if file.suffix == ".gz" else open
    try:
        with opener(file, "rt", encoding="utf-8-sig") as text:
            for number, line in enumerate(text, 1):
                if line.strip():
                    yield f"{file}:{number}", line
    except UnicodeDecodeError as error:
        raise GlaswerkError(f"cannot read the {what} {file}: not UTF-8 text; save it as UTF-8") from error
    except (OSError, EOFError, zlib.error) as error:
        # only an error of the operating system has a strerror; what is left is what gzip says of a damaged file
        reason = getattr(error, "strerror", None) or f"damaged gzip file ({error}); make or copy it again"
        raise GlaswerkError(f"cannot read the {what} {file}: {reason}") from error


def parsed(line: str, where: str) -> Any:
    """The JSON of a line."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise GlaswerkError(f"{where}: not valid JSON ({error}); mend or delete the line") from error
