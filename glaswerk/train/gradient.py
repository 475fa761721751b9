"""One micro-batch: the loss and the gradient of every trainable parameter, as a pure function that can be compiled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from glaswerk.model.decoder import Decoder
from glaswerk.model.native import between
from glaswerk.progress import Progress
from glaswerk.train.ahead import Flat, ahead, known, possible, tried
from glaswerk.train.objective import Objective


class GradientStep:
    """``step(*batch)`` returns the loss and the gradients of what is trainable, in the order of ``model.parameters()``.

    Compiled for the shapes of the first batch if ``compile``; another shape is computed uncompiled. A model with
    dropout is too: its random numbers belong to torch's generator, which a compiled library does not share.
    """

    def __init__(self, model: Decoder, objective: Objective, compile: bool, progress: Progress):
        self.model, self.progress = model, progress
        self.module = Bound(model, objective)
        named = dict(self.module.named_parameters())
        trainable = [name for name in named if named[name].requires_grad]
        self.parameters = [named[name] for name in trainable]
        # what is frozen goes into the compiled function as arguments too: else its numbers would be part of the library
        frozen = {name: each for name, each in self.module.state_dict(keep_vars=True).items() if not each.requires_grad}
        self.frozen, self.names = list(frozen.values()), [*trainable, *frozen]
        self.compile = compile and not model.config.dropout
        # the modules' own description has what else is a constant to the compiler, an adapter's scale for one
        self.identity = f"{described(objective)} {model.config} {model.compute_dtype} {model}"
        self.run: Flat | None = None
        self.shapes: list[torch.Size] = []

    def __call__(self, *batch: Tensor) -> tuple[Tensor, Sequence[Tensor]]:
        if not self.compile:
            return self.plain(batch)
        self.prepare(*batch)
        if self.run is None or [part.shape for part in batch] != self.shapes:
            return self.plain(batch)
        loss, *gradients = self.run(self.tensors(batch))
        return loss, gradients

    def prepare(self, *batch: Tensor) -> None:
        """Compile for batches of this shape, if nothing is compiled yet; may take a minute, may be interrupted."""
        if not self.compile or self.run is not None:
            return
        self.shapes = [part.shape for part in batch]
        tensors = self.tensors(batch)
        if tensors[0].device.type == "cpu":
            self.run = ahead("gradient", self.flat, tensors, self.identity, self.progress)
        else:
            self.run = self.forward_compiled(tensors) if possible(self.progress) else self.flat

    @property
    def compiled(self) -> bool:
        """Whether batches of the first shape are computed by compiled code."""
        return self.run is not None and self.run != self.flat

    def is_compiled(self, *batch: Tensor) -> bool:
        """Whether the library for batches of this shape is on disk already."""
        return self.compile and known("gradient", self.tensors(batch), self.identity)

    def tensors(self, batch: Sequence[Tensor]) -> list[Tensor]:
        """The arguments of the compiled function."""
        return [*(parameter.detach() for parameter in (*self.parameters, *self.frozen)), *batch]

    def plain(self, batch: Sequence[Tensor]) -> tuple[Tensor, Sequence[Tensor]]:
        """The same by ordinary autograd."""
        with between.fused():
            loss = self.module(*batch)
        return loss.detach(), torch.autograd.grad(loss, self.parameters)

    def forward_compiled(self, tensors: Sequence[Tensor]) -> Flat:
        """For devices with a just-in-time compiler, which does not trace through ``autograd.grad``: the objective's
        forward alone is compiled, its backward with it. Takes the weights from the model, not from ``tensors``."""
        forward = torch.compile(self.module, dynamic=False)

        def run(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
            with torch.enable_grad():
                loss = forward(*tensors[len(self.names) :])
                return (loss.detach(), *torch.autograd.grad(loss, self.parameters))

        return tried("gradient", run, self.flat, tensors, self.progress)

    def flat(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        """The same as a function of parameters and batch alone."""
        trainable, count = len(self.parameters), len(self.names)
        with torch.enable_grad():
            weights = [weight.detach().requires_grad_() for weight in tensors[:trainable]]
            named = dict(zip(self.names, (*weights, *tensors[trainable:count]), strict=True))
            loss = torch.func.functional_call(self.module, named, tuple(tensors[count:]))
            return (loss.detach(), *torch.autograd.grad(loss, weights))


def described(objective: Objective) -> str:
    """An objective in words that name everything that decides what it computes: its settings where it is a data class
    (a function that can be called), else where it is defined."""
    if is_dataclass(objective):
        return f"{type(objective).__module__}.{objective!r}"
    return f"{objective.__module__}.{objective.__qualname__}"


class Bound(nn.Module):
    """An objective with its model, as a module, so that parameters can be passed in as arguments."""

    def __init__(self, model: Decoder, objective: Callable[..., Any]):
        super().__init__()
        self.model, self.objective = model, objective

    def forward(self, *batch: Tensor) -> Tensor:
        """The objective's loss."""
        loss: Tensor = self.objective(self.model, *batch)
        return loss
