"""What chapter 0 computes: one text in GPT-2's vocabulary and in the open model's, and what one pass costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from glaswerk.course.demo import demo
from glaswerk.errors import GlaswerkError
from glaswerk.tokenizer import Tokenizer, load
from glaswerk.tokenizer.chip import chip

if TYPE_CHECKING:
    from glaswerk.opened import OpenedModel

#: GPT-2's first ids are the bytes; after them comes one id per merge, in the order in which the merges were learned
BYTES = 256


def cut(tokenizer: Tokenizer, text: str) -> list[dict[str, Any]]:
    """The tokens of a text: id, what stands on the chip, bytes as numbers."""
    found = [(number, tokenizer.token_bytes(number)) for number in tokenizer.encode(text)]
    return [{"id": number, "text": chip(token), "bytes": list(token)} for number, token in found]


@demo(text=60)
def gpt2(text: str = "Hello") -> dict[str, Any]:
    """A text in GPT-2's published vocabulary; ``merge``: its place among the merges, from 1 (0: a byte)."""
    tokenizer = load("gpt2")
    tokens = [{**token, "merge": max(0, token["id"] - BYTES + 1)} for token in cut(tokenizer, text)]
    return {"name": "GPT-2", "vocabulary": tokenizer.vocabulary_size, "tokens": tokens}


@demo(text=60)
def opened(model: OpenedModel, text: str = "Hello") -> dict[str, Any]:
    """The same text in the open model's vocabulary."""
    tokenizer = model.tokenizer
    return {"name": model.origin.name, "vocabulary": tokenizer.vocabulary_size, "tokens": cut(tokenizer, text)}


@demo(prompt=400)
def effort(model: OpenedModel, prompt: str = "Paris ist die Hauptstadt von") -> dict[str, Any]:
    """What one pass over a prompt costs: its tokens, the weights that multiply, and the operations of all matrix
    products (a multiplication and an addition are two)."""
    ids = model.tokenizer.encode(prompt)
    if not ids:
        raise GlaswerkError(
            "the prompt is empty: type at least one character", "Der Prompt ist leer. Gib mindestens ein Zeichen ein."
        )
    config, parts = model.model.config, model.model.parameters_count()
    table = parts["head"] or parts["embedding"]  # tied: the embedding is the output matrix as well
    layers = parts["attention"] + parts["mlp"]
    return {
        "model": model.origin.name,
        "prompt": prompt,
        "tokens": len(ids),
        "layers": config.layers,
        "weights": {"layers": layers, "output": table, "together": layers + table},
        "twice": 2 * (layers + table) * len(ids),
        "operations": len(ids) * model.model.flops_per_token(len(ids), training=False),
    }


@demo()
def numbers() -> dict[str, float]:
    """The numbers that stand in the quiz: how much oftener a logit larger by 2 is drawn."""
    first, second = torch.tensor([12.0, 10.0], dtype=torch.float64).softmax(-1).tolist()
    return {"ratio": first / second}
