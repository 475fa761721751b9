"""The inside of a reply that was just given: named values, what each layer would say, the likeliest tokens.

Prompt and reply are read once more, plainly and in fp32 (``lens/trace.py``), a LoRA adapter as part of the matrices it
changes, so what is told may differ in its last bits from what the engine computed. All is checked before anything is
generated: the names, and that neither the recording nor the answer grows too large. Left out: editing, gradients.

Shapes: T time, C width, V vocabulary, R tokens of the reply.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from glaswerk.errors import GlaswerkError
from glaswerk.lens.meanings import meaning
from glaswerk.lens.stack import readings
from glaswerk.lens.trace import Trace, finite, plain_copy, recording_bytes, trace
from glaswerk.model import Decoder
from glaswerk.serve.api.models import Served
from glaswerk.serve.api.problem import Problem
from glaswerk.tokenizer.chip import chip

#: bytes of a recording, and of the numbers in an answer before base64
MOST_RECORDED, MOST_TOLD = 2**30, 8 * 2**20
#: how many candidates are named
CANDIDATES = 10
#: names that are not steps of a trace
OWN = ("lens", "candidates")


def check(served: Served, time: int, wanted: Sequence[str]) -> None:
    """Raise :class:`Problem` 400 where a trace of ``time`` tokens cannot be told."""
    if recording_bytes(served.opened.model.config, time) > MOST_RECORDED:
        raise Problem(
            400, f"a trace of up to {time:,} tokens is too large: lower max_tokens or shorten the prompt",
            param="glaswerk.trace",
        )  # fmt: skip
    try:
        steps = selected(recorded(served, [0]), wanted)
    except GlaswerkError as error:
        raise Problem(400, str(error), param="glaswerk.trace") from None
    told = 0
    for step in steps:
        shape, axes = step.value.shape, meaning(step.name).axes
        size = 1
        for length, axis in zip(shape, axes, strict=True):
            size *= time if axis in "TS" else length
        told += size * (1 if step.name.endswith(("weights", "mask", "probabilities")) else 4)
    if told > MOST_TOLD:
        raise Problem(
            400,
            f"the traced values may take {told / 2**20:,.0f} MiB and at most {MOST_TOLD / 2**20:.0f} are sent: name "
            "fewer, lower max_tokens or shorten the prompt",
            param="glaswerk.trace",
        )


def recorded(served: Served, ids: Sequence[int]) -> Trace:
    """A trace of the base, or with the adapter."""
    opened = served.opened
    return trace(opened.model, opened.tokenizer, ids, name=served.name, adapter=served.adapter)


def selected(found: Trace, wanted: Sequence[str]) -> list[Any]:
    """The steps that the names mean."""
    globs = [name for name in wanted if name not in OWN]
    return found.select(",".join(globs)) if globs else []


def traced(served: Served, prompt: Sequence[int], reply: Sequence[int], wanted: Sequence[str]) -> dict[str, Any]:
    """What a reply's answer tells. ``start``: the place of the reply's first token; a place's ``lens`` and
    ``candidates`` are about the token that comes after the place before it."""
    ids = [*prompt, *reply]
    found = recorded(served, ids)
    places = list(range(len(prompt) - 1, len(ids) - 1))
    told: dict[str, Any] = {
        "start": len(prompt),
        "tokens": found.tokens,
        "steps": [step.json(True, True) for step in selected(found, wanted)],
    }
    if "lens" in wanted:
        plain, _ = plain_copy(served.opened.model, served.adapter)
        told["lens"] = lens(plain, found, places)
    if "candidates" in wanted:
        told["candidates"] = candidates(found, places)
    return told


@torch.no_grad()
def lens(plain: Decoder, found: Trace, places: Sequence[int]) -> list[dict[str, Any]]:
    """For each layer what the output would read there, at each place: the likeliest token, its probability, and that of
    the token which really came (the logit lens, nostalgebraist 2020)."""
    layers = []
    came_R = torch.tensor([found.ids[place + 1] for place in places], dtype=torch.long)
    for layer in range(plain.config.layers if places else 0):
        stream_TC = found[f"blocks.{layer}.residual"][0]
        read_RV = readings(plain, stream_TC[list(places)], found)
        best = read_RV.max(-1)
        chosen_R = read_RV.gather(1, came_R[:, None].to(read_RV.device))[:, 0]
        layers.append(
            {
                "id": best.indices.tolist(),
                "token": [chip(found.tokenizer.token_bytes(number)) for number in best.indices.tolist()],
                "probability": [finite(value) for value in best.values.tolist()],
                "chosen": [finite(value) for value in chosen_R.tolist()],
            }
        )
    return layers


def candidates(found: Trace, places: Sequence[int]) -> list[list[dict[str, Any]]]:
    """At each place the likeliest tokens to come next."""
    known = found.tokenizer.vocabulary_size
    best = found["logits"][0, list(places), :known].softmax(-1).topk(min(CANDIDATES, known))
    return [
        [
            {"id": number, "token": chip(found.tokenizer.token_bytes(number)), "probability": finite(value)}
            for number, value in zip(numbers, values, strict=True)
        ]
        for numbers, values in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]
