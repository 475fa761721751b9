"""Votes are kept as preferences, and the standings find the strengths that made them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from glaswerk.align.pairs import load_pairs
from glaswerk.errors import GlaswerkError
from glaswerk.evaluate import arena
from glaswerk.evaluate.arena import Pair, Vote, bradley_terry, draw, elo, read, standings, vote
from glaswerk.opened import OpenedModel

PAIR = Pair("What is a hat?", "A head covering.", "A river.", "town/sft", "town/base")


def played(strengths: list[float], first_worth: float, count: int, seed: int = 0) -> list[Vote]:
    """Votes of people whose choices follow the model exactly."""
    rng = np.random.default_rng(seed)
    votes = []
    for _ in range(count):
        one, two = rng.choice(len(strengths), size=2, replace=False).tolist()  # shown first, second
        first_wins = rng.random() < 1 / (1 + math.exp(-(strengths[one] - strengths[two] + first_worth)))
        winner, loser = (one, two) if first_wins else (two, one)
        votes.append(Vote("q", "a", "b", f"m{winner}", f"m{loser}", "chosen" if first_wins else "rejected", "", 0.0))
    return votes


def test_votes_are_preferences(tmp_path: Path) -> None:
    file = tmp_path / "run" / "votes.jsonl"
    assert read(file) == []
    vote(file, PAIR, "first", who="ada")
    vote(file, PAIR, "second")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert {"prompt", "chosen", "rejected"} <= set(rows[0])  # TRL's columns
    assert (rows[0]["chosen"], rows[0]["rejected"], rows[0]["first"]) == ("A head covering.", "A river.", "chosen")
    assert (rows[1]["chosen"], rows[1]["chosen_model"], rows[1]["first"]) == ("A river.", "town/base", "rejected")
    assert rows[0]["who"] == "ada" and rows[0]["when"] > 1.7e9
    assert [found.chosen for found in read(file)] == ["A head covering.", "A river."]
    # and alignment learns from the file as it stands
    asked = [{"role": "user", "content": "What is a hat?"}]
    assert [(pair.messages, pair.chosen, pair.rejected) for pair in load_pairs(file)] == [
        (asked, "A head covering.", "A river."),
        (asked, "A river.", "A head covering."),
    ]


def test_what_is_no_vote_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "votes.jsonl"
    with pytest.raises(GlaswerkError, match="nothing to prefer"):
        vote(file, Pair("q", "same", "same", "a", "b"), "first")
    with pytest.raises(GlaswerkError, match='"first" or "second"'):
        vote(file, PAIR, "third")  # type: ignore[arg-type]
    assert not file.exists()
    vote(file, PAIR, "first")
    good = file.read_text()
    for line in (
        "{",
        "[]",
        '{"prompt": "x"}',
        good.replace('"chosen"', '"who_knows"', 1),
        good.replace('"A river."', "3"),
    ):
        file.write_text(good + line + "\n")
        with pytest.raises(GlaswerkError, match=r"votes\.jsonl:2: is no vote"):
            read(file)


def test_bradley_terry_as_scikit_learn_fits_it() -> None:
    """The same problem as a logistic regression: one row per vote, C = PRIOR squared, no intercept."""
    from sklearn.linear_model import LogisticRegression

    votes = played([1.0, 0.0, -0.5], 0.4, 400)
    names = ["m0", "m1", "m2"]
    chosen = np.array([names.index(v.chosen_model) for v in votes])
    rejected = np.array([names.index(v.rejected_model) for v in votes])
    order = np.array([1.0 if v.first == "chosen" else -1.0 for v in votes])
    x = np.zeros((len(votes), 4))
    x[np.arange(len(votes)), chosen] = 1
    x[np.arange(len(votes)), rejected] = -1
    x[:, 3] = order
    # each vote from both sides, at half its weight: a regression needs both outcomes
    fitted = LogisticRegression(C=arena.PRIOR**2, fit_intercept=False, tol=1e-10, max_iter=10_000).fit(
        np.concatenate((x, -x)), [1] * len(votes) + [0] * len(votes), sample_weight=np.full(2 * len(votes), 0.5)
    )
    assert bradley_terry(chosen, rejected, order, 3) == pytest.approx(fitted.coef_[0], abs=1e-4)


def test_standings_find_what_made_the_votes() -> None:
    true = [1.2, 0.4, -0.3, -1.3]
    found = standings(played(true, 0.5, 1500), resamples=200)
    assert [row.model for row in found.models] == ["m0", "m1", "m2", "m3"]
    gaps = [a.strength - b.strength for a, b in zip(found.models, found.models[1:], strict=False)]
    assert gaps == pytest.approx([arena.LOGIT * gap for gap in (0.8, 0.7, 1.0)], abs=60)
    for row in found.models:
        assert row.low < row.strength < row.high and row.high - row.low < 150
    share, low, high = found.first_won
    assert 0.5 < low < share < high
    worth, low, high = found.first_worth
    assert low < arena.LOGIT * 0.5 < high and low > 0 and worth == pytest.approx(arena.LOGIT * 0.5, abs=40)
    assert sum(row.wins for row in found.models) == 1500 == sum(row.votes for row in found.models) / 2


def test_without_an_order_effect_none_is_found() -> None:
    found = standings(played([0.5, -0.5], 0.0, 800), resamples=200)
    assert found.first_worth[1] < 0 < found.first_worth[2] and found.first_won[1] < 0.5 < found.first_won[2]


def test_intervals_hold_the_truth() -> None:
    """Of 40 arenas of 150 votes, about 95 % of the intervals of the gap's sign side hold the true strength."""
    held = 0
    for seed in range(40):
        found = {row.model: row for row in standings(played([0.6, -0.6], 0.0, 150, seed), resamples=150).models}
        row = found["m0"]
        held += row.low <= arena.BEGIN + arena.LOGIT * 0.6 <= row.high
    assert held >= 34


def test_one_duel_makes_nobody_infinitely_good() -> None:
    (winner, loser) = standings(played([9.0, -9.0], 0.0, 1)).models
    assert winner.strength > arena.BEGIN > loser.strength and winner.strength - loser.strength < 800
    with pytest.raises(GlaswerkError, match="no votes yet"):
        standings([])


def test_elo_by_hand() -> None:
    first = Vote("q", "a", "b", "x", "y", "chosen", "", 0.0)
    assert elo([first]) == {"x": 1016.0, "y": 984.0}
    after = elo([first, first])
    assert after["x"] == pytest.approx(1016 + 32 / (1 + 10 ** (32 / 400))) and sum(after.values()) == 2000


def test_pairs_are_blind_and_their_order_is_drawn(opened: OpenedModel, other: OpenedModel) -> None:
    models = {"modern": opened, "classic": other}
    pairs = [draw(models, "What is a hat?", seed, max_tokens=4) for seed in range(12)]
    assert {pair.first_model for pair in pairs} == {"modern", "classic"}
    for pair in pairs:
        assert pair.first_model != pair.second_model
        reply = models[pair.first_model].chat([{"role": "user", "content": "What is a hat?"}], max_tokens=4)
        assert pair.first == reply.text.strip()
    assert draw(models, "What is a hat?", 3, max_tokens=4) == pairs[3]
    with pytest.raises(GlaswerkError, match="needs two models"):
        draw({"one": opened}, "x", 0)
    with pytest.raises(GlaswerkError, match="needs a question"):
        draw(models, " ", 0)
    with pytest.raises(GlaswerkError, match="the same reply"):
        draw({"one": opened, "again": opened}, "What is a hat?", 0, max_tokens=4)
