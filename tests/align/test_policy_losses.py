"""PPO's and GRPO's losses: hand-made numbers, slow loops over tokens, and TRL's formulas written out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from glaswerk.align.advantages import group_advantages, kl_k3
from glaswerk.align.policy_losses import (
    clipped,
    clipped_share,
    entropy,
    grpo_loss,
    ppo_policy_loss,
    ppo_value_loss,
)
from glaswerk.errors import GlaswerkError

GENERATOR = torch.Generator().manual_seed(1)
B, N = 6, 5
LENGTHS = torch.tensor([5, 1, 3, 5, 2, 4])
MASK = torch.arange(N) < LENGTHS[:, None]
OLD = -3 * torch.rand(B, N, generator=GENERATOR)
POLICY, REFERENCE = (OLD + 0.4 * torch.randn(B, N, generator=GENERATOR) for _ in range(2))
ADVANTAGES, VALUES, OLD_VALUES, RETURNS = (torch.randn(B, N, generator=GENERATOR) for _ in range(4))
REPLIES = torch.randn(B, generator=GENERATOR)


def close(found: Tensor | float, wanted: Tensor | float) -> None:
    torch.testing.assert_close(torch.as_tensor(found), torch.as_tensor(wanted), atol=1e-5, rtol=1e-5)


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


# ---------------------------------------------------------------------------------------------- by hand
def test_the_clip_by_hand() -> None:
    """Ratios 1.5 and 0.5 and 1.1, clip 0.2. Good and too far up: 1.2 * 2. Bad and too far down: 0.8 * -1. Good and too
    far down: the lower one counts, 0.5 * 2. Bad and too far up: 1.5 * -1. Inside: 1.1 * 3."""
    ratios, advantages = torch.tensor([[1.5, 0.5, 0.5, 1.5, 1.1]]), torch.tensor([[2.0, -1.0, 2.0, -1.0, 3.0]])
    mask, zero = torch.ones(1, 5, dtype=torch.bool), torch.zeros(1, 5)
    close(clipped(ratios.log(), zero, advantages, mask, 0.2, 0.2), torch.tensor([[-2.4, 0.8, -1.0, 1.5, -3.3]]))
    close(ppo_policy_loss(ratios.log(), zero, advantages, mask, 0.2), (-2.4 + 0.8 - 1.0 + 1.5 - 3.3) / 5)
    assert clipped_share(ratios.log(), zero, advantages, mask) == pytest.approx(2 / 5)


def test_what_the_clip_holds_has_no_gradient() -> None:
    policy = torch.tensor([[1.5, 0.5, 0.5, 1.5, 1.1]]).log().requires_grad_()
    advantages, mask = torch.tensor([[2.0, -1.0, 2.0, -1.0, 3.0]]), torch.ones(1, 5, dtype=torch.bool)
    (gradient,) = torch.autograd.grad(ppo_policy_loss(policy, torch.zeros(1, 5), advantages, mask), policy)
    # -ratio * advantage / 5 where it is not held
    close(gradient, torch.tensor([[0.0, 0.0, -0.2, 0.3, -0.66]]))


def test_the_value_loss_by_hand() -> None:
    """Value 2, old 1, return 3: error 1, clipped at 1.2: 3.24 counts. Value 1.1, old 1, return 0: 1.21."""
    found = ppo_value_loss(
        torch.tensor([[2.0, 1.1]]), torch.ones(1, 2), torch.tensor([[3.0, 0.0]]), torch.ones(1, 2).bool()
    )
    close(found, (3.24 + 1.21) / 2 / 2)


def test_grpo_by_hand() -> None:
    """Nothing moved yet, two replies of 2 and 1 tokens, advantages 1 and -1: per reply (-1 + 1) / 2; per token of the
    batch (-2 + 1) / 3; by a constant length 4, (-2 + 1) / (2 * 4). The longer reply's advantage weighs more in both."""
    zero, mask = torch.zeros(2, 2), torch.tensor([[True, True], [True, False]])
    for normalisation, wanted in (("reply", 0.0), ("batch", -1 / 3), ("constant", -1 / 8)):
        found = grpo_loss(
            zero, zero, zero, torch.tensor([1.0, -1.0]), mask, normalisation=normalisation, longest=4, beta=0.5
        )
        close(found, wanted)


def test_a_normalisation_that_is_none() -> None:
    for normalisation, longest in (("token", 4), ("constant", 0)):
        with pytest.raises(GlaswerkError, match="normalisation must be one of reply, batch, constant"):
            grpo_loss(POLICY, OLD, OLD, REPLIES, MASK, normalisation=normalisation, longest=longest)


# ---------------------------------------------------------------------------------------------- only the KL term
def test_equal_rewards_leave_only_the_kl_term() -> None:
    """Reward 0, or any one number, for every reply: loss and gradient are those of beta times k3, and none without."""
    advantages = group_advantages(torch.full((B,), 0.1), 3)
    policy = POLICY.clone().requires_grad_()
    for beta in (0.0, 0.3):
        loss = grpo_loss(policy, OLD, REFERENCE, advantages, MASK, beta=beta, normalisation="batch")
        (found,) = torch.autograd.grad(loss, policy)
        kl = beta * (kl_k3(policy, REFERENCE) * MASK).sum() / MASK.sum()
        (wanted,) = torch.autograd.grad(kl, policy)
        close(loss, kl)
        close(found, wanted)
        assert bool(found.any()) == (beta > 0)


