"""Checks descend.py against torch. A check is one function ``check(module)``; AssertionError says what is wrong."""

from __future__ import annotations

from types import ModuleType

import torch


def check(module: ModuleType) -> None:
    """Raises AssertionError with a line for the learner."""
    two = [(-1.0, -1.0), (1.0, 5.0)]
    six = [(float(x), 2.0 * x + 1) for x in range(6)]
    for points, w, b, rate in ((two, 4.5, 0.4, 0.5), (six, 0.0, 0.0, 0.05), ([(2.0, 3.0)], 1.0, -1.0, 0.1)):
        weights = torch.tensor([w, b], dtype=torch.float64, requires_grad=True)
        x, y = torch.tensor(points, dtype=torch.float64).T
        loss = 0.5 * (weights[0] * x + weights[1] - y).square().mean()
        (gradient,) = torch.autograd.grad(loss, weights)
        wanted = [*(weights - rate * gradient).tolist(), float(loss.detach())]
        given = module.descend(list(points), w, b, rate)
        assert isinstance(given, tuple) and len(given) == 3, "return three numbers: the new w, the new b, the loss"
        for name, got, right in zip(("the new w", "the new b", "the loss"), given, wanted, strict=True):
            assert abs(got - right) < 1e-9, f"from w = {w}, b = {b}, rate {rate}: {name} is {got}, not {right}"
