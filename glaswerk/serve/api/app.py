"""The API as a web application: routes, health, figures, the pages, problems in one shape, all behind the gate.

Left out: sockets, TLS and signals (``server.py``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from glaswerk import __version__
from glaswerk.serve.api import page
from glaswerk.serve.api.gate import Gate
from glaswerk.serve.api.keys import Keys
from glaswerk.serve.api.openapi import document
from glaswerk.serve.api.problem import Problem, broken
from glaswerk.serve.api.routes import router
from glaswerk.serve.api.service import Service

WEB = Path(__file__).resolve().parents[2] / "web"


def create_app(service: Service, keys: Keys) -> Gate:
    """The application. The engine begins when it starts."""

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        service.worker.start()
        yield
        service.stop()

    # FastAPI's own documentation pages load their scripts from a CDN
    app = FastAPI(title="Glaswerk", version=__version__, docs_url=None, redoc_url=None, openapi_url=None, lifespan=life)

    @app.exception_handler(Problem)
    async def explained(_: Request, problem: Problem) -> JSONResponse:
        return JSONResponse(problem.body(), status_code=problem.status, headers=problem.headers())

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> JSONResponse:
        known = {404: "there is nothing at this address", 405: "this address does not take that method"}
        problem = Problem(error.status_code, known.get(error.status_code, "the request is not understood"))
        return JSONResponse(problem.body(), status_code=problem.status, headers=error.headers)

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse(broken().body(), status_code=500)  # it is raised again, and the gate's log has it

    @app.get("/health")
    @app.get("/health/ready")
    def ready() -> Response:
        told: dict[str, Any] = {"live": service.worker.alive, "ready": service.ready, "version": __version__}
        return JSONResponse(told, status_code=200 if service.ready else 503)

    @app.get("/health/live")
    def live() -> Response:
        return JSONResponse({"live": service.worker.alive}, status_code=200 if service.worker.alive else 503)

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    app.include_router(router(service))

    @app.get("/openapi.json")
    def description() -> Response:
        return JSONResponse(document())

    @app.get("/")
    def chat(request: Request) -> Response:
        language = page.language_of(request.headers.get("accept-language", ""))
        return shown(*page.chat(language), {"vary": "accept-language"})

    @app.get("/docs")
    def reference() -> Response:
        return shown(*page.reference())

    app.mount("/web", StaticFiles(directory=WEB))

    @app.get("/favicon.ico")
    def icon() -> RedirectResponse:
        return RedirectResponse("/web/icon.svg")

    return Gate(app, keys, service.metrics, service.settings.body)


def shown(text: str, policy: str, more: dict[str, str] | None = None) -> HTMLResponse:
    """A page that may load nothing from elsewhere."""
    return HTMLResponse(text, headers={"content-security-policy": policy, **(more or {})})
