"""What a request brings, as plain values of bounded size; what is not JSON is one clear line."""

from __future__ import annotations

import json
from typing import Any

from fastapi import Request

from glaswerk.errors import GlaswerkError

#: the longest request body, of an imported file of answers
MOST_BODY = 8 * 2**20


def arguments_of(text: str) -> dict[str, Any]:
    """The JSON object in a request's ``args``."""
    try:
        arguments = json.loads(text)
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        raise GlaswerkError("args must be a JSON object", "„args“ muss ein JSON-Objekt sein.")
    return arguments


async def body_of(request: Request) -> Any:
    """A JSON body of bounded size."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BODY:
            most = MOST_BODY // 2**20
            raise GlaswerkError(f"more than {most} MB are not taken", f"Mehr als {most} MB werden nicht angenommen.")
        parts.append(part)
    try:
        return json.loads(b"".join(parts))
    except (ValueError, RecursionError):
        raise GlaswerkError("the request is not valid JSON", "Die Anfrage ist kein gültiges JSON.") from None
