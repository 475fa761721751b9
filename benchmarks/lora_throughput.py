"""Tokens per second of tuning SmolLM2-135M with LoRA (rank 8, bf16, rows of 8 x 128 tokens, AdamW on the adapters, loss
on answers only): ours against PEFT with transformers, on the same rows with the same tokens learned.

First, from one adapter that both read, the loss of two rows and the adapter's gradient must be equal: in fp32 to 1e-4
and 1e-3, in bf16 the loss to 0.02. Then each side trains in a process of its own, in rounds that take turns; opening
and the first step stand outside the clock. PEFT runs as it is installed; beside that with what makes it faster here:
the allocator told to keep what is freed (as our loop does), adapters in bf16. Beside both: adapters at every matrix,
and ours over a base of four bits. Nobody compiles: that takes a minute or more, and people tune for minutes.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks import smollm2
from benchmarks.measure import Clock, Worker, interleaved, machine, medians_of, peer, say, spread
from glaswerk import pull, runtime
from glaswerk.align.batches import Answers
from glaswerk.align.chats import fit, render
from glaswerk.align.losses import answer_loss
from glaswerk.corpora.catalogue import wikipedia
from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.task import pair
from glaswerk.model import Decoder, adapter, lora, nf4
from glaswerk.model.weights import save_model
from glaswerk.opened import OpenedModel
from glaswerk.progress import Progress
from glaswerk.train import GradientStep, TrainPlan, train
from glaswerk.train.data import IGNORE, Conversations

BATCH, TIME, RANK, ALPHA, RATE = 8, 128, 8, 16.0, 1e-4
#: steps of a round that count, and steps before them that do not
STEPS, WARMUP, ROUNDS = 3, 1, 3
#: rows of the check
CHECKED = 2
TARGETS = {"q and v": ("q_proj", "v_proj"), "all-linear": (lora.ALL_LINEAR,)}
#: who takes part: name -> (whose, targets, what is different)
SIDES = {
    "ours": ("ours", "q and v", ""),
    "PEFT": ("peft", "q and v", ""),
    "PEFT, memory kept": ("peft", "q and v", "kept"),
    "PEFT, memory kept, adapters in bf16": ("peft", "q and v", "kept bf16"),
    "ours, all-linear": ("ours", "all-linear", ""),
    "PEFT, all-linear": ("peft", "all-linear", ""),
    "ours, all-linear, base in NF4": ("ours", "all-linear", "nf4"),
}


class Rows:
    """The rows that all sides learn from: ids and targets ``[steps, B, T]``, or the first ``rows`` of each batch."""

    def __init__(self, folder: Path, rows: int = BATCH) -> None:
        saved = load_file(folder / "rows.safetensors")
        self.ids, self.targets = saved["ids"][:, :rows], saved["targets"][:, :rows]

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """The batch of this step."""
        return self.ids[step], self.targets[step]


def run() -> dict[str, Any]:
    """Check, then take turns."""
    peer("transformers")
    peer("peft")
    with tempfile.TemporaryDirectory(prefix="glaswerk-lora-") as scratch:
        folder = Path(scratch)
        exact = smollm2.opened("fp32")
        save_model(folder / "base", exact.model, exact.tokenizer)
        learned = write_rows(folder, exact)
        checks = {name: check(folder, name) for name in TARGETS}
        figures = timed(folder)
    medians = medians_of(figures)
    best = max((name for name in medians if SIDES[name][:2] == ("peft", "q and v")), key=medians.__getitem__)
    here = machine()
    peak = here["bf16_gflops"] * 1e9
    return {
        "ours": medians["ours"],
        "peer": medians["PEFT"],
        "peer_name": "PEFT with transformers, bf16, as it is installed",
        "unit": "tokens/s",
        "ratio": medians["ours"] / medians["PEFT"],
        "ratio_to_best_setting": medians["ours"] / medians[best],
        "best_setting": best,
        "ratio_all_linear": medians["ours, all-linear"] / medians["PEFT, all-linear"],
        "learned": learned,
        "share_of_bf16_peak": {
            name: medians[name] * flops_per_token(exact.model, SIDES[name][1], learned) / peak
            for name in medians
            if SIDES[name][0] == "ours"
        },
        "checked": checks,
        "all": {name: spread(values) for name, values in figures.items()},
        "machine": here,
    }


def write_rows(folder: Path, opened: OpenedModel) -> float:
    """Questions about Wikipedia titles with their leads as answers, packed into rows; the share of places learned."""
    documents = list(wikipedia(pull.path("wikipedia-en")))[::25]
    talks = [pair(f"What is {document.title}?", document.text) for document in documents]
    rendered, _ = fit([render(opened.speech, talk) for talk in talks], TIME + 1)
    packed = Conversations(rendered, TIME, BATCH, 0, opened.tokenizer.end_id)
    ids, targets = zip(*(packed.batch(step) for step in range(STEPS + WARMUP)), strict=True)
    rows = {"ids": torch.stack(ids), "targets": torch.stack(targets)}
    save_file(rows, folder / "rows.safetensors")
    return float((rows["targets"] != IGNORE).float().mean())


def flops_per_token(model: Decoder, targets: str, learned: float) -> float:
    """What must be computed: of the frozen matrices the product and the gradient of its input, of the adapters also
    their own; attention over all keys, as is the convention; the head where something is learned."""
    config, counts = model.config, model.parameters_count()
    blocks = counts["attention"] + counts["mlp"]
    attention = config.layers * 2 * TIME * config.heads * config.head_width
    adapted = sum(RANK * (piece.rows + piece.columns) for piece in lora.chosen(config, TARGETS[targets]))
    head = learned * config.vocabulary_size * config.width
    return 4.0 * (blocks + head) + 6.0 * (attention + adapted)


# ---------------------------------------------------------------------------------------------- the two sides
def our_model(targets: str, dtype: str, quantized: bool = False) -> Decoder:
    """Ours with an adapter that already says something, the same in every process."""
    model = smollm2.opened(dtype).model
    lora.attach(model, lora.LoRAConfig(RANK, ALPHA, TARGETS[targets]))
    generator = torch.Generator().manual_seed(1)
    for each in lora.pairs(model, "default"):
        each.b.data.normal_(0.0, 0.02, generator=generator)
    if quantized:
        nf4.quantize_frozen(model)
    return model


def peft_model(folder: Path, targets: str, dtype: torch.dtype, cast: bool = True) -> Any:
    """transformers' model with PEFT's adapter; ``cast``: the adapter is kept in fp32, as PEFT does by itself."""
    transformers, peft = peer("transformers"), peer("peft")
    base = transformers.AutoModelForCausalLM.from_pretrained(folder / "base", dtype=dtype)
    base.config.use_cache = False
    return peft.PeftModel.from_pretrained(base, folder / targets, is_trainable=True, autocast_adapter_dtype=cast)


def peft_loss(model: Any, ids_BT: Tensor, targets_BT: Tensor) -> Tensor:
    """transformers' own loss; the targets are shifted already."""
    loss: Tensor = model(input_ids=ids_BT, labels=ids_BT, shift_labels=targets_BT).loss
    return loss


