"""Checks softmax.py against torch. A check is one function ``check(module)``; AssertionError says what is wrong."""

from __future__ import annotations

from types import ModuleType

import torch


def check(module: ModuleType) -> None:
    """Raises AssertionError with a line for the learner."""
    for row in ([0.0, 0.0], [1.0, 2.0, 3.0], [-5.0, 0.25, 4.0, 4.0], [1000.0, 1001.0]):
        wanted = torch.tensor(row, dtype=torch.float64).softmax(-1)
        given = module.softmax(list(row))
        assert len(given) == len(row), f"softmax({row}) has {len(given)} numbers instead of {len(row)}"
        got = torch.tensor(given, dtype=torch.float64)
        assert torch.allclose(got, wanted, atol=1e-9), f"softmax({row}) is {given}, not {wanted.tolist()}"
