"""Rewards, returns and advantages: hand-made numbers, slow loops, TRL's formulas written out, and the KL itself."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from glaswerk.align.advantages import (
    gae,
    group_advantages,
    kl_k1,
    kl_k2,
    kl_k3,
    masked_mean,
    returns,
    spread,
    token_rewards,
    whiten,
)
from glaswerk.errors import GlaswerkError

GENERATOR = torch.Generator().manual_seed(0)
B, N = 5, 7
LENGTHS = torch.tensor([7, 1, 4, 6, 2])
MASK = torch.arange(N) < LENGTHS[:, None]
REWARDS, VALUES = (torch.randn(B, N, generator=GENERATOR) for _ in range(2))
POLICY, REFERENCE = (-3 * torch.rand(B, N, generator=GENERATOR) for _ in range(2))


def close(found: Tensor, wanted: Tensor | list[float] | list[list[float]]) -> None:
    torch.testing.assert_close(found, torch.as_tensor(wanted), atol=1e-5, rtol=1e-5)


# ---------------------------------------------------------------------------------------------- by hand
def test_advantages_by_hand() -> None:
    """Two tokens, gamma 0.9, lambda 0.5. The last: d = 2 - 1 = 1, A = 1. The first: d = 0 + 0.9 * 1 - 0.5 = 0.4,
    A = 0.4 + 0.9 * 0.5 * 1 = 0.85. What lies behind the end, however wild, counts nothing."""
    rewards, values = torch.tensor([[0.0, 2.0, 99.0]]), torch.tensor([[0.5, 1.0, float("nan")]])
    mask = torch.tensor([[True, True, False]])
    close(gae(rewards, values, mask, 0.9, 0.5), [[0.85, 1.0, 0.0]])
    close(returns(rewards, mask, 0.9), [[1.8, 2.0, 0.0]])


def test_rewards_by_hand() -> None:
    """beta 0.5; KL 1 and 2, and 3 and 4; the replies earn 10 at their last tokens, the second and the first."""
    kl, mask = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[True, True], [True, False]])
    close(token_rewards(kl, torch.tensor([10.0, 10.0]), mask, 0.5), [[-0.5, 9.0], [8.5, 0.0]])


def test_reward_0_leaves_only_the_kl_term() -> None:
    kl = kl_k3(POLICY, REFERENCE)
    close(token_rewards(kl, torch.zeros(B), MASK, 0.3), -0.3 * kl * MASK)
    assert not token_rewards(kl, torch.zeros(B), MASK, 0.0).any()


def test_a_group_by_hand() -> None:
    """1, 0, 0, 1: mean 0.5, standard deviation sqrt(4 * 0.25 / 3) = 0.57735."""
    rewards = torch.tensor([1.0, 0.0, 0.0, 1.0])
    close(group_advantages(rewards, 4), torch.tensor([1, -1, -1, 1]) * 0.5 / (0.57735 + 1e-4))
    close(group_advantages(rewards, 4, "none"), [0.5, -0.5, -0.5, 0.5])


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
@pytest.mark.parametrize("size", [3, 7])
def test_equal_rewards_have_no_advantage(scale: str, size: int) -> None:
    """Exactly none, also where the mean of equal numbers is off by a rounding, as that of 0.1 is."""
    rewards = torch.cat([torch.full((size,), 0.1), torch.rand(size, generator=GENERATOR), torch.full((size,), -7.3)])
    found = group_advantages(rewards, size, scale).view(3, size)
    assert not found[0].any() and not found[2].any() and bool(found[1].all())
    assert spread(rewards, size).tolist() == [False, True, False]


def test_what_cannot_be_computed_is_said() -> None:
    with pytest.raises(GlaswerkError, match="no token that its reward could stand at"):
        token_rewards(torch.zeros(1, 2), torch.ones(1), torch.zeros(1, 2, dtype=torch.bool), 0.1)
    for rewards, size in ((torch.ones(5), 2), (torch.ones(3), 1)):
        with pytest.raises(GlaswerkError, match=f"no groups of {size}"):
            group_advantages(rewards, size)
    with pytest.raises(GlaswerkError, match="there is no scale 'std'"):
        group_advantages(torch.ones(4), 2, "std")


# ---------------------------------------------------------------------------------------------- slow loops
@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 0.95), (0.9, 0.5), (1.0, 0.0), (0.8, 1.0)])
def test_against_the_sum_of_the_definition(gamma: float, lam: float) -> None:
    """Schulman et al. 2016, equation 16: A_t is the sum over l of (gamma lambda)^l d_{t+l}."""
    wanted, plain = torch.zeros(B, N), torch.zeros(B, N)
    for b in range(B):
        length = int(LENGTHS[b])
        values = [*VALUES[b, :length].tolist(), 0.0]
        for t in range(length):
            for ahead in range(length - t):
                at = t + ahead
                surprise = float(REWARDS[b, at]) + gamma * values[at + 1] - values[at]
                wanted[b, t] += (gamma * lam) ** ahead * surprise
                plain[b, t] += gamma**ahead * float(REWARDS[b, at])
    close(gae(REWARDS, VALUES, MASK, gamma, lam), wanted)
    close(returns(REWARDS, MASK, gamma), plain)


def test_lambda_1_is_the_return_less_the_value() -> None:
    close(gae(REWARDS, VALUES, MASK, 0.9, 1.0), (returns(REWARDS, MASK, 0.9) - VALUES) * MASK)


def test_whitened_numbers_have_mean_0_and_variance_1() -> None:
    wanted = REWARDS[MASK]
    found = whiten(REWARDS, MASK)
    assert not found[~MASK].any()
    close(found[MASK], (wanted - wanted.mean()) / wanted.std())
    close(whiten(REWARDS, MASK, shift=False)[MASK], (wanted - wanted.mean()) / wanted.std() + wanted.mean())
    one = torch.tensor([[3.0, 5.0]])
    assert not whiten(one, torch.tensor([[True, False]])).any()


# ---------------------------------------------------------------------------------------------- the KL
def test_the_estimators_mean_is_the_kl() -> None:
    """The expectation over all tokens, not a sample: sum of p(token) times the estimate."""
    log_p, log_q = (torch.randn(50, generator=GENERATOR).log_softmax(0).double() for _ in range(2))
    kl = float((log_p.exp() * (log_p - log_q)).sum())
    for estimate in (kl_k1, kl_k3):
        assert float((log_p.exp() * estimate(log_p, log_q)).sum()) == pytest.approx(kl, rel=1e-6)
    assert bool((kl_k3(log_p, log_q) >= 0).all()) and bool((kl_k2(log_p, log_q) >= 0).all())
    near = (log_p + 0.01 * log_q).log_softmax(0)
    assert float((near.exp() * kl_k2(near, log_p)).sum()) == pytest.approx(
        float((near.exp() * (near - log_p)).sum()), rel=0.05
    )
    for estimate in (kl_k1, kl_k2, kl_k3):
        assert not estimate(log_p, log_p).any()


def test_the_estimators_by_hand() -> None:
    """p = 1/2, q = 1/4: log ratio 0.693147; k1 that, k2 0.240227, k3 1/2 - 1 + 0.693147 = 0.193147."""
    p, q = torch.tensor([0.5]).log(), torch.tensor([0.25]).log()
    close(torch.cat([kl_k1(p, q), kl_k2(p, q), kl_k3(p, q)]), [0.693147, 0.240227, 0.193147])


# ---------------------------------------------------------------------------------------------- TRL's formulas
def trl_advantages(score_B: Tensor, values_BN: Tensor, beta: float, gamma: float, lam: float, later: int) -> Tensor:
    """What TRL's PPO trainer does, before it whitens: the score stands ``later`` places behind the last token where
    there is room, and a value is kept one place behind it. TRL's later is 1."""
    places = torch.arange(N).repeat(B, 1)
    last_B = LENGTHS - 1
    values_BN = torch.masked_fill(values_BN, places > (last_B + later)[:, None], 0)
    ratio = torch.masked_fill(REFERENCE - POLICY, ~MASK, 0.0)  # TRL fills both with the same number
    rewards = -beta * ((ratio.exp() - 1) - ratio)
    end_B = torch.where(last_B + later < N, last_B + later, last_B)
    rewards[torch.arange(B), end_B] += score_B
    carried: Tensor | float = 0
    backwards = []
    for t in reversed(range(N)):
        following = values_BN[:, t + 1] if t < N - 1 else 0.0
        carried = rewards[:, t] + gamma * following - values_BN[:, t] + gamma * lam * carried
        backwards.append(carried)
    return torch.stack(backwards[::-1], axis=1).masked_fill(~MASK, 0)  # type: ignore[call-overload]


