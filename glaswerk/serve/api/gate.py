"""Around every request: the key, the size of its body, its line in the log, its figures, and headers of safety. What
breaks inside becomes a plain answer here; no stack ever leaves.

Plain ASGI, so that a stream passes through untouched and a client that leaves is noticed. Left out: limits by key and
the queue, which need to know what is asked (``routes.py``).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from glaswerk.serve.api.keys import Keys
from glaswerk.serve.api.logs import ACCESS
from glaswerk.serve.api.metrics import Metrics
from glaswerk.serve.api.problem import Problem, broken

log = logging.getLogger("glaswerk.serve")

#: what needs no key: whether it lives, and pages that hold nothing of anybody
OPEN = ("/", "/docs", "/favicon.ico", "/health", "/health/live", "/health/ready")
#: how much of a body that is too long is let go by, and for how long
MOST_DRAINED, DRAIN_SECONDS = 16 * 2**20, 10
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


class Gate:
    """Wraps the application. ``scope["state"]`` gets ``key`` (a fingerprint) and ``told``, fields for the log."""

    def __init__(self, app: ASGIApp, keys: Keys, metrics: Metrics, body: int) -> None:
        self.app, self.keys, self.metrics, self.body = app, keys, metrics, body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await Passage(self, scope, receive, send).go()
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})


class Passage:
    """One request on its way through."""

    def __init__(self, gate: Gate, scope: Scope, receive: Receive, send: Send) -> None:
        self.gate, self.scope, self._receive, self._send = gate, scope, receive, send
        self.began = time.monotonic()
        self.status, self.size = 0, 0
        self.headers = dict(scope["headers"])
        self.id = f"req_{secrets.token_hex(12)}"
        self.told: dict[str, Any] = {}
        scope["state"] = {**scope.get("state", {}), "key": "", "told": self.told}

    async def go(self) -> None:
        """Let it through, or say why not."""
        try:
            self.check()
            await self.gate.app(self.scope, self.receive, self.send)
        except Problem as problem:
            await self.refuse(problem)
        except Exception:
            log.exception("a request failed", extra={"fields": {"request": self.id}})
            await self.refuse(broken())
        finally:
            self.account()

    def check(self) -> None:
        """The key, and how long the body says it is."""
        path = self.scope["path"]
        if path not in OPEN and not path.startswith("/web/"):
            key = self.gate.keys.whose(self.headers.get(b"authorization", b""))
            if key is None:
                raise Problem(
                    401, "this server wants a key of its own: Authorization: Bearer KEY", code="invalid_api_key"
                )
            self.scope["state"]["key"] = self.told["key"] = key
        said = self.headers.get(b"content-length", b"0")
        if not said.isdigit() or int(said[:20]) > self.gate.body:
            raise self.too_long()

    def too_long(self) -> Problem:
        return Problem(413, f"the body is longer than {self.gate.body:,} bytes", code="body_too_long")

    async def receive(self) -> Message:
        """The next part of the body; one without a length is counted."""
        message = await self._receive()
        self.size += len(message.get("body", b""))
        if self.size > self.gate.body:
            if message.get("more_body"):
                await self.drain()
            raise self.too_long()
        return message

    async def drain(self) -> None:
        """Let what is left of a body go by: a client that is cut off while it sends never reads why."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                while self.size <= self.gate.body + MOST_DRAINED:
                    message = await self._receive()
                    self.size += len(message.get("body", b""))
                    if not message.get("more_body"):
                        return

    async def send(self, message: Message) -> None:
        """On to the client, with our headers."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            given = {name for name, _ in message["headers"]}
            kept = "no-cache" if self.scope["path"].startswith("/web/") else "no-store"
            more = {"x-request-id": self.id, "cache-control": kept, **HEADERS}
            added = [(n.encode(), v.encode()) for n, v in more.items() if n.encode() not in given]
            message = {**message, "headers": [*message["headers"], *added]}
        await self._send(message)

    async def refuse(self, problem: Problem) -> None:
        """Answer with a problem, where nothing was answered yet."""
        if self.status:
            return
        if problem.status == 413 and self.size == 0:
            await self.drain()
        body = json.dumps(problem.body()).encode()
        headers = {"content-type": "application/json", "content-length": str(len(body)), **problem.headers()}
        if problem.status == 413:  # there may be still more of it
            headers["connection"] = "close"
        await self.send(
            {
                "type": "http.response.start",
                "status": problem.status,
                "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            }
        )
        await self._send({"type": "http.response.body", "body": body})

    def account(self) -> None:
        """The log's line and the figures. A path that is none of ours is not told: it could be anything."""
        web = self.scope["path"].startswith("/web/")
        route = "/web" if web else getattr(self.scope.get("route"), "path", None) or "other"
        seconds = time.monotonic() - self.began
        status = self.status or 499  # the client left before there was an answer
        self.gate.metrics.requests.labels(route, str(status)).inc()
        self.gate.metrics.seconds.labels(route).observe(seconds)
        if status in (401, 413, 429, 503):
            self.gate.metrics.refused.labels(str(status)).inc()
        if status < 400 and (web or route.startswith("/health")):
            return  # asked again and again, and nothing to tell
        ACCESS.info(
            "request",
            extra={
                "fields": {
                    "request": self.id,
                    "method": self.scope["method"][:16],
                    "route": route,
                    "status": status,
                    "seconds": round(seconds, 4),
                    **self.told,
                }
            },
        )
