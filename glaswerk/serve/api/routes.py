"""The routes under ``/v1``: models, completions, conversations, embeddings.

One way for all: enter the room, check and prepare in the pool, pay, compute, answer; and whatever happens, leave.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import torch
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from glaswerk.opened import OpenedModel
from glaswerk.serve.api import traces
from glaswerk.serve.api.asking import Prepared, prepare_chat, prepare_completion, prepare_embedding
from glaswerk.serve.api.guards import Guards
from glaswerk.serve.api.models import Models, Served
from glaswerk.serve.api.problem import Problem
from glaswerk.serve.api.replies import Writer, encoded
from glaswerk.serve.api.service import Replies, Service, Visit

T = TypeVar("T")

#: seconds in which a body must have come
BODY_SECONDS = 30
#: seconds in which a client must have read that its time is over
GRACE = 5


def router(service: Service) -> APIRouter:
    """All of them."""
    made = APIRouter(prefix="/v1")
    models, settings, began = service.models, service.settings, int(time.time())

    @made.get("/models")
    async def listed() -> Response:
        return answer({"object": "list", "data": [described(one, began) for one in models.named.values()]})

    @made.get("/models/{name:path}")
    async def model(name: str) -> Response:
        return answer(described(models.chosen(name), began))

    @made.post("/chat/completions")
    async def chat(request: Request) -> Response:
        return await replied(request, prepare_chat, chat=True)

    @made.post("/completions")
    async def completions(request: Request) -> Response:
        return await replied(request, prepare_completion, chat=False)

    async def replied(request: Request, prepare: Callable[[bytes, Models, Guards], Prepared], chat: bool) -> Response:
        visit, deadline = Visit(service, request.state.key), asyncio.get_running_loop().time() + settings.seconds
        replies: Replies | None = None
        streaming = False
        try:
            asked = await begun(request, visit, prepare)
            visit.enter(len(asked.prompts) * asked.n - 1)
            opened = asked.served.opened
            if asked.trace:
                longest = max(len(ids) + min(asked.options.max_tokens, room(opened, ids)) for ids in asked.prompts)
                await service.beside(traces.check, asked.served, longest, asked.trace)
            visit.pay(sum(len(ids) + min(each.max_tokens, room(opened, ids)) for ids, each in asked.each))
            replies = Replies(visit, asked)
            await replies.begin()
            writer = Writer(replies, chat)
            if asked.stream:
                streaming = True
                return Events(timed(writer.events(), deadline), closing(request, replies), deadline)
            return answer(await unless_gone(request, in_time(writer.whole(), deadline)))
        finally:
            if not streaming:
                closing(request, replies)() if replies is not None else visit.close()

    async def begun(request: Request, visit: Visit, prepare: Callable[..., T]) -> T:
        """Into the room, with the body checked and prepared."""
        visit.enter(1)
        service.pay(visit.key, requests=1)
        return await service.prepare(visit.key, prepare, await body_of(request), models, service.guards)

    @made.post("/embeddings")
    async def embeddings(request: Request) -> Response:
        visit, deadline = Visit(service, request.state.key), asyncio.get_running_loop().time() + settings.seconds
        try:
            served, inputs, encoding = await begun(request, visit, prepare_embedding)
            count = sum(map(len, inputs))
            visit.pay(count)

            async def work() -> list[Any]:
                return [await service.beside(embedded, served, ids, encoding) for ids in inputs]

            vectors = await unless_gone(request, in_time(work(), deadline))
            visit.used = request.state.told["prompt_tokens"] = count
            request.state.told["model"] = served.name
            service.metrics.tokens.labels(served.name, "prompt").inc(count)
        finally:
            visit.close()
        told = [{"object": "embedding", "index": place, "embedding": of} for place, of in enumerate(vectors)]
        usage = {"prompt_tokens": count, "total_tokens": count}
        return answer({"object": "list", "data": told, "model": served.name, "usage": usage})

    return made


# ---------------------------------------------------------------------------------------------- pieces
def described(served: Served, began: int) -> dict[str, Any]:
    """A model as OpenAI lists it, what it can, and for an adapter its base (``parent``)."""
    return {
        "id": served.name,
        "object": "model",
        "created": began,
        "owned_by": "glaswerk",
        "parent": served.parent,
        "context": served.opened.model.config.context,
        "chat": served.opened.has_chat,
    }


def room(opened: OpenedModel, ids: list[int]) -> int:
    """Tokens that fit behind a prompt."""
    return opened.model.config.context - len(ids)


@torch.inference_mode()
def embedded(served: Served, ids: list[int], encoding: str) -> Any:
    """A text's vector ``[C]``: the mean over its tokens of the last hidden states, brought to the length 1."""
    model = served.opened.model
    with served.alone():
        x_TC = model.hidden(torch.tensor([ids], device=model.embedding.device))[0]
    vector = torch.nn.functional.normalize(x_TC.float().mean(0), dim=0).cpu()
    if encoding == "base64":
        return base64.b64encode(vector.numpy().astype("<f4").tobytes()).decode("ascii")
    return vector.tolist()