def test_what_lies_outside_the_mask_changes_nothing() -> None:
    """Not even numbers that are none, neither in the loss nor in its gradient."""
    wild = torch.where(MASK, POLICY, torch.inf).requires_grad_()
    plain = POLICY.clone().requires_grad_()
    for loss in (
        lambda policy: grpo_loss(policy, OLD, REFERENCE, REPLIES, MASK, beta=0.2),
        lambda policy: ppo_policy_loss(policy, OLD, ADVANTAGES, MASK),
    ):
        ours, wanted = (torch.autograd.grad(loss(policy), policy)[0] for policy in (wild, plain))
        close(loss(wild), loss(plain))
        close(ours[MASK], wanted[MASK])
        assert not wanted[~MASK].any()


# ---------------------------------------------------------------------------------------------- slow loops
def tokens() -> list[list[tuple[int, int]]]:
    """The places of each reply's tokens."""
    return [[(b, t) for t in range(int(LENGTHS[b]))] for b in range(B)]


def slow_clipped(at: tuple[int, int], advantage: float, low: float, high: float) -> float:
    ratio = math.exp(float(POLICY[at]) - float(OLD[at]))
    return -min(ratio * advantage, min(max(ratio, 1 - low), 1 + high) * advantage)


def test_ppo_token_by_token() -> None:
    every = [at for reply in tokens() for at in reply]
    close(
        ppo_policy_loss(POLICY, OLD, ADVANTAGES, MASK, 0.15),
        mean([slow_clipped(at, float(ADVANTAGES[at]), 0.15, 0.15) for at in every]),
    )
    errors = []
    for at in every:
        value, old, wanted = float(VALUES[at]), float(OLD_VALUES[at]), float(RETURNS[at])
        kept = min(max(value, old - 0.15), old + 0.15)
        errors.append(max((value - wanted) ** 2, (kept - wanted) ** 2))
    close(ppo_value_loss(VALUES, OLD_VALUES, RETURNS, MASK, 0.15), mean(errors) / 2)


@pytest.mark.parametrize("normalisation", ["reply", "batch", "constant"])
def test_grpo_token_by_token(normalisation: str) -> None:
    sums = []
    for b, reply in enumerate(tokens()):
        losses = []
        for at in reply:
            gap = float(REFERENCE[at]) - float(POLICY[at])
            losses.append(slow_clipped(at, float(REPLIES[b]), 0.1, 0.3) + 0.07 * (math.exp(gap) - gap - 1))
        sums.append(math.fsum(losses))
    wanted = {
        "reply": mean([total / len(reply) for total, reply in zip(sums, tokens(), strict=True)]),
        "batch": math.fsum(sums) / sum(map(len, tokens())),
        "constant": math.fsum(sums) / (B * 9),
    }[normalisation]
    found = grpo_loss(
        POLICY, OLD, REFERENCE, REPLIES, MASK, beta=0.07, low=0.1, high=0.3, normalisation=normalisation, longest=9
    )
    close(found, wanted)


# ---------------------------------------------------------------------------------------------- TRL's formulas
@pytest.mark.parametrize(("ours", "theirs"), [("reply", "grpo"), ("batch", "bnpo"), ("constant", "dr_grpo")])
@pytest.mark.parametrize("beta", [0.0, 0.04])
def test_grpo_is_trls(ours: str, theirs: str, beta: float) -> None:
    """The lines of TRL's GRPOTrainer for each of its loss types."""
    mask, advantages = MASK.float(), REPLIES.unsqueeze(1)
    ratio = torch.exp(POLICY - OLD)
    bounded = torch.clamp(ratio, 1 - 0.2, 1 + 0.28)
    per_token = -torch.min(ratio * advantages, bounded * advantages)
    if beta != 0.0:
        per_token = per_token + beta * (torch.exp(REFERENCE - POLICY) - (REFERENCE - POLICY) - 1)
    wanted = {
        "grpo": ((per_token * mask).sum(-1) / mask.sum(-1).clamp(min=1.0)).mean(),
        "bnpo": (per_token * mask).sum() / mask.sum().clamp(min=1.0),
        "dr_grpo": (per_token * mask).sum() / (per_token.size(0) * 11),
    }[theirs]
    found = grpo_loss(
        POLICY, OLD, REFERENCE, REPLIES, MASK, beta=beta, low=0.2, high=0.28, normalisation=ours, longest=11
    )
    close(found, wanted)


def test_ppo_is_trls() -> None:
    """The lines of TRL's PPOTrainer."""
    mask = MASK.float()
    ratio = torch.exp(POLICY - OLD)
    first, second = -ADVANTAGES * ratio, -ADVANTAGES * torch.clamp(ratio, 1.0 - 0.2, 1.0 + 0.2)
    close(ppo_policy_loss(POLICY, OLD, ADVANTAGES, MASK), (torch.max(first, second) * mask).sum() / mask.sum())
    held = ((second > first).float() * mask).sum() / mask.sum()
    close(clipped_share(POLICY, OLD, ADVANTAGES, MASK), held)
    bounded = torch.clamp(VALUES, OLD_VALUES - 0.2, OLD_VALUES + 0.2)
    larger = torch.max(torch.square(VALUES - RETURNS), torch.square(bounded - RETURNS))
    close(ppo_value_loss(VALUES, OLD_VALUES, RETURNS, MASK), 0.5 * (larger * mask).sum() / mask.sum())


# ---------------------------------------------------------------------------------------------- entropy
def test_entropy() -> None:
    """Uniform over 8: log 8. Certain: 0, also where everything else is impossible. 1/2, 1/4, 1/4: 1.5 log 2."""
    certain = torch.full((8,), -torch.inf)
    certain[3] = 0.0
    close(entropy(torch.stack([torch.ones(8), certain])), torch.tensor([math.log(8), 0.0]))
    close(entropy(torch.tensor([[0.5, 0.25, 0.25]]).log()), torch.tensor([1.5 * math.log(2)]))
    logits = torch.randn(20, 30, generator=GENERATOR)
    close(entropy(logits), torch.distributions.Categorical(logits=logits).entropy())
