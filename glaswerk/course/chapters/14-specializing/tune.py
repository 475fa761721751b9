"""A few lines in another voice, learned by the open model in seconds: LoRA of any rank, or the same matrices whole.

The open model is never changed: what is trained stands in a twin that shares its tensors. A training comes in parts,
so that a page can show how far it is and other figures get their turn; what came out is kept for as long as the model
is open. Adapted are the matrices that make queries, keys and values. Left out: chats, packing, checkpoints (``align``).
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from glaswerk.model import lora
from glaswerk.model.config import ModelConfig
from glaswerk.model.decoder import Decoder
from glaswerk.model.mlp import Linear
from glaswerk.model.quantize import QuantizedLinear
from glaswerk.runtime import fast_dtype
from glaswerk.train.data import IGNORE
from glaswerk.train.gradient import GradientStep
from glaswerk.train.objective import next_token_loss
from glaswerk.train.optimizer import MuonAdamW
from glaswerk.train.plan import TrainPlan

if TYPE_CHECKING:
    from glaswerk.opened import OpenedModel

VOICES = ("pirate", "contract", "seadog")
#: rank 0 stands for the matrices themselves, trained whole
WHOLE, LARGEST = 0, 32
PARTS, STEPS, BATCH, ALPHA = 4, 24, 4, 16.0
#: AdamW's learning rates: matrices trained whole bear only smaller ones (Schulman et al. 2025)
RATE, WHOLE_RATE = 5e-3, 1e-3
#: from so many parameters on bf16 is worth measuring
LARGE = 20_000_000
#: where queries, keys and values come from
ADAPTED = "attention.qkv"


@cache
def voice(name: str) -> dict[str, list[str]]:
    """The lines of one voice: ``learn``, ``held_out``, ``begin``."""
    told = tomllib.loads(Path(__file__).with_name("voices.toml").read_text(encoding="utf-8"))
    found: dict[str, list[str]] = told[name]
    return found


def adapted(config: ModelConfig) -> list[lora.Piece]:
    """The pieces that are adapted: queries, keys and values of every layer, by their Hugging Face names."""
    return [piece for piece in lora.pieces(config) if piece.module.endswith(ADAPTED)]


def targets(config: ModelConfig) -> tuple[str, ...]:
    """Their short names: ``q_proj, k_proj, v_proj``, or ``c_attn`` where they are one matrix."""
    return tuple(dict.fromkeys(piece.name.rpartition(".")[2] for piece in adapted(config)))


# ---------------------------------------------------------------------------------------------- twins
def twin(model: Decoder) -> Decoder:
    """The same model as modules of its own that share every tensor with it: taking one apart leaves the other whole."""
    shared: dict[int, Any] = {id(p): nn.Parameter(p.detach(), requires_grad=False) for p in model.parameters()}
    shared |= {id(buffer): buffer for buffer in model.buffers()}
    made: Decoder = copy.deepcopy(model, shared)
    return made.eval()


def dense(layer: nn.Module, dtype: torch.dtype = torch.float32) -> Linear:
    """A plain layer with the same numbers, frozen."""
    weight = layer.weight(dtype) if isinstance(layer, QuantizedLinear) else layer.weight.detach().to(dtype)  # type: ignore[operator, union-attr]
    made = Linear(weight.shape[1], weight.shape[0], bias=False)
    made.weight = nn.Parameter(weight, requires_grad=False)
    made.bias = layer.bias  # type: ignore[assignment]
    return made


def replace(model: nn.Module, change: Any, ending: str = "") -> None:
    """Put ``change(layer)`` where each linear layer stood whose name ends so, inside the blocks."""
    for path, layer in list(model.named_modules()):
        if path.startswith("blocks.") and path.endswith(ending) and isinstance(layer, (Linear, QuantizedLinear)):
            parent, _, name = path.rpartition(".")
            setattr(model.get_submodule(parent), name, change(layer))


# ---------------------------------------------------------------------------------------------- lines
def lines_batch(opened: OpenedModel, lines: Sequence[str], before: Sequence[int] = ()) -> tuple[Tensor, Tensor]:
    """Inputs and targets ``[B, T]``, one line a row, filled up on the right. Each line stands alone (or after the
    tokens ``before``), and only its own tokens and the end of the text are targets."""
    end = opened.tokenizer.end_id
    rows = [(len(before), [end, *before, *opened.tokenizer.encode(line), end]) for line in lines]
    longest = min(max(len(ids) for _, ids in rows) - 1, opened.model.config.context)
    ids_BT = torch.full((len(rows), longest), end)
    targets_BT = torch.full((len(rows), longest), IGNORE)
    for row, (skipped, ids) in enumerate(rows):
        cut = ids[: longest + 1]
        ids_BT[row, : len(cut) - 1] = torch.tensor(cut[:-1])
        targets_BT[row, skipped : len(cut) - 1] = torch.tensor(cut[skipped + 1 :])
    return ids_BT, targets_BT


@torch.no_grad()
def loss_on(model: Decoder, batch: tuple[Tensor, Tensor]) -> float:
    """Mean loss in nats, fp32. Not in inference mode: there a quantized model would round its activations too."""
    return float(next_token_loss(model, *batch))


# ---------------------------------------------------------------------------------------------- what was learned
@dataclass(frozen=True)
class Learned:
    """What a training left: ``change`` holds A and B by their matrix's name, or with rank 0 the change itself."""

    rank: int
    change: dict[str, tuple[Tensor, ...]]
    losses: list[float]

    def put_on(self, model: Decoder) -> Decoder:
        """A twin of ``model`` that has learned it: with its adapter in use, or with changed matrices."""
        made = twin(model)
        if self.rank == WHOLE:
            for path, (change,) in self.change.items():
                layer = dense(made.get_submodule(path))
                layer.weight = nn.Parameter(layer.weight + change, requires_grad=False)
                parent, _, name = path.rpartition(".")
                setattr(made.get_submodule(parent), name, layer)
            return made
        lora.attach(made, lora.LoRAConfig(self.rank, ALPHA, targets(model.config)))
        for pair in lora.pairs(made, "default"):
            a, b = self.change[pair.piece.name]
            pair.a.data, pair.b.data = a, b
        return made.requires_grad_(False)

    def values(self, config: ModelConfig) -> list[tuple[lora.Piece, Tensor]]:
        """The singular values of every adapted matrix's change, largest first."""
        found = []
        for piece in adapted(config):
            if self.rank == WHOLE:
                change = self.change[piece.module][0][piece.begin : piece.begin + piece.rows]
                # those of a matrix are the roots of its square's eigenvalues, which is quicker
                square = change @ change.T if piece.rows <= piece.columns else change.T @ change
                values = torch.linalg.eigvalsh(square).flip(0).clamp_min(0).sqrt()
            else:
                a, b = (part.double() for part in self.change[piece.name])
                # B A has the singular values of the small matrix between the two bases
                values = ALPHA / self.rank * torch.linalg.svdvals(torch.linalg.qr(b).R @ torch.linalg.qr(a.T).R.T)
            found.append((piece, values))
        return found


