"""Muon for the matrices inside the blocks, AdamW for everything else; one pure function that can be compiled.

Muon (Jordan et al. 2024): momentum, then the update matrix is replaced by the nearest matrix whose singular values are
all about 1, found by five Newton-Schulz steps in bf16. Matrices of one shape are stacked, so that each step is a few
batched products. AdamW: Loshchilov & Hutter 2019.

Left out: the learning-rate schedule (``schedule.py``); state on disk (``checkpoint.py``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from glaswerk.model.config import ModelConfig
from glaswerk.progress import Progress
from glaswerk.train.ahead import Flat, ahead

#: the quintic's coefficients from the Muon paper: steep at 0, singular values end between about 0.7 and 1.2
QUINTIC = (3.4445, -4.7750, 2.0315)


@dataclass(frozen=True)
class Piece:
    """Some rows of a matrix that Muon treats as a matrix of its own; ``wide``: it is laid on its side to be tall."""

    matrix: int
    begin: int
    rows: int
    columns: int

    @property
    def wide(self) -> bool:
        return self.rows < self.columns


class MuonAdamW:
    """One optimizer over a decoder's parameters.

    ``matrix_rate`` is Muon's learning rate (the size of an update's singular values), ``other_rate`` AdamW's for
    embeddings and vectors; without ``muon``, AdamW's is everybody's. ``weight_decay`` is decoupled, times the learning
    rate, and touches the blocks' matrices only.
    """

    def __init__(
        self,
        named_parameters: Iterable[tuple[str, nn.Parameter]],
        *,
        matrix_rate: float = 0.02,
        other_rate: float = 0.005,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.95),
        splits: dict[str, list[int]] | None = None,
        muon: bool = True,
        compile: bool = False,
        progress: Progress | None = None,
    ):
        self.rates = (matrix_rate, other_rate)
        self.weight_decay, self.momentum, self.betas = weight_decay, momentum, betas
        self.compile, self.progress = compile, progress or Progress()
        named = [(name, p) for name, p in named_parameters if p.requires_grad]
        self.parameters = [p for _, p in named]
        self.names = [name for name, _ in named]
        inside = [i for i, (name, p) in enumerate(named) if p.ndim == 2 and name.startswith("blocks.")]
        self.matrices = inside if muon else []
        self.decayed = set(inside)
        self.others = [i for i in range(len(named)) if i not in set(self.matrices)]
        stacks: dict[tuple[int, int], list[Piece]] = defaultdict(list)
        for place, i in enumerate(self.matrices):
            begin, columns = 0, self.parameters[i].shape[1]
            for rows in (splits or {}).get(self.names[i], [self.parameters[i].shape[0]]):
                stacks[max(rows, columns), min(rows, columns)].append(Piece(place, begin, rows, columns))
                begin += rows
        self.stacks = list(stacks.values())
        where = self.parameters[0].device
        self.momenta = [torch.zeros(len(pieces), *shape, device=where) for shape, pieces in stacks.items()]
        self.first = [torch.zeros_like(self.parameters[i]) for i in self.others]
        self.second = [torch.zeros_like(self.parameters[i]) for i in self.others]
        self.steps = 0
        self.run: Flat | None = None

    def step(self, gradients: Sequence[Tensor], factor: float) -> None:
        """One update from ``gradients`` (in the order of the parameters), both learning rates times ``factor``."""
        self.steps += 1
        tensors = self.tensors(gradients, factor)
        run = self.prepare(tensors)
        with torch.no_grad():
            after = iter(run(tensors))
        for p in self.parameters:
            p.data = next(after)
        self.momenta = [next(after) for _ in self.momenta]
        self.first = [next(after) for _ in self.first]
        self.second = [next(after) for _ in self.second]

    def prepare(self, tensors: Sequence[Tensor]) -> Flat:
        """The update, compiled for these tensors if nothing is yet; may take a minute, may be interrupted."""
        if self.run is None:
            self.run = self.update
            if self.compile:
                identity = f"{self.stacks} {self.decayed} {self.weight_decay} {self.momentum} {self.betas}"
                self.run = ahead("optimizer", self.update, tensors, identity, self.progress)
        return self.run

    @property
    def compiled(self) -> bool:
        """Whether the update is computed by compiled code."""
        return self.run is not None and self.run != self.update

    def tensors(self, gradients: Sequence[Tensor], factor: float) -> list[Tensor]:
        """The arguments of the update: weights, gradients, states, and the rates of step number ``steps``."""
        beta1, beta2 = self.betas
        # what depends on the step goes in as numbers in a tensor, so that one compiled graph serves all steps
        scalars = torch.tensor(
            [
                self.rates[0] * factor,
                self.rates[1] * factor / (1 - beta1 ** max(1, self.steps)),
                1 / (1 - beta2 ** max(1, self.steps)) ** 0.5,
                self.rates[1] * factor,
            ],
            device=self.parameters[0].device,
        )
        weights = [p.data for p in self.parameters]
        return [*weights, *gradients, *self.momenta, *self.first, *self.second, scalars]

    def update(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The whole update as a function: weights, gradients, states and rates in; new weights and states out."""
        count, others = len(self.parameters), len(self.others)
        weights, gradients = list(tensors[:count]), tensors[count : 2 * count]
        rest = list(tensors[2 * count :])
        momenta, rest = rest[: len(self.stacks)], rest[len(self.stacks) :]
        first, second, (rate, adam_rate, unbias, plain_rate) = (
            rest[:others],
            rest[others : 2 * others],
            rest[-1].unbind(),
        )

        updates: dict[int, list[tuple[int, Tensor]]] = defaultdict(list)
        for k, pieces in enumerate(self.stacks):
            stacked = torch.stack([tall(gradients[self.matrices[piece.matrix]], piece) for piece in pieces])
            momenta[k] = torch.lerp(momenta[k], stacked, 1.0 - self.momentum)
            orthogonal = newton_schulz(torch.lerp(stacked, momenta[k], self.momentum)).float()
            for piece, change in zip(pieces, orthogonal.unbind(0), strict=True):
                # an update's size should not depend on how many rows a matrix has beyond its columns
                scale = max(1.0, piece.rows / piece.columns) ** 0.5
                updates[piece.matrix].append((piece.begin, (change.T if piece.wide else change) * scale))
        for place, i in enumerate(self.matrices):
            change = torch.cat([part for _, part in sorted(updates[place], key=lambda item: item[0])])
            weights[i] = weights[i] * (1.0 - rate * self.weight_decay) - rate * change

        beta1, beta2 = self.betas
        for k, i in enumerate(self.others):
            first[k] = torch.lerp(first[k], gradients[i], 1.0 - beta1)
            second[k] = torch.lerp(second[k], gradients[i].square(), 1.0 - beta2)
            if i in self.decayed:
                weights[i] = weights[i] * (1.0 - plain_rate * self.weight_decay)
            weights[i] = weights[i] - adam_rate * first[k] / (second[k].sqrt() * unbias + 1e-10)
        return [*weights, *momenta, *first, *second]

    def state(self) -> dict[str, Tensor]:
        """Everything that must be kept to go on, by name."""
        tensors = {f"muon.{i}": momentum for i, momentum in enumerate(self.momenta)}
        for k, i in enumerate(self.others):
            tensors[f"adam.first.{self.names[i]}"], tensors[f"adam.second.{self.names[i]}"] = (
                self.first[k],
                self.second[k],
            )
        tensors["steps"] = torch.tensor(self.steps)
        return tensors

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take a state back; raises ``KeyError`` or ``RuntimeError`` where it does not fit this model."""
        for i, momentum in enumerate(self.momenta):
            momentum.copy_(tensors[f"muon.{i}"])
        for k, i in enumerate(self.others):
            self.first[k].copy_(tensors[f"adam.first.{self.names[i]}"])
            self.second[k].copy_(tensors[f"adam.second.{self.names[i]}"])
        self.steps = int(tensors["steps"])


def tall(matrix: Tensor, piece: Piece) -> Tensor:
    """A piece of a matrix with no fewer rows than columns."""
    rows = matrix[piece.begin : piece.begin + piece.rows]
    return rows.T if piece.wide else rows


def newton_schulz(tall: Tensor, steps: int = 5) -> Tensor:
    """For each ``[rows, columns]`` with rows >= columns, nearly the closest matrix with orthonormal columns; bf16."""
    a, b, c = QUINTIC
    x = tall.bfloat16()
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x.mT @ x
        x = a * x + x @ (b * gram + c * (gram @ gram))
    return x


def muon_splits(config: ModelConfig) -> dict[str, list[int]]:
    """Which fused matrices are several matrices to Muon: query, key and value; gate and up. Name -> rows of each."""
    D = config.head_width
    splits = {}
    for layer in range(config.layers):
        groups = [config.heads * D, config.kv_heads * D, config.kv_heads * D]
        splits[f"blocks.{layer}.attention.qkv.weight"] = groups
        if config.activation == "swiglu":
            splits[f"blocks.{layer}.mlp.up.weight"] = [config.mlp_width, config.mlp_width]
    return splits
