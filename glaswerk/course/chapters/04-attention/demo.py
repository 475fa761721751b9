"""What chapter 4 computes: why scores are divided by the root of the head's width. By the library's own attention."""

from __future__ import annotations

from typing import Any

import torch

from glaswerk.course.demo import demo
from glaswerk.model.attention import explicit_attention
from glaswerk.model.taps import Recording

#: keys that each query is compared with, and how many queries are drawn
KEYS, QUERIES = 8, 512


@demo(width=(2, 1024), seed=(0, 1_000_000))
def spread(width: int = 64, seed: int = 0) -> dict[str, Any]:
    """Random queries and keys of ``width`` numbers each (mean 0, spread 1): how far their products spread, and how much
    the largest share of a softmax over 8 keys takes, with and without dividing by the root of the width."""
    generator = torch.Generator().manual_seed(seed)
    query = torch.randn(1, 1, QUERIES, width, generator=generator)
    key = torch.randn(1, 1, KEYS, width, generator=generator)
    found = {}
    # attention divides by the root itself; a query that is larger by the root undoes it
    for name, factor in (("divided", 1.0), ("plain", width**0.5)):
        seen = Recording("*")
        explicit_attention(query * factor, key, torch.zeros_like(key), None, taps=seen)
        scores, weights = seen.values["scores"][0, 0], seen.values["weights"][0, 0]
        found[name] = {
            "spread": scores.std(),
            "largest": weights.max(-1).values.mean(),
            "example": weights[0].sort(descending=True).values,
        }
    return {"width": width, "root": width**0.5, "keys": KEYS, "queries": QUERIES, **found}


@demo()
def numbers() -> dict[str, float]:
    """The numbers that stand in the prose and the quiz."""
    narrow, wide = spread(4), spread(1024)
    return {
        "spread_4": float(narrow["plain"]["spread"]),
        "spread_1024": float(wide["plain"]["spread"]),
        "largest_1024": 100 * float(wide["plain"]["largest"]),
        "largest_1024_divided": 100 * float(wide["divided"]["largest"]),
    }
