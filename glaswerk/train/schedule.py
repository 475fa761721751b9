"""How the learning rate moves: a factor in [0, 1] for each step. Pure functions.

Sources: warmup-stable-decay, Hu et al. 2024 (MiniCPM); cosine, Loshchilov & Hutter 2017.
"""

from __future__ import annotations

import math


def warmup_stable_decay(step: int, steps: int, warmup: int, decay: float) -> float:
    """Linear up over ``warmup`` steps, flat, linear down to 0 over the last share ``decay`` of the steps.

    ``step`` counts from 0. The first step already moves (1/warmup), the last one still does (1/(decay*steps)).
    """
    up = (step + 1) / warmup if warmup else 1.0
    length = decay * steps
    down = (steps - step) / length if length else 1.0
    return max(0.0, min(1.0, up, down))


def cosine(step: int, steps: int, warmup: int, floor: float = 0.1) -> float:
    """Linear up over ``warmup`` steps, then half a cosine from 1 down to ``floor`` at the last step."""
    if step < warmup:
        return (step + 1) / warmup
    share = (step - warmup) / max(1, steps - 1 - warmup)
    return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, share)))
