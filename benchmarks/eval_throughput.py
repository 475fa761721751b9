"""Multiple choice with five worked examples, as MMLU is asked, SmolLM2-135M: questions per second, ours against
lm-evaluation-harness driving transformers in bf16 with the same weights, at the better of two batch sizes.

First the chosen answers: ours must be those of fp32 of the same file in four of five questions, or at least as often as
transformers' in bf16 are, whichever is less. The five examples are the same for all questions, so our
cache reads them once; the harness has no such cache. Beside it, the same without examples.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks import smollm2
from benchmarks.measure import interleaved, machine, peer, spread
from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.choice import MultipleChoice
from glaswerk.evaluate.harness import harness_task
from glaswerk.evaluate.scoring import by_options
from glaswerk.evaluate.task import chosen
from glaswerk.evaluate.tasks.mmlu import mmlu_en
from glaswerk.model.weights import save_model
from glaswerk.opened import OpenedModel
from glaswerk.progress import Progress

QUESTIONS, SHOTS, ROUNDS, BATCHES = 32, 5, 2, (1, 4)
#: the share of answers that may not differ from fp32's
AGREEMENT = 0.8


def asked() -> MultipleChoice:
    """Questions of all subjects as one group, so that all see the same five examples."""
    task = mmlu_en()
    every = [task.questions[i] for i in chosen(task, SHOTS + QUESTIONS)]
    plain = [type(question)(question.text, question.options, question.right) for question in every]
    return MultipleChoice("mmlu", plain, heading="The following are multiple choice questions (with answers).\n\n")


class Harness:
    """lm-eval with transformers; what it answered is kept."""

    def __init__(self, model: Any, batch: int) -> None:
        self.batch, self.model = batch, model

    def nats(self, task: MultipleChoice, items: Sequence[int], shots: int) -> tuple[list[tuple[float, ...]], float]:
        """The log-likelihoods of each item's options, and the seconds of its requests."""
        built = harness_task(task, items, shots)
        built.build_all_requests()
        self.model.batch_size_per_gpu = self.batch
        began = time.perf_counter()
        found = self.model.loglikelihood(built.instances, disable_tqdm=True)
        seconds = time.perf_counter() - began
        rows: dict[int, list[float]] = {}
        for instance, (total, _) in zip(built.instances, found, strict=True):
            rows.setdefault(instance.doc_id, []).append(total)
        return [tuple(rows[place]) for place in sorted(rows)], seconds

    def rate(self, task: MultipleChoice, shots: int) -> float:
        """Questions per second."""
        items = range(SHOTS, len(task))  # the first ones are the examples
        return len(items) / self.nats(task, items, shots)[1]


def ours(
    opened: OpenedModel, task: MultipleChoice, items: Sequence[int], shots: int
) -> tuple[list[tuple[float, ...]], float]:
    """The same from our own scoring."""
    began = time.perf_counter()
    _, samples, _ = by_options(opened, task, items, shots, Progress())
    return [sample.nats for sample in samples], time.perf_counter() - began


def our_rate(opened: OpenedModel, task: MultipleChoice, shots: int) -> float:
    """Questions per second."""
    items = range(SHOTS, len(task))
    return len(items) / ours(opened, task, items, shots)[1]


def picks(rows: Sequence[Sequence[float]]) -> list[int]:
    """The likeliest option of each item."""
    return [max(range(len(row)), key=row.__getitem__) for row in rows]


def run() -> dict[str, Any]:
    """Check both sides, take turns."""
    transformers = peer("transformers")
    peer("lm_eval")
    from lm_eval.models.huggingface import HFLM

    torch.set_num_threads(2)
    task = asked()
    quick, exact = smollm2.opened("auto"), smollm2.opened("fp32")
    with tempfile.TemporaryDirectory() as folder:
        save_model(Path(folder), exact.model, exact.tokenizer)
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()
        words = transformers.AutoTokenizer.from_pretrained(folder)
        lm = HFLM(model, tokenizer=words, device="cpu", batch_size=1)
    sides = {batch: Harness(lm, batch) for batch in BATCHES}
    some = range(SHOTS, len(task), 3)  # fp32 is slow
    reference, _ = ours(exact, task, some, 0)
    mine, _ = ours(quick, task, some, 0)
    peers, _ = sides[BATCHES[0]].nats(task, some, 0)
    right = picks(reference)
    agreement = {
        "ours": sum(a == b for a, b in zip(picks(mine), right, strict=True)) / len(right),
        "lm-eval, bf16": sum(a == b for a, b in zip(picks(peers), right, strict=True)) / len(right),
    }
    for name, share in agreement.items():
        if share < min(AGREEMENT, agreement["lm-eval, bf16"]):
            raise GlaswerkError(f"{name} chooses as fp32 in {share:.0%} of the questions: nothing is timed")
    figures: dict[str, Any] = {}
    for shots in (SHOTS, 0):
        contestants: dict[str, Callable[[], float]] = {"ours": partial(our_rate, quick, task, shots)}
        contestants |= {f"lm-eval, batch {batch}": partial(side.rate, task, shots) for batch, side in sides.items()}
        rounds = interleaved(contestants, ROUNDS)
        figures[f"{shots} examples"] = {name: spread(values) for name, values in rounds.items()}
    medians = {name: float(found["median"]) for name, found in figures[f"{SHOTS} examples"].items()}
    better = max((name for name in medians if name != "ours"), key=lambda name: medians[name])
    without = {name: float(found["median"]) for name, found in figures["0 examples"].items()}
    return {
        "ours": medians["ours"],
        "peer": medians[better],
        "peer_name": f"lm-eval with transformers in bf16, {better.removeprefix('lm-eval, ')}",
        "unit": "questions/s",
        "ratio": medians["ours"] / medians[better],
        "ratio_without_examples": without["ours"] / max(value for name, value in without.items() if name != "ours"),
        "agreement_with_fp32": agreement,
        "spread": figures,
        "machine": machine(),
    }
