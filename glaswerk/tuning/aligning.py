"""``align``: from an assistant to one that prefers what was preferred. Each method makes a stage of the run.

Each can be interrupted and gone on with, like any stage. Left out: the methods themselves (``preferring.py``,
``rewarded.py``), what they share (``work.py``), how many steps (``planned.py``).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from glaswerk import runtime
from glaswerk.align.grpo import GRPO
from glaswerk.align.ppo import PPO
from glaswerk.errors import GlaswerkError
from glaswerk.model.lora import LoRAConfig
from glaswerk.opened import load
from glaswerk.progress import Progress
from glaswerk.run import JUDGES, Run
from glaswerk.stages import stage_report
from glaswerk.tuning.constitutional import REVISIONS_FILE, SELF, constitution
from glaswerk.tuning.gathered import named, usual
from glaswerk.tuning.planned import agreed, check_budget, forget
from glaswerk.tuning.preferring import dpo, reject, reward
from glaswerk.tuning.rewarded import grpo, ppo
from glaswerk.tuning.work import Work

#: methods that learn from rewards, and the one that learns from principles
REWARDED, CONSTITUTION = ("ppo", "grpo"), "constitution"
#: how dear it is to leave the stage it begins with, where nothing is said
BETAS = {"dpo": 0.1, "reward": 0.1, "reject": 0.1, "ppo": PPO.beta, "grpo": GRPO.beta, CONSTITUTION: 0.1}
METHODS: dict[str, Callable[[Work], None]] = {
    "dpo": dpo,
    "reward": reward,
    "reject": reject,
    "ppo": ppo,
    "grpo": grpo,
    CONSTITUTION: constitution,
}


def align(
    folder: Path,
    *,
    method: str = "dpo",
    stage: str = "sft",
    data: Sequence[str] = (),
    minutes: float = 3.0,
    steps: int | None = None,
    rank: int | None = None,
    beta: float | None = None,
    task: str | None = None,
    judge: str = SELF,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Make the stage ``method`` of a run from its ``stage``; returns its report.

    ``data`` names where preferences come from: ``corpus``, ``votes`` or JSONL files with ``prompt, chosen, rejected``;
    for ``constitution`` a file of principles. ``task`` grades the replies of ``ppo`` and ``grpo``; without one, the
    run's reward model does. ``judge`` criticises for ``constitution``: the model itself, a model by name or folder, or
    an OpenAI-compatible endpoint. ``steps`` (rounds of ``ppo`` and ``grpo``) counts alone where it is given: then
    nothing depends on a clock. ``rank`` trains LoRA adapters instead of the weights. ``beta``: how dear it is to leave
    the stage it begins with; each method has its own default. Raises :class:`GlaswerkError` for whatever the user can
    mend, ``KeyboardInterrupt`` after saving.
    """
    began = time.perf_counter()
    if method not in METHODS:
        raise GlaswerkError(f"there is no method {method!r}: choose {', '.join(METHODS)}")
    check_budget(minutes, steps)
    fitting(method, data, beta, task, judge)
    LoRAConfig(1 if rank is None else rank)
    job = Run(folder)
    if job.finished(method):
        raise GlaswerkError(f"{folder} has a {method} stage already: delete {folder / method} to train it anew")
    if stage in JUDGES:
        raise GlaswerkError(
            f"the stage {stage} judges and writes nothing: begin with one of {', '.join(job.writers())}"
        )
    if not job.finished(stage):
        raise GlaswerkError(f"{folder} has no finished {stage} stage to begin with: {hint(job, stage)}")
    if "corpus" not in job.data:
        raise GlaswerkError(f"{folder} is a tuned model without texts of its own: align a run of `glaswerk run`")
    runtime.deterministic()
    runtime.seed_everything(job.data["seed"])
    with job.lock():
        make(
            job, method, stage=stage, data=data, minutes=minutes, steps=steps, rank=rank, beta=beta, task=task,
            judge=judge, began=began, show=progress or Progress(),
        )  # fmt: skip
    return stage_report(job, method, began)


def make(
    job: Run, method: str, *, began: float, show: Progress, stage: str = "sft", data: Sequence[str] = (),
    minutes: float = 3.0, steps: int | None = None, rank: int | None = None, beta: float | None = None,
    task: str | None = None, judge: str = SELF,
) -> None:  # fmt: skip
    """The same in a run that is locked already; ``began``: when the budget's clock started."""
    sources = list(data) or ([] if method in (*REWARDED, CONSTITUTION) else list(usual(job)))
    beta = BETAS[method] if beta is None else beta
    asked = {
        "stage": stage, "data": [named(job, each) for each in sources], "steps": steps,
        "minutes": None if steps else minutes, "rank": rank, "beta": beta,
    }  # fmt: skip
    if method in REWARDED:
        asked["task"] = task
    if method == CONSTITUTION:
        asked["judge"] = judge
    agreed(job, method, asked)
    opened = load(str(job.stage(stage)), "fp32")
    opened.require_chat()
    opened.model.to(runtime.device())
    try:
        METHODS[method](Work(job, method, stage, opened, sources, began, minutes, steps, rank, beta, show, task, judge))
    except GlaswerkError:
        # refused before a step: nothing is to go on with, but for what a judge said, which was slow or paid for
        said = (job.resume(method) / REVISIONS_FILE).is_file()
        if job.data["plan"].get(method, {}).keys() <= {"asked"} and not said:
            forget(job, method)
        raise


def fitting(method: str, data: Sequence[str], beta: float | None, task: str | None, judge: str) -> None:
    """Refuses what another method takes, and a beta that is none."""
    least = "0 or more" if method in REWARDED else "above 0"
    if beta is not None and not (0 < beta < math.inf or (method in REWARDED and beta == 0)):
        raise GlaswerkError(f"--beta {beta:g}: it must be {least} for {method}")
    for given, name, takers in (
        (task is not None, "task", REWARDED),
        (judge != SELF, "judge", (CONSTITUTION,)),
        (bool(data), "data", tuple(name for name in METHODS if name not in REWARDED)),
    ):
        if given and method not in takers:
            raise GlaswerkError(f"--{name} is for {', '.join(takers)}, not for {method}: leave it away")
    if method == CONSTITUTION and len(data) > 1:
        raise GlaswerkError("a constitution is one file of principles: give --data once")


def hint(job: Run, stage: str) -> str:
    """Which command makes a stage."""
    made = {"base": f"glaswerk run --out {job.path}", "sft": f"glaswerk sft {job.path}"}
    made |= {method: f"glaswerk align {job.path} --method {method}" for method in METHODS}
    return f"`{made[stage]}` makes it" if stage in made else f"there are {', '.join(job.writers()) or 'none'}"
