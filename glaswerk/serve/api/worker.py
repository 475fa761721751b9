"""The one thread that steps the engine, and the bridge from it to the event loop.

Commands go in between two steps; what a step decided comes out in one wake-up of the loop. A step that breaks off (a
bug, no memory) ends the requests that were there, with an error; the next ones get a fresh engine. Left out: who may
ask (``gate.py``), how many may wait (``room.py``).
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from glaswerk.errors import GlaswerkError
from glaswerk.generate import Piece, SamplingOptions
from glaswerk.generate.engine import Engine, Request
from glaswerk.serve.api.metrics import Metrics
from glaswerk.serve.api.problem import Problem, broken

log = logging.getLogger("glaswerk.serve")


@dataclass(frozen=True, slots=True)
class Likely:
    """The chosen token's log-probability and the likeliest tokens with theirs, before all sampling options."""

    logprob: float
    top: list[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Token:
    """One piece of one reply. ``ended`` says that the id is an end token, which is no part of the text."""

    piece: Piece
    likely: Likely | None
    ended: bool


@dataclass(eq=False, slots=True)
class Job:
    """One reply in the making. ``send`` is called on the event loop: with a token, a problem, or None once the engine
    has taken the prompt."""

    prompt: list[int]
    options: SamplingOptions
    key: str
    ends: frozenset[int]
    #: how many of the likeliest tokens are told; None: no log-probabilities at all
    top: int | None
    send: Callable[[Job, Token | Problem | None], None]
    #: the engine's name of the LoRA adapter that answers; None: the base
    adapter: str | None = None
    arrived: float = field(default_factory=time.monotonic)
    #: when the newest token came; 0: none yet
    last: float = 0.0
    first: float = 0.0
    request: Request | None = None
    over: bool = False

    @property
    def ids(self) -> list[int]:
        """The reply's tokens so far, without an end token."""
        return [] if self.request is None else self.request.row.ids

    @property
    def cached(self) -> int:
        """Tokens of the prompt that were not computed because a page had them."""
        return 0 if self.request is None else min(self.request.shared_tokens, len(self.prompt))


class Worker:
    """``make`` gives an engine. Everything but the thread itself is called on the event loop."""

    def __init__(self, make: Callable[[], Engine], metrics: Metrics) -> None:
        self.make, self.metrics = make, metrics
        self.engine = make()
        metrics.watch(self)
        self.jobs: dict[Request, Job] = {}
        self._commands: deque[Callable[[], None]] = deque()
        self._wake = threading.Condition()
        self._stop = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="glaswerk-engine", daemon=True)

    def start(self) -> None:
        """Begin; called on the event loop that answers are sent on."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def stop(self) -> None:
        """End after the step that runs."""
        self._stop = True
        with self._wake:
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join(30)

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def submit(self, jobs: Sequence[Job]) -> None:
        """Queue replies."""
        self._command(lambda: self._submit(jobs))

    def cancel(self, jobs: Sequence[Job]) -> None:
        """Nobody waits for these any more."""
        if open_ := [job for job in jobs if not job.over]:
            for job in open_:
                job.over = True
            self._command(lambda: self._cancel(open_))

    # ------------------------------------------------------------------ inside the thread
    def _command(self, command: Callable[[], None]) -> None:
        with self._wake:
            self._commands.append(command)
            self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not (self._stop or self._commands or self.engine.busy):
                    self._wake.wait()
                commands = list(self._commands)
                self._commands.clear()
            if self._stop:
                return
            try:
                for command in commands:
                    command()
                if self.engine.busy:
                    self._step()
            except Exception:
                log.exception("a step of the engine failed; its requests end, the next ones get a fresh engine")
                self._fail_all()

    def _submit(self, jobs: Sequence[Job]) -> None:
        told: list[tuple[Job, Token | Problem | None]] = []
        for job in jobs:
            if job.over:
                continue
            try:
                job.request = self.engine.submit(
                    job.prompt, job.options, key=job.key, end_ids=job.ends, adapter=job.adapter
                )
            except GlaswerkError as error:
                told.append((job, Problem(400, str(error))))
            except Exception:
                log.exception("the engine did not take a request")
                told.append((job, broken()))
            else:
                self.jobs[job.request] = job
                told.append((job, None))
        self._tell(told)

    def _cancel(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            if job.request is not None:
                self.engine.cancel(job.request)
                self.jobs.pop(job.request, None)

    def _step(self) -> None:
        told: list[tuple[Job, Token | Problem | None]] = []
        pieces = self.engine.step()
        now = time.monotonic()
        for request, piece in pieces:
            job = self.jobs[request]
            told.append((job, self._told(job, request, piece)))
            self._measure(job, now)
            if piece.finish_reason:
                del self.jobs[request]
        self._tell(told)

    def _told(self, job: Job, request: Request, piece: Piece) -> Token | Problem:
        if piece.finish_reason == "error":
            options = job.options
            constrained = (options.choices, options.regex, options.json_schema) != (None, None, None)
            return Problem(400 if constrained else 500, str(request.error))
        likely = None
        if job.top is not None and request.logits is not None:
            likely = likeliest(request.logits, piece.id, job.top)
        return Token(piece, likely, piece.id in job.ends)

    def _measure(self, job: Job, now: float) -> None:
        if job.last:
            self.metrics.between_tokens.observe(now - job.last)
        else:
            job.first = now
            self.metrics.first_token.observe(now - job.arrived)
        job.last = now

    def _fail_all(self) -> None:
        failed, self.jobs = list(self.jobs.values()), {}
        self.metrics.failures.inc()
        self.engine = self.make()
        self._tell([(job, broken()) for job in failed])

    def _tell(self, told: list[tuple[Job, Token | Problem | None]]) -> None:
        if not told or self._loop is None:
            return

        def deliver() -> None:
            for job, what in told:
                if not job.over:
                    job.over = isinstance(what, Problem) or (what is not None and bool(what.piece.finish_reason))
                    job.send(job, what)

        try:
            self._loop.call_soon_threadsafe(deliver)
        except RuntimeError:  # the loop is closed: nobody listens any more
            self._stop = True


def likeliest(logits_V: Tensor, chosen: int, count: int) -> Likely:
    """Log-probabilities of the chosen token and of the ``count`` likeliest."""
    log_V = logits_V.float().log_softmax(-1)
    top: list[tuple[int, float]] = []
    if count:
        best = log_V.topk(min(count, len(log_V)))
        top = list(zip(best.indices.tolist(), best.values.tolist(), strict=True))
    return Likely(float(log_V[chosen]), top)
