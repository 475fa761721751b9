"""What chapter 4 computes: the worked example of "von", self- and cross-attention on its numbers, why scores are
divided by the root of d, and what a model loses when one look is cut. All by the library's own attention.

The example's numbers are those of ``demos/self_attention_demo.py``; a test holds the two equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from glaswerk.course.demo import demo
from glaswerk.errors import GlaswerkError
from glaswerk.model.attention import explicit_attention
from glaswerk.model.decoder import attention_mask
from glaswerk.model.taps import Recording

if TYPE_CHECKING:
    from glaswerk.opened import OpenedModel

# two numbers per word: how much it has to do with a place, how much it is a word of grammar
WORDS = ["Paris", "ist", "die", "Hauptstadt", "von"]
X = [[2.0, 0.0], [0.5, 1.0], [0.0, 1.0], [1.0, 0.0], [0.0, 2.0]]
# one head, made by hand
W_Q, W_K, W_V = [[0.0, 1.0], [1.0, 0.0]], [[0.5, -0.5], [0.0, 1.0]], [[0.5, 0.0], [1.0, 0.5]]
# a text in another language, by the same two numbers; all of it is there before the first German word is written
OTHER_WORDS = ["Paris", "is", "the", "capital", "of", "France"]
OTHER_X = [[2.0, 0.0], [0.5, 1.0], [0.0, 1.0], [1.0, 0.0], [0.0, 2.0], [2.0, 0.5]]

#: keys that each query is compared with, and how many queries are drawn
KEYS, QUERIES = 8, 512
#: heads whose look is cut: those that look hardest
CUT = 12


# ---------------------------------------------------------------------------------------------- by hand
def head(x_TC: torch.Tensor, other_SC: torch.Tensor, mask: torch.Tensor | None) -> dict[str, torch.Tensor]:
    """The example's head, every step: ``x`` looks, ``other`` is looked at."""
    q = F.linear(x_TC, torch.tensor(W_Q))
    k, v = (F.linear(other_SC, torch.tensor(matrix)) for matrix in (W_K, W_V))
    seen = Recording("*")
    h = explicit_attention(q[None, None], k[None, None], v[None, None], mask, taps=seen)
    steps = {"q": q, "k": k, "v": v, "scores": q @ k.T, "h": h[0, 0]}
    return steps | {"scaled": seen.values["scores"][0, 0], "weights": seen.values["weights"][0, 0]}


@demo()
def chain() -> dict[str, Any]:
    """The way of "von" through one head, from two numbers per word to its context vector h."""
    x = torch.tensor(X)
    steps = head(x, x, attention_mask(0, len(X), None, x.device))
    return {"words": WORDS, "x": X, "w_q": W_Q, "w_k": W_K, "w_v": W_V, **steps}


@demo()
def cross() -> dict[str, Any]:
    """The same head with its queries from the German words: once looking at them, once at an English sentence."""
    x, other = torch.tensor(X), torch.tensor(OTHER_X)
    own = head(x, x, attention_mask(0, len(X), None, x.device))
    return {
        "words": WORDS,
        "other": OTHER_WORDS,
        "self": {"weights": own["weights"], "h": own["h"]},
        "cross": {name: head(x, other, None)[name] for name in ("weights", "h")},
    }


@demo(width=(2, 1024), seed=(0, 1_000_000))
def spread(width: int = 64, seed: int = 0) -> dict[str, Any]:
    """Random queries and keys of ``width`` numbers each (mean 0, spread 1): how far their products spread, and how much
    the largest share of a softmax over 8 keys takes, with and without dividing by the root of the width."""
    generator = torch.Generator().manual_seed(seed)
    query = torch.randn(1, 1, QUERIES, width, generator=generator)
    key = torch.randn(1, 1, KEYS, width, generator=generator)
    found = {}
    # attention divides by the root itself; a query that is larger by the root undoes it
    for name, factor in (("divided", 1.0), ("plain", width**0.5)):
        seen = Recording("*")
        explicit_attention(query * factor, key, torch.zeros_like(key), None, taps=seen)
        scores, weights = seen.values["scores"][0, 0], seen.values["weights"][0, 0]
        found[name] = {
            "spread": scores.std(),
            "largest": weights.max(-1).values.mean(),
            "example": weights[0].sort(descending=True).values,
        }
    return {"width": width, "root": width**0.5, "keys": KEYS, "queries": QUERIES, **found}


