"""How much better a sampled token was than expected: rewards, KL, returns and advantages, as pure functions.

PPO asks a value head what was to be expected (GAE: Schulman et al. 2016); GRPO asks the other replies to the same
prompt (Shao et al. 2024). The reward of a reply stands at its last token, and each token pays for leaving the reference
(Ziegler et al. 2019). TRL's PPO puts a reply's reward one place later, behind its last token: with gamma = lambda = 1
that is the same. A reply that was cut off is treated as one that ended: nothing comes after it. Left out: losses
(``policy_losses.py``); where replies come from (``rollout.py``).

Shapes: B replies, N sampled tokens of the longest; ``mask_BN`` (bool) is True at a reply's tokens, which come first.
"""

from __future__ import annotations

import torch
from torch import Tensor

from glaswerk.errors import GlaswerkError

#: what a group's advantages are divided by: its own standard deviation (Shao et al. 2024), that of all rewards, or
#: nothing (Dr. GRPO, Liu et al. 2025: else questions that are nearly always or nearly never solved weigh more)
SCALES = ("group", "batch", "none")
#: keeps a division by a standard deviation finite; TRL's
TINY = 1e-4


# ---------------------------------------------------------------------------------------------- KL
def kl_k1(policy: Tensor, reference: Tensor) -> Tensor:
    """log p_policy - log p_reference of a drawn token: its mean is KL(policy, reference), but it may be negative
    (Schulman 2020: k1, k2 and k3)."""
    return policy - reference


def kl_k2(policy: Tensor, reference: Tensor) -> Tensor:
    """Half its square: never negative, its mean only near the KL where the two are alike."""
    return (policy - reference).square() / 2


def kl_k3(policy: Tensor, reference: Tensor) -> Tensor:
    """q - 1 - log q for q = p_reference / p_policy: never negative, and its mean is the KL."""
    ratio = reference - policy
    return ratio.expm1() - ratio


# ---------------------------------------------------------------------------------------------- rewards, returns
def token_rewards(kl_BN: Tensor, reward_B: Tensor, mask_BN: Tensor, beta: float) -> Tensor:
    """What each token earned, ``[B, N]``: -beta KL, and a reply's reward at its last token. Raises
    :class:`GlaswerkError` for a reply without a token."""
    count_B = mask_BN.sum(1)
    if not bool((count_B > 0).all()):
        raise GlaswerkError("a reply has no token that its reward could stand at: sample at least one")
    rewards_BN = (-beta * kl_BN).masked_fill(~mask_BN, 0.0)
    last_BN = torch.arange(mask_BN.shape[1], device=mask_BN.device) == (count_B - 1)[:, None]
    return rewards_BN + last_BN * reward_B[:, None].to(rewards_BN.dtype)


def returns(rewards_BN: Tensor, mask_BN: Tensor, gamma: float = 1.0) -> Tensor:
    """What was earned from each token on, later rewards times ``gamma`` per step, ``[B, N]``; 0 outside the mask."""
    # without values and with lambda 1, GAE is the return
    return gae(rewards_BN, torch.zeros_like(rewards_BN), mask_BN, gamma, 1.0)


def gae(rewards_BN: Tensor, values_BN: Tensor, mask_BN: Tensor, gamma: float = 1.0, lam: float = 0.95) -> Tensor:
    """Generalised advantage estimates, ``[B, N]``: A_t = d_t + gamma lambda A_{t+1} with the surprise
    d_t = r_t + gamma V_{t+1} - V_t; 0 outside the mask. Advantages plus values are what the value head should learn.

    ``lam`` 0 trusts the value of the next token, 1 only what was really earned.
    """
    rewards_BN, values_BN = rewards_BN.masked_fill(~mask_BN, 0.0), values_BN.masked_fill(~mask_BN, 0.0)
    after_B = next_value_B = torch.zeros_like(rewards_BN[:, 0])
    found = []
    for t in range(rewards_BN.shape[1] - 1, -1, -1):
        surprise_B = rewards_BN[:, t] + gamma * next_value_B - values_BN[:, t]
        after_B = surprise_B + gamma * lam * after_B
        next_value_B = values_BN[:, t]
        found.append(after_B)
    return torch.stack(found[::-1], 1).masked_fill(~mask_BN, 0.0)


# ---------------------------------------------------------------------------------------------- advantages
def group_advantages(reward_B: Tensor, size: int, scale: str = "group") -> Tensor:
    """A reply's reward less the mean of its group, ``[B]``, divided as ``scale`` says; ``size`` replies to one prompt
    lie side by side. A group whose rewards are all the same has exactly 0."""
    if scale not in SCALES:
        raise GlaswerkError(f"there is no scale {scale!r}: choose one of {', '.join(SCALES)}")
    if size < 2 or len(reward_B) % size:
        raise GlaswerkError(f"{len(reward_B)} rewards are no groups of {size}: take at least 2 replies to each prompt")
    reward_PG = reward_B.float().view(-1, size)
    advantage_PG = reward_PG - reward_PG.mean(1, keepdim=True)
    if scale == "group":
        advantage_PG = advantage_PG / (reward_PG.std(1, keepdim=True) + TINY)
    elif scale == "batch":
        advantage_PG = advantage_PG / (reward_PG.std() + TINY)
    # the mean of equal numbers may be off by a rounding, which a tiny deviation would blow up
    return advantage_PG.masked_fill(~spread(reward_B, size)[:, None], 0.0).flatten()


def spread(reward_B: Tensor, size: int) -> Tensor:
    """Which groups have different rewards, bool ``[P]``: only these teach anything."""
    reward_PG = reward_B.view(-1, size)
    return reward_PG.amax(1) > reward_PG.amin(1)


def masked_mean(values_BN: Tensor, mask_BN: Tensor) -> Tensor:
    """The mean inside the mask, a scalar."""
    return values_BN.masked_fill(~mask_BN, 0.0).sum() / mask_BN.sum()


def whiten(values_BN: Tensor, mask_BN: Tensor, shift: bool = True) -> Tensor:
    """Scaled to variance 1 inside the mask and, with ``shift``, to mean 0; 0 outside. A single value has no variance:
    it only loses its mean."""
    count, mean = mask_BN.sum(), masked_mean(values_BN, mask_BN)
    variance = masked_mean((values_BN - mean).square(), mask_BN) * count / (count - 1).clamp_min(1)
    whitened_BN = (values_BN - mean) * torch.rsqrt(variance + 1e-8)
    return (whitened_BN if shift else whitened_BN + mean).masked_fill(~mask_BN, 0.0)
