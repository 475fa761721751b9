"""A few helper processes that run one of our functions on batch after batch, results in order.

They are plain interpreters that talk over pipes, not `multiprocessing`: that would import the user's main
script again in every child (with torch, or without the guard it needs). A child ends when its pipe closes
and ignores Ctrl-C, which is the parent's to handle. What travels is pickled, only ever between this program
and its own children.
"""

from __future__ import annotations

import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from typing import Any, BinaryIO

from glaswerk.errors import GlaswerkError

_HEADER = struct.Struct("<Q")


def cores() -> int:
    """How many CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Crew:
    """``with Crew(2) as crew: crew.map(function, items)``; ``function`` is a module-level function."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._local = threading.local()
        self._children: list[subprocess.Popen[bytes]] = []
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="crew")

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children:
            if child.stdin:
                with suppress(OSError):  # a child that died left its pipe broken
                    child.stdin.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        for child in self._children:
            try:
                child.wait(timeout=5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Yield ``function(item)`` in order, with at most two batches per worker under way."""
        waiting: deque[Future[Any]] = deque()
        for item in items:
            waiting.append(self._threads.submit(self._run, f"{function.__module__}:{function.__qualname__}", item))
            while len(waiting) > 2 * self.workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _run(self, name: str, item: Any) -> Any:
        child: Any = getattr(self._local, "child", None)
        if child is None:
            child = self._local.child = self._start()
        try:
            _send(child.stdin, (name, item))
            worked, result = _receive(child.stdout)
        except (OSError, EOFError, ValueError) as error:
            raise GlaswerkError(
                "a helper process died (out of memory?): free some memory, or use one worker"
            ) from error
        if not worked:
            raise RuntimeError(result)
        return result

    def _start(self) -> subprocess.Popen[bytes]:
        path = os.pathsep.join(entry for entry in sys.path if entry)
        child = subprocess.Popen(
            [sys.executable, "-c", "from glaswerk.corpora.crew import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"},
        )
        self._children.append(child)
        return child


def _send(pipe: BinaryIO, value: Any) -> None:
    data = pickle.dumps(value, protocol=5)
    pipe.write(_HEADER.pack(len(data)))
    pipe.write(data)
    pipe.flush()


def _receive(pipe: BinaryIO) -> Any:
    header = pipe.read(_HEADER.size)
    if len(header) < _HEADER.size:
        raise EOFError
    (size,) = _HEADER.unpack(header)
    data = pipe.read(size)
    if len(data) < size:
        raise EOFError
    return pickle.loads(data)


def serve() -> None:
    """A child's whole life: read a job, run it, write the result, until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    jobs, results = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints must not land between results
    while True:
        try:
            name, item = _receive(jobs)
        except (EOFError, OSError):
            return
        module, _, function = name.partition(":")
        try:
            answer = (True, getattr(import_module(module), function)(item))
        except Exception as error:
            answer = (False, f"{type(error).__name__}: {error}")
        try:
            _send(results, answer)
        except OSError:
            return
