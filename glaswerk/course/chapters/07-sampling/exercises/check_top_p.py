"""Checks top_p.py against the library. A check is one function ``check(module)``; AssertionError says what is wrong."""

from __future__ import annotations

from types import ModuleType

import torch

from glaswerk.generate.sampling import keep_top_p


def check(module: ModuleType) -> None:
    """Raises AssertionError with a line for the learner."""
    for shares, p in (
        ([0.44, 0.36, 0.2], 0.7),
        ([0.2, 0.44, 0.36], 0.3),
        ([0.05, 0.05, 0.6, 0.3], 0.85),
        ([0.25, 0.75], 1.0),
    ):
        logits = torch.tensor([shares], dtype=torch.float64).log()
        wanted = keep_top_p(logits, p).softmax(-1)[0]
        given = module.top_p(list(shares), p)
        assert isinstance(given, list) and len(given) == len(shares), f"top_p({shares}, {p}) must be a list as long"
        got = torch.tensor(given, dtype=torch.float64)
        shown = [round(value, 3) for value in wanted.tolist()]
        assert torch.allclose(got, wanted, atol=1e-9), f"top_p({shares}, {p}) is {given}, not {shown}"