@pytest.mark.parametrize(("gamma", "lam", "later"), [(1.0, 0.95, 0), (0.9, 0.8, 0), (1.0, 1.0, 0), (1.0, 1.0, 1)])
def test_ppos_advantages_are_trls(gamma: float, lam: float, later: int) -> None:
    """With the score at the last token for all gamma and lambda; one place later, where TRL puts it, for 1 and 1."""
    score = torch.randn(B, generator=GENERATOR)
    rewards = token_rewards(kl_k3(POLICY, REFERENCE), score, MASK, 0.2)
    close(gae(rewards, VALUES, MASK, gamma, lam), trl_advantages(score, VALUES, 0.2, gamma, lam, later))


def test_a_later_score_is_another_one_else() -> None:
    """What the header says is no more than true: below lambda 1 the two places differ."""
    score = torch.randn(B, generator=GENERATOR)
    at_last, later = (trl_advantages(score, VALUES, 0.2, 1.0, 0.5, place) for place in (0, 1))
    assert (at_last - later).abs().max() > 0.01


def test_whitening_is_trls() -> None:
    mask = MASK.float()
    mean = (REWARDS * mask).sum() / mask.sum()
    centred = REWARDS - mean
    variance = (centred**2 * mask).sum() / mask.sum() * (mask.sum() / (mask.sum() - 1))
    close(whiten(REWARDS, MASK), (centred * torch.rsqrt(variance + 1e-8)).masked_fill(~MASK, 0))
    close(masked_mean(REWARDS, MASK), mean)


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_group_advantages_are_trls(scale: str) -> None:
    """GRPO's: nanstd with Bessel's correction, 1e-4 added."""
    rewards, size = torch.rand(12, generator=GENERATOR), 4
    mean = torch.nanmean(rewards.view(-1, size), dim=1).repeat_interleave(size, dim=0)

    def nanstd(values: Tensor) -> Tensor:
        variance = torch.nanmean((values - torch.nanmean(values, -1, keepdim=True)) ** 2, -1, keepdim=True)
        return torch.sqrt(variance * values.shape[-1] / (values.shape[-1] - 1))

    wanted = rewards - mean
    if scale == "group":
        wanted = wanted / (nanstd(rewards.view(-1, size)).repeat_interleave(size) + 1e-4)
    elif scale == "batch":
        wanted = wanted / (nanstd(rewards).expand_as(rewards) + 1e-4)
    close(group_advantages(rewards, size, scale), wanted)
