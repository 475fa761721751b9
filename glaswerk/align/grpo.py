"""Group-relative policy optimisation (GRPO; Shao et al. 2024): one round of sampling, grading and learning.

Each prompt is answered several times; a reply is good as far as it is better than the others. No value head. The names
of the variants stand with their formulas: ``advantages.SCALES`` and ``policy_losses.NORMALISATIONS`` (Dr. GRPO: scale
"none" with normalisation "constant"). Steps go through the parts of the one loop. Left out: which prompts, how many
rounds, folders and checkpoints.

Shapes: B replies (of a minibatch), T time, N sampled tokens of the longest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glaswerk.align.advantages import SCALES, group_advantages, kl_k3, masked_mean, spread
from glaswerk.align.divergence import Guard
from glaswerk.align.losses import token_log_probs
from glaswerk.align.policy_losses import NORMALISATIONS, grpo_loss
from glaswerk.align.rollout import Rollouts, log_probs, roll_out
from glaswerk.errors import GlaswerkError
from glaswerk.model.decoder import Decoder
from glaswerk.progress import Progress
from glaswerk.tokenizer.interface import Tokenizer
from glaswerk.train.data import IGNORE
from glaswerk.train.gradient import GradientStep
from glaswerk.train.loop import Diverged, on_device
from glaswerk.train.optimizer import MuonAdamW

#: rollouts -> a reward for each reply, fp32 ``[B]``
Reward = Callable[[Rollouts], Tensor]


class NothingToLearn(GlaswerkError):
    """Within each group all rewards are the same; ``reward`` is their mean, by which a solved task is known."""

    def __init__(self, text: str, reward: float) -> None:
        super().__init__(text)
        self.reward = reward


@dataclass(frozen=True)
class Settings:
    """``group`` replies to each prompt, of at most ``max_tokens``; ``passes`` over them in minibatches of ``batch``
    replies. ``beta``: how dear it is to leave the reference; ``low``, ``high``: how far a token's probability may move
    per round; ``rate``: AdamW's."""

    group: int = 8
    max_tokens: int = 64
    batch: int = 32
    passes: int = 1
    beta: float = 0.04
    low: float = 0.2
    high: float = 0.2
    scale: str = "group"
    normalisation: str = "reply"
    rate: float = 3e-4

    def __post_init__(self) -> None:
        for fine, what in (
            (self.group >= 2, f"a group needs at least 2 replies, not {self.group}: one has nothing to be compared to"),
            (min(self.max_tokens, self.batch, self.passes) >= 1, "max_tokens, batch and passes must be at least 1"),
            (self.beta >= 0 and 0 < self.low < 1 and self.high > 0, "beta must be 0 or more, low in (0, 1), high > 0"),
            (self.rate > 0, f"the rate must be above 0, not {self.rate}"),
            (self.scale in SCALES, f"there is no scale {self.scale!r}: choose one of {', '.join(SCALES)}"),
            (
                self.normalisation in NORMALISATIONS,
                f"there is no normalisation {self.normalisation!r}: choose one of {', '.join(NORMALISATIONS)}",
            ),
        ):
            if not fine:
                raise GlaswerkError(what)


@dataclass(frozen=True)
class Objective:
    """GRPO's loss as the loop takes it."""

    beta: float
    low: float
    high: float
    normalisation: str
    longest: int

    def __call__(
        self,
        model: Decoder,
        ids_BT: Tensor,
        places: Tensor,
        targets: Tensor,
        old_BN: Tensor,
        reference_BN: Tensor,
        advantages_B: Tensor,
    ) -> Tensor:
        """The loss of a minibatch; places and targets are flat, ``[B * N]``."""
        policy_BN = token_log_probs(model, ids_BT, places, targets).view_as(old_BN)
        return grpo_loss(
            policy_BN, old_BN, reference_BN, advantages_B, targets.view_as(old_BN) != IGNORE, beta=self.beta,
            low=self.low, high=self.high, normalisation=self.normalisation, longest=self.longest,
        )  # fmt: skip


@dataclass(frozen=True)
class Round:
    """What a round saw, before it learned: the mean ``reward``; ``kl``, nats per reply away from the reference (k3);
    ``entropy``, nats per token (the mean of -log p of what was drawn); the share of replies that ``ended`` and of
    groups that ``taught``; the mean ``loss`` of its steps. Rollouts, rewards and advantages are kept for looking."""

    reward: float
    kl: float
    entropy: float
    ended: float
    taught: float
    tokens: int
    loss: float
    rollouts: Rollouts
    reward_B: Tensor
    advantages_B: Tensor
    reference_BN: Tensor


