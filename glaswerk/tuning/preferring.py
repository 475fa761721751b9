"""What is learned from pairs of answers of which one is preferred: ``dpo``, ``reward`` and ``reject``.

``dpo`` learns from pairs directly (``align/dpo.py``), ``reward`` trains a model that judges, ``reject`` samples
several replies to each question, keeps what that judge likes best and learns it (rejection sampling: Nakano et al.
2021, Touvron et al. 2023). Left out: where pairs come from (``gathered.py``), what the three share (``work.py``).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from safetensors.torch import load_file

from glaswerk.align.batches import Endings, Pairs
from glaswerk.align.dpo import Preference, keep_reference, log_probs
from glaswerk.align.losses import answer_loss, bradley_terry_loss, preferred
from glaswerk.align.own_pairs import Honesty
from glaswerk.align.pairs import Answered
from glaswerk.align.reward import RewardModel, reward_loss
from glaswerk.align.reward import save as save_reward
from glaswerk.home import replacing
from glaswerk.model import Decoder
from glaswerk.model.weights import save as save_tensors
from glaswerk.stages import card, record, trained_facts
from glaswerk.train import Checkpoints, TrainResult, train
from glaswerk.train.resume import trained
from glaswerk.tuning.gathered import as_tokens
from glaswerk.tuning.measured import finish_tuned, honest
from glaswerk.tuning.planned import Budget, planned
from glaswerk.tuning.sampled import best_and_worst
from glaswerk.tuning.work import PASSES, ROWS, Work

#: what the first half learned, while the second is unfinished
CHOSEN_FILE = "chosen.safetensors"
#: passes of preferring itself: after half a pass the rejected answers are only pushed down further (docs/log.md)
DPO_PASSES = 0.5
#: the share of the budget after which the preferred answers are learned and preferring begins
FIRST_SHARE = 0.65
#: weight of the chosen answer's own likelihood in DPO: without it a small model forgets how to say either (docs/log.md)
LIKELIHOOD = 10.0
#: what is left of the rate where preferring is learned
GENTLY = 0.1


def dpo(work: Work) -> None:
    """Direct preference optimisation of the whole model, or of adapters: first the preferred answers are learned like
    any others, so that the model can say them at all; then they are preferred (Rafailov et al. 2023, section 4)."""
    learn, back = work.pairs()
    model, before = begun(work)
    learn_chosen(work, model, learn)
    result, more = prefer(work, model, learn, back)
    work.keep_pairs()
    finish_tuned(work.job, work.name, work.opened, work.baked(model), result, before, more, work.show)


def begun(work: Work) -> tuple[Decoder, Honesty | None]:
    """The model, ready to learn from answers, and what it is honest about before."""
    model = work.opened.model
    # the reference computes as training does, or the first step would find a difference that is none
    model.compute_dtype = torch.bfloat16 if work.machine.dtype == "bf16" else None
    before = honest(work.job, work.opened, work.show)
    work.attach(model)
    return model, before


def prefer(
    work: Work, model: Decoder, learn: Sequence[Answered], back: Sequence[Answered]
) -> tuple[TrainResult, dict[str, Any]]:
    """The second half: chosen answers become likelier than rejected ones; with what is to be said of it."""
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
    return result, more


def learn_chosen(work: Work, model: Decoder, learn: Sequence[Answered]) -> None:
    """The preferred answers, learned; what came of it is kept with the unfinished stage, and so is each step to it."""
    done = work.job.resume(work.name) / CHOSEN_FILE
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
