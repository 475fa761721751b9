"""Learning from rewards in rounds: sample, grade, learn. What GRPO and PPO share; they differ in a few formulas.

Steps go through the parts of the one loop. Left out: the methods (``grpo.py``, ``ppo.py``); which prompts, how many
rounds, folders and checkpoints.

Shapes: B replies, N sampled tokens of the longest.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from glaswerk.align.advantages import kl_k1, kl_k3, masked_mean
from glaswerk.align.divergence import Guard
from glaswerk.align.rollout import Rollouts, log_probs, roll_out
from glaswerk.errors import GlaswerkError
from glaswerk.model.decoder import Decoder
from glaswerk.progress import Progress
from glaswerk.runtime import keep_memory
from glaswerk.tokenizer.interface import Tokenizer
from glaswerk.train.gradient import GradientStep
from glaswerk.train.loop import Diverged, on_device
from glaswerk.train.objective import Objective
from glaswerk.train.optimizer import MuonAdamW

#: rollouts -> a reward for each reply, fp32 ``[B]``
Reward = Callable[[Rollouts], Tensor]


class NothingToLearn(GlaswerkError):
    """All rewards that are compared are the same; ``reward`` is their mean, by which a solved task is known."""

    def __init__(self, text: str, reward: float) -> None:
        super().__init__(text)
        self.reward = reward


@dataclass(frozen=True)
class Method(ABC):
    """How rewards become a loss, and what all methods are told: ``group`` replies to each prompt, of at most
    ``max_tokens``; ``passes`` over them in minibatches of ``batch`` replies; ``beta``: how dear it is to leave the
    reference; ``rate``: AdamW's."""

    group: int = 8
    max_tokens: int = 64
    batch: int = 32
    passes: int = 1
    beta: float = 0.04
    rate: float = 3e-4

    #: which of what :meth:`prepared` gives the objective takes, after ids, places, targets and old log-probabilities
    taken: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for fine, what in (
            (min(self.group, self.max_tokens, self.batch, self.passes) >= 1,
             "group, max_tokens, batch and passes must be at least 1"),
            (self.beta >= 0, f"beta must be 0 or more, not {self.beta}"),
            (self.rate > 0, f"the rate must be above 0, not {self.rate}"),
            *self.checks(),
        ):  # fmt: skip
            if not fine:
                raise GlaswerkError(what)

    @abstractmethod
    def checks(self) -> list[tuple[bool, str]]:
        """What must be true of the settings, and what is said where it is not."""

    @abstractmethod
    def objective(self) -> Objective:
        """The loss of a minibatch, as the loop takes it."""

    @abstractmethod
    def compared(self, reward_B: Tensor) -> Tensor:
        """Which sets of replies have different rewards, bool: what is equal teaches nothing."""

    @abstractmethod
    def prepared(self, model: Decoder, rollouts: Rollouts, reward_B: Tensor, reference_BN: Tensor) -> dict[str, Tensor]:
        """What is learned from a round, by name; each with B rows."""


@dataclass(frozen=True)
class Round:
    """What a round saw, before it learned: the mean ``reward``; ``kl``, nats per reply away from the reference (k3);
    ``entropy``, nats per token (the mean of -log p of what was drawn); the share of replies that ``ended`` and of
    compared sets that ``taught``; the mean ``loss`` of its steps. Rollouts, rewards, the reference's log-probabilities
    and what the method ``prepared`` are kept for looking."""

    reward: float
    kl: float
    entropy: float
    ended: float
    taught: float
    loss: float
    rollouts: Rollouts
    reward_B: Tensor
    reference_BN: Tensor
    prepared: dict[str, Tensor]

    @property
    def tokens(self) -> int:
        """Tokens that were sampled."""
        return int(self.rollouts.mask_BN.sum())


