"""A matrix of the open model in four bits: NF4 against sixteen values at equal distances, and what that costs in loss.

Both get the same blocks of 64 weights and the same scales, so that only the choice of the sixteen values differs.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from glaswerk.course.demo import demo, load_module
from glaswerk.model.mlp import Linear
from glaswerk.model.nf4 import BLOCK, NF4Linear, bits_per_weight, code_book, dequantized_scales, in_blocks, nearest
from glaswerk.model.quantize import QuantizedLinear

if TYPE_CHECKING:
    from glaswerk.opened import OpenedModel

tune = load_module(Path(__file__).with_name("tune.py"), "glaswerk_chapter_specializing_tune_of_bits")
MATRICES = ("attention.qkv", "attention.output", "mlp.up", "mlp.down")
BINS = 80
#: four bits, a byte per 64 weights, and an fp32 number per 64 x 256 of them
NF4_BITS = 4 + 8 / 64 + 32 / (64 * 256)


def book(kind: str) -> Tensor:
    """Sixteen values from -1 to 1: ``nf4``, or ``even`` ones."""
    return code_book() if kind == "nf4" else torch.linspace(-1, 1, 16)


def coded(weight: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """The matrix that the four bits stand for, and which of the sixteen values each weight got."""
    layer = NF4Linear(weight)
    scale = dequantized_scales(layer.scales, layer.scale_of_scales, layer.mean)[:, None]
    shares = in_blocks(weight, BLOCK) / in_blocks(weight, BLOCK).abs().amax(1, keepdim=True).clamp_min(1e-38)
    codes = nearest(shares, book(kind))
    values = (book(kind)[codes.long()] * scale).flatten()[: weight.numel()]
    return values.view_as(weight), codes.flatten()[: weight.numel()]


@demo(layer=(0, 511), matrix={*MATRICES})
def packed(model: OpenedModel, layer: int = 0, matrix: str = "attention.qkv") -> dict[str, Any]:
    """How one matrix's weights are spread (each divided by the largest of its 64), and what is left of it in four
    bits: the error, the sixteen values and how often each is used."""
    layer = min(layer, model.model.config.layers - 1)
    found = model.model.get_submodule(f"blocks.{layer}.{matrix}")
    weight = tune.dense(found).weight
    blocks = in_blocks(weight, BLOCK)
    shares = (blocks / blocks.abs().amax(1, keepdim=True).clamp_min(1e-38)).flatten()
    kinds = {}
    for kind in ("nf4", "even"):
        values, codes = coded(weight, kind)
        used = torch.bincount(codes, minlength=16).double() / codes.numel()
        kinds[kind] = {
            "book": book(kind), "used": used, "entropy": float(-(used * used.clamp_min(1e-12).log2()).sum()),
            "error": float((values - weight).norm() / weight.norm()),
        }  # fmt: skip
    return {
        "model": model.origin.name, "layer": layer, "layers": model.model.config.layers, "matrix": matrix,
        "shape": list(weight.shape), "stored": found.kind if isinstance(found, QuantizedLinear) else None,
        "histogram": torch.histc(shares, BINS, -1, 1) / shares.numel(), **kinds,
        "bits": bits_per_weight(NF4Linear(weight)), "bytes": {"fp32": 4 * weight.numel(), "bf16": 2 * weight.numel()},
    }  # fmt: skip


@demo(kind={"exact", "nf4", "even"})
def packed_loss(model: OpenedModel, kind: str = "exact") -> dict[str, Any]:
    """The model's loss on plain sentences with every matrix of its blocks in four bits (``exact``: as it is)."""
    made = tune.twin(model.model)

    def change(layer: Linear | QuantizedLinear) -> Linear:
        plain = tune.dense(layer)
        plain.weight.data = coded(plain.weight, kind)[0]
        return plain

    if kind != "exact":
        tune.replace(made, change)
    loss = tune.loss_on(made, tune.lines_batch(model, tune.voice("plain")["held_out"]))
    return {"model": model.origin.name, "kind": kind, "loss": loss, "perplexity": math.exp(loss)}
