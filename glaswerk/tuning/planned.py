"""How many steps a stage of tuning gets: what was asked for, or what the budget has room for at the speed that a few
steps on a throw-away copy show. Kept in ``run.json`` before the first step, like every plan.
"""

from __future__ import annotations

import contextlib
import copy
import shutil
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

from glaswerk.errors import GlaswerkError
from glaswerk.model import Decoder
from glaswerk.planning import RESERVE
from glaswerk.progress import Progress
from glaswerk.run import Run
from glaswerk.train import Objective, TrainPlan, train
from glaswerk.train.loop import Batches

#: steps on the throw-away copy; the first is not timed
TRIED = 4


@dataclass(frozen=True)
class Budget:
    """``seconds`` in all since ``began`` (``time.perf_counter``); or ``steps``, which count alone where they are given;
    ``most`` steps are useful."""

    began: float
    seconds: float
    steps: int | None
    most: int

    @property
    def left(self) -> float:
        """Seconds that are left to train and measure in."""
        return self.seconds * (1 - RESERVE) - (time.perf_counter() - self.began)


def check_budget(minutes: float, steps: int | None) -> None:
    """Refuse a budget that trains nothing."""
    if steps is not None and steps < 1:
        raise GlaswerkError(f"--steps {steps} trains nothing: give at least 1")
    if not 0.1 <= minutes <= 100_000:
        raise GlaswerkError(f"--minutes {minutes:g} is no budget to train in: give at least 0.1")


def agreed(job: Run, stage: str, asked: dict[str, Any]) -> dict[str, Any]:
    """The stage's place in the run's plan. Raises :class:`GlaswerkError` where an unfinished stage was asked for with
    other options: it goes on as it began, or not at all."""
    plans = job.data.setdefault("plan", {})
    kept = plans.get(stage)
    if kept is None or not job.resume(stage).is_dir():
        kept = plans[stage] = {"asked": asked}
        job.save()
    other = ", ".join(f"{key} {was}" for key in asked if not same(was := kept["asked"].get(key), asked[key]))
    if other:
        raise GlaswerkError(
            f"{job.path} has an unfinished {stage} with {other}: give the same, or delete {job.resume(stage)}"
        )
    return dict(kept)


def same(was: Any, now: Any) -> bool:
    """Equal options; a file that is gone has no mark of its contents any more."""
    if isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        return all(new == old or new == old.partition(" (")[0] for old, new in zip(was, now, strict=True))
    return bool(was == now)


def forget(job: Run, stage: str) -> None:
    """Nothing of an unfinished stage stays."""
    job.data.get("plan", {}).pop(stage, None)
    job.save()
    shutil.rmtree(job.resume(stage), ignore_errors=True)
    with contextlib.suppress(OSError):
        (job.path / "resume").rmdir()  # where no other stage is unfinished


def planned(
    job: Run, stage: str, model: Decoder, batches: Batches, objective: Objective, draft: TrainPlan, budget: Budget,
    show: Progress, part: str = "train",
) -> TrainPlan:  # fmt: skip
    """``draft`` with its number of steps, kept in the run as a ``part`` of the stage's plan."""
    kept = job.data["plan"][stage]
    if part not in kept:
        steps = budget.steps or affordable(model, batches, objective, draft, budget, show)
        plan = replace(draft, steps=steps, warmup=max(1, min(10, steps // 20)), checkpoint_every=max(1, steps // 10))
        kept[part] = asdict(plan)
        job.save()
    return TrainPlan(**kept[part])


def affordable(
    model: Decoder, batches: Batches, objective: Objective, draft: TrainPlan, budget: Budget, show: Progress
) -> int:
    """Steps within what is left of the budget, at most as many as are useful, at least a few."""
    trial = replace(draft, steps=TRIED, compile=False)
    result = train(copy.deepcopy(model), batches, objective, trial)
    per_second = result.tokens_per_second / draft.tokens_per_step
    steps = int(min(budget.most, max(5, budget.left * per_second)))
    why = "all that help" if steps == budget.most else "what the minutes have room for"
    show.note(f"{steps:,} steps of {draft.batch} x {draft.time} at {result.tokens_per_second:,.0f} tokens/s: {why}")
    return steps