class Learner:
    """A policy that is trained in place, round by round, its frozen reference, and the optimizer between them."""

    def __init__(
        self,
        model: Decoder,
        reference: Decoder,
        tokenizer: Tokenizer,
        method: Method,
        *,
        end_ids: Collection[int] | None = None,
        guard: Guard | None = None,
    ) -> None:
        if reference is model:
            raise GlaswerkError("the reference must be a copy: the policy is trained in place")
        self.model, self.reference, self.tokenizer, self.method = model, reference.eval(), tokenizer, method
        self.end_ids, self.guard = end_ids, guard or Guard()
        keep_memory()
        # AdamW for everything: a model that was trained is only to be moved a little
        self.optimizer = MuonAdamW(model.named_parameters(), other_rate=method.rate, muon=False)
        self.gradient = GradientStep(model, method.objective(), compile=False, progress=Progress())

    def round(self, prompts: Sequence[Sequence[int]], reward: Reward, seed: int, factor: float = 1.0) -> Round:
        """Answer each prompt (token ids) ``group`` times, grade, and learn; the learning rate is times ``factor``.

        Rounds draw apart when their seeds are at least prompts times group apart. Raises :class:`NothingToLearn`
        where no rewards differ and :class:`Diverged` where rollouts show that learning went astray, both before a step;
        and :class:`Diverged` where a loss or a weight is no number any more.
        """
        method = self.method
        rollouts = roll_out(
            self.model, self.tokenizer, prompts, method.group, max_tokens=method.max_tokens, seed=seed,
            end_ids=self.end_ids,
        )  # fmt: skip
        reward_B = reward(rollouts).float()
        if reward_B.shape != (len(rollouts.replies),):
            raise GlaswerkError(f"{len(rollouts.replies)} replies need as many rewards, not {list(reward_B.shape)}")
        reference_BN = log_probs(self.reference, rollouts.ids_BT, rollouts.columns_BN, rollouts.targets_BN)
        kl_BN = kl_k3(rollouts.log_probs_BN, reference_BN).masked_fill(~rollouts.mask_BN, 0.0)
        seen = {
            "reward": float(reward_B.mean()),
            "kl": float(kl_BN.sum(1).mean()),
            "entropy": -float(masked_mean(rollouts.log_probs_BN, rollouts.mask_BN)),
        }
        # not k3: a single token that the reference finds ten thousand times likelier adds ten thousand nats to it
        drift_BN = kl_k1(rollouts.log_probs_BN, reference_BN).masked_fill(~rollouts.mask_BN, 0.0)
        self.guard.check(**{**seen, "kl": float(drift_BN.sum(1).mean())})
        taught = float(method.compared(reward_B).float().mean())
        if not taught:
            raise NothingToLearn(
                f"all replies that are compared got the same reward ({len(prompts):,} prompts, {method.group} replies "
                f"each, mean {seen['reward']:g}): there is nothing to learn; take prompts that are sometimes solved, "
                "or a reward that tells replies apart",
                seen["reward"],
            )
        prepared = method.prepared(self.model, rollouts, reward_B, reference_BN)
        loss = self.learn(rollouts, prepared, seed, factor)
        ended = sum(rollouts.ended) / len(rollouts.ended)
        return Round(
            **seen, ended=ended, taught=taught, loss=loss, rollouts=rollouts, reward_B=reward_B,
            reference_BN=reference_BN, prepared=prepared,
        )  # fmt: skip

    def learn(self, rollouts: Rollouts, prepared: dict[str, Tensor], seed: int, factor: float) -> float:
        """The steps of a round; the mean loss."""
        self.model.train()
        order = torch.Generator().manual_seed(seed)
        taken = [rollouts.log_probs_BN, *(prepared[name] for name in self.method.taken)]
        losses = []
        for _ in range(self.method.passes):
            for members in torch.randperm(len(rollouts.replies), generator=order).split(self.method.batch):
                batch = (*rollouts.rows(members.tolist()), *(part[members] for part in taken))
                loss, gradients = self.gradient(*on_device(batch, self.model))
                losses.append(float(loss))
                if not math.isfinite(losses[-1]):
                    raise Diverged(f"the loss is {losses[-1]}: no finite number; try a smaller learning rate")
                self.optimizer.step(gradients, factor)
        if not all(bool(parameter.isfinite().all()) for parameter in self.model.parameters()):
            raise Diverged("a weight is no finite number any more; try a smaller learning rate")
        return sum(losses) / len(losses)
