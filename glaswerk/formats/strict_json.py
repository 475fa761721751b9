"""JSON from strangers, read with bounds: size, number of values, depth, digits, no key twice, UTF-8 and nothing else.

Python turns three bytes of ``[],`` into 64 bytes of memory, so a file's size alone does not bound what reading it
costs: the values are counted before they are made. Left out: what the values mean, which each reader checks.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from glaswerk.errors import GlaswerkError
from glaswerk.home import explain

#: a vocabulary of a million tokens with two million merges fits
MOST_VALUES = 8_000_000


class _Twice(ValueError):
    """A key that occurs twice in one object: two readers of such a file see two different files."""


def read(path: Path, largest: int) -> Any:
    """What stands in a JSON file of at most ``largest`` bytes (and as many values as such bytes hold in real files).
    Raises :class:`GlaswerkError` that names the file."""
    try:
        size = path.stat().st_size
        if size > largest:
            raise GlaswerkError(
                f"{path} has {size / 1e6:,.0f} MB; no real file of its kind has more than {largest / 1e6:,.0f}"
            )
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise GlaswerkError(f"{path} is missing: the folder is not complete; copy or download it again") from error
    except OSError as error:
        raise explain(error, path, "read") from error
    return parse(data, str(path), min(MOST_VALUES, largest // 5))


def parse(data: bytes, where: str, most: int = MOST_VALUES) -> Any:
    """The value that ``data`` spells, of at most ``most`` values. Raises :class:`GlaswerkError` that begins with
    ``where`` and names the place."""
    if data.count(b",") + data.count(b"[") + data.count(b"{") > most:
        raise GlaswerkError(f"{where} holds more than {most:,} values: that is none to be read")
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_once)
    except _Twice as error:
        raise GlaswerkError(f"{where}: the key {error.args[0][:40]!r} is there twice; the file is damaged") from error
    except UnicodeDecodeError as error:
        what = f"not UTF-8 at byte {error.start:,}"
    except json.JSONDecodeError as error:
        what = f"{error.msg} at character {error.pos:,}"
    except ValueError:
        what = "a number has too many digits"
    except RecursionError:
        what = "it is nested too deep"
    raise GlaswerkError(f"{where} is not valid JSON ({what}): the file is damaged; copy or download it again")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _Twice(key)
            seen.add(key)
    return found
