"""Checks advantages.py against the library. A check is one function ``check(module)``; AssertionError says what is
wrong."""

from __future__ import annotations

import math
from types import ModuleType

import torch

from glaswerk.align.advantages import gae, token_rewards
from glaswerk.align.policy_losses import clipped

REPLIES = (
    ([0.5], 1.0, [0.6], 0.1, 1.0, 0.95),
    ([-0.1, 0.5], 1.0, [0.5, 0.6], 0.1, 1.0, 0.95),
    ([0.0, 0.3, -0.2, 0.9], -2.0, [0.1, 0.4, -0.3, -1.0], 0.2, 0.9, 0.8),
    ([0.2, 0.2, 0.2], 0.5, [0.0, 0.0, 0.0], 0.5, 1.0, 0.0),
)
TOKENS = ((1.0, 0.7), (1.5, 0.7), (0.5, 0.7), (1.5, -0.7), (0.5, -0.7))


def check(module: ModuleType) -> None:
    """Raises AssertionError with a line for the learner."""
    for kl, reward, values, beta, gamma, lam in REPLIES:
        mask_BN = torch.ones(1, len(kl), dtype=torch.bool)
        rewards_BN = token_rewards(torch.tensor([kl]), torch.tensor([reward]), mask_BN, beta)
        wanted = gae(rewards_BN, torch.tensor([values]), mask_BN, gamma, lam)[0].tolist()
        got = module.advantages(list(kl), reward, list(values), beta, gamma, lam)
        assert len(got) == len(kl), f"{len(kl)} tokens need as many advantages, not {len(got)}"
        for place, (mine, right) in enumerate(zip(got, wanted, strict=True)):
            assert math.isclose(mine, right, rel_tol=1e-5, abs_tol=1e-6), (
                f"KL {kl}, reward {reward:g}, values {values}, beta {beta:g}, gamma {gamma:g}, lambda {lam:g}: "
                f"token {place} has {mine}, not {right:.6f}"
            )
    for ratio, advantage in TOKENS:
        row = [torch.tensor([[number]]) for number in (math.log(ratio), 0.0, advantage)]
        right = float(clipped(*row, torch.ones(1, 1, dtype=torch.bool), 0.2, 0.2))
        mine = module.loss(ratio, advantage, 0.2)
        assert math.isclose(mine, right, rel_tol=1e-5), (
            f"ratio {ratio:g}, advantage {advantage:g}, clip 0.2: the loss is {mine}, not {right:.6f}"
        )
