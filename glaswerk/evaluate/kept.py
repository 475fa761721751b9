"""Results kept with the stage they measure, so that stages can be compared: ``evaluation.json`` in the stage's folder.

A result is replaced by a later one of the same task, asked in the same way; greedy replies and drawn ones are two
ways. The grade of every item is kept too: the
difference of two stages is taken item by item, which is far surer than the difference of two means. Left out: results
of models outside a run; they are only shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.metrics.intervals import difference
from glaswerk.evaluate.scoring import Score
from glaswerk.home import read_json, write_json
from glaswerk.run import Run

FILE = "evaluation.json"
#: what makes two results comparable
SAME = ("task", "metric", "n", "how", "shots", "items")


@dataclass(frozen=True, slots=True)
class Change:
    """What a later stage gained (or lost) on the same items: the mean difference and its 95 % interval."""

    task: str
    metric: str
    before: str
    after: str
    value: float
    low: float
    high: float

    @property
    def sure(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


def keep(stage: Path, score: Score) -> None:
    """Write a score into a stage's folder."""
    kept = [old for old in read(stage) if not same(old, as_json(score))]
    write_json(stage / FILE, {"results": [*kept, as_json(score)]})


def as_json(score: Score) -> dict[str, Any]:
    """A score as it is kept: its own figure, the other figures, and the grade of each item."""
    own, *others = score.rows()
    return {
        **own,
        "items": score.items,
        "grades": [round(grade, 6) for grade in score.grades],
        "others": [{key: row[key] for key in ("metric", "value", "stderr", "low", "high")} for row in others],
    }


def read(stage: Path) -> list[dict[str, Any]]:
    """What a stage's folder holds; nothing where it was never measured. Raises :class:`GlaswerkError` for a damaged
    file."""
    file = stage / FILE
    if not file.is_file():
        return []
    found = read_json(file)
    results = found.get("results") if isinstance(found, dict) else None
    if not isinstance(results, list) or not all(isinstance(row, dict) and set(SAME) <= set(row) for row in results):
        raise GlaswerkError(f"{file} is damaged: delete it, `glaswerk eval {stage}` measures anew")
    return results


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two results are of the same task, asked in the same way."""
    return all(one[key] == other[key] for key in SAME)


def beside(run: Run, score: Score) -> dict[str, dict[str, Any]]:
    """The kept results of the same task, asked in the same way, by stage, the earliest first."""
    wanted = as_json(score)
    found = {}
    for stage in run.writers():
        for row in read(run.stage(stage)):
            if same(row, wanted):
                found[stage] = row
    return found


def change(found: dict[str, dict[str, Any]], before: str, after: str) -> Change:
    """What ``after`` gained over ``before``, by their kept results."""
    first, last = found[before], found[after]
    return Change(first["task"], first["metric"], before, after, *difference(first["grades"], last["grades"]))
