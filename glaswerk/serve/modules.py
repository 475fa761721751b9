"""Which JavaScript modules a page's scripts import, so that the page names them all at once and a browser need not find
them one behind the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

#: import ... from "...", import "...", export ... from "..."; not import("..."), which comes only when it is needed
IMPORT = re.compile(r'^(?:import|export)\s+(?:[\w*{][^"\';]*?\sfrom\s+)?"([^"]+)"', re.MULTILINE)


def imported(web: Path, scripts: Iterable[str], names: Mapping[str, str]) -> list[str]:
    """The modules below ``web`` that ``scripts`` lead to, without themselves. ``names`` are bare names (``lit``) and
    where they lie below ``vendor``."""
    scripts = list(scripts)
    found = dict.fromkeys(scripts)
    waiting = list(scripts)
    while waiting:
        here = waiting.pop(0)
        if not (web / here).is_file():  # the browser says so
            continue
        for name in named(web / here, (web / here).stat().st_mtime_ns):
            place = f"vendor/{names[name]}" if name in names else below(web, here, name)
            if place is not None and place not in found:
                found[place] = None
                if not place.startswith("vendor/"):
                    waiting.append(place)
    return [place for place in found if place not in scripts]


@lru_cache(maxsize=500)
def named(file: Path, _when: int) -> list[str]:
    """What a module imports, as it says it."""
    return IMPORT.findall(file.read_text("utf-8"))


def below(web: Path, importer: str, name: str) -> str | None:
    """A relative name as a path below ``web``; None where there is no such file."""
    place = (web / importer).parent / name
    return place.resolve().relative_to(web.resolve()).as_posix() if place.is_file() else None
