"""How a server is set up: a few options of the command line, everything else in one TOML file, keys also in the
environment (``GLASWERK_API_KEYS``, with commas between), where no list of processes shows them.

Every name of :class:`Settings` may stand in the file. Left out: reloading while it runs.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from glaswerk.errors import GlaswerkError

#: the environment variable with keys
KEYS = "GLASWERK_API_KEYS"
#: the names by which only this machine is reached
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Settings:
    """Everything that can be set, with what it is unless it is set. Raises :class:`GlaswerkError` for nonsense."""

    host: str = "127.0.0.1"
    port: int = 8000
    #: who may ask; empty: one key is drawn at the start and shown
    keys: tuple[str, ...] = ()
    #: certificate and private key (PEM files) for https
    tls_cert: str = ""
    tls_key: str = ""
    #: as in ``glaswerk generate``
    dtype: str = "auto"
    #: replies that run at once, and that may wait beside them
    rows: int = 32
    queue: int = 64
    #: MiB of the KV cache
    memory: int = 1024
    #: the same request gives the same bits whatever else runs; slower
    invariant: bool = False
    #: the longest request body in bytes, and the seconds that a request may take in all
    body: int = 2 * 2**20
    seconds: int = 600
    #: connections at a time; and the seconds that open requests get when the server is told to stop
    connections: int = 512
    drain: int = 30
    #: for each key; 0: as many as come
    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    #: whether the log holds prompts and replies
    log_prompts: bool = False
    #: guards (``guards.py``): characters of a text (0: any), patterns that are refused and withheld, personal data
    #: replaced, a secret word that no reply may hold
    guard_characters: int = 0
    guard_blocked: tuple[str, ...] = ()
    guard_redact: bool = False
    guard_canary: bool = False

    def __post_init__(self) -> None:
        for name, least, most in (
            ("port", 0, 65535),
            ("rows", 1, 1024),
            ("queue", 0, 100_000),
            ("memory", 1, 1 << 24),
            ("body", 1024, 1 << 30),
            ("seconds", 1, 86_400),
            ("connections", 1, 100_000),
            ("drain", 0, 86_400),
            ("requests_per_minute", 0, 1 << 40),
            ("tokens_per_minute", 0, 1 << 40),
            ("guard_characters", 0, 1 << 30),
        ):
            value = getattr(self, name)
            if not least <= value <= most:
                raise GlaswerkError(f"{name} must be from {least:,} to {most:,}, not {value:,}")
        if bool(self.tls_cert) != bool(self.tls_key):
            raise GlaswerkError("https needs both, tls_cert and tls_key")
        for key in self.keys:
            if not key or not key.isascii() or not key.isprintable() or " " in key:
                raise GlaswerkError("a key must be plain ASCII without spaces, and not empty")
        if self.host not in LOOPBACK and any(len(key) < 16 for key in self.keys):
            raise GlaswerkError(
                f"{self.host} is reached from elsewhere: give keys of at least 16 characters, or leave --api-key out "
                "and one is drawn"
            )


def read(config: Path | None, given: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of a file, with what was ``given`` over it (None: not given) and the keys of the environment added.
    Raises :class:`GlaswerkError` that names the file and the line's name."""
    told: dict[str, Any] = {} if config is None else of_file(config)
    told |= {name: value for name, value in given.items() if value is not None}
    named = (os.environ if environment is None else environment).get(KEYS, "")
    keys = [*told.get("keys", ()), *(key.strip() for key in named.split(",") if key.strip())]
    return replace(Settings(), **{**told, "keys": tuple(dict.fromkeys(keys))})


def of_file(path: Path) -> dict[str, Any]:
    """A TOML file's values, of the right kinds."""
    try:
        told = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise GlaswerkError(f"{path} cannot be read ({error.strerror or error}): name a TOML file") from None
    except (ValueError, RecursionError) as error:
        raise GlaswerkError(f"{path} is not valid TOML: {error}") from None
    kinds = {field.name: type(field.default) for field in fields(Settings)}
    for name, value in told.items():
        if name not in kinds:
            raise GlaswerkError(f"{path}: there is no setting {name!r}; there are {', '.join(kinds)}")
        if kinds[name] is tuple:
            if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
                raise GlaswerkError(f'{path}: {name} must be a list of texts, like ["..."]')
            told[name] = tuple(value)
        elif type(value) is not kinds[name]:
            raise GlaswerkError(f"{path}: {name} must be {kinds[name].__name__}, not {value!r}")
    return told
