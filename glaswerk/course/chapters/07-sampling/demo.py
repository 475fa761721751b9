"""What chapter 7 computes: the end of the "von" chain, draws, trees of samples, loops and seeds, by the functions that
`glaswerk generate` uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from glaswerk.course.demo import demo
from glaswerk.errors import GlaswerkError
from glaswerk.generate.sampling import SamplingOptions, candidates, keep_min_p, keep_top_k, keep_top_p
from glaswerk.model.attention import explicit_attention
from glaswerk.tokenizer.chip import chip

if TYPE_CHECKING:
    from glaswerk.opened import OpenedModel

# the example of chapter 4: two numbers per word of "Paris ist die Hauptstadt von", and one head's three matrices
X = [[2.0, 0.0], [0.5, 1.0], [0.0, 1.0], [1.0, 0.0], [0.0, 2.0]]
W_Q, W_K, W_V = [[0.0, 1.0], [1.0, 0.0]], [[0.5, -0.5], [0.0, 1.0]], [[0.5, 0.0], [1.0, 0.5]]
# what comes after it: one row and one head start per word
WORDS = ["Frankreich", "Deutschland", "Spanien"]
W_OUT = [[1.0, 0.5], [-0.5, 1.0], [0.0, 0.5]]
B = [0.0, 0.1, -0.1]

#: draws of the figure that counts them; candidates it names; rows and tokens of the tree; lines of the seeds
DRAWS, NAMED, ROWS, DEPTH, LINES = 1000, 8, 16, 4, 3
#: how a continuation is chosen, by the name that figures use
WAYS: dict[str, dict[str, float]] = {
    "greedy": {"temperature": 0.0},
    "penalty": {"temperature": 0.0, "repetition_penalty": 1.3},
    "nucleus": {"temperature": 1.0, "top_p": 0.9},
    "all": {"temperature": 1.0},
}


# ---------------------------------------------------------------------------------------------- three words
def context_vector() -> torch.Tensor:
    """h of "von": what chapter 4 ends with."""
    x_TC = torch.tensor(X)
    q, k, v = (F.linear(x_TC, torch.tensor(matrix))[None, None] for matrix in (W_Q, W_K, W_V))
    # the last word may look at all the others: no mask
    return explicit_attention(q[:, :, -1:], k, v, None)[0, 0, 0]


@demo()
def chain() -> dict[str, Any]:
    """From h to the next word, for a vocabulary of three: z = W_out h + b, e^z, the shares, argmax."""
    h = context_vector()
    z = F.linear(h, torch.tensor(W_OUT), torch.tensor(B))
    return {
        "words": WORDS,
        "h": h,
        "w_out": W_OUT,
        "b": B,
        "z": z,
        "powers": z.exp(),
        "shares": z.softmax(-1),
        "choice": WORDS[int(z.argmax())],
    }


@demo()
def numbers() -> dict[str, float]:
    """The numbers that stand in the prose, the quiz and the exercises; P of Frankreich where nothing else is said."""
    made = chain()
    h, z, shares = made["h"], made["z"], made["shares"]
    found = {"h_0": h[0], "h_1": h[1], "sum": made["powers"].sum()}
    for word, logit, power, share in zip(("f", "d", "s"), z, made["powers"], shares, strict=True):
        found |= {f"z_{word}": logit, f"e_{word}": power, f"p_{word}": share, f"percent_{word}": 100 * share}
    for name, temperature in (("half", 0.5), ("two", 2.0)):
        tempered = candidates(z[None], SamplingOptions(temperature=temperature)).softmax(-1)[0]
        found |= {f"{name}_f": tempered[0], f"{name}_d": tempered[1], f"{name}_s": tempered[2]}
    kept = {"k": keep_top_k(z[None], 2), "p": keep_top_p(z[None], 0.7), "m": keep_min_p(z[None], 0.5)}
    found |= {f"cut_{rule}_f": logits.softmax(-1)[0, 0] for rule, logits in kept.items()}
    found |= {"two_together": 100 * (shares[0] + shares[1]), "bar": shares[0] / 2}
    return {name: float(value) for name, value in found.items()}


# ---------------------------------------------------------------------------------------------- the open model
def room(model: OpenedModel, prompt: str, tokens: int) -> tuple[list[int], int]:
    """The prompt's ids, and how many of ``tokens`` still fit into the context behind it."""
    if not prompt:
        raise GlaswerkError(
            "the prompt is empty: type at least one character", "Der Prompt ist leer. Gib mindestens ein Zeichen ein."
        )
    ids = model.prompt_ids(prompt)
    free = model.model.config.context - len(ids)
    if free < 1:
        raise GlaswerkError(
            f"the prompt has {len(ids):,} tokens and the context of {model.origin.name} is "
            f"{model.model.config.context:,}: shorten it, there must be room for at least one more",
            f"Der Prompt hat {len(ids)} Tokens, und in den Kontext von {model.origin.name} passen "
            f"{model.model.config.context}. Kürze ihn: Mindestens eines muss noch Platz haben.",
        )
    return ids, min(tokens, free)


