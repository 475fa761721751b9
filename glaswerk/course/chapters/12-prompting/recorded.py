"""What ``recipes/prompting.py`` measured and wrote down beside this file (``prompting.json``): answers at once against
steps first, and votes. It takes minutes, so a page does not compute it; the command that does stands beside the
numbers. Left out: the recipe itself.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from glaswerk.course.demo import demo

FILE = Path(__file__).resolve().parent / "prompting.json"
COMMAND = "python -m recipes.prompting --record prompting.json"


@demo()
def steps() -> dict[str, Any]:
    """On two tasks, in four ways: how many answers are right with their 95 % intervals, the tokens of steps, how many
    were cut; votes over several drawn replies; and some replies in words. ``tasks`` is empty where nobody recorded."""
    found: dict[str, Any] = {"tasks": []}
    if FILE.is_file():
        found = json.loads(FILE.read_text(encoding="utf-8"))
    return {**found, "command": COMMAND}


def in_prose() -> dict[str, float]:
    """What the prose quotes: right answers of each task and way, votes, and how many were asked."""
    found: dict[str, float] = {}
    for told in steps()["tasks"]:
        task = told["task"]
        found |= {f"{task}_{row['way']}": row["right"] for row in told["rows"]}
        found |= {f"{task}_vote_{row['votes']}": row["right"] for row in told["votes"]}
        found["steps_asked"] = told["asked"]
    return found
