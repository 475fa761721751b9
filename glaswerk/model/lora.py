"""LoRA (Hu et al. 2021): a frozen model learns through two narrow matrices beside each of its own.

``y = x W.T + scale * (x A.T) B.T`` with A ``[R, K]`` drawn small and B ``[N, R]`` zero at first, so that an adapter
begins as no change at all; ``scale = alpha / rank``. Targets have their Hugging Face names (``q_proj``, ``c_attn``):
where the decoder has fused some of them into one matrix, their adapters are fused as well, with a block-diagonal B.
One base can carry several adapters; none, one or their sum is in use, or each part of a batch has its own
(:func:`each_its_own`). The base may be quantized (QLoRA, ``nf4.py``).

Left out: dropout on the adapter's way, DoRA, adapters of embeddings; files (``adapter.py``); training (``align``).
Shapes: N outputs, K inputs, R rank.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glaswerk.errors import GlaswerkError
from glaswerk.model.config import ModelConfig
from glaswerk.model.decoder import Decoder
from glaswerk.model.layout import layout
from glaswerk.model.mlp import Linear

#: the word for "every matrix of the blocks", as PEFT says it
ALL_LINEAR = "all-linear"
LARGEST_RANK = 1024


@dataclass(frozen=True)
class LoRAConfig:
    """What an adapter is: its rank, ``alpha`` (the change is scaled by ``alpha / rank``), and the matrices it stands
    beside, by the ends of their Hugging Face names or ``all-linear``."""

    rank: int = 8
    alpha: float = 16.0
    targets: tuple[str, ...] = (ALL_LINEAR,)

    def __post_init__(self) -> None:
        if not 1 <= self.rank <= LARGEST_RANK:
            raise GlaswerkError(
                f"a LoRA rank of {self.rank} is out of range: give 1 to {LARGEST_RANK}, usually 4 to 64"
            )
        if not math.isfinite(self.alpha):
            raise GlaswerkError(f"a LoRA alpha of {self.alpha} is no number to scale with: give twice the rank")


@dataclass(frozen=True)
class Piece:
    """Some rows of a decoder's matrix that are a matrix of their own in a Hugging Face model: the decoder's module,
    the other's full name, and which rows."""

    module: str
    name: str
    begin: int
    rows: int
    columns: int


def pieces(config: ModelConfig) -> list[Piece]:
    """Every matrix inside the blocks, as Hugging Face models have them."""
    found = []
    for parameter, parts in layout(config).items():
        if not parameter.startswith("blocks.") or not parameter.endswith(".weight") or len(parts[0].shape) != 2:
            continue
        begin = 0
        for part in parts:
            rows, columns = part.shape[::-1] if part.transposed else part.shape
            name = part.name.removesuffix(".weight")
            found.append(Piece(parameter.removesuffix(".weight"), name, begin, rows, columns))
            begin += rows
    return found


def chosen(config: ModelConfig, targets: Sequence[str]) -> list[Piece]:
    """The pieces that ``targets`` name. Raises :class:`GlaswerkError` for a target that names none."""
    every, found = pieces(config), set()
    for target in targets:
        named = {p for p in every if target == ALL_LINEAR or p.name == target or p.name.endswith("." + target)}
        if not named:
            short = ", ".join(dict.fromkeys(piece.name.rpartition(".")[2] for piece in every))
            raise GlaswerkError(f"this model has no matrix {target!r} to adapt: there are {short}, and {ALL_LINEAR}")
        found |= named
    return [piece for piece in every if piece in found]


class Pair(nn.Module):
    """A and B of one piece, in fp32 whatever the base is in."""

    def __init__(self, piece: Piece, rank: int, scale: float, device: torch.device) -> None:
        super().__init__()
        self.piece, self.rank, self.scale = piece, rank, scale
        self.a = nn.Parameter(torch.zeros(rank, piece.columns, device=device))
        self.b = nn.Parameter(torch.zeros(piece.rows, rank, device=device))

    def extra_repr(self) -> str:
        """What tells two pairs apart beside their shapes."""
        return f"{self.piece.name}, rank={self.rank}, scale={self.scale}"

    def change(self) -> Tensor:
        """What the pair adds to its matrix, ``[N, K]``, fp32."""
        return self.scale * (self.b @ self.a)


@dataclass(frozen=True, slots=True)
class Part:
    """Some of a batch, from ``begin`` up to ``end``, and its adapter; None: those in use."""

    adapter: str | None
    begin: int
    end: int


#: layer and adapter -> A ``[R, K]`` and B ``[N, R]`` of all its pieces, as :func:`fused` makes them
Fused = Mapping[tuple[nn.Module, str | None], tuple[Tensor, Tensor]]