@torch.inference_mode()
def next_logits(model: OpenedModel, ids: Sequence[int]) -> torch.Tensor:
    """The logits after ``ids``, ``[V]``."""
    known = model.tokenizer.vocabulary_size
    return model.model.head(model.model.hidden(torch.tensor([list(ids)]))[:, -1])[0, :known].float()


@torch.inference_mode()
def given(model: OpenedModel, prompt: Sequence[int], texts: Sequence[Sequence[int]]) -> list[list[float]]:
    """The probability that the model gave each token of each text behind ``prompt``, all in one pass."""
    longest = max(len(text) for text in texts)
    if not longest:
        return [[] for _ in texts]
    # what is missing at the right changes nothing before it: a token sees only those at its left
    ids_BT = torch.tensor([[*prompt, *text, *[0] * (longest - len(text))] for text in texts])
    x_BTC = model.model.hidden(ids_BT)[:, len(prompt) - 1 : -1]
    shares_BTV = model.model.head(x_BTC)[..., : model.tokenizer.vocabulary_size].float().softmax(-1)
    shares_BT = shares_BTV.gather(-1, ids_BT[:, len(prompt) :, None])[..., 0].tolist()
    return [row[: len(text)] for row, text in zip(shares_BT, texts, strict=True)]


def named(model: OpenedModel, number: int) -> str:
    """A token as it stands on its chip."""
    return chip(model.tokenizer.token_bytes(number))


@demo(prompt=400, temperature=(0.1, 2.0), seed=(0, 1_000_000))
def draws(model: OpenedModel, prompt: str = "Hello", temperature: float = 1.0, seed: int = 1) -> dict[str, Any]:
    """A thousand draws of the next token from one distribution, in order: how often does what is likely come?"""
    ids, _ = room(model, prompt, 1)
    shares_V = candidates(next_logits(model, ids)[None], SamplingOptions(temperature=temperature)).softmax(-1)[0]
    drawn = torch.multinomial(shares_V, DRAWS, replacement=True, generator=torch.Generator().manual_seed(seed))
    likeliest = shares_V.topk(min(NAMED, len(shares_V)))
    places = {int(number): place for place, number in enumerate(likeliest.indices.tolist())}
    return {
        "model": model.origin.name,
        "prompt": prompt,
        "candidates": [
            {"token": named(model, number), "id": number, "share": share}
            for number, share in zip(likeliest.indices.tolist(), likeliest.values.tolist(), strict=True)
        ],
        "rest": 1 - float(likeliest.values.sum()),
        # the place in the list above; -1: one of all the others
        "drawn": [places.get(int(number), -1) for number in drawn],
    }


