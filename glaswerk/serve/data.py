"""What figures ask for, as JSON text: ``answer(holder, "trace", {"prompt": "Hello"})``.

The server answers requests with it, and an exported site is made of its answers. Arguments come from strangers; each
kind checks its own. Every answer is computed by the library on the open model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from glaswerk.course import demo
from glaswerk.errors import GlaswerkError
from glaswerk.serve.holder import Holder

#: the longest prompt in characters
MOST_CHARACTERS = 2000
#: candidates that are named; the logits are sent for the whole vocabulary
NAMED = 256
Arguments = Mapping[str, Any]


def answer(holder: Holder, kind: str, arguments: Arguments) -> str:
    """The answer to one request. Raises :class:`GlaswerkError` for what cannot be answered, ``LookupError`` for a kind
    that is none."""
    if kind.startswith("demo/"):
        _, chapter, name = kind.split("/") if kind.count("/") == 2 else ("", "", "")
        function = demo.demos(chapter).get(name) if chapter else None
        if function is None:
            raise LookupError(kind)
        if not function.needs_model:
            return demo.call(chapter, name, arguments)
        with holder.busy:
            return demo.call(chapter, name, arguments, holder.model())
    if kind not in KINDS:
        raise LookupError(kind)
    return KINDS[kind](holder, arguments)


# ---------------------------------------------------------------------------------------------- the kinds
def model(holder: Holder, _: Arguments) -> str:
    """The open model's card: shape, parameters by part, where it came from."""
    opened = holder.model()
    config = opened.model.config
    from glaswerk.lens.trace import described

    origin = opened.origin
    stages = []
    if origin.run is not None:
        from glaswerk.run import Run

        stages = list(Run(origin.run).data["stages"])
    return demo.as_json(
        {
            **described(config, origin.name),
            "tied": config.tied,
            "qk_norm": config.qk_norm,
            "parameters": opened.model.parameters_count(),
            "flops_per_token": opened.model.flops_per_token(1, training=False),
            "stage": origin.stage,
            "stages": stages,
            "chat": opened.has_chat,
        }
    )


def tokens(holder: Holder, arguments: Arguments) -> str:
    """How the open model's tokenizer cuts a text: ``text`` -> tokens with id, chip text, bytes."""
    from glaswerk.tokenizer.chip import chip

    text = text_of(arguments, "text")
    tokenizer = holder.model().tokenizer
    found = [(number, tokenizer.token_bytes(number)) for number in tokenizer.encode(text)]
    return demo.as_json(
        {
            "model": holder.name,
            "text": text,
            "bytes": len(text.encode()),
            "characters": len(text),
            "vocabulary": tokenizer.vocabulary_size,
            "tokens": [{"id": number, "text": chip(piece), "bytes": piece.hex()} for number, piece in found],
        }
    )


def trace(holder: Holder, arguments: Arguments) -> str:
    """The trace of ``prompt`` (or ``ids``): steps without values; with ``only`` (globs with commas) those steps with
    their values in base64."""
    only = arguments.get("only")
    if only is not None and (not isinstance(only, str) or len(only) > 1000):
        raise GlaswerkError("only must be a glob over the steps' names")
    recorded = holder.trace(prompt_of(arguments))
    with holder.busy:
        told = recorded.json(only=only, compact=bool(arguments.get("compact")))
    if only is not None:  # the page has these already
        told = {"model": told["model"], "steps": told["steps"]}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def next_token(holder: Holder, arguments: Arguments) -> str:
    """The logits after ``prompt``, all of them, and the names of the likeliest: sliders need no second request."""
    recorded = holder.trace(prompt_of(arguments))
    with holder.busy:
        known = recorded.tokenizer.vocabulary_size
        logits_V = recorded["logits"][0, -1, :known]
        likeliest = recorded.top(min(NAMED, known))
    return demo.as_json(
        {
            "model": recorded.name,
            "prompt": recorded.prompt,
            "ids": recorded.ids,
            "tokens": recorded.tokens,
            "vocabulary": known,
            "logits": demo.packed(logits_V.cpu().numpy()),
            "top": likeliest,
        }
    )


def step(holder: Holder, arguments: Arguments) -> str:
    """Draw the next token after ``prompt`` (or ``ids``) with ``temperature, top_k, top_p, min_p, seed``, by the same
    function that generation uses."""
    import torch

    from glaswerk.generate.sampling import SamplingOptions, choose
    from glaswerk.tokenizer.chip import chip

    given = {key: arguments[key] for key in ("temperature", "top_k", "top_p", "min_p", "seed") if key in arguments}
    if not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in given.values()):
        raise GlaswerkError("temperature, top_k, top_p, min_p and seed must be numbers")
    whole = {key: int(value) if key in ("top_k", "seed") else float(value) for key, value in given.items()}
    options = SamplingOptions(**{"temperature": 1.0, "seed": 0, **whole})  # type: ignore[arg-type]
    recorded = holder.trace(prompt_of(arguments))
    with holder.busy:
        logits_BV = recorded["logits"][:, -1, : recorded.tokenizer.vocabulary_size]
        number = choose(logits_BV, options, [torch.Generator().manual_seed(options.seed or 0)])[0]
        plain = float(logits_BV[0].softmax(-1)[number])
        end = number in holder.model().end_ids
    return demo.as_json(
        {
            "id": number,
            "token": chip(recorded.tokenizer.token_bytes(number)),
            "probability": plain,
            "ids": [*recorded.ids, number],
            "text": recorded.tokenizer.decode([*recorded.ids, number]),
            "end": end,
        }
    )


KINDS: dict[str, Callable[[Holder, Arguments], str]] = {
    "model": model,
    "tokens": tokens,
    "trace": trace,
    "next": next_token,
    "step": step,
}


# ---------------------------------------------------------------------------------------------- arguments
def text_of(arguments: Arguments, key: str) -> str:
    """A text argument of bounded length."""
    value = arguments.get(key, "")
    if not isinstance(value, str):
        raise GlaswerkError(f"{key} must be a text")
    if len(value) > MOST_CHARACTERS:
        raise GlaswerkError(
            f"the text is {len(value):,} characters long, the lab takes {MOST_CHARACTERS:,}: shorten it"
        )
    return value


def prompt_of(arguments: Arguments) -> str | list[int]:
    """The prompt as a text or as token ids (``ids``, what a page sends back after a token was drawn)."""
    ids = arguments.get("ids")
    if ids is None:
        prompt = text_of(arguments, "prompt")
        if not prompt:
            raise GlaswerkError("the prompt is empty: type at least one character")
        return prompt
    if not isinstance(ids, list) or not ids or not all(type(number) is int and number >= 0 for number in ids):
        raise GlaswerkError("ids must be a list of token ids")
    return ids