class Parts(threading.local):
    """Which adapter each part of this thread's batch has, and along which axis it is cut; None: no such batch."""

    parts: Sequence[Part] | None = None
    axis = 0
    fused: Fused = MappingProxyType({})


PARTS = Parts()


@contextmanager
def each_its_own(parts: Sequence[Part], axis: int, fused: Fused = Parts.fused) -> Iterator[None]:
    """Meanwhile, in this thread, the parts of a batch along ``axis`` have adapters of their own. ``fused``: what
    :func:`fused_once` made of them, which saves most of the time of small batches."""
    before = PARTS.parts, PARTS.axis, PARTS.fused
    PARTS.parts, PARTS.axis, PARTS.fused = parts, axis, fused
    try:
        yield
    finally:
        PARTS.parts, PARTS.axis, PARTS.fused = before


class LoRALinear(nn.Module):
    """Stands where a linear layer stood, which it holds as ``base``; ``adapters[name][piece]`` are its pairs."""

    def __init__(self, base: nn.Module, rows: int) -> None:
        super().__init__()
        self.base, self.rows = base, rows
        self.adapters = nn.ModuleDict()
        self.active: tuple[str, ...] = ()
        self.merged: Linear | None = None

    def forward(self, x: Tensor) -> Tensor:
        if PARTS.parts is not None:
            return self.each_its_own(x, PARTS.parts, PARTS.axis)
        if self.merged is not None:
            return self.merged(x)
        pairs = self.in_use()
        y: Tensor = self.base(x)
        if not pairs:
            return y
        a_RK, b_NR = fused(pairs, self.rows)
        return y + F.linear(F.linear(x, a_RK.to(x.dtype)), b_NR.to(x.dtype))

    def each_its_own(self, x: Tensor, parts: Sequence[Part], axis: int) -> Tensor:
        """The base once for all, and beside it each part's own adapter."""
        y: Tensor = self.base(x)
        for part in parts:
            ready = PARTS.fused.get((self, part.adapter))
            if ready is None and (pairs := self.in_use(part.adapter)):
                ready = fused(pairs, self.rows)
            if ready is not None:
                a_RK, b_NR = ready
                some = x.narrow(axis, part.begin, part.end - part.begin)
                change = F.linear(F.linear(some, a_RK.to(x.dtype)), b_NR.to(x.dtype))
                y.narrow(axis, part.begin, part.end - part.begin).add_(change)
        return y

    def swiglu(self, x: Tensor) -> Tensor:
        """``silu(gate) * up`` of gate rows, then up rows (as ``QuantizedLinear.swiglu``)."""
        if PARTS.parts is None and self.merged is None and not self.in_use():
            alone: Tensor = self.base.swiglu(x)  # type: ignore[operator]
            return alone
        gate, up = self(x).chunk(2, -1)
        return F.silu(gate) * up

    def extra_repr(self) -> str:
        """Which adapters are in use."""
        return f"active={self.active}"

    def in_use(self, adapter: str | None = None) -> list[Pair]:
        """The pairs of one adapter; None: of those in use."""
        names = self.active if adapter is None else (adapter,)
        return [pair for name in names if name in self.adapters for pair in self.pairs(name)]

    def pairs(self, name: str) -> list[Pair]:
        """The pairs of one adapter."""
        found = self.adapters[name]
        assert isinstance(found, nn.ModuleDict)
        return [pair for pair in found.values() if isinstance(pair, Pair)]

    def change(self, adapter: str | None = None) -> Tensor:
        """What one adapter adds to the matrix, ``[N, K]``, fp32; None: what those in use add."""
        a_RK, b_NR = fused(self.in_use(adapter), self.rows)
        return b_NR @ a_RK

    @torch.no_grad()
    def with_change(self, adapter: str | None = None) -> Linear:
        """A plain layer that computes the same as with this adapter, or with those in use: the base's numbers
        (dequantized) plus the change, in the base's dtype."""
        weight = self.base.weight
        dense = weight if isinstance(weight, Tensor) else weight()  # type: ignore[operator]
        bias = getattr(self.base, "bias", None)
        layer = Linear(dense.shape[1], dense.shape[0], bias is not None).requires_grad_(False)
        total = dense.float() + self.change(adapter) if self.in_use(adapter) else dense.clone()
        layer.weight = nn.Parameter(total.to(dense.dtype), requires_grad=False)
        layer.bias = bias
        return layer


def fused(pairs: Sequence[Pair], rows: int) -> tuple[Tensor, Tensor]:
    """Several pairs of one matrix as a single one: the A's stacked ``[sum R, K]``, and B ``[N, sum R]`` with each
    pair's scaled B in the rows and columns that are its own, zero elsewhere."""
    a_RK = torch.cat([pair.a for pair in pairs]) if len(pairs) > 1 else pairs[0].a
    columns = []
    for pair in pairs:
        above, below = pair.piece.begin, rows - pair.piece.begin - pair.piece.rows
        columns.append(F.pad(pair.scale * pair.b, (0, 0, above, below)))
    return a_RK, torch.cat(columns, 1) if len(columns) > 1 else columns[0]


