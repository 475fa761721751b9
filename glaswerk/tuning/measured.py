"""What tuning changed: measured before and after, the same way for every method. What was forgotten is measured too.

Left out: tasks and their intervals, which ``glaswerk eval`` has for all stages side by side.
"""

from __future__ import annotations

from typing import Any

from glaswerk.align.own_pairs import Honesty, honesty, titled
from glaswerk.corpora import Packed
from glaswerk.errors import GlaswerkError
from glaswerk.model import Decoder
from glaswerk.opened import OpenedModel
from glaswerk.progress import Progress
from glaswerk.run import Run
from glaswerk.stages import finish_stage, score_held_out, score_held_out_answers
from glaswerk.train import TrainPlan, TrainResult


def honest(job: Run, opened: OpenedModel, show: Progress) -> Honesty | None:
    """What the model answers rightly, and where it says that it does not know; None where the texts have no titles."""
    show.start("honesty")
    try:
        titled(job)
    except GlaswerkError:
        show.done("the texts have no titles to ask about")
        return None
    shares, _ = honesty(job, opened, job.data["seed"])
    show.done(f"{opened.origin.name}: {said(shares)}")
    return shares


def said(shares: Honesty) -> str:
    """In words."""
    return (
        f"{shares.right:.0%} of {shares.known} answers about texts it read are right, "
        f"{shares.wrongly_declined:.0%} decline; of {shares.unknown} about titles it never met "
        f"{shares.rightly_declined:.0%} decline"
    )


def finish_tuned(
    job: Run,
    name: str,
    opened: OpenedModel,
    model: Decoder,
    result: TrainResult,
    before: Honesty | None,
    more: dict[str, Any],
    show: Progress,
) -> None:
    """Measure, write the stage, record it."""
    like_sft = TrainPlan(**job.data["plan"]["sft"])
    bits = score_held_out(model, Packed(job.corpus), like_sft).bits_per_byte
    loss = score_held_out_answers(job, model, opened.tokenizer, like_sft)
    opened.model = model.eval()
    if before is not None:
        after, _ = honesty(job, opened, job.data["seed"])
        shares = (("right", before.right, after.right), ("declined", before.rightly_declined, after.rightly_declined))
        for key, was, now in shares:
            more |= {f"{key}_before": round(was, 4), key: round(now, 4)}
        more["declined_wrongly"] = round(after.wrongly_declined, 4)
        show.note(f"{name}: {said(after)}")
    finish_stage(job, name, model, opened.tokenizer, result, loss, bits, show, **more)