def check(folder: Path, targets: str) -> dict[str, float]:
    """How far losses and gradients of some rows are apart; raises :class:`GlaswerkError` where that is too far."""
    rows, apart = Rows(folder, CHECKED), {}
    answers = Answers(rows, 1)  # type: ignore[arg-type]  # it needs batches only
    for dtype, most in (("fp32", 1e-4), ("bf16", 0.02)):
        mine = our_model(targets, dtype)
        if dtype == "fp32":
            adapter.save(folder / targets, mine, base="SmolLM2-135M-Instruct")
        theirs = peft_model(folder, targets, getattr(torch, {"fp32": "float32", "bf16": "bfloat16"}[dtype]))
        step = GradientStep(mine, answer_loss, False, Progress())  # what the loop runs
        loss, gradients = step(*answers.batch(0))
        for parameter, gradient in zip(step.parameters, gradients, strict=True):
            parameter.grad = gradient
        losses = [loss, peft_loss(theirs, *rows.batch(0))]
        losses[1].backward()
        apart[dtype] = abs(losses[0].item() - losses[1].item())
        say(f"{targets}, {dtype}: loss {losses[0].item():.5f} and {losses[1].item():.5f}")
        if not apart[dtype] <= most:
            raise GlaswerkError(f"{targets}, {dtype}: the losses are {apart[dtype]:.1e} apart: nothing is timed")
        if dtype == "fp32":
            apart["gradients"] = gradients_apart(mine, theirs)
            if not apart["gradients"] <= 1e-3:
                raise GlaswerkError(f"{targets}: the gradients are {apart['gradients']:.1e} apart: nothing is timed")
    return apart


