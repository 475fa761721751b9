"""One server's parts in one hand: the models, the engine's thread, pools of threads, who waits, limits, figures.

Left out: HTTP (``app.py``).
"""

from __future__ import annotations

import asyncio
import functools
import math
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from glaswerk.generate.engine import Engine
from glaswerk.serve.api.asking import Prepared
from glaswerk.serve.api.guards import Guards
from glaswerk.serve.api.metrics import Metrics
from glaswerk.serve.api.models import Models
from glaswerk.serve.api.problem import Problem
from glaswerk.serve.api.rates import Rates
from glaswerk.serve.api.room import Room
from glaswerk.serve.api.settings import Settings
from glaswerk.serve.api.worker import Job, Token, Worker

T = TypeVar("T")


class Service:
    """What every route works with."""

    def __init__(self, models: Models, settings: Settings) -> None:
        self.models, self.settings = models, settings
        models.base.model.eval()
        self.metrics = Metrics()
        self.worker = Worker(self.engine, self.metrics)
        self.room = Room(settings.rows + settings.queue)
        self.rates = Rates(settings.requests_per_minute, settings.tokens_per_minute)
        self.guards = Guards(
            settings.guard_characters, settings.guard_blocked, settings.guard_redact, settings.guard_canary
        )
        #: JSON, templates, tokens, grammars
        self.pool = ThreadPoolExecutor(4, "glaswerk-prepare")
        self.turns: dict[str, asyncio.Semaphore] = {}
        #: passes of the model beside the engine (traces, embeddings), one at a time: they take much memory
        self.aside = ThreadPoolExecutor(1, "glaswerk-aside")

    def engine(self) -> Engine:
        """A fresh one, with as many pages as the memory allows and the texts can need."""
        settings = self.settings
        return Engine(
            self.models.base.model, self.models.base.tokenizer, memory=settings.memory * 2**20, rows=settings.rows,
            invariant=settings.invariant,
        )  # fmt: skip

    async def prepare(self, key: str, work: Callable[..., T], *arguments: object) -> T:
        """Something that takes a while but needs no pass of the model. A key has one thread at a time, so that what is
        hard to read keeps nobody else waiting."""
        turn = self.turns.setdefault(key, asyncio.Semaphore(1))
        async with turn:
            return await asyncio.get_running_loop().run_in_executor(self.pool, functools.partial(work, *arguments))

    async def beside(self, work: Callable[..., T], *arguments: object) -> T:
        """Something that needs a pass of the model beside the engine."""
        return await asyncio.get_running_loop().run_in_executor(self.aside, functools.partial(work, *arguments))

    @property
    def ready(self) -> bool:
        """Whether requests are taken."""
        return self.worker.alive and not self.room.closed

    def pay(self, key: str, **costs: float) -> None:
        """Take from the key's buckets, or raise :class:`Problem` 429."""
        if wait := self.rates.take(key, **costs):
            what = " and ".join(costs)
            raise Problem(
                429, f"the key's {what} of this minute are used up", code="rate_limit_exceeded",
                retry_after=math.ceil(wait),
            )  # fmt: skip

    def stop(self) -> None:
        """End all threads; what still runs there is not waited for."""
        self.worker.stop()
        self.pool.shutdown(wait=False, cancel_futures=True)
        self.aside.shutdown(wait=False, cancel_futures=True)


@dataclass(slots=True)
class Visit:
    """One request's place in the room and what it paid. ``close`` gives back what is left of both."""

    service: Service
    key: str
    places: int = 0
    paid: float = 0.0
    used: float = 0.0

    def enter(self, count: int) -> None:
        """Take more places."""
        self.service.room.enter(self.key, count, self.places)
        self.places += count

    def pay(self, tokens: float) -> None:
        """For prompts and the longest replies."""
        self.service.pay(self.key, tokens=tokens)
        self.paid = tokens

    def close(self) -> None:
        """It is over, however."""
        self.service.room.leave(self.key, self.places)
        self.service.rates.give_back(self.key, tokens=max(0.0, self.paid - self.used))
        self.places, self.paid = 0, 0.0


class Replies:
    """The replies to one request, in the making, and the way to them."""

    def __init__(self, visit: Visit, asked: Prepared) -> None:
        self.visit, self.asked = visit, asked
        self.news: asyncio.Queue[tuple[int, Token | Problem | None]] = asyncio.Queue()
        ends, adapter = frozenset(asked.served.opened.end_ids), asked.served.adapter
        self.jobs = [Job(ids, options, visit.key, ends, asked.top, self._heard, adapter) for ids, options in asked.each]
        self.places = {id(job): place for place, job in enumerate(self.jobs)}

    def _heard(self, job: Job, what: Token | Problem | None) -> None:
        self.news.put_nowait((self.places[id(job)], what))

    async def begin(self) -> None:
        """Hand them to the engine; returns once it has taken all. Raises the :class:`Problem` of one it refused."""
        self.visit.service.worker.submit(self.jobs)
        for _ in self.jobs:  # they are submitted together, so all answers come before the first token
            _, what = await self.news.get()
            if isinstance(what, Problem):
                raise what

    async def tokens(self) -> AsyncIterator[tuple[int, Token]]:
        """Tokens as they come, with the number of their reply, until all replies have ended."""
        open_ = len(self.jobs)
        while open_:
            place, what = await self.news.get()
            if isinstance(what, Problem):
                raise what
            if what is not None:
                open_ -= what.piece.finish_reason is not None
                yield place, what

    def usage(self) -> dict[str, object]:
        """OpenAI's account: a prompt counts once, however many replies it gets."""
        prompt = sum(len(ids) for ids in self.asked.prompts)
        completion = sum(len(job.ids) for job in self.jobs)
        cached = sum(job.cached for job in self.jobs[:: self.asked.n])
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": cached},
        }

    def close(self) -> None:
        """Whoever is not done is cancelled; the place is free."""
        self.visit.service.worker.cancel(self.jobs)
        self.visit.used = sum(len(ids) for ids in self.asked.prompts) + sum(len(job.ids) for job in self.jobs)
        self.visit.close()
