"""The arena: two models answer the same question, a person who does not know which is which picks the better reply.

Votes are kept as preference data, one JSON object a line, with TRL's columns ``prompt``, ``chosen`` and ``rejected``,
so that a reward model or DPO can learn from them; ``chosen_model``, ``rejected_model``, ``first`` (which of the two was
shown first), ``who`` and ``when`` come beside. From the votes: strengths (Bradley and Terry 1952) with bootstrap
intervals, Elo as chess counts it, and what being shown first is worth. Left out: ties (skip the pair instead), and
whom to pair next to learn most.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.metrics.intervals import wilson
from glaswerk.formats import json_lines
from glaswerk.home import explain, make_folder
from glaswerk.opened import OpenedModel

Place = Literal["first", "second"]
#: an Elo point is so much of a natural logit: 400 points are odds of 10 to 1; where the scale begins
LOGIT, BEGIN = 400 / math.log(10), 1000.0
#: a normal prior of this width (in logits) draws strengths to 0: who won his only duel is not infinitely good
PRIOR = 2.0
RESAMPLES = 500


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and two replies, in the order they are shown. The models' names stay hidden until the vote."""

    prompt: str
    first: str
    second: str
    first_model: str
    second_model: str


@dataclass(frozen=True, slots=True)
class Vote:
    """One line of the file. ``first``: whether the chosen or the rejected reply was shown first; ``when``: seconds
    since 1970."""

    prompt: str
    chosen: str
    rejected: str
    chosen_model: str
    rejected_model: str
    first: Literal["chosen", "rejected"]
    who: str
    when: float


# ---------------------------------------------------------------------------------------------- pairs and votes
def draw(models: Mapping[str, OpenedModel], prompt: str, seed: int, **options: Any) -> Pair:
    """Let two of the models, drawn by ``seed``, reply to ``prompt``, in an order that is drawn too. ``options`` as in
    ``OpenedModel.chat``. Raises :class:`GlaswerkError` for fewer than two models, and where both replies are the same.
    """
    if len(models) < 2:
        raise GlaswerkError("the arena needs two models: name two stages of a run, or two models")
    if not prompt.strip():
        raise GlaswerkError("the arena needs a question")
    picked = np.random.default_rng(seed).permutation(len(models))[:2]
    names = [list(models)[place] for place in picked]
    messages = [{"role": "user", "content": prompt}]
    replies = [models[name].chat(messages, **options).text.strip() for name in names]
    if replies[0] == replies[1]:
        raise GlaswerkError("both models gave the same reply, so there is nothing to prefer: ask something else")
    return Pair(prompt, *replies, *names)


def vote(file: Path, pair: Pair, better: Place, who: str = "") -> Vote:
    """Append a vote to ``file`` and return it. Raises :class:`GlaswerkError` for equal replies, or a file that cannot
    be written."""
    if better not in ("first", "second"):
        raise GlaswerkError(f'better is "first" or "second", not {better!r}')
    if pair.first == pair.second:
        raise GlaswerkError("both replies are the same: there is nothing to prefer")
    sides = [(pair.first, pair.first_model), (pair.second, pair.second_model)]
    (chosen, chosen_model), (rejected, rejected_model) = sides if better == "first" else sides[::-1]
    shown = "chosen" if better == "first" else "rejected"
    made = Vote(pair.prompt, chosen, rejected, chosen_model, rejected_model, shown, who, round(time.time(), 3))  # type: ignore[arg-type]
    make_folder(file.parent)
    try:
        with open(file, "a", encoding="utf-8") as lines:  # one write, so that two voters never mix their lines
            lines.write(json.dumps(asdict(made), ensure_ascii=False) + "\n")
    except OSError as error:
        raise explain(error, file) from error
    return made


def read(file: Path) -> list[Vote]:
    """The votes of a file, none where there is no such file. Raises :class:`GlaswerkError` with file and line for one
    that is damaged."""
    if not file.is_file():
        return []
    votes = []
    for where, line in json_lines.lines(file, "votes"):
        try:
            found = Vote(**json.loads(line))
        except (ValueError, TypeError, RecursionError) as error:
            raise GlaswerkError(f"{where}: is no vote; mend or delete the line") from error
        texts = (found.prompt, found.chosen, found.rejected, found.chosen_model, found.rejected_model)
        if not all(isinstance(text, str) for text in texts) or found.first not in ("chosen", "rejected"):
            raise GlaswerkError(f"{where}: is no vote; mend or delete the line")
        votes.append(found)
    return votes