def gradients_apart(mine: Decoder, theirs: Any) -> float:
    """The largest relative distance of a matrix's gradients."""
    named = {name.replace(".default", ""): value for name, value in theirs.named_parameters() if value.requires_grad}
    most, seen = 0.0, 0
    for each in lora.pairs(mine, "default"):
        for letter, value in (("A", each.a), ("B", each.b)):
            other = named[f"{adapter.OUTER}{each.piece.name}.lora_{letter}.weight"].grad
            assert value.grad is not None
            most, seen = max(most, float((value.grad - other).norm() / other.norm())), seen + 1
    if seen != len(named):
        raise GlaswerkError(f"PEFT trains {len(named)} matrices, ours are {seen}")
    return most


def ours(folder: Path, targets: str, special: str) -> Callable[[], float]:
    """A round of the library's own loop."""
    model = our_model(targets, "bf16", "nf4" in special)
    batches = Answers(Rows(folder), STEPS + WARMUP)  # type: ignore[arg-type]  # it needs batches only
    plan = TrainPlan(steps=STEPS + WARMUP, batch=BATCH, time=TIME, muon=False, other_rate=RATE, compile=False)

    def a_round() -> float:
        clock = Clock()
        train(model, batches, answer_loss, plan, progress=clock)
        return clock.rate(WARMUP, BATCH * TIME)

    return a_round


def theirs(folder: Path, targets: str, special: str) -> Callable[[], float]:
    """A round of the plain loop around PEFT's model."""
    if "kept" in special:
        runtime.keep_memory()
    rows, model = Rows(folder), peft_model(folder, targets, torch.bfloat16, "bf16" not in special).train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=RATE, weight_decay=0.0)

    def a_round() -> float:
        clock = Clock()
        for step in range(STEPS + WARMUP):
            loss = peft_loss(model, *rows.batch(step))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            loss.item()
            clock.advance(1)
        return clock.rate(WARMUP, BATCH * TIME)

    return a_round


# ---------------------------------------------------------------------------------------------- processes
def timed(folder: Path) -> dict[str, list[float]]:
    """Each side's tokens per second, round by round; one before the first is not counted. A setting of PEFT's that
    cannot run here is named and left out."""
    workers: dict[str, Worker] = {}
    try:
        for name, (whose, _, special) in SIDES.items():
            worker = workers[name] = Worker("benchmarks.lora_throughput", name, folder)
            try:
                say(f"{name}, unmeasured: {worker.ask():,.0f} tokens/s")
            except GlaswerkError:
                if whose == "ours" or not special:
                    raise
                say(f"{name} cannot run here")
                workers.pop(name).close()
        return interleaved({name: worker.ask for name, worker in workers.items()}, ROUNDS)
    finally:
        for worker in workers.values():
            worker.close()


def main(name: str, folder: Path) -> None:
    """What a worker does: a round for every line it is sent."""
    whose, targets, special = SIDES[name]
    a_round = partial(ours if whose == "ours" else theirs, folder, targets, special)()
    for _ in sys.stdin:
        print(a_round(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
