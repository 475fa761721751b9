"""Checks preference.py against the library's loss. A check is one function ``check(module)``; AssertionError says what
is wrong."""

from __future__ import annotations

import math
from types import ModuleType

import torch

from glaswerk.align.losses import dpo_loss


def check(module: ModuleType) -> None:
    """Raises AssertionError with a line for the learner."""
    pairs = (
        ((-12.0, -20.0), (-14.0, -17.0), 0.1),
        ((-5.0, -5.0), (-5.0, -5.0), 0.3),
        ((-30.0, -8.0), (-12.0, -9.5), 0.5),
        ((-10.0, -400.0), (-60.0, -41.0), 1.0),
    )
    for policy, reference, beta in pairs:
        good, bad = (p - r for p, r in zip(policy, reference, strict=True))
        margin = beta * (good - bad)
        wanted = margin, 1 / (1 + math.exp(-margin)), float(dpo_loss(torch.tensor([good]), torch.tensor([bad]), beta))
        got = module.dpo(policy, reference, beta)
        assert isinstance(got, tuple) and len(got) == 3, "return three things: the margin, the probability, the loss"
        for name, mine, right in zip(("margin", "probability", "loss"), got, wanted, strict=True):
            assert math.isclose(mine, right, rel_tol=1e-5, abs_tol=1e-6), (
                f"policy {policy}, reference {reference}, beta {beta:g}: the {name} is {mine}, not {right}"
            )
