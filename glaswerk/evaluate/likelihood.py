"""How likely a model finds given texts after given contexts, with what texts share computed once.

What is asked is a text of token ids with the place where its context ends (:class:`Asked`); the answer is the
log-probability, in nats, of each token from there on after all before it, and whether each was the likeliest.

The texts, sorted, are the paths of a tree of tokens. It is read branch by branch with one KV cache that is set back to
where the next text leaves the last one: few-shot examples, a subject's heading, and the context that several options
follow are read once. Where the model allows it, many short branches go through it in one pass, each seeing only its own
path (as in tree attention, Miao et al. 2024). Only the places that are asked about go through the head. Left out: which
texts those are (``scoring.py``).

Shapes: T tokens of one pass, S slots of the cache, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from glaswerk.errors import GlaswerkError
from glaswerk.model.cache import Cache
from glaswerk.model.decoder import Decoder
from glaswerk.model.quantize import is_quantized
from glaswerk.opened import OpenedModel

#: tokens of one pass through a model that can read branches side by side
BRANCHES = 512


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
        order = sorted(range(len(texts)), key=lambda place: texts[place].ids)
        tree = Tree(model, [texts[place] for place in order])
        for number, likelihood in enumerate(tree.read()):
            found[order[number]] = likelihood
            if each:
                each(order[number])
    return [found[place] for place in range(len(texts))]


class Tree:
    """Sorted texts, the model, and the keys and values of the path that was read last."""

    def __init__(self, model: Decoder, texts: Sequence[Asked]) -> None:
        self.model, self.texts = model.eval(), texts
        # the operations for quantized matrices know one path only, and are the fastest way along it
        quantized = is_quantized(model)
        self.branches = 0 if quantized else BRANCHES
        self.device = model.embedding.device
        slots = max(len(text.ids) for text in texts) + self.branches
        self.cache = Cache(model.config, 1, slots, model.compute_dtype or model.embedding.dtype, self.device)
        #: the tokens whose keys and values are in the cache
        self.held: list[int] = []

    @torch.inference_mode()
    def read(self) -> Iterator[Likelihood]:
        """The likelihood of each text, in order."""
        first = 0
        while first < len(self.texts):
            last = self.together(first)
            yield from self.passed(self.texts[first:last], self.texts[last].ids if last < len(self.texts) else [])
            first = last

    def together(self, first: int) -> int:
        """The end of the texts that go through the model in the pass that begins with text ``first``: all that lie on
        its path, or as many branches as fit."""
        path = self.texts[first].ids[:-1]
        new = len(path) - shared(self.held, path)
        end = first + 1
        while end < len(self.texts):
            ids = self.texts[end].ids[:-1]
            added = len(ids) - shared(path, ids)
            if added and new + added > self.branches:
                break
            new, path, end = new + added, ids, end + 1
        return end

    def passed(self, texts: Sequence[Asked], following: Sequence[int]) -> Iterator[Likelihood]:
        """One pass. What the text after these shares with them all is kept in the cache."""
        root = min(text.start for text in texts) - 1  # from the last token of a context on, all is asked about
        for text in texts:
            root = min(root, shared(texts[0].ids, text.ids))
        keep = min(root, shared(self.held, texts[0].ids))
        self.cache.length = keep
        branch = Branches(keep, texts)
        if branch.single:
            self.held = branch.path
            ids_T = torch.tensor(branch.ids, device=self.device)
            hidden_TC = self.model.hidden(ids_T[None], cache=self.cache)[0]
        else:
            wanted = min(root, shared(following, texts[0].ids))
            if wanted - keep > 0:
                beginning = torch.tensor(texts[0].ids[keep:wanted], device=self.device)
                self.model.hidden(beginning[None], cache=self.cache)
                keep, branch = wanted, Branches(wanted, texts)
            self.held = texts[0].ids[:keep]
            ids_T = torch.tensor(branch.ids, device=self.device)
            hidden_TC = self.model.hidden(
                ids_T[None], cache=self.cache, positions=torch.tensor(branch.positions, device=self.device),
                mask=torch.from_numpy(branch.mask())[None].to(self.device),
            )[0]  # fmt: skip
            self.cache.length = keep
        rows = sorted({row for rows in branch.rows for row in rows})
        place = {row: number for number, row in enumerate(rows)}
        logp_RV = self.model.head(hidden_TC[torch.tensor(rows, device=self.device)]).float().log_softmax(-1)
        likeliest = logp_RV.argmax(-1).tolist()
        for text, wanted_rows in zip(texts, branch.rows, strict=True):
            at, targets = [place[row] for row in wanted_rows], text.ids[text.start :]
            nats = logp_RV[at, targets].tolist()
            yield Likelihood(nats, all(likeliest[row] == target for row, target in zip(at, targets, strict=True)))


class Branches:
    """The tokens of one pass: of the paths that sorted texts take below the ``root`` tokens that are in the cache.
    ``rows``: for each text, where the tokens lie whose successors are asked about."""

    def __init__(self, root: int, texts: Sequence[Asked]) -> None:
        self.root = root
        self.ids: list[int] = []
        self.positions: list[int] = []
        self.parents: list[int] = []
        self.rows: list[list[int]] = []
        self.path: list[int] = list(texts[0].ids[:root])
        lies: list[int] = []  # of the path below the root
        for text in texts:
            same = shared(self.path, text.ids[:-1])
            del lies[same - root :]
            for position in range(same, len(text.ids) - 1):
                self.parents.append(lies[-1] if lies else -1)
                lies.append(len(self.ids))
                self.ids.append(text.ids[position])
                self.positions.append(position)
            self.path = text.ids[:-1]
            self.rows.append(lies[text.start - 1 - root :])

    @property
    def single(self) -> bool:
        """Whether there is one path only, so that each token sees all before it."""
        return all(parent == place - 1 for place, parent in enumerate(self.parents))

    def mask(self) -> np.ndarray:
        """Bool ``[T, S]``: each token sees what is in the cache, its ancestors, and itself."""
        T = len(self.ids)
        below = np.zeros((T, T), dtype=bool)
        for place, parent in enumerate(self.parents):
            if parent >= 0:
                below[place] = below[parent]
            below[place, place] = True
        return np.concatenate((np.ones((T, self.root), dtype=bool), below), 1)


def shared(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two texts have in common at their beginning."""
    most = min(len(one), len(other))
    for place in range(most):
        if one[place] != other[place]:
            return place
    return most