# ---------------------------------------------------------------------------------------------- standings
@dataclass(frozen=True, slots=True)
class Standing:
    """A model's votes and wins, and its strength in Elo points with its 95 % interval; ``elo`` is what the votes, one
    after the other, would give a chess player."""

    model: str
    votes: int
    wins: int
    strength: float
    low: float
    high: float
    elo: float


@dataclass(frozen=True, slots=True)
class Standings:
    """All models, the strongest first. ``first_won``: the share of votes for the reply shown first, with its interval;
    ``first_worth``: what being first is worth in Elo points beyond the models' strengths, with its interval."""

    models: list[Standing]
    first_won: tuple[float, float, float]
    first_worth: tuple[float, float, float]


def standings(votes: Sequence[Vote], seed: int = 0, resamples: int = RESAMPLES) -> Standings:
    """Who is better, and how sure is that? Raises :class:`GlaswerkError` without votes."""
    if not votes:
        raise GlaswerkError("there are no votes yet")
    names = sorted({vote.chosen_model for vote in votes} | {vote.rejected_model for vote in votes})
    place = {name: number for number, name in enumerate(names)}
    chosen = np.array([place[vote.chosen_model] for vote in votes])
    rejected = np.array([place[vote.rejected_model] for vote in votes])
    order = np.array([1.0 if vote.first == "chosen" else -1.0 for vote in votes])
    fitted = bradley_terry(chosen, rejected, order, len(names))
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(resamples):
        picked = rng.integers(len(votes), size=len(votes))
        drawn.append(bradley_terry(chosen[picked], rejected[picked], order[picked], len(names)))
    low, high = np.quantile(np.array(drawn), [0.025, 0.975], axis=0)
    rating = elo(votes)
    rows = []
    for i, name in enumerate(names):
        all_votes, wins = int((chosen == i).sum() + (rejected == i).sum()), int((chosen == i).sum())
        points, least, most = (BEGIN + LOGIT * float(values[i]) for values in (fitted, low, high))
        rows.append(Standing(name, all_votes, wins, points, least, most, rating[name]))
    won = int((order > 0).sum())
    worth = (LOGIT * float(fitted[-1]), LOGIT * float(low[-1]), LOGIT * float(high[-1]))
    return Standings(
        sorted(rows, key=lambda row: -row.strength), (won / len(votes), *wilson(won, len(votes))), worth
    )  # fmt: skip


def bradley_terry(chosen: np.ndarray, rejected: np.ndarray, order: np.ndarray, models: int) -> np.ndarray:
    """Strengths in logits ``[models]``, and behind them what being shown first is worth: the most probable values under
    P(chosen) = sigmoid(strength difference + order * worth) and a normal prior of width ``PRIOR``; by Newton's method.

    ``chosen`` and ``rejected``: the models' numbers in each vote; ``order``: 1 where the chosen one was shown first, -1
    where the other was.
    """
    x = np.zeros((len(chosen), models + 1))
    rows = np.arange(len(chosen))
    np.add.at(x, (rows, chosen), 1.0)
    np.add.at(x, (rows, rejected), -1.0)
    x[:, -1] = order
    w = np.zeros(models + 1)
    for _ in range(50):
        p = 1 / (1 + np.exp(-(x @ w)))
        slope = x.T @ (1 - p) - w / PRIOR**2
        curve = (x.T * (p * (1 - p))) @ x + np.eye(models + 1) / PRIOR**2
        step = np.linalg.solve(curve, slope)
        w += step
        if np.abs(step).max() < 1e-10:
            break
    return w


def elo(votes: Sequence[Vote], k: float = 32.0) -> dict[str, float]:
    """Ratings after all votes in order (Elo 1978): everyone begins at 1,000, a surprise moves more than what was
    expected. Unlike Bradley-Terry it depends on the order of the votes."""
    rating: dict[str, float] = {}
    for vote in votes:
        winner, loser = (rating.setdefault(name, BEGIN) for name in (vote.chosen_model, vote.rejected_model))
        gain = k / (1 + 10 ** ((winner - loser) / 400))
        rating[vote.chosen_model] += gain
        rating[vote.rejected_model] -= gain
    return rating
