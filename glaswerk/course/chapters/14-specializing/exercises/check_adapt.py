"""Checks adapt.py against the library's layer. A check is one function ``check(module)``; AssertionError says what is
wrong."""

from __future__ import annotations

from types import ModuleType

import torch


def check(module: ModuleType) -> None:
    """Raises AssertionError with a line for the learner."""
    draw = torch.Generator().manual_seed(14)
    for outputs, inputs, rank, alpha in ((3, 4, 1, 2.0), (5, 3, 2, 16.0), (2, 6, 2, 1.0)):
        w, a, b, x = (
            torch.randn(*shape, generator=draw, dtype=torch.float64)
            for shape in ((outputs, inputs), (rank, inputs), (outputs, rank), (inputs,))
        )
        merged = w + alpha / rank * b @ a
        given = module.adapt(w.tolist(), a.tolist(), b.tolist(), alpha, x.tolist())
        assert isinstance(given, tuple) and len(given) == 2, "return two things: the output, and the merged matrix"
        for name, got, right in zip(("the output", "the merged matrix"), given, (merged @ x, merged), strict=True):
            got = torch.tensor(got, dtype=torch.float64)
            assert got.shape == right.shape, f"{name} has the shape {list(got.shape)}, not {list(right.shape)}"
            assert torch.allclose(got, right, atol=1e-9), (
                f"rank {rank}, alpha {alpha:g}: {name} is {got.tolist()}, not {right.tolist()}"
            )
