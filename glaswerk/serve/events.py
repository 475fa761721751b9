"""A run's events as they happen: what training writes to ``events.jsonl``, as a stream for the page.

The training is another process; this only reads its file. A file that was cut back (training resumed from a
checkpoint) is read again from the start, and the page is told so with an event of kind "reset".
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

#: seconds between two looks at the file
PAUSE = 0.5


def read_from(path: Path, offset: int) -> tuple[list[dict[str, Any]], int]:
    """The whole lines after ``offset`` as events, and where they end. A line still being written is left for later."""
    if not path.is_file():
        return [], 0
    with open(path, "rb") as log:
        log.seek(offset)
        data = log.read()
    end = data.rfind(b"\n") + 1
    events = []
    for line in data[:end].splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            events.append(event)
    return events, offset + end


async def stream(watched: Callable[[], Path | None], stopped: Callable[[], bool]) -> AsyncIterator[str]:
    """The events of the run that ``watched`` names now, as server-sent events: ``data:`` lines of ``{"run",
    "events"}``; comments in between keep the line open."""
    run, offset, waited = None, 0, 0.0
    while not stopped():
        newest = await asyncio.to_thread(watched)
        if newest is not None:
            file = newest / "events.jsonl"
            size = file.stat().st_size if file.is_file() else 0
            if newest != run or size < offset:
                run, offset = newest, 0
                yield message({"run": newest.name, "events": [{"kind": "reset"}]})
            if size > offset:
                events, offset = await asyncio.to_thread(read_from, file, offset)
                yield message({"run": newest.name, "events": events})
                waited = 0.0
        if waited >= 10:
            waited = 0.0
            yield ": still here\n\n"
        await asyncio.sleep(PAUSE)
        waited += PAUSE


def message(value: Any) -> str:
    """One server-sent event."""
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"
