"""A model's weights to look at: which matrices there are, and one of them as a histogram and as a small picture.

Works on plain and on quantized models (what the blocks stand for). Bounded: of a large matrix, rows are drawn evenly.
Left out: what a weight does for a text (``trace.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glaswerk.errors import GlaswerkError
from glaswerk.model.decoder import Block, Decoder

#: bars of the histogram, and cells along each side of the picture
BINS, SIDE = 61, 64
#: numbers that are looked at; of a larger matrix, this many in whole rows spread evenly
MOST = 2_000_000


@dataclass(frozen=True)
class Piece:
    """A matrix (or a norm's row of factors) of the model: ``layer`` is None outside the blocks; ``part`` is what the
    parameters are counted under, as in ``model/count.py``; ``rows`` of the module it is stored in."""

    name: str
    part: str
    layer: int | None
    shape: tuple[int, ...]
    module: Any
    rows: tuple[int, int]

    @property
    def numbers(self) -> int:
        """How many numbers it has, biases left out."""
        return int(torch.Size(self.shape).numel())


def pieces(model: Decoder) -> list[Piece]:
    """All matrices and norms, in the order in which a token meets them. Fused ones are taken apart: Q, K and V; gate
    and up."""
    config = model.config
    D, found = config.head_width, []

    def add(name: str, part: str, layer: int | None, module: Any, first: int = 0, count: int | None = None) -> None:
        if module is not None:
            shape = tuple(_stored(module))
            count = shape[0] - first if count is None else count
            found.append(Piece(name, part, layer, (count, *shape[1:]), module, (first, first + count)))

    add("embedding", "embedding", None, model.embedding)
    add("position", "position", None, model.position)
    H, G, M = config.heads * D, config.kv_heads * D, config.mlp_width
    for layer, block in enumerate(model.blocks):
        assert isinstance(block, Block)
        attention, mlp = block.attention, block.mlp
        add("attention_norm", "norm", layer, block.attention_norm.weight)
        add("q", "attention", layer, attention.qkv, 0, H)
        add("k", "attention", layer, attention.qkv, H, G)
        add("v", "attention", layer, attention.qkv, H + G, G)
        for name in ("q_norm", "k_norm"):
            norm = getattr(attention, name)
            add(name, "norm", layer, None if norm is None else norm.weight)
        add("o", "attention", layer, attention.output)
        add("mlp_norm", "norm", layer, block.mlp_norm.weight)
        if mlp.gated:
            add("gate", "mlp", layer, mlp.up, 0, M)
        add("up", "mlp", layer, mlp.up, M if mlp.gated else 0, M)
        add("down", "mlp", layer, mlp.down)
    add("norm", "norm", None, model.norm.weight)
    add("head", "head", None, model.unembedding)
    return found


def _stored(module: Any) -> torch.Size:
    """The shape of what a module or a parameter holds."""
    return module.shape if hasattr(module, "shape") else module.weight.shape


def piece(model: Decoder, name: str, layer: int | None) -> Piece:
    """One of them. Raises :class:`GlaswerkError` that lists what there is."""
    found = pieces(model)
    inside = {each.name for each in found if each.layer is not None}
    for each in found:
        if each.name == name and each.layer == (layer if name in inside else None):
            return each
    if name in inside:
        last = model.config.layers - 1
        raise GlaswerkError(
            f"there is no layer {layer}; there are 0 to {last}",
            f"Eine Schicht {layer} gibt es nicht, nur 0 bis {last}.",
        )
    names = ", ".join(dict.fromkeys(each.name for each in found))
    raise GlaswerkError(
        f"the model has no weights {name!r}; it has {names}",
        f"Gewichte mit dem Namen „{name}“ hat das Modell nicht. Es hat {names}.",
    )


def numbers_of(one: Piece) -> Tensor:
    """Its numbers in fp32, ``[N, K]`` or ``[N]``; of a large one rows spread evenly over it."""
    first, last = one.rows
    width = one.shape[1] if len(one.shape) > 1 else 1
    step = max(1, -(-one.numbers // MOST))
    if step * width > one.numbers:
        step = 1
    ids = torch.arange(first, last, step)
    module = one.module
    with torch.no_grad():
        if hasattr(module, "rows"):  # quantized
            return module.rows(ids[None])[0].float().cpu()
        weight = module if isinstance(module, Tensor) else module.weight
        return weight.detach()[ids.to(weight.device)].float().cpu()


def looked_at(one: Piece) -> dict[str, Any]:
    """Summary, histogram and picture. The histogram's ends are 6 standard deviations or the extremes, whatever is
    nearer; beyond them counts as the last bar. A cell of the picture is the root mean square of the numbers that
    fall into it, or the number itself where there is one cell for each."""
    values = numbers_of(one)
    flat = values.flatten()
    mean, deviation = float(flat.mean()), float(flat.std(unbiased=False))
    low, high = float(flat.min()), float(flat.max())
    reach = min(max(abs(low), abs(high)), 6 * float(flat.square().mean().sqrt())) or 1.0
    edges = torch.linspace(-reach, reach, BINS + 1)
    # torch.histc leaves out what lies beyond; the two ends collect it here
    counts = torch.histc(flat.clamp(-reach, reach), BINS, -reach, reach)
    matrix = values if values.dim() == 2 else values[None]
    picture, single = shrunk(matrix)
    return {
        "numbers": one.numbers,
        "seen": int(flat.numel()),
        "mean": mean,
        "deviation": deviation,
        "min": low,
        "max": high,
        "reach": float(edges[-1]),
        "counts": [int(count) for count in counts],
        "picture": picture,
        "single": single,
    }


def shrunk(matrix: Tensor) -> tuple[Tensor, bool]:
    """At most ``SIDE`` by ``SIDE`` cells, and whether each is a single number of the matrix."""
    height, width = matrix.shape
    if height <= SIDE and width <= SIDE:
        return matrix, True
    rows, columns = min(SIDE, height), min(SIDE, width)
    squares = torch.nn.functional.adaptive_avg_pool2d(matrix.square()[None, None], (rows, columns))[0, 0]
    return squares.sqrt(), False
