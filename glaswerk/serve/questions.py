"""What the pages' figures ask, written down in ``questions.json``, so that an export can answer it ahead.

A browser recorded them: ``python tests/lab/record.py`` opens every page and moves every slider. "first" is what a page
asks when it opens, "then" what its controls ask. The recording was made on a small model; here the questions are
stretched over the layers and heads of the model that is exported. Left out: questions about a second model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from glaswerk.serve.static import canonical

FILE = Path(__file__).with_name("questions.json")
Question = tuple[str, dict[str, Any]]


def recorded(part: str) -> Iterator[Question]:
    """The questions of ``part``, "first" or "then"."""
    told: dict[str, dict[str, list[dict[str, Any]]]] = json.loads(FILE.read_text("utf-8"))
    for kind, asked in told.get(part, {}).items():
        yield from ((kind, arguments) for arguments in asked)


def by_kind() -> dict[str, list[dict[str, Any]]]:
    """What figures start from: kind -> arguments, in the order of recording."""
    found: dict[str, list[dict[str, Any]]] = {}
    for kind, arguments in recorded("first"):
        found.setdefault(kind, []).append(arguments)
    return found


def stretched(questions: Iterable[Question], layers: int, heads: int, names: Iterable[str]) -> Iterator[Question]:
    """Each question for every layer and head of this model, and in the names of its steps; once each."""
    names = set(names)
    seen = set()
    for kind, arguments in questions:
        for asked in over(over([arguments], "layer", layers), "head", heads):
            for told in traced(asked, layers, names) if kind == "trace" else [asked]:
                key = (kind, canonical(told))
                if key not in seen:
                    seen.add(key)
                    yield kind, told


def over(asked: Iterable[dict[str, Any]], key: str, count: int) -> Iterator[dict[str, Any]]:
    """With ``key`` from 0 to ``count`` - 1, where it is a whole number there."""
    for arguments in asked:
        if type(arguments.get(key)) is int:
            yield from ({**arguments, key: place} for place in range(count))
        else:
            yield arguments


def traced(arguments: dict[str, Any], layers: int, names: set[str]) -> Iterator[dict[str, Any]]:
    """``only`` of a trace for each layer; where this model does not turn or norm its queries, their plain form."""
    only = arguments.get("only")
    if not isinstance(only, str) or not re.match(r"blocks\.\d", only):
        yield arguments
        return
    for layer in range(layers):
        parts = [re.sub(r"^blocks\.\d+\.", f"blocks.{layer}.", part) for part in only.split(",")]
        yield {**arguments, "only": ",".join(dict.fromkeys(known(part, names) for part in parts))}


def known(name: str, names: set[str]) -> str:
    """The last form of a query or key that the model has; other names as they are."""
    plain = re.sub(r"_(rotated|normed)$", "", name)
    forms = (f"{plain}_rotated", f"{plain}_normed", plain)
    return name if name == plain else next((form for form in forms if form in names), name)