class Training:
    """One fine-tuning, part by part."""

    def __init__(self, opened: OpenedModel, name: str, rank: int) -> None:
        config = opened.model.config
        total = opened.model.parameters_count()["total"]
        dtype = fast_dtype() if total > LARGE else torch.float32
        self.opened, self.rank, self.lines = opened, rank, voice(name)["learn"]
        self.model = twin(opened.model)
        self.model.compute_dtype = None if dtype == torch.float32 else dtype
        # blocks of four bits would be unpacked at every step
        replace(self.model, lambda layer: dense(layer, dtype) if isinstance(layer, QuantizedLinear) else layer)
        self.before: dict[str, Tensor] = {}
        if rank == WHOLE:
            replace(self.model, dense, ADAPTED)
            for path, layer in self.model.named_modules():
                if path.endswith(ADAPTED):
                    self.before[path] = layer.weight.detach()
                    layer.weight = nn.Parameter(self.before[path].clone())
        else:
            lora.attach(self.model, lora.LoRAConfig(rank, ALPHA, targets(config)))
        self.plan = TrainPlan(
            STEPS, BATCH, config.context, other_rate=WHOLE_RATE if rank == WHOLE else RATE,
            muon=False, warmup=2, dtype="fp32" if dtype == torch.float32 else "bf16", compile=False,
        )  # fmt: skip
        self.gradient = GradientStep(self.model, next_token_loss, compile=False, progress=None)  # type: ignore[arg-type]
        self.optimizer = MuonAdamW(self.model.named_parameters(), other_rate=self.plan.other_rate, muon=False)
        self.losses: list[float] = []

    def part(self) -> None:
        """The next steps: each reads some of the lines, all of them once before any a second time."""
        for step in range(len(self.losses), len(self.losses) + STEPS // PARTS):
            first = step * BATCH
            order = [
                self.order(number // len(self.lines))[number % len(self.lines)]
                for number in range(first, first + BATCH)
            ]
            batch = lines_batch(self.opened, [self.lines[place] for place in order])
            loss, gradients = self.gradient(*batch)
            self.optimizer.step(gradients, self.plan.factor(step))
            self.losses.append(float(loss))

    def order(self, epoch: int) -> list[int]:
        """The order of the lines in an epoch."""
        found: list[int] = torch.randperm(len(self.lines), generator=torch.Generator().manual_seed(epoch)).tolist()
        return found

    def learned(self) -> Learned:
        """What came out."""
        named = dict(self.model.named_parameters())
        change: dict[str, tuple[Tensor, ...]] = {}
        for path, before in self.before.items():
            change[path] = (named[f"{path}.weight"].detach() - before,)
        for pair in lora.pairs(self.model, "default"):
            change[pair.piece.name] = (pair.a.detach(), pair.b.detach())
        return Learned(self.rank, change, self.losses)


class Workshop:
    """What was learned on one open model, and the training that runs."""

    def __init__(self) -> None:
        self.done: dict[tuple[str, int], Learned] = {}
        self.running: tuple[tuple[str, int], Training] | None = None

    def losses(self, opened: OpenedModel, name: str, rank: int, part: int) -> list[float]:
        """The losses of the training's steps up to the end of ``part``, computing what is missing."""
        key, wanted = (name, rank), (part + 1) * STEPS // PARTS
        if key not in self.done:
            if self.running is None or self.running[0] != key:
                self.running = (key, Training(opened, name, rank))
            training = self.running[1]
            while len(training.losses) < wanted:
                training.part()
            if len(training.losses) < STEPS:
                return training.losses[:wanted]
            self.done[key], self.running = training.learned(), None
        return self.done[key].losses[:wanted]

    def learned(self, opened: OpenedModel, name: str, rank: int) -> Learned:
        """What this training left."""
        self.losses(opened, name, rank, PARTS - 1)
        return self.done[name, rank]


_workshops: WeakKeyDictionary[Decoder, Workshop] = WeakKeyDictionary()


def workshop(opened: OpenedModel) -> Workshop:
    """That of the open model; gone with it."""
    return _workshops.setdefault(opened.model, Workshop())
