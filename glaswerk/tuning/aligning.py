"""``align``: from an assistant to one that prefers what was preferred. Three methods, each a stage of the run.

``dpo`` learns from pairs directly (``align/dpo.py``), ``reward`` trains a model that judges, ``reject`` samples
several replies to each question, keeps what that judge likes best and learns it (rejection sampling: Nakano et al.
2021, Touvron et al. 2023). Each can be interrupted and gone on with, like any stage. Left out: where pairs come from
(``gathered.py``), how many steps (``planned.py``).
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from glaswerk import runtime
from glaswerk.align.batches import Answers, Endings, Pairs
from glaswerk.align.dpo import Preference, keep_reference, log_probs
from glaswerk.align.losses import answer_loss, bradley_terry_loss, preferred
from glaswerk.align.pairs import Answered, Pair
from glaswerk.align.reward import RewardModel, reward_loss
from glaswerk.align.reward import save as save_reward
from glaswerk.errors import GlaswerkError
from glaswerk.home import make_folder, replacing
from glaswerk.model import Decoder
from glaswerk.model.lora import LoRAConfig
from glaswerk.model.weights import save as save_tensors
from glaswerk.opened import OpenedModel, load
from glaswerk.planning import Machine
from glaswerk.progress import Progress
from glaswerk.run import JUDGES, Run
from glaswerk.stages import card, record, stage_report, trained_facts
from glaswerk.train import Checkpoints, Conversations, Objective, TrainPlan, TrainResult, train
from glaswerk.train.loop import Batches
from glaswerk.train.resume import trained
from glaswerk.tuning.adapted import ADAPTER_RATE, attached, baked
from glaswerk.tuning.gathered import LEAST, MOST, PAIRS_FILE, as_tokens, named, pairs_of, split, usual
from glaswerk.tuning.measured import finish_tuned, honest
from glaswerk.tuning.planned import Budget, agreed, check_budget, forget, planned
from glaswerk.tuning.sampled import best_and_worst

#: pairs in a step, and rows of packed conversations
SIZE, ROWS = 16, 8
#: passes over answers or rewards that help
PASSES = 4
#: and of preferring itself: after half a pass the rejected answers are only pushed down further (docs/log.md)
DPO_PASSES = 0.5
#: the share of the budget after which the preferred answers are learned and preferring begins
FIRST_SHARE = 0.65
#: weight of the chosen answer's own likelihood in DPO: without it a small model forgets how to say either (docs/log.md)
LIKELIHOOD = 10.0
#: AdamW's rate for the model's own weights, and what is left of a rate where preferring is learned
RATE, GENTLY = 1e-3, 0.1
#: questions for a step, where the number of steps is given
QUESTIONS = 40
#: the share of the budget that the model's own replies may take
REPLIES = 0.35


def align(
    folder: Path,
    *,
    method: str = "dpo",
    stage: str = "sft",
    data: Sequence[str] = (),
    minutes: float = 3.0,
    steps: int | None = None,
    rank: int | None = None,
    beta: float = 0.1,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Make the stage ``method`` of a run from its ``stage``; returns its report.

    ``data`` names where preferences come from: ``corpus``, ``votes`` or JSONL files with ``prompt, chosen, rejected``.
    ``steps`` counts alone where it is given: then nothing depends on a clock. ``rank`` trains LoRA adapters instead of
    the weights. Raises :class:`GlaswerkError` for whatever the user can mend, ``KeyboardInterrupt`` after saving.
    """
    began = time.perf_counter()
    if method not in METHODS:
        raise GlaswerkError(f"there is no method {method!r}: choose {', '.join(METHODS)}")
    check_budget(minutes, steps)
    Preference(beta=beta)  # these two refuse what cannot be meant
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
            job, method, stage=stage, data=data, minutes=minutes, steps=steps, rank=rank, beta=beta, began=began,
            show=progress or Progress(),
        )  # fmt: skip
    return stage_report(job, method, began)


