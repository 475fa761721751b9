"""Starts the lab: a socket on the loopback, uvicorn on it, the model loading behind.

Left out: what is answered (``app.py``); TLS and other machines, on purpose.
"""

from __future__ import annotations

import socket as sockets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glaswerk.errors import GlaswerkError

if TYPE_CHECKING:
    from glaswerk.serve.holder import Holder

HOST = "127.0.0.1"


def open_socket(port: int, host: str = HOST) -> sockets.socket:
    """A listening socket, on this machine only unless told. Raises :class:`GlaswerkError` where there can be none."""
    try:
        family, _, _, _, address = sockets.getaddrinfo(host, port, type=sockets.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        raise GlaswerkError(f"{host!r} is no address of this machine: try 127.0.0.1 or 0.0.0.0") from None
    found = sockets.socket(family, sockets.SOCK_STREAM)
    found.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
    try:
        found.bind(address)
        found.listen(128)
    except OSError as error:
        found.close()
        raise GlaswerkError(
            f"port {port} of {host} cannot be used ({error.strerror or error}): another server may be running there; "
            "stop it, or choose another with --port"
        ) from None
    return found


def free_socket(port: int) -> sockets.socket:
    """A socket on ``port``, or on any free one where that is taken."""
    try:
        return open_socket(port)
    except GlaswerkError:
        return open_socket(0)


def serve(socket: sockets.socket, model: str | None, runs: Path, ready: Callable[[], None]) -> None:
    """Answer until interrupted. ``ready`` is called once the first request could be answered."""
    import uvicorn

    from glaswerk.serve.app import create_app
    from glaswerk.serve.holder import Holder

    holder = Holder(model, runs)

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[Any] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                ready()
                threading.Thread(target=warm, args=(holder,), name="glaswerk-warm", daemon=True).start()

    config = uvicorn.Config(create_app(holder), log_level="warning", access_log=False, timeout_graceful_shutdown=2)
    try:
        Server(config).run(sockets=[socket])
    except KeyboardInterrupt:  # the way it is meant to be stopped
        pass
    finally:
        socket.close()


def warm(holder: Holder) -> None:
    """Compute ahead what the first visit to a chapter would wait for: the numbers in its prose."""
    from glaswerk.serve import pages

    while holder.state == "loading":
        time.sleep(0.1)
    for path in pages.paths():
        pages.page(path)