async def body_of(request: Request) -> bytes:
    """The whole body; the gate bounds its size, and here is its time."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Problem(415, "the body must be JSON: Content-Type: application/json")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.body()
    except TimeoutError:
        raise Problem(408, f"the body did not come within {BODY_SECONDS} s") from None


def late() -> Problem:
    """It took too long."""
    return Problem(503, "the request took too long and was stopped", code="timeout", retry_after=10)


async def in_time(work: Awaitable[T], deadline: float) -> T:
    """The result, or :class:`Problem` 503."""
    try:
        async with asyncio.timeout_at(deadline):
            return await work
    except TimeoutError:
        raise late() from None


async def timed(events: AsyncIterator[bytes], deadline: float) -> AsyncIterator[bytes]:
    """Events until they end, or until it took too long."""
    try:
        while True:
            async with asyncio.timeout_at(deadline):
                event = await anext(events)
            yield event
    except StopAsyncIteration:
        return
    except TimeoutError:
        yield b"data: " + encoded(late().body()) + b"\n\n"


async def unless_gone(request: Request, work: Awaitable[T]) -> T:
    """The result; where the client leaves before, the work is cancelled."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    working, watching = asyncio.ensure_future(work), asyncio.ensure_future(gone())
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Problem(499, "the client left")
        return await working
    finally:
        for task in (working, watching):
            task.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


def closing(request: Request, replies: Replies) -> Callable[[], None]:
    """What ends a request: cancel what still runs, free its place, and tell the log."""

    def close() -> None:
        replies.close()
        service, served = replies.visit.service, replies.asked.served
        if service.settings.log_prompts:
            decode = served.opened.tokenizer.decode
            texts = {"prompts": replies.asked.prompts, "replies": [job.ids for job in replies.jobs]}
            request.state.told.update({name: [decode(ids) for ids in of] for name, of in texts.items()})
        firsts = [job.first - job.arrived for job in replies.jobs if job.first]
        read, written = sum(map(len, replies.asked.prompts)), sum(len(job.ids) for job in replies.jobs)
        for what, count in (("prompt", read), ("reply", written)):
            service.metrics.tokens.labels(served.name, what).inc(count)
        request.state.told.update(
            {
                "model": served.name,
                "prompt_tokens": read,
                "completion_tokens": written,
                "first_token": round(min(firsts), 4) if firsts else None,
            }
        )

    return close


class Events(StreamingResponse):
    """Server-sent events; ``close`` is called however it ends. Whoever does not read them in time is left."""

    def __init__(self, events: AsyncIterator[bytes], close: Callable[[], None], deadline: float) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"x-accel-buffering": "no"})
        self.close, self.deadline = close, deadline

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout_at(self.deadline + GRACE):
                await super().__call__(scope, receive, send)
        except TimeoutError:
            pass
        finally:
            self.close()


def answer(value: Any) -> Response:
    """JSON."""
    return Response(encoded(value), media_type="application/json")
