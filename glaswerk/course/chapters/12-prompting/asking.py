"""The tasks that prompts are tried on, and how well a model does one with a template.

A template is a text with ``{question}`` in it. An item counts as right if every token of its answer is the likeliest
one after the filled template, with or without a space before it: what greedy decoding would write. All in one reading
of what the items share (``evaluate/likelihood.py``). Left out: replies in a chat format (``talking.py``).
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.likelihood import asked, likelihoods
from glaswerk.evaluate.metrics.intervals import mean, wilson
from glaswerk.tokenizer.chip import chip

if TYPE_CHECKING:
    from glaswerk.opened import OpenedModel

HERE = Path(__file__).resolve().parent
#: where the item comes in
PLACE = "{question}"
TASKS = ("opposites", "capitals", "sums")
#: ready templates of each task, in order
SHAPES = ("zero", "words", "few", "wrong")
ITEMS = 32


@lru_cache(maxsize=1)
def told() -> dict[str, Any]:
    """What ``tasks.toml`` says."""
    return tomllib.loads((HERE / "tasks.toml").read_text(encoding="utf-8"))


@lru_cache(maxsize=4)
def items(task: str) -> tuple[tuple[str, str], ...]:
    """The questions of a task with their answers."""
    if task != "sums":
        pairs = (pair.split("-") for pair in told()[task]["items"].split())
        return tuple((question, answer) for question, answer in pairs)
    # sums of numbers up to 10 with two digits, so that no right answer is the beginning of a wrong one
    every = [(a, b) for a in range(1, 11) for b in range(1, 11) if a + b >= 10 and (a, b) != (7, 10)]
    drawn = np.random.default_rng(12).permutation(len(every))[: ITEMS - 1]
    return tuple((f"{a}+{b}", str(a + b)) for a, b in [(7, 10), *(every[place] for place in drawn)])


def filled(template: str, question: str) -> str:
    """The prompt. Raises :class:`GlaswerkError` where the template has no place for the question."""
    if PLACE not in template:
        raise GlaswerkError(
            f"the template needs {PLACE} where the question comes in",
            f"In der Vorlage fehlt {PLACE}, die Stelle für die Frage.",
        )
    return template.replace(PLACE, question)


@dataclass(frozen=True)
class Tried:
    """How a template did: the probability of each right answer, and whether greedy decoding would have written it."""

    probabilities: list[float]
    right: list[bool]

    @property
    def share(self) -> float:
        """Of the items, how many are right."""
        return mean([float(one) for one in self.right])

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval."""
        return wilson(sum(self.right), len(self.right))


def tried(model: OpenedModel, template: str, pairs: tuple[tuple[str, str], ...]) -> Tried:
    """A template on all items, without writing a single token."""
    texts = [
        asked(model, filled(template, question), space + answer) for question, answer in pairs for space in ("", " ")
    ]
    found = likelihoods(model.model, texts)
    both = list(zip(found[::2], found[1::2], strict=True))
    chances = [float(sum(np.exp(each.total) for each in pair)) for pair in both]
    return Tried(chances, [any(each.greedy for each in pair) for pair in both])


def candidates(model: OpenedModel, prompt: str, answer: str, count: int) -> list[tuple[str, float, bool]]:
    """The likeliest next tokens after a prompt as they look on a chip, their probabilities, and whether each begins the
    right answer."""
    import torch

    ids = model.prompt_ids(prompt)[-model.model.config.context :]
    with torch.inference_mode():
        logits_V = model.model(torch.tensor([ids], device=model.model.embedding.device))[0, -1].float()
    shares, numbers = logits_V[: model.tokenizer.vocabulary_size].softmax(-1).topk(count)
    found = []
    for number, share in zip(numbers.tolist(), shares.tolist(), strict=True):
        text = model.tokenizer.decode([number]).strip()
        found.append((chip(model.tokenizer.token_bytes(number)), share, bool(text) and answer.startswith(text)))
    return found


def with_examples(wording: str, examples: list[list[str]]) -> str:
    """The wording after itself, asked and answered for each example."""
    lines = [f"{wording.replace(PLACE, question)} {answer}" for question, answer in examples]
    return "\n".join([*lines, wording])
