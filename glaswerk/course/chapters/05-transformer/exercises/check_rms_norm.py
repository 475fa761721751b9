"""Checks rms_norm.py against the library's RMSNorm."""

from __future__ import annotations

from types import ModuleType

import torch

from glaswerk.model.norm import RMSNorm


def check(module: ModuleType) -> None:
    """Raises AssertionError with a line for the learner."""
    generator = torch.Generator().manual_seed(5)
    for width, scale, eps in ((2, 1.0, 1e-6), (5, 100.0, 1e-5), (16, 1e-4, 1e-6), (3, 0.0, 1e-6)):
        x = scale * torch.randn(width, generator=generator)
        norm = RMSNorm(width, eps)
        norm.weight.data = torch.randn(width, generator=generator)
        wanted = norm(x).detach()
        given = module.rms_norm(x.tolist(), norm.weight.tolist(), eps)
        assert len(given) == width, f"{width} numbers went in and {len(given)} came out"
        assert torch.allclose(torch.tensor(given), wanted, rtol=1e-4, atol=1e-6), (
            f"rms_norm({x.tolist()}, {norm.weight.tolist()}, {eps}) is {given}, not {wanted.tolist()}"
        )