def repeats(ids: Sequence[int]) -> dict[str, int] | None:
    """The loop that a text ends in: from ``start`` on, each token is the one ``period`` places before. At least one
    whole turn and six tokens must be such a repetition; else None. The shortest period counts."""
    for period in range(1, len(ids) // 2 + 1):
        same = 0
        while same < len(ids) - period and ids[-1 - same] == ids[-1 - same - period]:
            same += 1
        if same >= max(period, 6):
            return {"start": len(ids) - same - period, "period": period, "repeated": same}
    return None


@demo(prompt=400, way=tuple(WAYS), seed=(0, 1_000_000), tokens=(8, 96))
def written(
    model: OpenedModel, prompt: str = "Hello", way: str = "greedy", seed: int = 1, tokens: int = 72
) -> dict[str, Any]:
    """A continuation, the probability of each of its tokens, and the loop that it ends in, if it does."""
    ids, most = room(model, prompt, tokens)
    made = model.generate(prompt, max_tokens=most, seed=seed, **WAYS[way])
    return {
        "model": model.origin.name,
        "prompt": prompt,
        "tokens": [
            {"token": named(model, number), "id": number, "probability": share}
            for number, share in zip(made.ids, given(model, ids, [made.ids])[0], strict=True)
        ],
        "different": len(set(made.ids)),
        "end": made.finish_reason == "stop",
        "loop": repeats(made.ids),
    }


@demo(prompt=400, temperature=(0.1, 2.0), seed=(0, 1_000_000))
def tree(model: OpenedModel, prompt: str = "Hello", temperature: float = 1.0, seed: int = 1) -> dict[str, Any]:
    """Samples of the same prompt, joined where they begin alike: per node how many samples pass, and the probability
    that the model (at temperature 1) gives the way to it."""
    ids, most = room(model, prompt, DEPTH)
    made = model.generate_batch([prompt] * ROWS, max_tokens=most, seed=seed, temperature=temperature)
    root: dict[str, Any] = {"token": "", "id": -1, "count": ROWS, "probability": 1.0, "children": []}
    for text, shares in zip(made, given(model, ids, [text.ids for text in made]), strict=True):
        node, share = root, 1.0
        for number, one in zip(text.ids, shares, strict=True):
            share *= one
            node = child(node, number, named(model, number), share)
        if len(text.ids) < most:  # the model ended the text here
            child(node, -1, "", share)
    order(root)
    return {
        "model": model.origin.name,
        "prompt": prompt,
        "samples": ROWS,
        "depth": most,
        "different": len({tuple(text.ids) for text in made}),
        "root": root,
    }


def child(node: dict[str, Any], number: int, token: str, share: float) -> dict[str, Any]:
    """The branch of ``node`` for a token, one sample more on it."""
    same: list[dict[str, Any]] = [found for found in node["children"] if found["id"] == number]
    if same:
        same[0]["count"] += 1
        return same[0]
    made: dict[str, Any] = {"token": token, "id": number, "count": 1, "probability": share, "children": []}
    node["children"].append(made)
    return made


def order(node: dict[str, Any]) -> None:
    """The branch that most samples take first."""
    node["children"].sort(key=lambda found: (-found["count"], -found["probability"]))
    for found in node["children"]:
        order(found)


@demo(prompt=400, temperature=(0.0, 2.0), seed=(0, 999_990))
def seeds(model: OpenedModel, prompt: str = "Hello", temperature: float = 1.0, seed: int = 1) -> dict[str, Any]:
    """The same prompt with neighbouring seeds, written twice: is the second time like the first?"""
    _, most = room(model, prompt, 24)
    twice = [
        [
            model.generate(prompt, max_tokens=most, seed=seed + line, temperature=temperature, top_p=0.95)
            for line in range(LINES)
        ]
        for _ in range(2)
    ]
    return {
        "model": model.origin.name,
        "prompt": prompt,
        "lines": [
            {"seed": seed + line, "text": first.text, "again": second.text, "same": first.ids == second.ids}
            for line, (first, second) in enumerate(zip(*twice, strict=True))
        ],
        "different": len({text.text for text in twice[0]}),
    }
