"""``tune``: a model that others made learns from conversations, by LoRA; beside 4-bit weights if asked (QLoRA).

The result is a run with one stage, ``sft``: the merged model as a Hugging Face folder, and in it ``adapter/`` in
PEFT's format. Left out: a run's own assistant (``pipeline.py``), and tuning all weights of a stranger.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from glaswerk import __version__, planning, runtime
from glaswerk.align.batches import Answers
from glaswerk.align.chats import Rendered, fit, load_chats, render
from glaswerk.align.losses import answer_loss
from glaswerk.errors import GlaswerkError
from glaswerk.evaluate import score_conversations
from glaswerk.export import Spoken, marks
from glaswerk.found import Origin, find
from glaswerk.model.lora import LoRAConfig, trainable_count
from glaswerk.model.weights import save_model
from glaswerk.opened import OpenedModel, load
from glaswerk.progress import Progress
from glaswerk.run import Run
from glaswerk.stages import record, stage_report, trained_facts, unstarted_is_removed
from glaswerk.train import Checkpoints, Conversations, TrainPlan, train
from glaswerk.tuning.adapted import ADAPTER_RATE, attached, baked

STAGE = "sft"
RANK = 8
#: tokens of a row at most, and of a step: the activations of so many fit into the memory of a laptop
ROOM, STEP = 512, 2048
#: passes over the conversations
PASSES = 2
#: every so many conversations one is kept back to measure with
EVERY = 20


def tune(
    model: str,
    *,
    chats: Sequence[Path],
    out: Path | None = None,
    rank: int = RANK,
    nf4: bool = False,
    steps: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Teach ``model`` the conversations in ``chats`` and write the run ``out`` (default ``runs/<name>-tuned``); returns
    the stage's report. The same call goes on where an earlier one stopped.

    Raises :class:`GlaswerkError` for whatever the user can mend, ``KeyboardInterrupt`` after saving.
    """
    began, show = time.perf_counter(), progress or Progress()
    if steps is not None and steps < 1:
        raise GlaswerkError(f"--steps {steps} trains nothing: give at least 1")
    LoRAConfig(rank)  # refuses a rank that is none
    origin = find(model)
    if not chats:
        raise GlaswerkError(f"{model} is no run with texts to learn from: give conversations with --chat FILE.jsonl")
    talks = [messages for file in chats for messages in load_chats(file)]
    digest = hashlib.sha256(json.dumps(talks).encode()).hexdigest()
    identity = {"model": origin.name, "chats": digest, "rank": rank, "nf4": nf4, "steps": steps}
    job = begun(out or Path("runs") / f"{origin.name.replace('/', '-')}-tuned", origin, identity)
    if job.finished(STAGE):
        raise GlaswerkError(f"{job.path} is finished: talk to it, or choose another --out")
    runtime.deterministic()
    runtime.seed_everything(job.data["seed"])
    with job.lock(), unstarted_is_removed(job, "plan"):
        learn_chats(job, origin, talks, rank, nf4, steps, show)
    return stage_report(job, STAGE, began)


def begun(folder: Path, origin: Origin, identity: dict[str, Any]) -> Run:
    """The run to go on with, or a new one. A folder with another run is refused."""
    if not Run.is_run(folder):
        return Run.create(
            folder, seed=0, identity=identity, sources=[origin.name],
            versions={"glaswerk": __version__, "torch": torch.__version__},
        )  # fmt: skip
    job = Run(folder)
    if job.data.get("identity") != identity:
        raise GlaswerkError(f"{folder} is another run (other model, chats or options): choose another --out")
    return job


