"""What two recipes measured and wrote down beside this file: PPO, DPO and GRPO on one preference (``tradeoff.json``),
and a bad reward, held back or replaced by a better one (``hacking.json``). They take minutes, so a page does not
compute them; the command that does stands beside the numbers. Left out: the recipes themselves.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from glaswerk.course.demo import demo

HERE = Path(__file__).resolve().parent


def recording(name: str, recipe: str) -> dict[str, Any]:
    """What a recipe recorded, and the command that records it; ``rows`` and ``summary`` are empty where nobody has."""
    file = HERE / f"{name}.json"
    found: dict[str, Any] = {"rows": [], "summary": []}
    if file.is_file():
        found = json.loads(file.read_text(encoding="utf-8"))
    command = f"python -m recipes.{recipe} --out FOLDER --record {name}.json"
    return {**found, "command": command, "seeds": len({row["seed"] for row in found["rows"]})}


@demo()
def tradeoff() -> dict[str, Any]:
    """PPO, DPO and GRPO on the same preference: plainness (what is preferred), the reward model's reward and the KL to
    the start, at each look and for each seed, and their means over seeds with the half-width of the 95 % interval."""
    return recording("tradeoff", "preference_tradeoff")


@demo()
def hacking() -> dict[str, Any]:
    """The same start learns from a bad reward, from the bad reward with leaving the start made dear, and from a better
    one: at each look the bad reward, plainness (what was meant), the KL to the start, and answers of the first seed."""
    return recording("hacking", "reward_hacking")
