"""Proximal policy optimisation (PPO; Schulman et al. 2017) of a language model (Ziegler et al. 2019).

A value head, one vector on the policy's own last hidden state, says what reward is to be expected at each token; the
surprise, carried back over the tokens (GAE), is the advantage. Leaving the reference costs reward, token by token. As
in TRL: advantages are whitened, values are clipped, k1 estimates the KL in the reward. Other than there, policy and
value share all but their heads. Left out: sampling, grading and steps (``rounds.py``).

Shapes: B replies (of a minibatch), T time, N sampled tokens of the longest, C width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from glaswerk.align.advantages import gae, kl_k1, spread, token_rewards, whiten
from glaswerk.align.losses import hidden_at, spoken_log_probs
from glaswerk.align.policy_losses import ppo_policy_loss, ppo_value_loss
from glaswerk.align.rollout import TOGETHER, Rollouts
from glaswerk.align.rounds import Method
from glaswerk.errors import GlaswerkError
from glaswerk.model.config import ModelConfig
from glaswerk.model.decoder import Decoder
from glaswerk.model.mlp import Linear
from glaswerk.train.data import IGNORE

VALUE_HEAD = "value.weight"


class ValuedPolicy(Decoder):
    """A decoder with a value head; it writes, and is saved, like any other, without the head."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.value = Linear(config.width, 1, bias=False)
        if not self.embedding.is_meta:
            nn.init.zeros_(self.value.weight)

    @classmethod
    def of(cls, model: Decoder) -> ValuedPolicy:
        """From a language model, whose weights it takes over as a copy; all values are zero until it is trained."""
        made = cls(model.config)
        made.load_state_dict({**model.state_dict(), VALUE_HEAD: made.value.weight})
        made.compute_dtype = model.compute_dtype
        return made.to(model.embedding.device)

    def read(self, ids_BT: Tensor, places: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """log p of the token after each place (0 where it is ``IGNORE``) and the value there, fp32 and flat."""
        x_NC = hidden_at(self, ids_BT, places)
        return spoken_log_probs(self, x_NC, targets), self.value(x_NC.float())[:, 0]


@dataclass(frozen=True)
class PPO(Method):
    """``clip``: how far a token's probability, and ``value_clip``: how far a value may move in a round; ``weight`` of
    the value's loss; ``gamma``, ``lam``: GAE's. It is the objective too."""

    beta: float = 0.05
    passes: int = 4
    clip: float = 0.2
    value_clip: float = 0.2
    weight: float = 0.1
    gamma: float = 1.0
    lam: float = 0.95

    taken: ClassVar[tuple[str, ...]] = ("advantages", "values", "returns")

    def checks(self) -> list[tuple[bool, str]]:
        """See :class:`Method`."""
        return [
            (0 < self.clip < 1 and self.value_clip > 0, "clip must be between 0 and 1, and value_clip above 0"),
            (self.weight >= 0, f"the value's weight must be 0 or more, not {self.weight}"),
            (0 < self.gamma <= 1 and 0 <= self.lam <= 1, "gamma and lam must be between 0 and 1, gamma above 0"),
        ]

    def objective(self) -> PPO:
        """See :class:`Method`."""
        return self

    def compared(self, reward_B: Tensor) -> Tensor:
        """All replies of a round are compared with each other, ``[1]``."""
        return spread(reward_B, len(reward_B))

    def prepared(self, model: Decoder, rollouts: Rollouts, reward_B: Tensor, reference_BN: Tensor) -> dict[str, Tensor]:
        """Each token's KL (k1), reward, value, advantage (whitened) and what its value should have been, ``[B, N]``."""
        mask_BN = rollouts.mask_BN
        kl_BN = kl_k1(rollouts.log_probs_BN, reference_BN).masked_fill(~mask_BN, 0.0)
        rewards_BN = token_rewards(kl_BN, reward_B, mask_BN, self.beta)
        values_BN = values(valued(model), rollouts).masked_fill(~mask_BN, 0.0)
        advantages_BN = gae(rewards_BN, values_BN, mask_BN, self.gamma, self.lam)
        return {
            "kl": kl_BN,
            "rewards": rewards_BN,
            "values": values_BN,
            "returns": advantages_BN + values_BN,
            "advantages": whiten(advantages_BN, mask_BN),
        }

    def __call__(
        self,
        model: Decoder,
        ids_BT: Tensor,
        places: Tensor,
        targets: Tensor,
        old_BN: Tensor,
        advantages_BN: Tensor,
        values_BN: Tensor,
        returns_BN: Tensor,
    ) -> Tensor:
        """The loss of a minibatch; places and targets are flat, ``[B * N]``; values are those before the round."""
        policy_BN, now_BN = (part.view_as(old_BN) for part in valued(model).read(ids_BT, places, targets))
        mask_BN = targets.view_as(old_BN) != IGNORE
        loss = ppo_policy_loss(policy_BN, old_BN, advantages_BN, mask_BN, self.clip)
        return loss + self.weight * ppo_value_loss(now_BN, values_BN, returns_BN, mask_BN, self.value_clip)


def valued(model: Decoder) -> ValuedPolicy:
    """The model, if it has a value head."""
    if not isinstance(model, ValuedPolicy):
        raise GlaswerkError("PPO needs a policy with a value head: ValuedPolicy.of(model) makes one")
    return model


@torch.no_grad()
def values(model: ValuedPolicy, rollouts: Rollouts) -> Tensor:
    """The value at each sampled token, before it is drawn, fp32 ``[B, N]``; without dropout."""
    training, device = model.training, model.embedding.device
    model.eval()
    try:
        found = []
        for start in range(0, len(rollouts.replies), TOGETHER):
            members = range(start, min(start + TOGETHER, len(rollouts.replies)))
            now = model.read(*(part.to(device) for part in rollouts.rows(members)))[1]
            found.append(now.view(len(members), -1).to(rollouts.ids_BT.device))
        return torch.cat(found)
    finally:
        model.train(training)
