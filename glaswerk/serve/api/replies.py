"""Answers in OpenAI's shapes, whole or as server-sent events, and what Glaswerk adds: the trace of the very reply.

A log-probability is the model's own, before temperature and all other sampling options. Tokens that became the stop
text have theirs in the list, though the text ends before it. Where guards must see a whole reply, a stream holds it
back until then. Left out: where replies come from (``service.py``).
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from glaswerk.serve.api.guards import Guards
from glaswerk.serve.api.problem import Problem
from glaswerk.serve.api.service import Replies
from glaswerk.serve.api.tools import Tools, may_be_calls
from glaswerk.serve.api.traces import traced
from glaswerk.serve.api.worker import Token


@dataclass(slots=True)
class Choice:
    """One reply so far. Nothing of it is shown as long as it may become calls, or where guards must see all of it."""

    tools: Tools | None
    guards: Guards
    text: str = ""
    reason: str | None = None
    tokens: list[Token] = field(default_factory=list)
    shown: bool = False
    #: the guards changed it or withhold it: nothing that tells what it was may be told
    changed: bool = False

    def take(self, token: Token) -> str:
        """Add a token; the text to show now."""
        self.text += token.piece.text
        self.reason = token.piece.finish_reason
        if not token.ended and token.likely is not None:
            self.tokens.append(token)
        if self.reason is not None and self.guards.holds:
            self.judge()
        if self.guards.holds or (self.tools and not self.shown and (self.tools.must or may_be_calls(self.text))):
            return ""
        shown = self.text if self.tools and not self.shown else token.piece.text
        self.shown = True
        return shown

    def judge(self) -> None:
        """The whole reply before the guards."""
        told = self.guards.replied(self.text)
        self.changed = told != self.text
        self.text = told or ""
        if told is None:
            self.reason = "content_filter"

    def calls(self) -> list[dict[str, Any]] | None:
        """At the end: the calls that it is."""
        return self.tools.calls(self.text) if self.tools and not self.shown else None


class Writer:
    """One request's answers. ``chat``: the conversation's shapes, else those of plain completions."""

    def __init__(self, replies: Replies, chat: bool) -> None:
        self.replies, self.chat, self.asked = replies, chat, replies.asked
        self.served = self.asked.served
        self.tokenizer = self.served.opened.tokenizer
        self.guards = replies.visit.service.guards
        self.choices = [Choice(self.asked.tools, self.guards) for _ in replies.jobs]
        self.id = f"{'chatcmpl' if chat else 'cmpl'}-{secrets.token_hex(12)}"
        self.created = int(time.time())
        self.offsets = [0] * len(self.choices)

    # ------------------------------------------------------------------ whole
    async def whole(self) -> dict[str, Any]:
        """The finished answer."""
        async for place, token in self.replies.tokens():
            self.choices[place].take(token)
        told = [await self.whole_choice(place) for place in range(len(self.choices))]
        return {**self.frame("chat.completion" if self.chat else "text_completion"), "choices": told,
                "usage": self.replies.usage()}  # fmt: skip

    async def whole_choice(self, place: int) -> dict[str, Any]:
        choice = self.choices[place]
        told: dict[str, Any] = {"index": place, "finish_reason": choice.reason, "logprobs": None}
        if self.chat:
            calls = choice.calls()
            message: dict[str, Any] = {"role": "assistant", "content": choice.text, "refusal": None}
            if calls is not None:
                message |= {"content": None, "tool_calls": calls}
                told["finish_reason"] = "tool_calls" if choice.reason == "stop" else choice.reason
            told["message"] = message
        else:
            told["text"] = choice.text
        if self.asked.top is not None and not choice.changed:
            told["logprobs"] = self.logprobs(place, choice.tokens)
        return {**told, **await self.inside(place)}

    # ------------------------------------------------------------------ piece by piece
    async def events(self) -> AsyncIterator[bytes]:
        """Server-sent events. What goes wrong after the first byte is an event too."""
        try:
            if self.chat:
                for place in range(len(self.choices)):
                    yield self.chunk(place, {"role": "assistant", "content": ""})
            async for place, token in self.replies.tokens():
                choice = self.choices[place]
                text = choice.take(token)
                likely = None
                if (
                    self.asked.top is not None
                    and not self.guards.holds
                    and not token.ended
                    and token.likely is not None
                ):
                    likely = self.logprobs(place, [token])
                if choice.reason is None:
                    if text or likely:
                        yield self.chunk(place, self.delta(text), likely)
                    continue
                for chunk in self.last(place, text, likely):
                    yield chunk
                reason = choice.reason
                if choice.calls() is not None and reason == "stop":
                    reason = "tool_calls"
                yield self.chunk(place, self.delta(""), None, reason, await self.inside(place))
            if self.asked.include_usage:
                yield event({**self.frame(self.chunk_kind), "choices": [], "usage": self.replies.usage()})
            yield b"data: [DONE]\n\n"
        except Problem as problem:
            yield event(problem.body())

    def last(self, place: int, text: str, likely: Any) -> list[bytes]:
        """What a reply still shows at its end: held text, or the calls that it became."""
        choice = self.choices[place]
        calls = choice.calls()
        if calls is not None:
            told = [{"index": number, **call} for number, call in enumerate(calls)]
            return [self.chunk(place, {"tool_calls": told}, likely)]
        if self.guards.holds and self.asked.top is not None and not choice.changed:
            likely = self.logprobs(place, choice.tokens)
        text = text if choice.shown else choice.text
        return [self.chunk(place, self.delta(text), likely)] if text or likely else []

    @property
    def chunk_kind(self) -> str:
        return "chat.completion.chunk" if self.chat else "text_completion"

    def delta(self, text: str) -> Any:
        """What is new, in the shape of chat or plain."""
        return ({"content": text} if text else {}) if self.chat else text

    def chunk(
        self, place: int, new: Any, likely: Any = None, reason: str | None = None, more: dict[str, Any] | None = None
    ) -> bytes:
        """One event of one reply."""
        name = "delta" if self.chat else "text"
        told = {"index": place, name: new, "logprobs": likely, "finish_reason": reason, **(more or {})}
        return event({**self.frame(self.chunk_kind), "choices": [told]})

    # ------------------------------------------------------------------ parts
    def frame(self, kind: str) -> dict[str, Any]:
        """What stands around every answer."""
        return {"id": self.id, "object": kind, "created": self.created, "model": self.served.name}

    async def inside(self, place: int) -> dict[str, Any]:
        """The trace of this reply, where it was asked for."""
        if not self.asked.trace or self.choices[place].changed:
            return {}
        job = self.replies.jobs[place]
        told = await self.replies.visit.service.beside(traced, self.served, job.prompt, job.ids, self.asked.trace)
        return {"glaswerk": {"trace": told}}

    def logprobs(self, place: int, tokens: list[Token]) -> dict[str, Any]:
        """Log-probabilities of these tokens, as chat or plain completions tell them."""
        if self.chat:
            return {"content": [self.chat_logprob(token) for token in tokens], "refusal": None}
        told: dict[str, Any] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
        for token in tokens:
            assert token.likely is not None
            text = self.text(token.piece.id)
            told["tokens"].append(text)
            told["token_logprobs"].append(finite(token.likely.logprob))
            told["top_logprobs"].append({self.text(number): finite(value) for number, value in token.likely.top})
            told["text_offset"].append(self.offsets[place])
            self.offsets[place] += len(text)
        return told

    def chat_logprob(self, token: Token) -> dict[str, Any]:
        assert token.likely is not None
        return {
            **self.named(token.piece.id, token.likely.logprob),
            "top_logprobs": [self.named(number, value) for number, value in token.likely.top],
        }

    def named(self, number: int, logprob: float) -> dict[str, Any]:
        """A token with its bytes, which the text alone may not tell."""
        data = self.tokenizer.token_bytes(number)
        return {"token": data.decode(errors="replace"), "logprob": finite(logprob), "bytes": list(data)}

    def text(self, number: int) -> str:
        return self.tokenizer.token_bytes(number).decode(errors="replace")


def finite(logprob: float) -> float:
    """JSON has no infinity; OpenAI's -9999 stands for it."""
    return max(logprob, -9999.0)


def event(value: Any) -> bytes:
    """One server-sent event."""
    return b"data: " + encoded(value) + b"\n\n"


def encoded(value: Any) -> bytes:
    """JSON as it is sent."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