def learn_chats(
    job: Run, origin: Origin, talks: Sequence[Any], rank: int, nf4: bool, steps: int | None, show: Progress
) -> None:
    """Train adapters beside the frozen model, merge, write the stage."""
    machine = planning.measure_machine(training=False)
    opened = load(origin, machine.dtype)
    opened.require_chat()
    model = opened.model.to(runtime.device())
    rendered, width = rows_of(opened, talks, show)
    rows = max(1, STEP // width)
    back = rendered[EVERY - 1 :: EVERY]
    learn = [each for place, each in enumerate(rendered) if (place + 1) % EVERY] if back else rendered
    data, held = (
        Conversations(each, width, rows, job.data["seed"], opened.tokenizer.end_id) for each in (learn, back or learn)
    )
    known = attached(model, rank, job.data["seed"], nf4)
    model.compute_dtype = torch.bfloat16 if machine.dtype == "bf16" else None
    before = score_conversations(model, held).loss
    if "plan" not in job.data:
        count = steps or max(4, PASSES * -(-data.per_epoch // rows))
        plan = TrainPlan(
            steps=count, batch=rows, time=width, muon=False, other_rate=ADAPTER_RATE, decay=0.8, dtype=machine.dtype,
            warmup=max(1, min(10, count // 20)), compile=False, checkpoint_every=max(1, count // 10), log_every=1,
        )  # fmt: skip
        job.data["plan"] = {STAGE: asdict(plan)}
        job.save()
    plan = TrainPlan(**job.data["plan"][STAGE])
    trained = trainable_count(model)
    total = model.parameters_count()["total"]
    show.note(f"{trained:,} of {total:,} numbers are trained ({trained / total:.2%}), {len(learn):,} conversations")
    result = train(
        model, Answers(data, plan.steps), answer_loss, plan, stage=STAGE, checkpoints=Checkpoints(job.resume(STAGE)),
        log=job, peak=machine.peak, progress=show,
    )  # fmt: skip
    loss = score_conversations(model.eval(), held).loss
    merged = baked(job.stage(STAGE), model, rank, origin.name, known)
    facts = {
        **trained_facts(merged, result),
        "trained": trained,
        "val_loss_before": round(before, 4),
        "val_loss": round(loss, 4),
    }
    save_model(
        job.stage(STAGE), merged, Spoken(opened.speech), card=card(job, facts, rank, nf4), generation=marks(opened)
    )
    record(job, STAGE, facts)
    kept = f"{len(back):,} conversations kept back" if back else "the conversations it learned"
    show.done(f"loss on {kept}: {before:.3f} before, {loss:.3f} after; {facts['tokens_per_second']:,} tokens/s")


def rows_of(opened: OpenedModel, talks: Sequence[Any], show: Progress) -> tuple[list[Rendered], int]:
    """The conversations as tokens, and how wide a row is: as the longest needs, within ``ROOM`` and the context."""
    rendered = [render(opened.speech, messages) for messages in talks]
    longest = max(len(ids) for ids, _ in rendered)
    room = min(ROOM, opened.model.config.context, -(-longest // 16) * 16)
    width = max(room, min(256, opened.model.config.context))
    kept, cut = fit(rendered, width)
    if said := cut.said(width):
        show.note(said)
    usable = [(ids, mask) for ids, mask in kept if any(mask[1:])]
    if len(usable) < len(kept):
        show.note(f"{len(kept) - len(usable):,} of them have no answer within {width:,} tokens: left out")
    if not usable:
        raise GlaswerkError(f"no conversation has an answer within {width:,} tokens: give shorter ones")
    return usable, width


def card(job: Run, facts: dict[str, Any], rank: int, nf4: bool) -> str:
    """The stage's model card."""
    rows = "\n".join(f"| {key.replace('_', ' ')} | {value:,} |" for key, value in facts.items())
    frozen = ", beside weights in 4 bits (NF4)" if nf4 else ""
    return (
        "---\nlibrary_name: transformers\npipeline_tag: text-generation\ntags: [glaswerk, lora]\n---\n"
        f"# {job.name} ({STAGE})\n\n{job.data['sources'][0]}, tuned by Glaswerk {__version__} with LoRA of rank {rank}"
        f"{frozen}. The licence of that model holds for this one. `adapter/` has the adapter alone, for PEFT.\n\n"
        f"| | |\n|---|---:|\n{rows}\n"
    )
