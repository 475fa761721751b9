"""The whole stack at one glance: how large the residual stream is after each block, what each block added, and what
the output matrix would read from the stream there (the logit lens, nostalgebraist 2020).

The middle of a model was never trained to be read like that: a reading says what the stream already holds in the
output's own terms, not what the model "has decided". Left out: tuned lenses.

Shapes: T time, C width, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from glaswerk.lens.trace import Trace, plain_copy
from glaswerk.model import Decoder
from glaswerk.model.native import ops
from glaswerk.tokenizer.chip import chip


@torch.no_grad()
def stack(model: Decoder, recorded: Trace, place: int) -> dict[str, Any]:
    """``layers``: for each block ``residual, attention, mlp`` (norms at every place) and ``top`` (the likeliest next
    token at ``place`` as read there: ``token, id, probability``). ``start``: norms before the first block.
    """
    first = "residual" if "residual" in recorded else "embeddings"
    streams_TC = [recorded[f"blocks.{layer}.residual"][0] for layer in range(model.config.layers)]
    read_NV = readings(plain_copy(model)[0], torch.stack([stream[place] for stream in streams_TC]), recorded)
    best = read_NV.max(-1)
    layers = [
        {
            "residual": norms(stream_TC),
            "attention": norms(recorded[f"blocks.{layer}.attention.output"][0]),
            "mlp": norms(recorded[f"blocks.{layer}.mlp.output"][0]),
            "top": {
                "id": int(best.indices[layer]),
                "token": chip(recorded.tokenizer.token_bytes(int(best.indices[layer]))),
                "probability": float(best.values[layer]),
            },
        }
        for layer, stream_TC in enumerate(streams_TC)
    ]
    return {"start": norms(recorded[first][0]), "first": first, "layers": layers, "place": place}


def norms(x_TC: Tensor) -> list[float]:
    """The length of each token's vector."""
    return [float(norm) for norm in torch.linalg.vector_norm(x_TC, dim=-1)]


def readings(plain: Decoder, x_NC: Tensor, recorded: Trace) -> Tensor:
    """The last norm and the output matrix over any residual vectors: probabilities ``[N, V]`` of the known tokens.
    ``plain``: the fp32 model that a trace is of (:func:`plain_copy`)."""
    table_VC = plain.embedding if plain.unembedding is None else plain.unembedding.weight
    assert isinstance(table_VC, Tensor), "a plain model has no quantized matrix"
    with ops.plain_only():
        normed_NC = plain.norm(x_NC)
    logits_NV = F.linear(normed_NC, table_VC)
    return logits_NV[:, : recorded.tokenizer.vocabulary_size].softmax(-1)
