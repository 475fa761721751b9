"""Runs Python that a model wrote, or refuses: no network, no files, no processes, little time, little memory.

The code is interpreted by Monty (pydantic-monty), a Python written in Rust that has no way to the machine it runs on:
there is no socket, no subprocess, no ctypes to import, and opening a file is denied. Each run is a process of its own,
ended when it takes too long. Without the package nothing is run. Left out: libraries beyond the few modules that Monty
brings (math, re, json, typing ...), and with them the programs that need one.
"""

from __future__ import annotations

import string
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from glaswerk.errors import GlaswerkError

SECONDS, MEGABYTES = 2.0, 128
#: frames of the deepest recursion, and characters of output that are kept
DEPTH, OUTPUT = 500, 20_000
#: seconds beyond the limit after which the process is ended from outside
GRACE = 1.0
#: a module of constants that programs often import and Monty has not
STRING = {name: getattr(string, name) for name in string.__all__ if isinstance(getattr(string, name), str)}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. ``ok``: to its end, without an exception; ``error``: else the exception in one line, such as
    "TimeoutError: ..."; ``output``: what was printed, cut at 20,000 characters."""

    ok: bool
    output: str
    error: str
    seconds: float


def is_available() -> bool:
    """Whether the interpreter is installed."""
    return find_spec("pydantic_monty") is not None


def require(what: str = "running code that a model wrote") -> None:
    """Raise :class:`GlaswerkError` without the interpreter; ``what`` is what is then not done."""
    if not is_available():
        raise GlaswerkError(f"{what} needs the sandbox: pip install 'glaswerk[sandbox]'; without it nothing is run")


def run(
    code: str,
    inputs: Mapping[str, Any] | None = None,
    *,
    seconds: float = SECONDS,
    megabytes: int = MEGABYTES,
) -> Outcome:
    """Run a program with ``inputs`` as its global variables (plain values). Never raises for what the program does;
    raises :class:`GlaswerkError` without the interpreter."""
    require()
    import pydantic_monty as monty

    printed: list[str] = []
    left = OUTPUT

    def keep(_: str, text: str) -> None:
        nonlocal left
        if left > 0:
            printed.append(text[:left])
            left -= len(text)

    limits: Any = {
        "max_feed_duration_secs": seconds,
        "max_total_sleep_secs": seconds,
        "max_memory": megabytes * 1_000_000,
        "max_recursion_depth": DEPTH,
        "max_suspensions": 1000,
    }
    began = time.perf_counter()
    error = ""
    try:
        # a pool of one worker for one run: nothing that a program leaves behind meets the next
        pool = monty.Monty(max_processes=1, request_timeout=2 * seconds + GRACE, feed_duration_limit_grace=GRACE)
        with (
            pool as workers,
            workers.checkout(
                limits=limits,
                os_policy={"random_start": {"seed": 0}},
                external_modules={"string": monty.ExternalModule(STRING)},
            ) as session,
        ):
            # the last line keeps a last value, which may be large, from being handed over
            session.feed_run(f"{code}\nNone", inputs=dict(inputs or {}), print_callback=keep)
    except monty.MontySyntaxError as problem:
        error = f"SyntaxError: {problem}"
    except monty.MontyRuntimeError as problem:
        error = problem.display("type-msg")
    except monty.MontyError as problem:
        error = f"{type(problem).__name__}: {problem}"
    error = " ".join(error.split())[:300]
    return Outcome(not error, "".join(printed), error, time.perf_counter() - began)
