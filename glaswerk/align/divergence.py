"""Whether learning from rewards has gone astray: numbers that are none, a policy far from its reference, or one that
has become certain of something no better than what it said at the start.

Left out: what is kept; the caller has the last good weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from glaswerk.train.loop import Diverged


@dataclass
class Guard:
    """Looks at each round in turn. ``most_kl``: nats per reply away from the reference; ``least_entropy``: nats per
    token. A policy that became certain of something better than at the start has learned; of something no better, it
    has collapsed: nothing else will be drawn again."""

    most_kl: float = 50.0
    least_entropy: float = 0.01
    first: float | None = None

    def check(self, *, reward: float, kl: float, entropy: float, loss: float = 0.0) -> None:
        """Raises :class:`Diverged` that says what was seen."""
        for name, value in (("reward", reward), ("KL", kl), ("entropy", entropy), ("loss", loss)):
            if not math.isfinite(value):
                raise Diverged(f"the {name} is {value}: no finite number any more; try a smaller learning rate")
        if kl > self.most_kl:
            raise Diverged(
                f"the policy is {kl:.1f} nats per reply away from its reference, more than {self.most_kl:g}: "
                "raise beta, which makes leaving it dearer, or try a smaller learning rate"
            )
        if self.first is None:
            self.first = reward
        elif entropy < self.least_entropy and reward <= self.first:
            raise Diverged(
                f"the entropy collapsed to {entropy:.4f} nats per token while the reward is {reward:.3f}, no better "
                f"than {self.first:.3f} at the start: raise beta, or try a smaller learning rate"
            )