def make(
    job: Run, method: str, *, began: float, show: Progress, stage: str = "sft", data: Sequence[str] = (),
    minutes: float = 3.0, steps: int | None = None, rank: int | None = None, beta: float = 0.1,
) -> None:  # fmt: skip
    """The same in a run that is locked already; ``began``: when the budget's clock started."""
    sources = list(data) or list(usual(job))
    asked = {
        "stage": stage, "data": [named(job, each) for each in sources], "steps": steps,
        "minutes": None if steps else minutes, "rank": rank, "beta": beta,
    }  # fmt: skip
    agreed(job, method, asked)
    opened = load(str(job.stage(stage)), "fp32")
    opened.require_chat()
    opened.model.to(runtime.device())
    try:
        METHODS[method](Work(job, method, stage, opened, sources, began, minutes, steps, rank, beta, show))
    except GlaswerkError:
        if job.data["plan"].get(method, {}).keys() <= {"asked"}:  # refused before a step: nothing is to go on with
            forget(job, method)
        raise


def hint(job: Run, stage: str) -> str:
    """Which command makes a stage."""
    made = {"base": f"glaswerk run --out {job.path}", "sft": f"glaswerk sft {job.path}"}
    made |= {method: f"glaswerk align {job.path} --method {method}" for method in METHODS}
    return f"`{made[stage]}` makes it" if stage in made else f"there are {', '.join(job.writers()) or 'none'}"