class Learner:
    """A policy that is trained in place, round by round, its frozen reference, and the optimizer between them."""

    def __init__(
        self,
        model: Decoder,
        reference: Decoder,
        tokenizer: Tokenizer,
        settings: Settings,
        *,
        end_ids: Collection[int] | None = None,
        guard: Guard | None = None,
    ) -> None:
        if reference is model:
            raise GlaswerkError("the reference must be a copy: the policy is trained in place")
        self.model, self.reference, self.tokenizer, self.settings = model, reference.eval(), tokenizer, settings
        self.end_ids, self.guard = end_ids, guard or Guard()
        objective = Objective(
            settings.beta, settings.low, settings.high, settings.normalisation, settings.max_tokens
        )  # the longest is what was allowed, not what was reached: a constant
        # AdamW for everything: a model that was trained is only to be moved a little
        self.optimizer = MuonAdamW(model.named_parameters(), other_rate=settings.rate, muon=False)
        self.gradient = GradientStep(model, objective, compile=False, progress=Progress())

    def round(self, prompts: Sequence[Sequence[int]], reward: Reward, seed: int, factor: float = 1.0) -> Round:
        """Answer each prompt (token ids) ``group`` times, grade, and learn; the learning rate is times ``factor``.

        Rounds draw apart when their seeds are at least prompts times group apart. Raises :class:`NothingToLearn`
        where no group has different rewards, :class:`Diverged` where learning went astray: before a step in the first
        case and where rollouts show it, after it where a loss or weight is no number.
        """
        made = self.settings
        rollouts = roll_out(
            self.model, self.tokenizer, prompts, made.group, max_tokens=made.max_tokens, seed=seed, end_ids=self.end_ids
        )
        reward_B = reward(rollouts).float()
        if reward_B.shape != (len(rollouts.replies),):
            raise GlaswerkError(f"{len(rollouts.replies)} replies need as many rewards, not {list(reward_B.shape)}")
        reference_BN = log_probs(self.reference, rollouts.ids_BT, rollouts.columns_BN, rollouts.targets_BN)
        seen = self.seen(rollouts, reward_B, reference_BN)
        self.guard.check(reward=seen["reward"], kl=seen["kl"], entropy=seen["entropy"])
        if not seen["taught"]:
            raise NothingToLearn(
                f"all {made.group} replies to each of {len(prompts):,} prompts got the same reward "
                f"(mean {seen['reward']:g}): there is nothing to learn; take prompts that are sometimes solved, or a "
                "reward that tells replies apart",
                seen["reward"],
            )
        advantages_B = group_advantages(reward_B, made.group, made.scale)
        loss = self.learn(rollouts, advantages_B, reference_BN, seed, factor)
        tokens = int(rollouts.mask_BN.sum())
        return Round(
            **seen, tokens=tokens, loss=loss, rollouts=rollouts, reward_B=reward_B, advantages_B=advantages_B,
            reference_BN=reference_BN,
        )  # fmt: skip

    def seen(self, rollouts: Rollouts, reward_B: Tensor, reference_BN: Tensor) -> dict[str, float]:
        """The figures of a round's rollouts."""
        kl_BN = kl_k3(rollouts.log_probs_BN, reference_BN).masked_fill(~rollouts.mask_BN, 0.0)
        return {
            "reward": float(reward_B.mean()),
            "kl": float(kl_BN.sum(1).mean()),
            "entropy": -float(masked_mean(rollouts.log_probs_BN, rollouts.mask_BN)),
            "ended": sum(rollouts.ended) / len(rollouts.ended),
            "taught": float(spread(reward_B, rollouts.group).float().mean()),
        }

    def learn(self, rollouts: Rollouts, advantages_B: Tensor, reference_BN: Tensor, seed: int, factor: float) -> float:
        """The steps of a round; the mean loss."""
        self.model.train()
        order = torch.Generator().manual_seed(seed)
        losses = []
        for _ in range(self.settings.passes):
            for members in torch.randperm(len(advantages_B), generator=order).split(self.settings.batch):
                batch = (*rollouts.rows(members.tolist()), rollouts.log_probs_BN[members], reference_BN[members])
                loss, gradients = self.gradient(*on_device((*batch, advantages_B[members]), self.model))
                losses.append(float(loss))
                if not math.isfinite(losses[-1]):
                    raise Diverged(f"the loss is {losses[-1]}: no finite number; try a smaller learning rate")
                self.optimizer.step(gradients, factor)
        if not all(bool(parameter.isfinite().all()) for parameter in self.model.parameters()):
            raise Diverged("a weight is no finite number any more; try a smaller learning rate")
        return sum(losses) / len(losses)
