"""What a stage shows while it trains: loss, speed, share of the machine; on the screen and in the event log.

Left out: training itself (``loop.py``), which only tells this when a step is done.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from glaswerk.progress import Progress
from glaswerk.train.plan import TrainPlan


class Log(Protocol):
    """Where events go; a :class:`glaswerk.run.Run` is one."""

    def emit(self, **event: Any) -> None: ...
    def events_size(self) -> int: ...
    def cut_events(self, stage: str, size: int = 0) -> None: ...


class Watch:
    """Counts the seconds of training (all sittings, without compiling, checkpoints, evaluation and samples) and tells
    what happens. ``flops_per_token`` and ``peak`` (FLOP/s) give the share of the machine."""

    def __init__(
        self,
        stage: str,
        plan: TrainPlan,
        log: Log | None,
        progress: Progress,
        flops_per_token: float,
        peak: float | None,
    ):
        self.stage, self.plan, self.log, self.progress = stage, plan, log, progress
        self.flops_per_token, self.peak = flops_per_token, peak
        self.seconds, self.loss, self.timed_steps = 0.0, math.nan, 0
        self.since: float | None = None

    def open(self, first: int) -> None:
        """Training goes on at step ``first``."""
        self.progress.start(self.stage, self.plan.steps)
        self.progress.advance(first)

    @property
    def speed(self) -> float:
        """Tokens per second, over the timed steps of this sitting and those before."""
        return self.timed_steps * self.plan.tokens_per_step / self.seconds if self.seconds else 0.0

    def step(self, done: int, loss: float, rate: float) -> None:
        """Step number ``done`` (from 1) is finished."""
        now = time.perf_counter()
        if self.since is not None:  # the first step of a sitting may have paid for compiling: it is not timed
            self.seconds += now - self.since
            self.timed_steps += 1
        self.since = now
        self.loss = loss if math.isnan(self.loss) else 0.9 * self.loss + 0.1 * loss
        facts = {"loss": f"{self.loss:.3f}", "tokens/s": f"{self.speed:,.0f}"}
        if self.peak:
            facts["of peak"] = f"{self.speed * self.flops_per_token / self.peak:.0%}"
        self.progress.advance(1, **facts)
        if done % self.plan.log_every == 0 or done == self.plan.steps:
            tokens = done * self.plan.tokens_per_step
            self.tell(
                "step", done, loss=round(loss, 5), rate=rate, tokens=tokens, tokens_per_second=round(self.speed, 1)
            )

    def tell(self, kind: str, done: int, **facts: Any) -> None:
        """One event to the log."""
        if self.log:
            self.log.emit(kind=kind, stage=self.stage, step=done, **facts)

    @contextmanager
    def resting(self) -> Iterator[None]:
        """What happens inside is not training and does not count."""
        began = time.perf_counter()
        yield
        if self.since is not None:
            self.since += time.perf_counter() - began
