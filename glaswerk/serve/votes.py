"""The arena's votes: a pair that chapter "measuring" showed, and which reply was preferred, kept as preference data.

A page names a pair by language and number; the texts that are kept are those this lab made, never what a page sends.
The file is ``votes.jsonl`` in the open model's run, else in the home folder (``glaswerk/evaluate/arena.py`` says its
format). Left out: showing pairs and counting votes (the chapter's ``demo.py``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request

from glaswerk.course import demo
from glaswerk.course.outline import entry
from glaswerk.errors import GlaswerkError
from glaswerk.home import subfolder
from glaswerk.serve.asked import body_of
from glaswerk.serve.holder import Holder

FILE = "votes.jsonl"


def router(holder: Holder) -> APIRouter:
    """``POST /api/votes`` with ``language``, ``number`` and ``better`` ("first" or "second")."""
    made = APIRouter()

    @made.post("/api/votes")
    async def vote(request: Request) -> dict[str, Any]:
        from starlette.concurrency import run_in_threadpool

        return await run_in_threadpool(kept, holder, await body_of(request))

    return made


def kept(holder: Holder, given: Any) -> dict[str, Any]:
    """Keep one vote; tells how many there are now. Raises :class:`GlaswerkError` for what is no vote."""
    from glaswerk.evaluate.arena import Pair, read, vote

    if not isinstance(given, dict) or given.get("better") not in ("first", "second"):
        raise GlaswerkError(
            'a vote needs language, number and better ("first" or "second")',
            "Zu einer Stimme gehören „language“, „number“ und „better“ („first“ oder „second“).",
        )
    asked = {key: given[key] for key in ("language", "number") if key in given}
    with holder.busy:
        model = holder.model()
        told = json.loads(demo.call(entry("measuring").name, "duel", asked, model))
    pair = Pair(told["question"], *told["replies"], *told["names"])
    file = place(model.origin.run)
    vote(file, pair, given["better"])
    return {"votes": len(read(file))}


def place(run: Path | None) -> Path:
    """Where votes are kept."""
    return (run if run is not None else subfolder("votes")) / FILE