# ---------------------------------------------------------------------------------------------- a model's adapters
def attach(model: Decoder, config: LoRAConfig, name: str = "default", seed: int = 0) -> None:
    """Give ``model`` a new adapter that changes nothing yet, in use and trainable; everything else is frozen.

    Raises :class:`GlaswerkError` for a target the model does not have, or a name that is taken.
    """
    generator = torch.Generator().manual_seed(seed)
    for piece in chosen(model.config, config.targets):
        pair = add_pair(model, name, piece, config.rank, config.alpha / config.rank)
        bound = piece.columns**-0.5  # as PEFT draws it: uniform, as wide as a fresh linear layer's weights
        drawn = torch.empty(config.rank, piece.columns).uniform_(-bound, bound, generator=generator)
        pair.a.data.copy_(drawn)
    use(model, name)


def add_pair(model: Decoder, name: str, piece: Piece, rank: int, scale: float) -> Pair:
    """One more pair of an adapter, both matrices zero, not in use yet."""
    if not re.fullmatch(r"\w[\w-]{0,63}", name):
        raise GlaswerkError(f"{name!r} cannot name an adapter: use letters, digits, - and _")
    layer = model.get_submodule(piece.module)
    if not isinstance(layer, LoRALinear):
        rows = sum(each.rows for each in pieces(model.config) if each.module == piece.module)
        parent, _, child = piece.module.rpartition(".")
        layer = LoRALinear(layer, rows)
        setattr(model.get_submodule(parent), child, layer.train(model.training))
    adapter = layer.adapters[name] if name in layer.adapters else nn.ModuleDict()
    assert isinstance(adapter, nn.ModuleDict)
    short = piece.name.rpartition(".")[2]
    if short in adapter:
        raise GlaswerkError(f"the model has an adapter {name!r} already: choose another name")
    pair = Pair(piece, rank, scale, model.embedding.device)
    adapter[short] = pair
    layer.adapters[name] = adapter
    return pair


def layers(model: nn.Module) -> Iterator[LoRALinear]:
    """Every layer with adapters."""
    return (module for module in model.modules() if isinstance(module, LoRALinear))


def adapters(model: nn.Module) -> list[str]:
    """The names of the model's adapters."""
    return list(dict.fromkeys(name for layer in layers(model) for name in layer.adapters))


def use(model: nn.Module, *names: str) -> None:
    """Put these adapters in use, summed, and make only them trainable; without names the base answers alone.

    Raises :class:`GlaswerkError` for a name that is none.
    """
    for name in names:
        if name not in adapters(model):
            raise GlaswerkError(f"there is no adapter {name!r}: there are {', '.join(adapters(model)) or 'none'}")
    unmerge(model)
    model.requires_grad_(False)
    for layer in layers(model):
        layer.active = names
        for pair in layer.in_use():
            pair.requires_grad_(True)


@torch.no_grad()
def fused_once(model: nn.Module) -> Fused:
    """Every adapter of every layer as one pair, in the dtype of the layer, for as long as no weight changes."""
    found: dict[tuple[nn.Module, str | None], tuple[Tensor, Tensor]] = {}
    for layer in layers(model):
        dtype = layer.base.weight.dtype if isinstance(layer.base, Linear) else torch.float32
        for name in layer.adapters:
            a_RK, b_NR = fused(layer.pairs(name), layer.rows)
            found[layer, name] = a_RK.detach().to(dtype), b_NR.to(dtype)
    return found


def pairs(model: nn.Module, name: str) -> list[Pair]:
    """All pairs of one adapter, in the order of the blocks."""
    return [pair for layer in layers(model) if name in layer.adapters for pair in layer.pairs(name)]


def merge(model: nn.Module) -> None:
    """Compute with one matrix per layer: the base's plus the change in use. The base's own numbers stay beside it, so
    :func:`unmerge` gives back exactly what was there; memory for a second copy of the adapted matrices."""
    for layer in layers(model):
        layer.merged = layer.with_change() if layer.in_use() else None


def unmerge(model: nn.Module) -> None:
    """Undo :func:`merge`, to the last bit."""
    for layer in layers(model):
        layer.merged = None


def bake(model: Decoder) -> Decoder:
    """Make the change in use part of the model for good, in place: no adapters are left, it can be saved like any
    other. Returns ``model``."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, LoRALinear):
                setattr(parent, name, child.with_change() if child.in_use() else child.base)
    return model


def trainable_count(model: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
