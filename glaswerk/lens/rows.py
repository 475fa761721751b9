"""The weights behind one number of a trace: which row of which matrix it was multiplied with.

``row(model, "blocks.3.attention.q", 17)`` is what the normalised residual stream of a token was multiplied with to
give number 17 of all its queries (head 0 first, then head 1). With it anybody can do the multiplication again. Left
out: numbers made of activations alone (scores, weights, mixtures, sums); both their sides are in the trace.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from glaswerk.errors import GlaswerkError
from glaswerk.model import Decoder
from glaswerk.model.quantize import QuantizedLinear


@torch.no_grad()
def row(model: Decoder, step: str, place: int) -> dict[str, Any]:
    """``matrix`` (its name in the model), ``row`` (the place in it), ``weights`` (a tensor) and ``bias``; of a norm
    ``gain``, ``bias`` and ``eps`` for the one place. Raises :class:`GlaswerkError` for a step without weights of its
    own, or a place outside.
    """
    config = model.config
    layer, _, part = step.removeprefix("blocks.").partition(".")
    inside = step.startswith("blocks.")
    block = f"blocks.{layer}." if inside else ""
    if inside and not (layer.isascii() and layer.isdigit() and int(layer) < config.layers):
        raise GlaswerkError(
            f"there is no step {step[:80]!r}: the model has {config.layers} layers, counted from 0",
            f"Den Schritt „{step[:80]}“ gibt es nicht. Das Modell hat {config.layers} Schichten, von 0 an gezählt.",
        )
    name = part if inside else step
    queries, keys = config.heads * config.head_width, config.kv_heads * config.head_width
    #: step -> matrix, rows before its own, its own rows
    linear = {
        "attention.q": ("attention.qkv", 0, queries),
        "attention.k": ("attention.qkv", queries, keys),
        "attention.v": ("attention.qkv", queries + keys, keys),
        "attention.output": ("attention.output", 0, config.width),
        "mlp.pre": ("mlp.up", 0, config.mlp_width),
        "mlp.output": ("mlp.down", 0, config.width),
    }
    if config.activation == "swiglu":
        linear["mlp.up"] = ("mlp.up", config.mlp_width, config.mlp_width)
    norms = {"attention_norm": "attention_norm", "mlp_norm": "mlp_norm"} if inside else {"norm": "norm"}
    if inside and config.qk_norm:
        norms |= {"attention.q_normed": "attention.q_norm", "attention.k_normed": "attention.k_norm"}
    if inside and name in linear:
        path, before, own = linear[name]
        check(step, place, own)
        layer_ = model.get_submodule(block + path)
        bias = getattr(layer_, "bias", None)
        return {
            "matrix": block + path,
            "row": before + place,
            "weights": one_row(layer_, before + place),
            "bias": None if bias is None else float(bias[before + place]),
        }
    if name in norms:
        norm = model.get_submodule(block + norms[name])
        weight = norm.get_parameter("weight")
        check(step, place, weight.shape[0])
        bias = getattr(norm, "bias", None)
        return {
            "matrix": block + norms[name],
            "row": place,
            "gain": float(weight[place]),
            "bias": None if bias is None else float(bias[place]),
            "eps": float(norm.eps),  # type: ignore[arg-type]  # a number of both norms
        }
    if step == "logits":
        check(step, place, config.vocabulary_size)
        name = "embedding" if model.unembedding is None else "unembedding"
        return {"matrix": name, "row": place, "weights": one_row(getattr(model, name), place), "bias": None}
    raise GlaswerkError(
        f"{step[:80]!r} is not made by a row of weights",
        f"„{step[:80]}“ entsteht nicht aus einer Zeile von Gewichten.",
    )


def check(step: str, place: int, rows: int) -> None:
    """Raises where there is no such row."""
    if not 0 <= place < rows:
        raise GlaswerkError(
            f"{step} has {rows:,} places, counted from 0; {place} is none of them",
            f"{step} hat {rows} Stellen, von 0 an gezählt; {place} gehört nicht dazu.",
        )


def one_row(matrix: nn.Module | nn.Parameter, place: int) -> Tensor:
    """One row in fp32; of a quantized matrix the numbers that it stands for."""
    if isinstance(matrix, QuantizedLinear):
        return matrix.rows(torch.tensor([place], device=matrix.device))[0].float()
    weight_OI = matrix.get_parameter("weight") if isinstance(matrix, nn.Module) else matrix
    return weight_OI[place].detach().float()
