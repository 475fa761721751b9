"""Group-relative policy optimisation (GRPO; Shao et al. 2024): a reply is good as far as it is better than the others.

No value head: each prompt is answered several times, and the other replies say what was to be expected. The names of
the variants stand with their formulas: ``advantages.SCALES`` and ``policy_losses.NORMALISATIONS`` (Dr. GRPO: scale
"none" with normalisation "constant"). Left out: sampling, grading and steps (``rounds.py``).

Shapes: B replies (of a minibatch), T time, N sampled tokens of the longest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from glaswerk.align.advantages import SCALES, group_advantages, spread
from glaswerk.align.losses import token_log_probs
from glaswerk.align.policy_losses import NORMALISATIONS, grpo_loss
from glaswerk.align.rollout import Rollouts
from glaswerk.align.rounds import Method
from glaswerk.model.decoder import Decoder
from glaswerk.train.data import IGNORE


@dataclass(frozen=True)
class GRPO(Method):
    """``low``, ``high``: how far a token's probability may move in a round, down and up. It is the objective too."""

    low: float = 0.2
    high: float = 0.2
    scale: str = "group"
    normalisation: str = "reply"

    taken: ClassVar[tuple[str, ...]] = ("reference", "advantages")

    def checks(self) -> list[tuple[bool, str]]:
        """See :class:`Method`."""
        return [
            (self.group >= 2, f"a group needs at least 2 replies, not {self.group}: one has nothing to be compared to"),
            (0 < self.low < 1 and self.high > 0, "low must be between 0 and 1, and high above 0"),
            (self.scale in SCALES, f"there is no scale {self.scale!r}: choose one of {', '.join(SCALES)}"),
            (
                self.normalisation in NORMALISATIONS,
                f"there is no normalisation {self.normalisation!r}: choose one of {', '.join(NORMALISATIONS)}",
            ),
        ]

    def objective(self) -> GRPO:
        """See :class:`Method`."""
        return self

    def compared(self, reward_B: Tensor) -> Tensor:
        """The replies to one prompt are compared with each other, ``[P]``."""
        return spread(reward_B, self.group)

    def prepared(self, model: Decoder, rollouts: Rollouts, reward_B: Tensor, reference_BN: Tensor) -> dict[str, Tensor]:
        """One advantage for each reply, ``[B]``."""
        return {"reference": reference_BN, "advantages": group_advantages(reward_B, self.group, self.scale)}

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
        """The loss of a minibatch; places and targets are flat, ``[B * N]``. The longest length is what was allowed,
        not what was reached: a constant."""
        policy_BN = token_log_probs(model, ids_BT, places, targets).view_as(old_BN)
        return grpo_loss(
            policy_BN, old_BN, reference_BN, advantages_B, targets.view_as(old_BN) != IGNORE, beta=self.beta,
            low=self.low, high=self.high, normalisation=self.normalisation, longest=self.max_tokens,
        )  # fmt: skip
