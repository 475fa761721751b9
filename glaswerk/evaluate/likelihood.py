"""How likely a model finds given texts after given contexts, with what contexts share read only once.

The texts are walked in dictionary order with one KV cache: it is set back to where the next text leaves the last one,
so few-shot examples, a subject's heading, and the context that several options follow are computed once. Only the
places that are asked about go through the head. Left out: which texts those are (``scoring.py``), and several texts
side by side.

Shapes: T time, C width, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glaswerk.errors import GlaswerkError
from glaswerk.model.cache import Cache
from glaswerk.model.decoder import Decoder
from glaswerk.opened import OpenedModel


@dataclass(frozen=True, slots=True)
class Asked:
    """Token ids, of which those from ``start`` on are asked about; ``start`` is at least 1. ``cut``: tokens that were
    dropped at the beginning because the context has no room for them."""

    ids: list[int]
    start: int
    cut: int = 0


@dataclass(frozen=True, slots=True)
class Likelihood:
    """``nats``: the log-probability of each token that was asked about; ``greedy``: whether each was the likeliest."""

    nats: list[float]
    greedy: bool

    @property
    def total(self) -> float:
        """The log-probability of all of them together."""
        return sum(self.nats)


def asked(opened: OpenedModel, context: str, continuation: str) -> Asked:
    """``continuation`` after ``context`` as ids. Both are tokenized together, and what the context alone has as many
    tokens of is not asked about; a space at the context's end belongs to the continuation, as tokens begin with it.
    Cut at the left where the model's context is too short (as lm-evaluation-harness does).
    """
    if not continuation:
        raise GlaswerkError("there is nothing to score: the option is empty")
    trimmed = context.rstrip()
    if trimmed:
        context, continuation = trimmed, context[len(trimmed) :] + continuation
    before = opened.prompt_ids(context)
    whole = opened.prompt_ids(context + continuation) if context else before + opened.tokenizer.encode(continuation)
    start = min(len(before), len(whole) - 1)
    cut = max(0, len(whole) - 1 - opened.model.config.context)
    if cut >= start:
        raise GlaswerkError(
            f"an option of {len(whole) - start} tokens does not fit the model's context of "
            f"{opened.model.config.context}: leave the task out or open a model with more context"
        )
    return Asked(whole[cut:], start - cut, cut)


def confidence(opened: OpenedModel, prompts: Sequence[list[int]], replies: Sequence[str]) -> list[float]:
    """How sure the model is of each reply to a prompt of ids: the geometric mean of its tokens' probabilities, 0 to 1
    (of an empty reply 0)."""
    texts, places = [], []
    for place, (prompt, reply) in enumerate(zip(prompts, replies, strict=True)):
        ids = opened.tokenizer.encode(reply)[: max(0, opened.model.config.context - len(prompt))]
        if ids:
            texts.append(Asked([*prompt, *ids], len(prompt)))
            places.append(place)
    found = [0.0] * len(prompts)
    for place, likelihood in zip(places, likelihoods(opened.model, texts), strict=True):
        found[place] = math.exp(likelihood.total / len(likelihood.nats))
    return found


def likelihoods(model: Decoder, texts: Sequence[Asked], each: Callable[[int], None] | None = None) -> list[Likelihood]:
    """One :class:`Likelihood` per text, in their order; ``each`` is called with a text's index when it is done."""
    found: dict[int, Likelihood] = {}
    if texts:
        shelf = Shelf(model, max(len(text.ids) for text in texts))
        for place in sorted(range(len(texts)), key=lambda place: texts[place].ids):
            found[place] = shelf.read(texts[place])
            if each:
                each(place)
    return [found[place] for place in range(len(texts))]


class Shelf:
    """A model, the text it read last, and the keys and values of that text."""

    def __init__(self, model: Decoder, slots: int) -> None:
        self.model = model.eval()
        self.device = model.embedding.device
        self.cache = Cache(model.config, 1, slots, model.compute_dtype or model.embedding.dtype, self.device)
        self.held: list[int] = []
        #: log-probabilities [V] of what follows ``held[:length]``, kept for the next option of the same context
        self.after: tuple[int, Tensor] = (0, torch.empty(0))

    @torch.inference_mode()
    def read(self, text: Asked) -> Likelihood:
        """Compute what is new in ``text`` and look its tokens up."""
        ids, start = text.ids, text.start
        keep = min(shared(self.held, ids), start)
        if keep == start and self.after[0] != start:
            keep = start - 1  # the last token of the context is read again for what follows it
        if keep < start:
            self.after = (0, self.after[1])
        self.cache.length = keep
        rows_TV: list[Tensor] = []
        if new := ids[keep:-1]:
            hidden_TC = self.model.hidden(torch.tensor([new], device=self.device), cache=self.cache)[0]
            rows_TV.append(self.model.head(hidden_TC[max(0, start - 1 - keep) :]).float().log_softmax(-1))
        if keep == start:
            rows_TV.insert(0, self.after[1][None])
        else:
            self.after = (start, rows_TV[0][0])
        self.held = ids[:-1]
        logp_TV = torch.cat(rows_TV)
        targets_T = torch.tensor(ids[start:], device=self.device)
        nats_T = logp_TV.gather(1, targets_T[:, None])[:, 0]
        return Likelihood(nats_T.tolist(), bool((logp_TV.argmax(-1) == targets_T).all()))


def shared(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two texts have in common at their beginning."""
    most = min(len(one), len(other))
    for place in range(most):
        if one[place] != other[place]:
            return place
    return most
