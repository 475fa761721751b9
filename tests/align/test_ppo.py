"""PPO: the value head changes nothing until it is trained, the kept figures fit together, and it learns."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from glaswerk.align.advantages import gae, whiten
from glaswerk.align.ppo import PPO, ValuedPolicy
from glaswerk.align.rollout import Rollouts, roll_out
from glaswerk.align.rounds import Learner, NothingToLearn, Round
from glaswerk.errors import GlaswerkError
from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.weights import load_model, save_model
from glaswerk.tokenizer import train_bpe

TOKENIZER = train_bpe(["a small text for a small vocabulary, with user and assistant in it"] * 3, 300)
PROMPTS = [TOKENIZER.encode(text) for text in ("one", "three", "ten")]


def decoder(shape: str = "modern", tied: bool = True) -> Decoder:
    made = ModelConfig.modern if shape == "modern" else ModelConfig.classic
    size = TOKENIZER.vocabulary_size
    model = Decoder(made(vocabulary_size=size, width=32, layers=1, heads=2, context=32, tied=tied))
    model.reset_parameters(torch.Generator().manual_seed(0))
    return model


def shouted(rollouts: Rollouts) -> Tensor:
    """1 for a reply that begins with a capital letter."""
    return torch.tensor([float(reply[:1] in set("ABCDEFGHIJKLMNOPQRSTUVWXYZ")) for reply in rollouts.replies])


def learner(**method: Any) -> Learner:
    model = decoder()
    asked = {"max_tokens": 3, "group": 16, "batch": 24, "rate": 0.006, **method}
    return Learner(ValuedPolicy.of(model), model, TOKENIZER, PPO(**asked))


@pytest.mark.parametrize(("shape", "tied"), [("modern", True), ("modern", False), ("classic", True)])
def test_it_writes_and_is_saved_like_the_model_it_came_from(shape: str, tied: bool, tmp_path: Path) -> None:
    model = decoder(shape, tied)
    policy = ValuedPolicy.of(model)
    ids = torch.randint(0, TOKENIZER.vocabulary_size, (2, 9))
    with torch.no_grad():
        assert torch.equal(policy(ids), model(ids))
    save_model(tmp_path / "model", policy, TOKENIZER)
    again = load_model(tmp_path / "model")
    assert type(again) is Decoder
    with torch.no_grad():
        assert torch.equal(again(ids), model(ids))
        policy.embedding += 1
        assert not torch.equal(policy(ids), model(ids)), "a copy: the reference stays as it was"


def test_what_is_kept_fits_together() -> None:
    """Token by token: KL, reward, value and advantage of a round after the first, where none of them is zero."""
    pupil = learner(lam=0.7, gamma=0.9)
    pupil.round(PROMPTS, shouted, seed=0)
    before = copy.deepcopy(pupil.model)
    assert isinstance(before, ValuedPolicy)
    seen = pupil.round(PROMPTS, shouted, seed=1000)
    kept, rollouts, mask = seen.prepared, seen.rollouts, seen.rollouts.mask_BN
    for row, length in enumerate(mask.sum(1).tolist()):
        count = length + int(rollouts.columns_BN[row, 0])
        with torch.no_grad():
            value = before.value(before.hidden(rollouts.ids_BT[row : row + 1, :count]).float())[0, -length:, 0]
        torch.testing.assert_close(kept["values"][row, :length], value, atol=1e-4, rtol=1e-4)
        kl = rollouts.log_probs_BN[row, :length] - seen.reference_BN[row, :length]
        earned = -0.05 * kl
        earned[-1] += seen.reward_B[row]
        torch.testing.assert_close(kept["rewards"][row, :length], earned, atol=1e-5, rtol=1e-5)
    advantages = gae(kept["rewards"], kept["values"], mask, 0.9, 0.7)
    assert torch.equal(kept["advantages"], whiten(advantages, mask))
    assert torch.equal(kept["returns"], advantages + kept["values"])
    for name in ("kl", "rewards", "values", "returns", "advantages"):
        assert kept[name][mask].abs().max() > 1e-4 and not kept[name][~mask].any()


def test_it_learns_a_task_that_is_checked() -> None:
    """Measured on draws that nothing was learned from; its values come to tell what reward is to be expected."""
    pupil = learner()
    seen: list[Round] = []
    for number in range(30):
        try:
            seen.append(pupil.round(PROMPTS, shouted, seed=1000 * number))
        except NothingToLearn as error:
            assert error.reward == 1
            break
    assert seen[0].reward < 0.25 and seen[0].kl == pytest.approx(0, abs=1e-6)
    assert not seen[0].prepared["values"].any()
    fresh = roll_out(pupil.model, TOKENIZER, PROMPTS, 64, max_tokens=3, seed=10**6)
    assert float(shouted(fresh).mean()) > 0.8
    assert seen[-1].kl > 0.5
    assert float(seen[-1].prepared["values"][:, 0].mean()) > 0.3


def test_reward_0_leaves_only_the_kl_term() -> None:
    """What is learned from replies that all earn 0 is exactly -beta KL per token, and nothing at beta 0."""
    pupil = learner()
    pupil.round(PROMPTS, shouted, seed=0)
    rollouts = roll_out(pupil.model, TOKENIZER, PROMPTS, 16, max_tokens=3, seed=5)
    reference = rollouts.log_probs_BN - 0.3 * rollouts.mask_BN
    for beta in (0.0, 0.5):
        kept = PPO(beta=beta).prepared(pupil.model, rollouts, torch.zeros(48), reference)
        torch.testing.assert_close(kept["rewards"], -beta * 0.3 * rollouts.mask_BN.float())


def test_what_teaches_nothing_and_what_cannot_be() -> None:
    with pytest.raises(NothingToLearn, match="there is nothing to learn"):
        learner().round(PROMPTS, lambda rollouts: torch.full((len(rollouts.replies),), 2.0), seed=0)
    model = decoder()
    plain = Learner(copy.deepcopy(model), model, TOKENIZER, PPO(max_tokens=2, group=16))
    with pytest.raises(GlaswerkError, match=r"needs a policy with a value head: ValuedPolicy\.of"):
        plain.round(PROMPTS, shouted, seed=0)
    for wrong, said in (
        ({"clip": 1.5}, "clip must be between"),
        ({"lam": 2}, "gamma and lam"),
        ({"weight": -1}, "value's weight"),
        ({"passes": 0}, "must be at least 1"),
    ):
        with pytest.raises(GlaswerkError, match=said):
            PPO(**wrong)  # type: ignore[arg-type]
