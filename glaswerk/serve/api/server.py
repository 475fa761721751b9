"""Starts the API: a socket, uvicorn on it, an end in good order.

On SIGTERM or Ctrl-C no new request is taken, open ones get ``drain`` seconds to finish; a second signal ends at once.
Left out: several processes (the engine is one), what is answered (``app.py``).
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from socket import socket
from types import FrameType
from typing import Any

import uvicorn

from glaswerk.errors import GlaswerkError
from glaswerk.serve.api.app import create_app
from glaswerk.serve.api.keys import Keys
from glaswerk.serve.api.models import Models
from glaswerk.serve.api.patience import Patient
from glaswerk.serve.api.service import Service
from glaswerk.serve.api.settings import Settings


class Server(uvicorn.Server):
    """uvicorn's server that says when it is ready and, told to stop, first lets nobody new in."""

    def __init__(self, config: uvicorn.Config, service: Service, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.service, self.ready = service, ready

    async def startup(self, sockets: list[Any] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.service.room.closed = True
        super().handle_exit(sig, frame)


def make_server(models: Models, settings: Settings, ready: Callable[[], None] = lambda: None) -> Server:
    """A server for one model and its adapters. Raises :class:`GlaswerkError` where the certificate cannot be used."""
    service = Service(models, settings)
    config = uvicorn.Config(
        create_app(service, Keys(settings.keys)),
        http=Patient,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.drain,
        limit_concurrency=settings.connections,
        ssl_certfile=settings.tls_cert or None,
        ssl_keyfile=settings.tls_key or None,
    )
    try:
        config.load()
    except OSError as error:  # ssl's errors are among them
        raise GlaswerkError(
            f"the certificate {settings.tls_cert} with the key {settings.tls_key} cannot be used "
            f"({error.strerror or error}): give two PEM files that belong together"
        ) from None
    return Server(config, service, ready)


def serve(listening: socket, models: Models, settings: Settings, ready: Callable[[], None]) -> None:
    """Answer until told to stop."""
    server = make_server(models, settings, ready)
    # uvicorn raises the signal again when all is done; an end in good order is no accident
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:  # the other way it is meant to be stopped
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
        listening.close()
