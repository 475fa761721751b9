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
