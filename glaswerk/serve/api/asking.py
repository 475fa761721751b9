"""From a request's bytes to what the engine takes: JSON with bounds, the schema, the chat template, tokens, grammars.

All of it runs in a pool of threads, because a long text or a hard pattern would hold up everybody if it were done on
the event loop. Left out: what becomes of it (``replies.py``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from threading import Lock
from typing import Any, TypeVar

from pydantic import ValidationError

from glaswerk.errors import GlaswerkError
from glaswerk.generate import SamplingOptions
from glaswerk.generate.constrain import bytes_of, grammar
from glaswerk.opened import OpenedModel
from glaswerk.serve.api.guards import Guards
from glaswerk.serve.api.models import Models, Served
from glaswerk.serve.api.problem import Problem
from glaswerk.serve.api.schema import MOST_REPLIES, Asked, Chat, Completion, Embedding, Inside, Sampling
from glaswerk.serve.api.tools import Tools, conversation
from glaswerk.tokenizer import Tokenizer

A = TypeVar("A", bound=Asked)

#: JSON inside JSON
DEEPEST = 100
#: tokens of a reply, unless the client says
REPLY, CONTINUATION = 1024, 16
#: seeds that the sampler takes, with room for n replies
SEEDS = (1 << 61) - 1
#: the pool's threads share what grammars are kept
_grammars = Lock()


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is to be computed, by which model. ``top``: how many of the likeliest tokens are told, None: no
    log-probabilities."""

    served: Served
    prompts: list[list[int]]
    options: SamplingOptions
    n: int
    top: int | None
    stream: bool
    include_usage: bool
    tools: Tools | None
    trace: tuple[str, ...]

    @property
    def each(self) -> list[tuple[list[int], SamplingOptions]]:
        """Prompt and options of every reply, prompt by prompt."""
        seed = self.options.seed
        return [
            (prompt, replace(self.options, seed=None if seed is None else seed + number))
            for prompt in self.prompts
            for number in range(self.n)
        ]


# ---------------------------------------------------------------------------------------------- JSON and schema
def parse(body: bytes, kind: type[A]) -> A:
    """The request, checked. Raises :class:`Problem` 400 that names the field."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        raise Problem(400, "the body is not valid JSON") from None
    if not isinstance(told, dict):
        raise Problem(400, "the body must be a JSON object")
    if depth(told) > DEEPEST:
        raise Problem(400, f"the body is nested deeper than {DEEPEST} levels")
    try:
        return kind.model_validate(told)
    except ValidationError as error:
        raise wrong(error, told) from None


def wrong(error: ValidationError, told: dict[str, Any]) -> Problem:
    """The one line that says most. Where a field may be of several kinds, each kind complains: the complaint about the
    deepest place is about the kind that was meant, and one about the kind itself says least."""
    found = [
        (place(told, one["loc"], one["type"] == "missing"), one["type"].endswith("_type"), one["msg"])
        for one in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    steps, _, says = min(found, key=lambda each: (-len(each[0]), each[1]))
    where = ".".join(str(step)[:64] for step in steps)[:200]
    return Problem(400, f"{where}: {says}", param=where or None)


def place(told: Any, steps: Sequence[int | str], missing: bool) -> list[int | str]:
    """The keys and places among ``steps``, without pydantic's names of kinds; the last is kept if it is missing."""
    found: list[int | str] = []
    for number, step in enumerate(steps, 1):
        inner = told if isinstance(told, dict) else dict(enumerate(told)) if isinstance(told, list) else {}
        if step in inner:
            told = inner[step]
        elif not (missing and number == len(steps)):
            continue
        found.append(step)
    return found


def depth(value: Any) -> int:
    """How many lists and objects lie inside each other."""
    deepest, level = 0, [value]
    while level := [inner for outer in level for inner in inside(outer)]:
        deepest += 1
        if deepest > DEEPEST:
            break
    return deepest


def inside(value: Any) -> Sequence[Any]:
    """The values of a list or an object."""
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


# ---------------------------------------------------------------------------------------------- the two kinds
def prepare_chat(body: bytes, models: Models, guards: Guards) -> Prepared:
    """A conversation."""
    asked = parse(body, Chat)
    served = models.chosen(asked.model)
    opened = served.opened
    if asked.top_logprobs is not None and not asked.logprobs:
        raise Problem(400, "top_logprobs needs logprobs: true", param="top_logprobs")
    tools = Tools(asked)
    messages = guarded(conversation(asked.messages, tools), guards)
    check_size(sum(len(message["content"]) for message in messages), opened, "messages")
    ids = said(lambda: opened.chat_ids(messages), "messages")
    most = asked.max_completion_tokens or asked.max_tokens
    held = schema_of(asked, tools)
    top = (asked.top_logprobs or 0) if asked.logprobs else None
    return prepared(asked, served, [ids], most or REPLY, held, top, tools)


def prepare_completion(body: bytes, models: Models, guards: Guards) -> Prepared:
    """A text, or several, or their tokens."""
    asked = parse(body, Completion)
    served = models.chosen(asked.model)
    prompts = said(lambda: texts(asked.prompt, served.opened, guards), "prompt")
    return prepared(asked, served, prompts, asked.max_tokens or CONTINUATION, None, asked.logprobs, None)


def prepare_embedding(body: bytes, models: Models, guards: Guards) -> tuple[Served, list[list[int]], str]:
    """The model, the tokens of every text, and how vectors are written."""
    asked = parse(body, Embedding)
    served = models.chosen(asked.model)
    inputs = said(lambda: texts(asked.input, served.opened, guards), "input")
    for ids in inputs:
        check_length(ids, served.opened, 0, "input")
    return served, inputs, asked.encoding_format


