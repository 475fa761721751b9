"""What every stage of a run ends with: measured on the held-out text, written as a model folder, recorded, told.

Left out: how a stage is trained (``pipeline.py``, ``tuning``).
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

from glaswerk import __version__
from glaswerk.align import corpus_conversations
from glaswerk.align.chats import Rendered
from glaswerk.corpora import Packed, documents
from glaswerk.errors import GlaswerkError
from glaswerk.evaluate import TextScore, kept, score_conversations, score_text
from glaswerk.model import Decoder
from glaswerk.model.weights import save_model
from glaswerk.progress import Progress
from glaswerk.run import JUDGES, MANIFEST, Run
from glaswerk.tokenizer import Tokenizer, render_chat
from glaswerk.train import Conversations, TrainPlan, TrainResult


@contextmanager
def unstarted_is_removed(job: Run, sign: str) -> Iterator[None]:
    """A run whose texts were refused before ``sign`` was in ``run.json`` leaves nothing of its own behind that would
    refuse the mended texts later. Other files in the folder are not ours to touch."""
    try:
        yield
    except GlaswerkError:
        if sign not in job.data:
            for own in (job.corpus, job.tokenizer, job.path / "resume"):
                shutil.rmtree(own, ignore_errors=True)
            for file in (job.path / MANIFEST, job.events_file, job.path / ".lock"):
                file.unlink(missing_ok=True)
            if not any(job.path.iterdir()):
                job.path.rmdir()
        raise


def score_held_out(model: Decoder, packed: Packed, stage: TrainPlan) -> TextScore:
    """The whole validation split; where there is none (a corpus of one document), the training split."""
    split = "val" if len(packed.val) > 1 else "train"
    return score_text(model, getattr(packed, split), packed.info[split]["bytes"], stage.time, stage.batch)


def score_held_out_answers(
    job: Run, model: Decoder, tokenizer: Tokenizer, stage: TrainPlan, otherwise: Sequence[Rendered] = ()
) -> float:
    """The loss on answers to questions about held-out documents; where there are none, on ``otherwise``."""
    seed = job.data["seed"]
    held = corpus_conversations(islice(documents(job.corpus, "val"), 500), called(job), seed, say=0.0)
    rendered = [render_chat(tokenizer, messages) for messages in held] or list(otherwise)
    return score_conversations(model, Conversations(rendered, stage.time, stage.batch, seed, tokenizer.end_id)).loss


def called(job: Run) -> str:
    """How the assistant names what it read."""
    return " and ".join(job.data["sources"][:2])


def finish_stage(
    job: Run,
    name: str,
    model: Decoder,
    tokenizer: Tokenizer,
    result: TrainResult,
    loss: float,
    bits: float,
    show: Progress,
    **more: Any,
) -> None:
    """Write the stage folder, record it (with ``more`` facts), drop its checkpoints, and say how it went."""
    facts = {
        **trained_facts(model, result),
        "val_loss": round(loss, 4),
        "val_bits_per_byte": round(bits, 4),
        **more,
    }
    save_model(job.stage(name), model, tokenizer, card=card(job, name, facts))
    record(job, name, facts)
    show.done(
        f"{facts['parameters'] / 1e6:.2f} M parameters, {facts['tokens'] / 1e6:.2f} M tokens at "
        f"{facts['tokens_per_second']:,}/s; held-out loss {loss:.3f}, {bits:.3f} bits per byte"
    )


def trained_facts(model: Decoder, result: TrainResult) -> dict[str, Any]:
    """What every stage says of its training."""
    return {
        "parameters": model.parameters_count()["total"],
        "tokens": result.tokens,
        "seconds": round(result.seconds, 1),
        "tokens_per_second": round(result.tokens_per_second),
    }


def record(job: Run, name: str, facts: dict[str, Any]) -> None:
    """Say in the run that a stage is whole; what was measured on an earlier one in its place goes."""
    (job.stage(name) / kept.FILE).unlink(missing_ok=True)
    job.data.pop("evaluation", None)
    job.emit(kind="stage", stage=name, **facts)
    job.finish(name, facts)


def card(job: Run, name: str, facts: dict[str, Any]) -> str:
    """The stage's model card: what it is, from what, and what it is not."""
    kind = "a base model: it continues text" if name == "base" else "an assistant: it answers in ChatML"
    use = "text-generation"
    if name in JUDGES:
        kind, use = "a reward model: it gives a reply a number", "text-classification"
    licences = (
        ", ".join(sorted({s["licence"] for s in job.data["corpus"]["sources"] if s.get("licence")}))
        or "the text owner's"
    )
    numbers = {key.replace("_", " "): value for key, value in facts.items() if isinstance(value, int | float)}
    rows = "\n".join(f"| {key} | {value:,} |" for key, value in numbers.items())
    return (
        f"---\nlibrary_name: transformers\npipeline_tag: {use}\ntags: [glaswerk]\n---\n"
        f"# {job.name} ({name})\n\nTrained from scratch by Glaswerk {__version__}; {kind}.\n\n"
        f"Texts: {', '.join(job.data['sources'])} ({job.data['corpus']['documents']:,} documents). "
        f"Licence of the texts: {licences}.\n\n"
        f"| | |\n|---|---:|\n{rows}\n\n"
        "It is small. It writes in the manner of its texts and mixes facts up; nothing it says should be relied on.\n"
    )


def stage_report(job: Run, name: str, began: float) -> dict[str, Any]:
    """One finished stage as plain JSON, with the SHA-256 of its weights."""
    weights = (job.stage(name) / "model.safetensors").read_bytes()
    return {
        "run": str(job.path),
        "stage": name,
        **job.data["stages"][name],
        "sha256": hashlib.sha256(weights).hexdigest(),
        "whole_seconds": round(time.perf_counter() - began, 1),
    }
