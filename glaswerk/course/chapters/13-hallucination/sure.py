"""How sure a model is of a choice, and whether it may be: the scores of options as probabilities, at many temperatures,
against what turned out right.

Scores are those that the benchmark compares (``evaluate/scoring.py``). Dividing all of them by one temperature changes
how sure the model seems and never what it chooses (Guo et al. 2017). Left out: where questions come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from glaswerk.evaluate.likelihood import asked, likelihoods
from glaswerk.evaluate.metrics.calibration import brier, calibration_error, reliability

if TYPE_CHECKING:
    from glaswerk.evaluate.choice import MultipleChoice
    from glaswerk.opened import OpenedModel

#: temperatures from 1/4 to 16, four to a doubling; 1 is the model as it is
TEMPERATURES = tuple(2 ** (k / 4) for k in range(-8, 17))
AS_IT_IS = TEMPERATURES.index(1.0)
BINS = 10


def scores(model: OpenedModel, task: MultipleChoice, items: Sequence[int]) -> list[tuple[list[float], int]]:
    """For each item the score of each option, in nats, and which one is right."""
    choices = [task.choice(item) for item in items]
    texts = [asked(model, choice.context, option) for choice in choices for option in choice.options]
    found = iter(likelihoods(model.model, texts))
    rows = [[next(found).total for _ in choice.options] for choice in choices]
    if task.metric == "accuracy unconditional":  # beyond what an option is worth by itself
        alone = [asked(model, choice.bare, option) for choice in choices for option in choice.options]
        bare = iter(likelihoods(model.model, alone))
        rows = [[total - next(bare).total for total in row] for row in rows]
    return [(row, choice.right) for row, choice in zip(rows, choices, strict=True)]


def seemed(rows: Sequence[tuple[list[float], int]], temperature: float) -> tuple[list[float], list[float], float]:
    """The probability of each choice, whether it was right, and the mean loss (nats) on the right options."""
    sure, right, loss = [], [], 0.0
    for row, correct in rows:
        logits = np.array(row) / temperature
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        sure.append(float(shares.max()))
        right.append(float(int(np.argmax(row)) == correct))
        loss -= float(np.log(max(shares[correct], 1e-12))) / len(rows)
    return sure, right, loss


def in_three_ways(row: Sequence[float]) -> dict[str, float]:
    """How sure a choice is: the probability of the chosen option, its lead over the second, and one minus the entropy
    of all in units of its largest value; each from 0 to 1."""
    logits = np.array(row)
    shares = np.exp(logits - logits.max())
    shares /= shares.sum()
    second, first = np.sort(shares)[-2:]
    entropy = -(shares * np.log(np.maximum(shares, 1e-12))).sum() / np.log(len(row))
    return {"mean": float(first), "first": float(first - second), "least": float(max(0.0, 1 - entropy))}


def calibrated(rows: Sequence[tuple[list[float], int]]) -> dict[str, Any]:
    """The reliability diagram and its figures at every temperature; ``best`` is the place of the one with the lowest
    loss on these very questions."""
    steps: list[dict[str, Any]] = []
    for temperature in TEMPERATURES:
        sure, right, loss = seemed(rows, temperature)
        steps.append({
            "temperature": temperature, "bins": [asdict(each) for each in reliability(sure, right, BINS)],
            "ece": calibration_error(sure, right, BINS), "brier": brier(sure, right), "loss": loss,
            "sure": float(np.mean(sure)),
        })  # fmt: skip
    losses = [float(step["loss"]) for step in steps]
    best = losses.index(min(losses))
    return {"steps": steps, "right": float(np.mean(right)), "best": best, "as_it_is": AS_IT_IS}
