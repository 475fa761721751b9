"""Checks head.py against the library's attention."""

from __future__ import annotations

from types import ModuleType

import torch

from glaswerk.model.attention import explicit_attention
from glaswerk.model.decoder import attention_mask


def check(module: ModuleType) -> None:
    """Raises AssertionError with a line for the learner."""
    generator = torch.Generator().manual_seed(4)
    for time, width in ((1, 2), (2, 1), (5, 2), (7, 16)):
        q, k, v = (torch.randn(time, width, generator=generator, dtype=torch.float64) for _ in range(3))
        mask = attention_mask(0, time, None, q.device)
        wanted = explicit_attention(q[None, None], k[None, None], v[None, None], mask)[0, 0]
        given = module.head(q.tolist(), k.tolist(), v.tolist())
        assert len(given) == time, f"{time} tokens went in and {len(given)} context vectors came out"
        got = torch.tensor(given, dtype=torch.float64)
        assert got.shape == wanted.shape, f"each context vector has {width} numbers, as a value has"
        assert torch.allclose(got[0], v[0]), "the first token sees only itself: its context vector is its own value"
        assert torch.allclose(got, wanted, atol=1e-9), (
            f"with {time} tokens of width {width} the last context vector is {given[-1]}, not {wanted[-1].tolist()}"
        )
