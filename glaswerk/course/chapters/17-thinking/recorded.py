"""What the recipe ``thinking_budget`` measured and wrote down beside this file (``thinking.json``): a page cannot wait
for its trainings. Here the seeds are put together, and what follows from the counts is reckoned. Left out: the recipe
itself, and single chains (``walked.py``).

A *row* is one way of asking one model for one task: ``what`` and ``setting`` say how, ``right`` is the share of
``count`` problems, ``tokens`` the mean length of what it wrote before the answer.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.metrics.intervals import several

FILE = Path(__file__).resolve().parent / "thinking.json"
COMMAND = "python -m recipes.thinking_budget --out FOLDER --seeds {} --record FILE"
#: the two tasks and the two stages, in the order in which figures show them
TASKS, STAGES = ("sums", "cups"), ("sft", "grpo")
#: counts that are added up over seeds
COUNTS = (
    "forced", "chains", "both", "voted", "waited", "gained", "lost", "taken_back", "handed", "handed_right",
)  # fmt: skip


def recording() -> dict[str, Any]:
    """The file as it is. Raises :class:`GlaswerkError` where it is not there."""
    if not FILE.is_file():
        raise GlaswerkError(
            f"nobody has recorded this yet: {COMMAND.format(3)}",
            f"Das hat noch niemand aufgezeichnet: {COMMAND.format(3)}",
        )
    return _read(FILE.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _read(_when: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def facts() -> dict[str, Any]:
    """Which model the figures speak of, how often it was made, and by which command."""
    found = recording()
    seeds = len({row["seed"] for row in found["rows"]})
    return {**found["model"], "seeds": seeds, "command": COMMAND.format(seeds)}


def pooled(what: str) -> list[dict[str, Any]]:
    """The rows of one kind, all seeds in one: shares with their 95 % interval, counts added up, the share of each seed
    (``seeds``), and what a right answer costs (``price``: tokens of thinking; None where none was right)."""
    groups: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
    for row in recording()["rows"]:
        if row["what"] == what:
            groups.setdefault((row["task"], row["stage"], row["setting"]), []).append(row)
    return [together(rows) for rows in groups.values()]


def together(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One row of several that differ in their seed."""
    count = sum(row["count"] for row in rows)
    right = sum(round(row["right"] * row["count"]) for row in rows)
    tokens = sum(row["tokens"] * row["count"] for row in rows) / count
    low, high = several([row["right"] for row in rows], rows[0]["count"])
    return {
        **{key: rows[0][key] for key in ("task", "stage", "setting")},
        **{key: sum(row[key] for row in rows) for key in COUNTS if key in rows[0]},
        "count": count, "right": right / count, "low": low, "high": high, "tokens": tokens,
        "price": tokens * count / right if right else None, "seeds": [row["right"] for row in rows],
    }  # fmt: skip


def found(rows: list[dict[str, Any]], task: str, stage: str, setting: int) -> dict[str, Any]:
    """One of pooled rows."""
    return next(row for row in rows if (row["task"], row["stage"], row["setting"]) == (task, stage, setting))
