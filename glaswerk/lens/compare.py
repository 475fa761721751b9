"""Two models on one prompt: where do they part? In the tokens, at which place of the text, in which layer, and in
what they would write.

What can be compared depends on the two. Places need the same token ids; layers also the same number of blocks of
the same width (two stages of a run). Left out: which of the two is better (``glaswerk eval``).

Shapes: T time, C width, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from glaswerk.lens.trace import Trace
from glaswerk.tokenizer.chip import chip


@torch.no_grad()
def compare(first: Trace, second: Trace) -> dict[str, Any]:
    """``same_tokens``; ``places`` (per token: ``moved``, the share of probability that the two give to different
    tokens, and each one's likeliest); ``layers`` (per block and token, the length of the difference of the residual
    streams relative to the first one's). ``places`` and ``layers`` are None where they cannot be compared.
    """
    same = first.ids == second.ids and first.tokenizer.vocabulary_size == second.tokenizer.vocabulary_size
    return {
        "same_tokens": same,
        "places": places(first, second) if same else None,
        "layers": layers(first, second) if same else None,
    }


def places(first: Trace, second: Trace) -> list[dict[str, Any]]:
    """After each token: how far the two distributions of the next one lie apart (total variation, 0 to 1)."""
    known = first.tokenizer.vocabulary_size
    both = [trace["probabilities"][0, :, :known] for trace in (first, second)]
    moved_T = (both[0] - both[1]).abs().sum(-1) / 2
    best = [probabilities_TV.max(-1) for probabilities_TV in both]
    found = []
    for place in range(len(first.ids)):
        tops = []
        for best_T, trace in zip(best, (first, second), strict=True):
            number = int(best_T.indices[place])
            tops.append(
                {
                    "id": number,
                    "token": chip(trace.tokenizer.token_bytes(number)),
                    "probability": float(best_T.values[place]),
                }
            )
        found.append({"moved": float(moved_T[place]), "first": tops[0], "second": tops[1]})
    return found


def layers(first: Trace, second: Trace) -> list[list[float]] | None:
    """Relative differences of the residual streams, ``[blocks + 1][T]``; the first row is before any block."""
    if (first.config.layers, first.config.width) != (second.config.layers, second.config.width):
        return None
    names = ["residual" if "residual" in first else "embeddings"]
    if names[0] not in second:
        return None
    names += [f"blocks.{layer}.residual" for layer in range(first.config.layers)]
    return [[float(share) for share in relative(first[name][0], second[name][0])] for name in names]


def relative(a_TC: Tensor, b_TC: Tensor) -> Tensor:
    """``|a - b| / |a|`` per token; 0 where both are zero."""
    length_T = torch.linalg.vector_norm(a_TC, dim=-1)
    return torch.linalg.vector_norm(a_TC - b_TC, dim=-1) / length_T.clamp_min(torch.finfo(a_TC.dtype).tiny)