# ---------------------------------------------------------------------------------------------- on the open model
@demo(prompt=300, looks=60, at=60)
def cut(
    model: OpenedModel,
    prompt: str = "The cat sat on the mat because it was",
    looks: str = "because it",
    at: str = "cat",
) -> dict[str, Any]:
    """What the model says next when single heads may no longer take from one token to another: the weight from the end
    of ``looks`` to the end of ``at`` is set to 0. For the heads in which it is largest, one by one; and for all heads
    at once. ``moved`` is the share of probability that changes hands."""
    from glaswerk.lens.trace import plain_copy
    from glaswerk.tokenizer.chip import chip

    ids = model.tokenizer.encode(prompt)
    row, column = (place(model, ids, prompt, words) for words in (looks, at))
    if column > row:
        raise GlaswerkError(
            f"{looks!r} stands before {at!r}: a token sees none that comes after it",
            f"„{looks}“ steht vor „{at}“. Ein Token sieht keines, das nach ihm kommt.",
        )
    plain, _ = plain_copy(model.model)
    layers, heads = plain.config.layers, plain.config.heads
    ids_BT = torch.tensor([ids])
    with torch.inference_mode():
        seen = Recording("*.weights")
        before_V = plain(ids_BT, taps=seen)[0, -1].softmax(-1)
        looked_LH = torch.stack(
            [seen.values[f"blocks.{layer}.attention.weights"][0, :, row, column] for layer in range(layers)]
        )
        hardest = looked_LH.flatten().topk(min(CUT, layers * heads)).indices.tolist()
        chosen = [(each // heads, each % heads) for each in hardest]

        def edit(name: str, value: torch.Tensor) -> torch.Tensor:
            """Row b of the batch loses the b-th head's look; the last row loses every head's."""
            if not name.endswith("attention.weights"):
                return value
            value = value.clone()
            for number, (layer, one) in enumerate(chosen):
                if name == f"blocks.{layer}.attention.weights":
                    value[number, one, row, column] = 0
            value[-1, :, row, column] = 0
            return value

        hidden = plain.hidden(ids_BT.expand(len(chosen) + 1, -1), taps=edit)[:, -1]
        after_BV = plain.head(hidden).softmax(-1)
    moved = (after_BV - before_V).abs().sum(-1) / 2
    known = model.tokenizer.vocabulary_size
    return {
        "model": model.origin.name,
        "prompt": prompt,
        "from": chip(model.tokenizer.token_bytes(ids[row])),
        "to": chip(model.tokenizer.token_bytes(ids[column])),
        "count": layers * heads,
        "heads": [
            {"layer": layer, "head": one, "weight": looked_LH[layer, one], "moved": moved[number]}
            for number, (layer, one) in enumerate(chosen)
        ],
        "all": moved[-1],
        "next": [
            {"text": chip(model.tokenizer.token_bytes(each)), "before": before_V[each], "after": after_BV[-1, each]}
            for each in before_V[:known].topk(min(5, known)).indices.tolist()
        ],
    }


def place(model: OpenedModel, ids: list[int], prompt: str, words: str) -> int:
    """The place of the token in which ``words`` end."""
    start = prompt.find(words)
    if start < 0 or not words:
        raise GlaswerkError(f"{words!r} does not stand in the prompt", f"„{words}“ kommt im Prompt nicht vor.")
    end = len(prompt[: start + len(words)].encode())
    for number, each in enumerate(ids):
        end -= len(model.tokenizer.token_bytes(each))
        if end <= 0:
            return number
    return len(ids) - 1


# ---------------------------------------------------------------------------------------------- in the text
@demo()
def numbers() -> dict[str, float]:
    """The numbers that stand in the prose and the quiz."""
    narrow, wide = spread(4), spread(1024)
    steps = chain()
    found = {
        "spread_4": float(narrow["plain"]["spread"]),
        "spread_1024": float(wide["plain"]["spread"]),
        "largest_1024": 100 * float(wide["plain"]["largest"]),
        "largest_1024_divided": 100 * float(wide["divided"]["largest"]),
        "paris_score": float(steps["scores"][-1, 0]),
        "paris_scaled": float(steps["scaled"][-1, 0]),
        "capital_score": float(steps["scores"][-1, 3]),
        # the dearest table of scores: 4 texts, 12 heads, 2048 x 2048 tokens, 4 bytes per number
        "scores_mib": 4 * 12 * 2048 * 2048 * 4 / 2**20,
    }
    for number, name in enumerate(("paris", "ist", "die", "capital", "von")):
        found[f"a_{name}"] = float(steps["weights"][-1, number])
    for name in ("q", "h"):
        found |= {f"{name}_{place}": float(steps[name][-1, place]) for place in range(2)}
    return found