@dataclass
class Work:
    """One stage in the making: what was asked for, and what its methods share."""

    job: Run
    name: str
    parent: str
    opened: OpenedModel
    sources: list[str]
    began: float
    minutes: float
    steps: int | None
    rank: int | None
    beta: float
    show: Progress
    known: str = ""

    @property
    def replies_seconds(self) -> float | None:
        """How long the model may reply; None where steps are given and no clock counts."""
        return None if self.steps else REPLIES * 60 * self.minutes

    @property
    def questions(self) -> int:
        """How many questions are useful: of steps that are few, as many as they can see."""
        return MOST if self.steps is None else max(LEAST, min(MOST, QUESTIONS * self.steps))

    @cached_property
    def machine(self) -> Machine:
        """What the run's plan measured."""
        return Machine(**self.job.data["plan"]["machine"])

    def pairs(self) -> tuple[list[Answered], list[Answered]]:
        """Pairs to learn from, and those kept back."""
        found = pairs_of(self.job, self.opened, self.name, self.sources, self.replies_seconds, self.questions,
                         self.show)  # fmt: skip
        return self.tokens(found)

    def tokens(self, pairs: Sequence[Pair]) -> tuple[list[Answered], list[Answered]]:
        """The same as tokens."""
        learn, back = split(pairs)
        try:
            kept_back = as_tokens(self.opened, back, self.show) if back else []
        except GlaswerkError:  # none of the few that were kept back fits
            kept_back = []
        return as_tokens(self.opened, learn, self.show), kept_back

    def batches(self, answered: Sequence[Answered]) -> Pairs:
        """Pairs side by side."""
        return Pairs(answered, SIZE, self.job.data["seed"], self.opened.tokenizer.end_id)

    def chosen(self, answered: Sequence[Answered]) -> tuple[Answers, int]:
        """The preferred answers packed into rows as in the assistant's stage, and how many batches make a pass."""
        model = self.opened.model
        width = min(model.config.context, TrainPlan(**self.job.data["plan"]["sft"]).time)
        talks = [each.chosen for each in answered]
        rows = Conversations(talks, width, ROWS, self.job.data["seed"], self.opened.tokenizer.end_id)
        per_pass = -(-rows.per_epoch // ROWS)
        return Answers(rows, max(self.steps or 0, PASSES * per_pass)), per_pass

    def draft(self, batch: int, width: int) -> TrainPlan:
        """A plan without its number of steps: AdamW, since a model that was trained is only to be moved a little."""
        return TrainPlan(
            steps=1, batch=batch, time=width, muon=False, other_rate=ADAPTER_RATE if self.rank else RATE,
            decay=0.8, dtype=self.machine.dtype, compile=False,
        )  # fmt: skip

    def attach(self, model: Decoder) -> None:
        """Only adapters are trained where a rank was asked for."""
        self.known = attached(model, self.rank, self.job.data["seed"])

    def train(self, model: Decoder, batches: Batches, objective: Objective, draft: TrainPlan, most: int) -> TrainResult:
        """Plan and train, at most ``most`` steps where the clock decides."""
        budget = Budget(self.began, 60 * self.minutes, self.steps, most)
        plan = planned(self.job, self.name, model, batches, objective, draft, budget, self.show)
        return train(
            model, batches, objective, plan, stage=self.name, checkpoints=Checkpoints(self.job.resume(self.name)),
            log=self.job, peak=self.machine.peak, progress=self.show,
        )  # fmt: skip

    def baked(self, model: Decoder) -> Decoder:
        """The model with what adapters learned, if it has any."""
        return baked(self.job.stage(self.name), model, self.rank, self.opened.origin.name, self.known)

    def keep_pairs(self) -> None:
        """The pairs stay with the stage, so that people can read what was learned from."""
        kept = self.job.resume(self.name) / PAIRS_FILE
        if kept.is_file():
            make_folder(self.job.stage(self.name))
            shutil.copyfile(kept, self.job.stage(self.name) / PAIRS_FILE)


# ---------------------------------------------------------------------------------------------- the methods
def dpo(work: Work) -> None:
    """Direct preference optimisation of the whole model, or of adapters: first the preferred answers are learned like
    any others, so that the model can say them at all; then they are preferred (Rafailov et al. 2023, section 4)."""
    learn, back = work.pairs()
    model = work.opened.model
    # the reference computes as training does, or the first step would find a difference that is none
    model.compute_dtype = torch.bfloat16 if work.machine.dtype == "bf16" else None
    before = honest(work.job, work.opened, work.show)
    work.attach(model)
    learn_chosen(work, model, learn)
    model.eval()
    batches, kept_back = work.batches(learn), work.batches(back) if back else None
    work.show.start("reference", len(learn) + len(back), "pairs")
    keep_reference(model, batches, work.show)
    if kept_back:
        keep_reference(model, kept_back, work.show)
    work.show.done(f"what the model says of {len(learn) + len(back):,} pairs before it prefers")
    objective = Preference(beta=work.beta, likelihood=LIKELIHOOD)
    draft = work.draft(2 * batches.size, batches.time)
    draft = replace(draft, other_rate=GENTLY * draft.other_rate)
    result = work.train(model, batches, objective, draft, max(1, int(DPO_PASSES * batches.per_epoch)))
    more: dict[str, Any] = {"from": work.parent, "pairs": len(learn)}
    more |= {f"{key}_before_dpo": value for key, value in work.job.data["plan"][work.name]["learned"].items()}
    model.eval()
    if kept_back:
        ratio_P2 = log_probs(model, kept_back) - kept_back.reference_P2
        more["preferred"] = round(preferred(ratio_P2[:, 0], ratio_P2[:, 1]), 4)
        more["margin"] = round(work.beta * float((ratio_P2[:, 0] - ratio_P2[:, 1]).mean()), 3)
    work.keep_pairs()
    finish_tuned(work.job, work.name, work.opened, work.baked(model), result, before, more, work.show)


def learn_chosen(work: Work, model: Decoder, learn: Sequence[Answered]) -> None:
    """The preferred answers, learned; what came of it is kept with the unfinished stage, and so is each step to it."""
    done = work.job.resume(work.name) / "chosen.safetensors"
    if not done.is_file():
        batches, per_pass = work.chosen(learn)
        most = PASSES * per_pass
        budget = Budget(work.began, 60 * work.minutes * FIRST_SHARE, work.steps and most, most)
        draft = work.draft(ROWS, batches.conversations.time)
        plan = planned(work.job, work.name, model, batches, answer_loss, draft, budget, work.show, "chosen")
        result = train(
            model, batches, answer_loss, plan, stage="chosen", checkpoints=Checkpoints(done.with_suffix("")),
            log=work.job, peak=work.machine.peak, progress=work.show,
        )  # fmt: skip
        with replacing(done) as part:
            save_tensors({name: value.detach().cpu() for name, value in trained(model).items()}, part)
        shutil.rmtree(done.with_suffix(""), ignore_errors=True)
        learned = {"steps": result.steps, "tokens": result.tokens, "seconds": round(result.seconds, 1)}
        work.job.data["plan"][work.name]["learned"] = learned
        work.job.save()
        work.show.done(f"learned the preferred answers: {result.steps:,} steps, loss {result.loss:.3f}")
    model.load_state_dict(load_file(done), strict=False)


def reward(work: Work) -> None:
    """A model that gives a reply a number, trained to give preferred ones more."""
    learn, back = work.pairs()
    model = RewardModel.of(work.opened.model)
    batches = work.batches(learn)
    draft = work.draft(2 * batches.size, batches.time)
    work.attach(model)
    result = work.train(model, Endings(batches), reward_loss, draft, PASSES * batches.per_epoch)
    model.eval()
    measured = rewards_of(model, work.batches(back)) if back else rewards_of(model, batches)
    chosen_P, rejected_P = measured
    facts = {
        **trained_facts(model, result),
        "val_loss": round(float(bradley_terry_loss(chosen_P, rejected_P)), 4),
        "from": work.parent,
        "pairs": len(learn),
        "preferred": round(preferred(chosen_P, rejected_P), 4),
    }
    work.keep_pairs()
    work.baked(model)
    save_reward(work.job.stage(work.name), model, work.opened.tokenizer, card(work.job, work.name, facts))
    record(work.job, work.name, facts)
    where = f"of {len(back):,} pairs kept back" if back else f"of the {len(learn):,} pairs it learned from"
    work.show.done(f"gives the preferred reply more in {facts['preferred']:.0%} {where}")


@torch.no_grad()
def rewards_of(model: RewardModel, pairs: Pairs) -> tuple[torch.Tensor, torch.Tensor]:
    """The rewards of chosen and rejected answers, fp32 ``[P]`` each."""
    rows = Endings(pairs)
    found = []
    for start in range(0, len(pairs.pairs), pairs.size):
        members = range(start, min(start + pairs.size, len(pairs.pairs)))
        ids_BT, last_B = (part.to(model.embedding.device) for part in rows.rows(members))
        found.append(model.rewards(ids_BT, last_B).view(2, -1).cpu())
    chosen_P, rejected_P = torch.cat(found, 1)
    return chosen_P, rejected_P


def reject(work: Work) -> None:
    """Rejection sampling: the best of several replies to each question becomes the answer to learn."""
    pairs, gain = best_and_worst(work.job, work.opened, work.name, work.sources, work.replies_seconds, work.questions,
                                 work.show)  # fmt: skip
    before = honest(work.job, work.opened, work.show)
    learn = as_tokens(work.opened, pairs, work.show)
    model = work.opened.model
    work.attach(model)
    batches, per_pass = work.chosen(learn)
    result = work.train(model, batches, answer_loss, work.draft(ROWS, batches.conversations.time), PASSES * per_pass)
    model.eval()
    work.keep_pairs()
    more = {"from": work.parent, "pairs": len(learn), **gain}
    finish_tuned(work.job, work.name, work.opened, work.baked(model), result, before, more, work.show)


METHODS: dict[str, Callable[[Work], None]] = {"dpo": dpo, "reward": reward, "reject": reject}
