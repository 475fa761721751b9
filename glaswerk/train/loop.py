"""The one training loop. What is learned (objective, batches), where it is kept and who watches are passed in.

Left out: how steps, sizes and rates are chosen (planning), what the loss is (objective), evaluation and samples
(callers pass functions), and everything about a folder (Run).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from glaswerk.errors import GlaswerkError
from glaswerk.model.decoder import Decoder
from glaswerk.progress import Progress
from glaswerk.runtime import keep_memory
from glaswerk.train.checkpoint import Checkpoints
from glaswerk.train.gradient import GradientStep
from glaswerk.train.interrupt import Interrupt
from glaswerk.train.objective import Objective
from glaswerk.train.optimizer import MuonAdamW, muon_splits
from glaswerk.train.plan import TrainPlan, TrainResult
from glaswerk.train.resume import remembered, resume, trained
from glaswerk.train.watch import Log, Watch


class Batches(Protocol):
    """What the loop needs of data: a batch that is a pure function of its number."""

    def batch(self, step: int) -> tuple[Tensor, ...]: ...


class Diverged(GlaswerkError):
    """The loss or a weight is no number any more. The last good checkpoint is kept."""


def train(
    model: Decoder,
    batches: Batches,
    objective: Objective,
    plan: TrainPlan,
    *,
    stage: str = "base",
    checkpoints: Checkpoints | None = None,
    log: Log | None = None,
    evaluate: Callable[[], dict[str, float]] | None = None,
    sample: Callable[[], str] | None = None,
    peak: float | None = None,
    progress: Progress | None = None,
) -> TrainResult:
    """Train what is trainable of ``model`` in place for ``plan.steps`` steps, going on from the newest checkpoint if
    there is one. What is frozen is not in checkpoints: the caller brings the same again.

    ``peak`` (FLOP/s) turns tokens/s into a share of the machine. Raises :class:`Diverged` if the loss or a weight
    stops being a number, ``KeyboardInterrupt`` on Ctrl-C or SIGTERM: after saving a checkpoint once steps are done.
    """
    show = progress or Progress()
    model.train()
    keep_memory()
    model.compute_dtype = torch.bfloat16 if plan.dtype == "bf16" else None
    optimizer = MuonAdamW(
        model.named_parameters(),
        matrix_rate=plan.matrix_rate,
        other_rate=plan.other_rate,
        weight_decay=plan.weight_decay,
        splits=muon_splits(model.config),
        muon=plan.muon,
        compile=plan.compile and plan.compile_optimizer,
        progress=show,
    )
    gradient = GradientStep(model, objective, plan.compile, show)
    watch = Watch(stage, plan, log, show, flops_per_token(model, plan.time), peak)
    first, before = resume(model, optimizer, plan, checkpoints, log, watch) if checkpoints else (0, None)

    def diverged(what: str, step: int) -> Diverged:
        kept = checkpoints is not None and checkpoints.steps()
        where = "the last good checkpoint is kept" if kept else "nothing was saved yet"
        return Diverged(f"{stage}: {what} at step {step:,}; {where}; try a smaller learning rate")

    def save(done: int) -> None:
        check(done)
        if checkpoints:
            facts = remembered(model, plan, log, watch, compiled)
            checkpoints.save(done, trained(model), optimizer.state(), facts)

    def check(done: int) -> None:
        if not all(bool(parameter.isfinite().all()) for parameter in model.parameters()):
            raise diverged("a weight is no finite number any more", done)

    watch.open(first)
    if (gradient.compile or optimizer.compile) and first < plan.steps:
        prepare(gradient, optimizer, on_device(batches.batch(first * plan.accumulate), model))
    compiled = gradient.compiled or optimizer.compiled
    if before not in (None, compiled) and first < plan.steps:
        show.note(f"{stage}: compiled and uncompiled steps mix here: the weights will not be those of one sitting")
    with Interrupt() as interrupt:
        for step in range(first, plan.steps):
            loss, gradients = accumulated(gradient, batches, step, plan.accumulate)
            if not math.isfinite(loss):
                raise diverged(f"the loss is {loss}", step + 1)
            optimizer.step(gradients, plan.factor(step))
            done = step + 1
            watch.step(done, loss, plan.factor(step))
            with watch.resting():
                if evaluate and due(done, plan.evaluate_every, plan.steps):
                    watch.tell("evaluation", done, **evaluate())
                if sample and due(done, plan.sample_every, plan.steps):
                    text = sample()
                    show.note(f"step {done:,}: {text}")
                    watch.tell("sample", done, text=text)
                model.train()
                if interrupt.asked or due(done, plan.checkpoint_every, plan.steps):
                    save(done)
            if interrupt.asked:
                raise KeyboardInterrupt
    check(plan.steps)
    tokens = plan.steps * plan.tokens_per_step
    return TrainResult(plan.steps, tokens, watch.seconds, watch.speed, watch.loss, compiled)


def flops_per_token(model: Decoder, time: int) -> float:
    """What a token costs; a model that is mostly frozen (adapters) needs no gradients of its matrices."""
    mostly_frozen = (
        sum(p.numel() for p in model.parameters() if p.requires_grad) * 2 < model.parameters_count()["total"]
    )
    return model.flops_per_token(time) * (2 / 3 if mostly_frozen else 1)


def due(done: int, every: int, steps: int) -> bool:
    """Whether something that happens every so many steps happens now; never after the last one."""
    return bool(every) and done % every == 0 and done < steps


def prepare(gradient: GradientStep, optimizer: MuonAdamW, batch: Sequence[Tensor]) -> None:
    """Compile what the plan wants compiled, before any step: Ctrl-C meanwhile leaves nothing half done."""
    gradient.prepare(*batch)
    if optimizer.compile:
        with torch.random.fork_rng():  # a gradient only for its shapes must not draw a step's dropout
            optimizer.prepare(optimizer.tensors(gradient(*batch)[1], 0.0))


def on_device(batch: Sequence[Tensor], model: Decoder) -> list[Tensor]:
    """A batch where the model is."""
    return [part.to(model.embedding.device) for part in batch]


def accumulated(gradient: GradientStep, batches: Batches, step: int, count: int) -> tuple[float, Sequence[Tensor]]:
    """Mean loss and mean gradients of the ``count`` micro-batches of a step."""
    total, gradients = gradient(*on_device(batches.batch(step * count), gradient.model))
    for micro in range(1, count):
        loss, more = gradient(*on_device(batches.batch(step * count + micro), gradient.model))
        total, gradients = total + loss, torch._foreach_add(list(gradients), list(more))
    if count > 1:
        total, gradients = total / count, torch._foreach_div(list(gradients), count)
    return total.item(), gradients
