"""The lab as a web application: pages, the files of ``glaswerk/web``, data, a run's events.

For this machine only: it answers to no name but the loopback's (a page from elsewhere that points its own name at
127.0.0.1 is refused), takes no request that another site's page sent, and its pages may load nothing from elsewhere.
Left out: what is on a page (``pages.py``) and what figures get (``data.py``).
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.middleware.gzip import GZipMiddleware

from glaswerk import __version__
from glaswerk.course import LANGUAGES
from glaswerk.errors import GlaswerkError, NotHere
from glaswerk.serve import data, events, pages, review, votes
from glaswerk.serve.asked import arguments_of
from glaswerk.serve.holder import Holder

WEB = Path(__file__).resolve().parent.parent / "web"
#: the names under which a browser on this machine reaches us
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
log = logging.getLogger("glaswerk.lab")


def create_app(holder: Holder) -> FastAPI:
    """The application. The model begins to load when it starts."""

    stopping = False

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        nonlocal stopping
        holder.start()
        yield
        stopping = True

    # FastAPI's own documentation pages load their scripts from a CDN
    app = FastAPI(title="Glaswerk", docs_url=None, redoc_url=None, openapi_url=None, lifespan=life)
    app.add_middleware(GZipMiddleware, minimum_size=2000, compresslevel=4)

    @app.middleware("http")
    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        refused = refusal(request)
        response: Response
        if refused:
            response = JSONResponse({"error": refused}, status_code=403)
        else:
            try:
                response = await call_next(request)
            except Exception:  # our bug: the log has it, the page gets a line
                if await request.is_disconnected():  # or nobody's: the reader went on to another page
                    return Response(status_code=499)
                log.exception("a request failed: %s", request.url.path)
                response = JSONResponse(
                    {
                        "error": "the lab made a mistake here; its terminal shows more",
                        "german": "dem Labor ist hier ein Fehler unterlaufen; mehr steht im Terminal",
                    },
                    status_code=500,
                )
        response.headers.setdefault("Content-Security-Policy", pages.POLICY)
        response.headers.setdefault("Cache-Control", "no-cache")
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        return response

    @app.exception_handler(GlaswerkError)
    async def explained(_: Request, error: GlaswerkError) -> JSONResponse:
        # what is not pulled yet is no fault of the question, and browsers write every 4xx into their console
        code = 200 if isinstance(error, NotHere) else 422
        return JSONResponse({"error": str(error), "german": error.german}, status_code=code)

    @app.get("/health")
    def health() -> dict[str, Any]:
        holder.look_again()
        return {"status": "ok", "version": __version__, "model": holder.status()}

    @app.get("/api/events")
    async def run_events() -> StreamingResponse:
        return StreamingResponse(events.stream(holder.training, lambda: stopping), media_type="text/event-stream")

    app.include_router(review.router)
    app.include_router(votes.router(holder))

    @app.get("/api/{kind:path}")
    def ask(kind: str, args: str = "{}") -> Response:
        arguments = arguments_of(args)
        try:
            text = data.answer(holder, kind, arguments)
        except LookupError:
            return JSONResponse({"error": f"there is nothing to ask by the name {kind[:80]!r}"}, status_code=404)
        return Response(text, media_type="application/json")

    @app.get("/")
    def home(request: Request) -> RedirectResponse:
        wanted = request.headers.get("accept-language", "").lower()
        first = next((part[:2] for part in wanted.split(",") if part.strip()[:2] in LANGUAGES), "en")
        return RedirectResponse(f"/{first}/")

    app.mount("/web", StaticFiles(directory=WEB))

    @app.get("/favicon.ico")
    def icon() -> RedirectResponse:
        return RedirectResponse("/web/icon.svg")

    @app.get("/{path:path}")
    def page(path: str) -> Response:
        if not path.endswith("/") and pages.known(path + "/"):
            return RedirectResponse(f"/{path}/")
        try:
            text, policy = pages.page(path)
        except LookupError:
            text, policy = pages.missing(path)
            return HTMLResponse(text, status_code=404, headers={"Content-Security-Policy": policy})
        return HTMLResponse(text, headers={"Content-Security-Policy": policy})

    return app


def refusal(request: Request) -> str:
    """Why a request is not answered; empty: it is."""
    host = request.headers.get("host", "")
    name = host.rpartition(":")[0] if ":" in host.rpartition("]")[2] else host
    if name not in LOOPBACK:
        return f"this lab answers to {' and '.join(LOOPBACK)}, not to {host[:80]!r}"
    # a browser says where a request came from; a page of another site may only link to ours
    site = request.headers.get("sec-fetch-site", "same-origin")
    if site not in ("same-origin", "none") and request.headers.get("sec-fetch-mode") != "navigate":
        return "this request came from another site"
    if request.method not in ("GET", "HEAD"):
        if request.headers.get("content-type", "").split(";")[0] != "application/json":
            return "only JSON is taken"
        origin = request.headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return "this request came from another site"
    return ""
