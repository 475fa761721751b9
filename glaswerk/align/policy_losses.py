"""The losses of learning from rewards, as pure functions of log-probabilities, values and advantages.

PPO (Schulman et al. 2017): a token's probability may move only so far from what it was when it was drawn. GRPO (Shao et
al. 2024): the same with one advantage for a whole reply and the KL to the reference (k3) in the loss. Conventions are
TRL's. Left out: advantages (``advantages.py``); the models.

Shapes: B replies, N sampled tokens of the longest, V vocabulary; ``mask_BN`` (bool) is True at a reply's tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from glaswerk.align.advantages import kl_k3, masked_mean
from glaswerk.errors import GlaswerkError

#: what GRPO's sum over tokens is divided by: each reply's own length, then the number of replies (Shao et al. 2024: the
#: tokens of a long reply weigh less); the tokens of the batch, so that all weigh the same (TRL's "bnpo"); the longest
#: length that was allowed, a constant (Dr. GRPO, Liu et al. 2025: a long wrong reply is not spared)
NORMALISATIONS = ("reply", "batch", "constant")


def clipped(
    policy_BN: Tensor, old_BN: Tensor, advantages_BN: Tensor, mask_BN: Tensor, low: float, high: float
) -> Tensor:
    """PPO's loss of each token, ``[B, N]``: the worse of ratio times advantage and the same with the ratio kept between
    1 - ``low`` and 1 + ``high``, negated; 0 outside the mask."""
    ratio_BN = (policy_BN - old_BN).masked_fill(~mask_BN, 0.0).exp()
    kept_BN = ratio_BN.clamp(1 - low, 1 + high)
    return -torch.min(ratio_BN * advantages_BN, kept_BN * advantages_BN).masked_fill(~mask_BN, 0.0)


def ppo_policy_loss(
    policy_BN: Tensor, old_BN: Tensor, advantages_BN: Tensor, mask_BN: Tensor, clip: float = 0.2
) -> Tensor:
    """The mean of :func:`clipped` over all tokens, a scalar."""
    return masked_mean(clipped(policy_BN, old_BN, advantages_BN, mask_BN, clip, clip), mask_BN)


def ppo_value_loss(values_BN: Tensor, old_BN: Tensor, returns_BN: Tensor, mask_BN: Tensor, clip: float = 0.2) -> Tensor:
    """Half the mean squared error, a scalar; a value that moved further than ``clip`` from the old one is also measured
    as if it had stopped there, and the larger error counts."""
    kept_BN = old_BN + (values_BN - old_BN).clamp(-clip, clip)
    errors_BN = torch.max((values_BN - returns_BN).square(), (kept_BN - returns_BN).square())
    return masked_mean(errors_BN, mask_BN) / 2


def grpo_loss(
    policy_BN: Tensor,
    old_BN: Tensor,
    reference_BN: Tensor,
    advantages_B: Tensor,
    mask_BN: Tensor,
    *,
    beta: float = 0.0,
    low: float = 0.2,
    high: float = 0.2,
    normalisation: str = "reply",
    longest: int = 0,
) -> Tensor:
    """:func:`clipped` plus ``beta`` times k3, summed over tokens and divided as ``normalisation`` says; a scalar.
    ``longest``: how long a reply may be, which "constant" needs."""
    losses_BN = clipped(policy_BN, old_BN, advantages_B[:, None], mask_BN, low, high)
    if beta:
        losses_BN = losses_BN + beta * kl_k3(policy_BN, reference_BN).masked_fill(~mask_BN, 0.0)
    if normalisation == "reply":
        return (losses_BN.sum(1) / mask_BN.sum(1).clamp_min(1)).mean()
    if normalisation == "batch":
        return losses_BN.sum() / mask_BN.sum().clamp_min(1)
    if normalisation != "constant" or longest < 1:
        raise GlaswerkError(f"normalisation must be one of {', '.join(NORMALISATIONS)}, and constant needs the longest")
    return losses_BN.sum() / (len(losses_BN) * longest)


def entropy(logits_NV: Tensor) -> Tensor:
    """How undecided each distribution is, in nats ``[N]``: 0 for a certain token, log V for a uniform draw."""
    log_p_NV = logits_NV.float().log_softmax(-1)
    # a logit of -inf is a token that cannot come: 0 times its -inf is 0
    return -(log_p_NV.exp() * log_p_NV.clamp_min(torch.finfo(torch.float32).min)).sum(-1)


@torch.no_grad()
def clipped_share(
    policy_BN: Tensor, old_BN: Tensor, advantages_BN: Tensor, mask_BN: Tensor, low: float = 0.2, high: float = 0.2
) -> float:
    """The share of tokens that the clip holds, so that they have no gradient."""
    ratio_BN = (policy_BN - old_BN).masked_fill(~mask_BN, 0.0).exp()
    held_BN = ((ratio_BN < 1 - low) & (advantages_BN < 0)) | ((ratio_BN > 1 + high) & (advantages_BN > 0))
    return float(masked_mean(held_BN.float(), mask_BN))
