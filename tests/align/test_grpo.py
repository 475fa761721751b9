"""GRPO learns what can be checked, refuses what teaches nothing, and stops where it goes astray."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from glaswerk.align.advantages import group_advantages
from glaswerk.align.divergence import Guard
from glaswerk.align.grpo import GRPO
from glaswerk.align.rollout import Rollouts, graded, log_probs, roll_out
from glaswerk.align.rounds import Learner, NothingToLearn
from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.task import Messages, Task, pair
from glaswerk.model import Decoder, ModelConfig
from glaswerk.tokenizer import train_bpe
from glaswerk.train.loop import Diverged

TOKENIZER = train_bpe(["a small text for a small vocabulary, with user and assistant in it"] * 3, 300)
PROMPTS = [TOKENIZER.encode(text) for text in ("one", "three", "ten")]


class Shout(Task):
    """A reply is right when it begins with a capital letter."""

    def __len__(self) -> int:
        return 3

    def conversation(self, i: int) -> Messages:
        return pair("say it", "A")

    def grade(self, i: int, reply: str) -> float:
        return float(reply[:1] in set("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))


def shouted(rollouts: Rollouts) -> Tensor:
    return graded(Shout(), range(3), rollouts)


def constant(rollouts: Rollouts) -> Tensor:
    return torch.full((len(rollouts.replies),), 0.25)


def decoder() -> Decoder:
    config = ModelConfig.modern(vocabulary_size=TOKENIZER.vocabulary_size, width=32, layers=1, heads=2, context=32)
    model = Decoder(config)
    model.reset_parameters(torch.Generator().manual_seed(0))
    return model


def learner(guard: Guard | None = None, **settings: Any) -> Learner:
    model = decoder()
    made = GRPO(**{"max_tokens": 2, "group": 16, "batch": 24, "rate": 0.006, **settings})
    return Learner(model, copy.deepcopy(model), TOKENIZER, made, guard=guard)


def rounds(pupil: Learner, count: int, reward: Any = shouted) -> list[Any]:
    """Rounds until one teaches nothing, which here can only be because all is solved."""
    found: list[Any] = []
    for number in range(count):
        try:
            found.append(pupil.round(PROMPTS, reward, seed=1000 * number))
        except NothingToLearn as error:
            assert error.reward == 1
            break
    return found


@pytest.mark.parametrize(
    "variant",
    [
        {},
        {"scale": "none", "normalisation": "constant", "beta": 0.0, "passes": 2},
        {"scale": "batch", "normalisation": "batch"},
    ],
)
def test_it_learns_a_task_that_is_checked(variant: dict[str, Any]) -> None:
    """From one in ten by chance to most of the time, measured on draws that nothing was learned from."""
    pupil = learner(**variant)
    seen = rounds(pupil, 40)
    assert seen[0].reward < 0.25 and 0 < seen[0].taught <= 1
    assert seen[0].kl == pytest.approx(0, abs=1e-6), "at first the policy is its reference"
    assert seen[0].entropy == pytest.approx(math.log(TOKENIZER.vocabulary_size), abs=0.3)
    fresh = roll_out(pupil.model, TOKENIZER, PROMPTS, 64, max_tokens=2, seed=10**6)
    assert float(shouted(fresh).mean()) > 0.8
    assert seen[-1].kl > 0.5 and seen[-1].entropy < seen[0].entropy


def test_a_round_keeps_what_it_saw() -> None:
    pupil = learner()
    seen = pupil.round(PROMPTS, shouted, seed=0)
    assert torch.equal(seen.reward_B, shouted(seen.rollouts)) and seen.reward == pytest.approx(
        float(seen.reward_B.mean())
    )
    assert torch.equal(seen.prepared["advantages"], group_advantages(seen.reward_B, 16))
    assert seen.tokens == int(seen.rollouts.mask_BN.sum()) and seen.ended == sum(seen.rollouts.ended) / 48
    # one step at the old policy: all ratios are 1, so the loss is that of the advantages' means, which is 0 in all
    whole = learner(batch=48).round(PROMPTS, shouted, seed=0)
    assert whole.loss == pytest.approx(-float(whole.prepared["advantages"].mean()), abs=1e-5)


def test_the_same_seed_learns_the_same() -> None:
    first, second = (learner() for _ in range(2))
    for pupil in (first, second):
        rounds(pupil, 2)
    for ours, theirs in zip(first.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert any(
        not torch.equal(ours, before)
        for ours, before in zip(first.model.parameters(), first.reference.parameters(), strict=True)
    )


def test_beta_holds_it_back() -> None:
    """The same rounds with a dear KL end nearer to the reference."""
    free, held = (rounds(learner(beta=beta, guard=Guard(math.inf)), 12)[-1] for beta in (0.0, 3.0))
    assert held.kl < free.kl / 2


def test_a_constant_reward_teaches_nothing() -> None:
    pupil = learner()
    with pytest.raises(NothingToLearn, match=r"3 prompts, 16 replies each, mean 0\.25\): there is nothing to learn"):
        pupil.round(PROMPTS, constant, seed=0)
    for ours, before in zip(pupil.model.parameters(), pupil.reference.parameters(), strict=True):
        assert torch.equal(ours, before), "and nothing was changed"


def test_rewards_that_are_none() -> None:
    with pytest.raises(Diverged, match="the reward is nan"):
        learner().round(PROMPTS, lambda rollouts: constant(rollouts) * math.nan, seed=0)
    with pytest.raises(GlaswerkError, match="48 replies need as many rewards"):
        learner().round(PROMPTS, lambda rollouts: constant(rollouts)[:5], seed=0)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"group": 1}, "at least 2 replies"),
        ({"batch": 0}, "must be at least 1"),
        ({"beta": -1}, "beta must be 0 or more"),
        ({"rate": 0}, "rate must be above 0"),
        ({"scale": "std"}, "no scale 'std'"),
        ({"normalisation": "token"}, "no normalisation 'token'"),
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(GlaswerkError, match=said):
        GRPO(**wrong)


def test_the_reference_is_a_copy() -> None:
    model = decoder()
    with pytest.raises(GlaswerkError, match="must be a copy"):
        Learner(model, model, TOKENIZER, GRPO())


# ---------------------------------------------------------------------------------------------- astray
def test_a_rate_that_is_far_too_high_is_seen() -> None:
    """A real run goes astray, and the guard says how."""
    pupil = learner(guard=Guard(most_kl=5.0), rate=3.0, beta=0.0)
    with pytest.raises(Diverged, match=r"nats per reply|collapsed|no finite number"):
        for number in range(6):
            pupil.round(PROMPTS, shouted, seed=1000 * number)


def test_one_token_that_the_reference_finds_far_likelier_is_no_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    """k3 of it is e^12 nats; the policy has not moved."""
    real = log_probs

    def once(model: Decoder, *others: Tensor) -> Tensor:
        found = real(model, *others)
        found[0, 0] += 12
        return found

    monkeypatch.setattr("glaswerk.align.rounds.log_probs", once)
    pupil = learner(guard=Guard(most_kl=5.0))
    assert pupil.round(PROMPTS, shouted, seed=0).kl > 100


def test_weights_that_are_no_numbers_are_seen() -> None:
    """After the only step of a round: no later loss could tell."""
    pupil = learner(batch=48)
    pupil.optimizer.rates = (math.inf, math.inf)
    with pytest.raises(Diverged, match="a weight is no finite number"):
        pupil.round(PROMPTS, shouted, seed=0)


def test_what_the_guard_sees() -> None:
    fine = {"reward": 0.5, "kl": 1.0, "entropy": 2.0}
    guard = Guard(most_kl=10, least_entropy=0.1)
    guard.check(**fine)
    guard.check(**{**fine, "entropy": 0.05, "reward": 0.6})  # certain of something better: learned
    for wrong, said in (
        ({"kl": 10.5}, r"10\.5 nats per reply away from its reference, more than 10"),
        ({"entropy": 0.05, "reward": 0.4}, r"entropy collapsed to 0\.0500 .* reward is 0\.400, no better than 0\.500"),
        ({"entropy": math.nan}, "the entropy is nan"),
        ({"loss": math.inf}, "the loss is inf"),
    ):
        with pytest.raises(Diverged, match=said):
            guard.check(**{**fine, **wrong})