def texts(given: Any, opened: OpenedModel, guards: Guards) -> list[list[int]]:
    """OpenAI's four ways to give text: one or several, as text or as ids. Ids are no text that guards could read, so
    where there are guards they read what the ids stand for, and that is what the model gets."""
    several = [given] if isinstance(given, str) or isinstance(given[0], int) else given
    for one in several:
        check_size(len(one) if isinstance(one, str) else 0, opened, "prompt")
    if guards.any:
        several = [one if isinstance(one, str) else opened.tokenizer.decode(known(one, opened)) for one in several]
    return [opened.prompt_ids(guards.asked(one)) if isinstance(one, str) else list(one) for one in several]


def known(ids: list[int], opened: OpenedModel) -> list[int]:
    """The ids, if the model has them all."""
    check_length(ids, opened, 0, "prompt")
    return ids


def guarded(messages: list[dict[str, str]], guards: Guards) -> list[dict[str, str]]:
    """The conversation as the guards let it through, with what they tell the model themselves."""
    if not guards.any:
        return messages
    told = [{**message, "content": guards.asked(message["content"])} for message in messages]
    if secret := guards.system():
        if told[0]["role"] == "system":
            told[0]["content"] = f"{told[0]['content']}\n\n{secret}"
        else:
            told.insert(0, {"role": "system", "content": secret})
    return told


def said(make: Any, param: str) -> Any:
    """What ``make`` gives; where it cannot, a problem with this part of the request."""
    try:
        return make()
    except GlaswerkError as error:
        raise Problem(400, str(error), param=param) from None


def check_size(characters: int, opened: OpenedModel, param: str) -> None:
    """Text that cannot fit, however well it is cut into tokens, is not cut at all: that alone could take long."""
    if characters > opened.model.config.context * longest(opened.tokenizer):
        raise Problem(
            400, f"the text has {characters:,} characters, which is more than the model's context: shorten it",
            code="context_length_exceeded", param=param,
        )  # fmt: skip


@lru_cache(maxsize=4)
def longest(tokenizer: Tokenizer) -> int:
    """Bytes of the longest token."""
    return max(len(bytes_of(tokenizer, number)) for number in range(tokenizer.vocabulary_size))


def check_length(ids: list[int], opened: OpenedModel, more: int, param: str) -> None:
    """A prompt must fit with ``more`` tokens behind it, and be made of the model's tokens."""
    context = opened.model.config.context
    if len(ids) + more > context:
        raise Problem(
            400, f"the text has {len(ids):,} tokens and the model's context is {context:,}: shorten it",
            code="context_length_exceeded", param=param,
        )  # fmt: skip
    if max(ids) >= opened.tokenizer.vocabulary_size:
        raise Problem(400, f"the model has no token {max(ids)}", param=param)


# ---------------------------------------------------------------------------------------------- options
def prepared(
    asked: Sampling,
    served: Served,
    prompts: list[list[int]],
    most: int,
    schema: dict[str, Any] | None,
    top: int | None,
    tools: Tools | None,
) -> Prepared:
    """The sampling options, checked, and their grammar made ahead."""
    n, extra, opened = asked.n or 1, asked.glaswerk or Inside(), served.opened
    if len(prompts) * n > MOST_REPLIES:
        raise Problem(400, f"{len(prompts) * n} replies are asked in one request; at most {MOST_REPLIES}", param="n")
    for ids in prompts:
        check_length(ids, opened, 1, "prompt" if isinstance(asked, Completion) else "messages")
    bias = {int(number): value for number, value in (asked.logit_bias or {}).items()}
    if any(number >= opened.tokenizer.vocabulary_size for number in bias):
        raise Problem(400, f"the model has no token {max(bias)}", param="logit_bias")
    if asked.stream_options is not None and not asked.stream:
        raise Problem(400, "stream_options needs stream: true", param="stream_options")
    stop = [asked.stop] if isinstance(asked.stop, str) else asked.stop or []

    def options() -> SamplingOptions:
        made = SamplingOptions(
            max_tokens=most,
            temperature=1.0 if asked.temperature is None else asked.temperature,
            top_k=asked.top_k or 0,
            top_p=asked.top_p or 1.0,
            min_p=asked.min_p or 0.0,
            repetition_penalty=asked.repetition_penalty or 1.0,
            presence_penalty=asked.presence_penalty or 0.0,
            frequency_penalty=asked.frequency_penalty or 0.0,
            logit_bias=bias,
            seed=None if asked.seed is None else asked.seed & SEEDS,
            stop=tuple(stop),
            choices=extra.choices,
            regex=extra.regex,
            json_schema=schema,
        )
        with _grammars:
            grammar(opened.tokenizer, made)  # kept: the engine's thread only asks for it again
        return made

    made = said(options, "response_format" if schema is not None else "glaswerk" if asked.glaswerk else "temperature")
    return Prepared(
        served, prompts, made, n, top, bool(asked.stream),
        bool(asked.stream_options and asked.stream_options.include_usage), tools, tuple(extra.trace),
    )  # fmt: skip


def schema_of(asked: Chat, tools: Tools) -> dict[str, Any] | None:
    """The JSON schema that the reply is held to, if any."""
    format_ = asked.response_format
    if tools.must:
        if format_ is not None and format_.type != "text":
            raise Problem(400, "response_format and a required tool call exclude each other", param="response_format")
        return tools.schema()
    if format_ is None or format_.type == "text":
        return None
    if format_.type == "json_object":
        return {"type": "object"}
    if format_.json_schema is None:
        raise Problem(400, "response_format needs json_schema", param="response_format.json_schema")
    return format_.json_schema.schema_
