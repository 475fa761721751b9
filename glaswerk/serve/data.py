"""What figures ask for, as JSON text: ``answer(holder, "trace", {"prompt": "Hello"})``.

The server answers requests with it, and an exported site is made of its answers. Arguments come from strangers; each
kind checks its own. Every answer is computed by the library on the open model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from glaswerk.course import demo
from glaswerk.errors import GlaswerkError, NoModel
from glaswerk.serve import beside
from glaswerk.serve.holder import Holder
from glaswerk.serve.recorded import answer as recorded_answer
from glaswerk.serve.weights import weight, weights

#: the longest prompt in characters
MOST_CHARACTERS = 2000
#: candidates that are named with their exact logits; the others' logits are sent without names, rounded to steps of
#: STEP, which a twentieth of the bytes hold
NAMED, STEP = 256, 1 / 1024
#: the most tokens of a continuation that two models are compared by
MOST_STEPS = 32
Arguments = Mapping[str, Any]


def answer(holder: Holder, kind: str, arguments: Arguments) -> str:
    """The answer to one request. Raises :class:`GlaswerkError` for what cannot be answered, ``LookupError`` for a kind
    that is none. Without a model, what was recorded of another."""
    try:
        return computed(holder, kind, arguments)
    except NoModel:
        if holder.state != "recorded":
            raise
        return recorded_answer(kind, arguments)


def computed(holder: Holder, kind: str, arguments: Arguments) -> str:
    """The answer, computed now."""
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
    if "model" in arguments:  # one that is open beside it
        holder = beside.open_beside(holder, arguments["model"])
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
        raise GlaswerkError(
            "only must be a glob over the steps' names", "„only“ muss ein Muster für die Namen der Schritte sein."
        )
    recorded = holder.trace(prompt_of(arguments))
    with holder.busy:
        told = recorded.json(only=only, compact=bool(arguments.get("compact")))
    if only is not None:  # the page has these already
        told = {"model": told["model"], "steps": told["steps"]}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def next_token(holder: Holder, arguments: Arguments) -> str:
    """The logits after ``prompt``: those of the likeliest with their names; of the ``rest``, largest first, how many
    steps each lies below the one before it. Sliders need no second request."""
    recorded = holder.trace(prompt_of(arguments))
    with holder.busy:
        known = recorded.tokenizer.vocabulary_size
        logits_V = recorded["logits"][0, -1, :known].float().cpu()
        top = [{**each, "logit": float(logits_V[each["id"]])} for each in recorded.top(min(NAMED, known))]
    begin = top[-1]["logit"]
    below = ((begin - logits_V.sort(descending=True).values[len(top) :]) / STEP).round().long().tolist()
    return demo.as_json(
        {
            "model": recorded.name,
            "prompt": recorded.prompt,
            "ids": recorded.ids,
            "tokens": recorded.tokens,
            "vocabulary": known,
            "top": top,
            "rest": {"from": begin, "step": STEP, "gaps": [one - before for before, one in pairwise([0, *below])]},
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
        raise GlaswerkError(
            "temperature, top_k, top_p, min_p and seed must be numbers",
            "Temperatur, Top-k, Top-p, Min-p und Seed müssen Zahlen sein.",
        )
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


def row(holder: Holder, arguments: Arguments) -> str:
    """The weights that one number of a step was made with: ``step``, ``place``; see ``glaswerk/lens/rows.py``."""
    from glaswerk.lens.rows import row

    name, place = arguments.get("step"), arguments.get("place")
    if not isinstance(name, str) or type(place) is not int:
        raise GlaswerkError(
            "step must be the name of a step and place a whole number",
            "„step“ muss der Name eines Schritts sein, „place“ eine ganze Zahl.",
        )
    with holder.busy:
        found = row(holder.model().model, name, place)
    if "weights" in found:
        found["weights"] = demo.packed(found["weights"].cpu().numpy())
    return demo.as_json(found)


def stack(holder: Holder, arguments: Arguments) -> str:
    """Each block at one glance, read at ``place`` (without it: the last token); see ``glaswerk/lens/stack.py``."""
    from glaswerk.lens.stack import stack

    recorded = holder.trace(prompt_of(arguments))
    place = arguments.get("place", len(recorded.ids) - 1)
    if type(place) is not int or not 0 <= place < len(recorded.ids):
        raise GlaswerkError(
            f"place must be a whole number from 0 to {len(recorded.ids) - 1}",
            f"„place“ muss eine ganze Zahl von 0 bis {len(recorded.ids) - 1} sein.",
        )
    with holder.busy:
        return demo.as_json(stack(holder.model().model, recorded, place))


def models(holder: Holder, _: Arguments) -> str:
    """What can be opened beside the open model: names, and the stages of its own run first."""
    return demo.as_json({"open": holder.name, "models": list(beside.offered(holder))})


def compare(holder: Holder, arguments: Arguments) -> str:
    """``prompt`` through the open model and through the one named ``with``: where they part; and what each writes, most
    likely token by token, for ``steps`` tokens."""
    from glaswerk import generate
    from glaswerk.lens.compare import compare
    from glaswerk.tokenizer.chip import chip

    prompt = text_of(arguments, "prompt")
    steps = arguments.get("steps", 12)
    if type(steps) is not int or not 0 <= steps <= MOST_STEPS:
        raise GlaswerkError(
            f"steps must be a whole number from 0 to {MOST_STEPS}",
            f"„steps“ muss eine ganze Zahl von 0 bis {MOST_STEPS} sein.",
        )
    pair = (holder, beside.open_beside(holder, arguments.get("with")))
    traces = [each.trace(prompt_of({"prompt": prompt})) for each in pair]
    sides = []
    for each, recorded in zip(pair, traces, strict=True):
        opened = each.model()
        with each.busy:
            room = min(steps, opened.model.config.context - len(recorded.ids))
            how = opened.how({"max_tokens": room}) if room > 0 else None
            written = generate.batch(opened.model, opened.tokenizer, [recorded.ids], **how)[0].ids if how else []
            sides.append(
                {
                    "name": recorded.name,
                    "layers": recorded.config.layers,
                    "tokens": recorded.tokens,
                    "top": recorded.top(),
                    "written": [{"id": one, "text": chip(opened.tokenizer.token_bytes(one))} for one in written],
                    "text": opened.tokenizer.decode(written),
                }
            )
    with pair[0].busy, pair[1].busy:
        parted = compare(*traces)
    return demo.as_json({"prompt": prompt, "first": sides[0], "second": sides[1], **parted})


KINDS: dict[str, Callable[[Holder, Arguments], str]] = {
    "model": model,
    "tokens": tokens,
    "trace": trace,
    "next": next_token,
    "step": step,
    "weights": weights,
    "weight": weight,
    "row": row,
    "stack": stack,
    "models": models,
    "compare": compare,
}


# ---------------------------------------------------------------------------------------------- arguments
def text_of(arguments: Arguments, key: str) -> str:
    """A text argument of bounded length."""
    value = arguments.get(key, "")
    if not isinstance(value, str):
        raise GlaswerkError(f"{key} must be a text", f"„{key}“ muss ein Text sein.")
    if len(value) > MOST_CHARACTERS:
        raise GlaswerkError(
            f"the text is {len(value):,} characters long, the lab takes {MOST_CHARACTERS:,}: shorten it",
            f"Der Text ist {len(value)} Zeichen lang, das Labor nimmt höchstens {MOST_CHARACTERS}. Kürze ihn.",
        )
    return value


def prompt_of(arguments: Arguments) -> str | list[int]:
    """The prompt as a text or as token ids (``ids``, what a page sends back after a token was drawn)."""
    ids = arguments.get("ids")
    if ids is None:
        prompt = text_of(arguments, "prompt")
        if not prompt:
            raise GlaswerkError(
                "the prompt is empty: type at least one character",
                "Der Prompt ist leer. Gib mindestens ein Zeichen ein.",
            )
        return prompt
    if not isinstance(ids, list) or not ids or not all(type(number) is int and number >= 0 for number in ids):
        raise GlaswerkError("ids must be a list of token ids", "„ids“ muss eine Liste von Token-IDs sein.")
    return ids
