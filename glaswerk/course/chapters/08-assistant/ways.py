"""The stages of the open model's run, opened; and the ways on from SFT side by side: what each of these stages says to
the same questions, how far it is from SFT, and what reward it gets for it.

The rewards are those of ``rollouts.py``: by the run's reward model or by a rule, in standard deviations of what SFT's
own replies get. Left out: making stages (``glaswerk align``).

Shapes: B replies (G to each question), N sampled tokens of the longest.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from glaswerk.align.advantages import kl_k1
from glaswerk.align.rollout import log_probs, roll_out
from glaswerk.course.demo import demo, load_module
from glaswerk.evaluate.metrics.intervals import bootstrap

if TYPE_CHECKING:
    from glaswerk.model.decoder import Decoder
    from glaswerk.opened import OpenedModel

practice = load_module(Path(__file__).with_name("rollouts.py"), "glaswerk_chapter_assistant_rollouts_of_ways")
talk = practice.talk
#: where all ways begin, and the ways
BEGIN, WAYS = "sft", ("dpo", "ppo", "grpo", "constitution")
#: replies drawn to each question, and tokens of each
DRAWN, TOKENS = 8, 40


# ---------------------------------------------------------------------------------------------- stages
@lru_cache(maxsize=2 + len(WAYS))
def opened(folder: Path, _when: int) -> OpenedModel:
    """A stage of a run, opened; anew where its weights changed."""
    from glaswerk.opened import load

    return load(folder)


def stages_of(model: OpenedModel, wanted: tuple[str, ...]) -> dict[str, OpenedModel]:
    """Those of the ``wanted`` stages that the open model's run has finished, in that order; then the open one if it is
    none of them. A model without a run is its own only stage."""
    run = talk.run_of(model)
    if run is None:
        return {model.origin.name: model}
    names = [name for name in wanted if run.finished(name)]
    if model.origin.stage not in names:
        names.append(str(model.origin.stage))
    found = {}
    for name in names:
        weights = run.stage(name) / "model.safetensors"
        found[name] = model if name == model.origin.stage else opened(run.stage(name), weights.stat().st_mtime_ns)
    return found


# ---------------------------------------------------------------------------------------------- ways
class Compared:
    """Stages on the same questions, the one they begin with first."""

    def __init__(self, model: OpenedModel, language: str) -> None:
        self.language = language
        there = stages_of(model, (BEGIN, *WAYS))
        # where there is no SFT, the open model itself is what nothing is away from
        self.stages = {name: stage for name, stage in there.items() if name in (BEGIN, *WAYS)} or there
        self.questions = practice.asked_about(model, language)
        self.begin = next(iter(self.stages.values()))
        self.reward = practice.Reward(self.begin, self.questions, "judge")
        self.told: list[dict[str, Any]] = []

    def next(self) -> None:
        """One more stage: what it says, what it is rewarded, how far from the first it is."""
        name = [*self.stages][len(self.told)]
        stage = self.stages[name]
        prompts = [talk.asked(stage, question, self.language) for question in self.questions]
        drawn = roll_out(stage.model, stage.tokenizer, prompts, DRAWN, max_tokens=TOKENS, seed=0, end_ids=stage.end_ids)
        rewards = self.reward(drawn).tolist()
        reference_BN = log_probs(self.begin.model, drawn.ids_BT, drawn.columns_BN, drawn.targets_BN)
        # k3 would be led by single tokens where a stage is far from the beginning
        kl_BN = kl_k1(drawn.log_probs_BN, reference_BN).masked_fill(~drawn.mask_BN, 0.0)
        kl = kl_BN.sum(1).tolist()
        replies = talk.replies(stage, self.questions, self.language, TOKENS)
        self.told.append({
            "name": name, "replies": replies, "tokens": float(drawn.mask_BN.sum(1).float().mean()),
            "reward": sum(rewards) / len(rewards), "reward_interval": bootstrap(rewards),
            "kl": sum(kl) / len(kl), "kl_interval": bootstrap(kl),
        })  # fmt: skip


#: model -> what was compared last
_last: WeakKeyDictionary[Decoder, dict[tuple[str, tuple[str, ...]], Compared]] = WeakKeyDictionary()


@demo(language={*talk.LANGUAGES}, part=(0, len(WAYS)))
def ways(model: OpenedModel, language: str = "en", part: int = 0) -> dict[str, Any]:
    """The stage that every way begins with and the first ``part`` ways on from it that the open model's run has: their
    replies to the same questions, likeliest token by token; and of replies drawn at random the mean reward and the mean
    KL to the beginning (nats per reply, k1), each with its 95 % interval."""
    language = talk.tongue(model, language)
    kept = _last.setdefault(model.model, {})
    key = (language, tuple(stages_of(model, (BEGIN, *WAYS))))
    if key not in kept:
        kept.clear()
        kept[key] = Compared(model, language)
    compared = kept[key]
    while len(compared.told) < min(part + 1, len(compared.stages)):
        compared.next()
    run = talk.run_of(model)
    found = {
        "model": model.origin.name, "run": None if run is None else run.argument, "questions": compared.questions,
        "reward": compared.reward.which, "drawn": DRAWN, "count": len(compared.stages), "part": part,
        "missing": [] if run is None else [name for name in (BEGIN, *WAYS) if not run.finished(name)],
        "stages": compared.told[: part + 1],
    }  # fmt: skip
    if part == len(WAYS):  # the figures' sign that this was the last part, which all models have
        found["losses"] = True
    return found
