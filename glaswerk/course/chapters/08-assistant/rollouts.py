"""PPO in rounds beside the open model, with everything that is known of each token of some of its rollouts.

An adapter and a value head learn from a reward; rollouts, losses and rounds are those of ``glaswerk/align``. The reward
is that of the run's reward model, or one of the rules by which ``ratings.py`` rates. It is counted in standard
deviations of what the open model's own replies get, from their mean (Ziegler et al. 2019), so that any reward costs the
same KL. What follows from these numbers (rewards of tokens, surprises, ratios), the page computes. Left out: questions
kept back, stages, checkpoints (``glaswerk align``).

Shapes: B replies (G to each question), N sampled tokens of the longest, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from glaswerk.align.advantages import kl_k3, masked_mean
from glaswerk.align.ppo import PPO, ValuedPolicy
from glaswerk.align.reward import Judge
from glaswerk.align.rollout import Rollouts, judged, log_probs, roll_out
from glaswerk.align.rounds import Learner, NothingToLearn
from glaswerk.course.demo import demo, load_module
from glaswerk.course.outline import entry
from glaswerk.model import lora
from glaswerk.model.decoder import Decoder
from glaswerk.model.mlp import Linear
from glaswerk.model.quantize import QuantizedLinear
from glaswerk.runtime import fast_dtype
from glaswerk.train.loop import Diverged

if TYPE_CHECKING:
    from glaswerk.opened import OpenedModel

talk = load_module(Path(__file__).with_name("talk.py"), "glaswerk_chapter_assistant_talk_of_rollouts")
ratings = load_module(Path(__file__).with_name("ratings.py"), "glaswerk_chapter_assistant_ratings_of_rollouts")
tune = load_module(entry("specializing").folder / "tune.py", "glaswerk_chapter_assistant_tune_of_rollouts")

#: who rewards: the run's reward model, or a rule; without a reward model, the rule STANDS_IN
REWARDS, STANDS_IN = ("judge", *ratings.RULES), "varied"
#: replies to each question of which every token is shown, and other tokens that could have been drawn
SHOWN, OTHERS = 2, 3
#: questions, the one about something that does not exist first
ASKED = 4
PARTS = 4
BETA, CLIP, GAMMA, LAM = 0.05, 0.2, 1.0, 0.95
RANK, RATE = 8, 3e-3


@dataclass(frozen=True)
class Size:
    """How much is done: rounds in each part, questions, replies to each, tokens of a reply, passes over them."""

    rounds: int
    questions: int
    group: int
    tokens: int
    passes: int


SMALL, LARGE = Size(2, 4, 6, 40, 4), Size(1, 2, 4, 16, 2)


def asked_about(opened: OpenedModel, language: str) -> list[str]:
    """The questions that are practised: one about something that does not exist, and some that a reader can ask."""
    return [talk.talks(language)["unknown"]["question"], *talk.questions_of(opened, language)][:ASKED]


# ---------------------------------------------------------------------------------------------- rewards
class Reward:
    """What a reply is rewarded for, in standard deviations of the first replies that it saw, from their mean; and what
    the others who could reward would give for it, counted the same way."""

    def __init__(self, opened: OpenedModel, questions: list[str], which: str) -> None:
        run = talk.run_of(opened)
        self.judge = (
            None if run is None or not run.finished("reward") else Judge.open(run.stage("reward"), opened.speech)
        )
        self.there = [name for name in REWARDS if name != "judge" or self.judge is not None]
        self.which = which if which in self.there else STANDS_IN
        self.questions = questions
        #: mean and standard deviation of the first replies
        self.scales: dict[str, tuple[float, float]] = {}

    def raw(self, name: str, rollouts: Rollouts) -> Tensor:
        """As the reward model or a rule gives it, fp32 ``[B]``."""
        if name == "judge" and self.judge is not None:
            return judged(self.judge, [[{"role": "user", "content": each}] for each in self.questions], rollouts)
        rule: Callable[[str, int], float] = ratings.RULES[name]
        counts = rollouts.mask_BN.sum(1).tolist()
        return torch.tensor([rule(text, count) for text, count in zip(rollouts.replies, counts, strict=True)]).float()

    def by(self, name: str, rollouts: Rollouts) -> Tensor:
        """In standard deviations, fp32 ``[B]``."""
        raw_B = self.raw(name, rollouts)
        mean, deviation = self.scales.setdefault(name, (float(raw_B.mean()), float(raw_B.std()) or 1.0))
        return (raw_B - mean) / deviation

    def __call__(self, rollouts: Rollouts) -> Tensor:
        """What is learned from."""
        return self.by(self.which, rollouts)

    def all(self, rollouts: Rollouts) -> dict[str, float]:
        """The mean by each who could reward."""
        return {name: round(float(self.by(name, rollouts).mean()), 4) for name in self.there}


# ---------------------------------------------------------------------------------------------- learning
def policy_of(base: Decoder) -> ValuedPolicy:
    """A twin with an adapter and a value head, both of which change nothing yet; all else is shared and frozen."""
    made = tune.twin(base)
    # not ``ValuedPolicy.of``, which copies every weight
    made.__class__ = ValuedPolicy
    lora.attach(made, lora.LoRAConfig(RANK, tune.ALPHA, tune.targets(base.config)))
    made.value = Linear(base.config.width, 1, bias=False)
    nn.init.zeros_(made.value.weight)
    policy: ValuedPolicy = made
    return policy


class Practice:
    """One policy that learns from one reward, round by round."""

    def __init__(self, opened: OpenedModel, language: str, which: str) -> None:
        large = opened.model.parameters_count()["total"] > tune.LARGE
        dtype = fast_dtype() if large else torch.float32
        self.opened, self.language, self.size = opened, language, LARGE if large else SMALL
        self.base: Decoder = tune.twin(opened.model)
        self.base.compute_dtype = None if dtype == torch.float32 else dtype
        # blocks of four bits would be unpacked at every step, and be rounded otherwise than while learning
        tune.replace(self.base, lambda layer: tune.dense(layer, dtype) if isinstance(layer, QuantizedLinear) else layer)
        self.policy = policy_of(self.base)
        self.questions = asked_about(opened, language)[: self.size.questions]
        room = opened.model.config.context - self.size.tokens
        self.prompts = [talk.asked(opened, question, language)[-room:] for question in self.questions]
        self.reward = Reward(opened, self.questions, which)
        self.method = PPO(
            group=self.size.group, max_tokens=self.size.tokens, batch=len(self.prompts) * self.size.group // 2,
            passes=self.size.passes, beta=BETA, clip=CLIP, gamma=GAMMA, lam=LAM, rate=RATE,
        )  # fmt: skip
        self.learner = Learner(self.policy, self.base, opened.tokenizer, self.method, end_ids=opened.end_ids)
        #: what each round saw, and of some rounds all tokens of some replies
        self.rounds: list[dict[str, Any]] = []
        self.looks: list[dict[str, Any]] = []
        #: why it ended before its last round: "astray" or "same"
        self.ended = ""
        self.finished = False

    @property
    def whole(self) -> int:
        """Rounds in all."""
        return PARTS * self.size.rounds

    # ------------------------------------------------------------------------------------------ learning
    def next(self) -> None:
        """One more round; before the first of each part some replies are looked at, and after the last of all."""
        looking = len(self.rounds) % self.size.rounds == 0
        drawn: list[Tensor] = []

        def reward(rollouts: Rollouts) -> Tensor:
            if looking:  # the moment between drawing and learning
                drawn.extend(self.candidates(rollouts, self.policy))
            return self.reward(rollouts)

        try:
            seen = self.learner.round(self.prompts, reward, self.seed)
        except NothingToLearn:
            self.ended = "same"
            return
        except Diverged:
            self.ended = "astray"
            return
        if looking:
            self.looks.append(self.look(seen.rollouts, seen.reward_B, seen.reference_BN, seen.prepared, drawn, True))
        facts = {name: round(getattr(seen, name), 4) for name in ("reward", "kl", "entropy", "ended")}
        self.rounds.append({**facts, "by": self.reward.all(seen.rollouts)})

    def last(self) -> None:
        """The policy as it is in the end: replies that nothing is learned from any more."""
        self.finished = True
        if self.ended == "astray":
            return
        rollouts = roll_out(
            self.policy, self.opened.tokenizer, self.prompts, self.size.group, max_tokens=self.size.tokens,
            seed=self.seed, end_ids=self.opened.end_ids,
        )  # fmt: skip
        reward_B = self.reward(rollouts)
        reference_BN = log_probs(self.base, rollouts.ids_BT, rollouts.columns_BN, rollouts.targets_BN)
        prepared = self.method.prepared(self.policy, rollouts, reward_B, reference_BN)
        drawn = self.candidates(rollouts, self.policy)
        self.looks.append(self.look(rollouts, reward_B, reference_BN, prepared, drawn, False))
        kl_BN = kl_k3(rollouts.log_probs_BN, reference_BN).masked_fill(~rollouts.mask_BN, 0.0)
        self.rounds.append({
            "reward": round(float(reward_B.mean()), 4), "kl": round(float(kl_BN.sum(1).mean()), 4),
            "entropy": round(-float(masked_mean(rollouts.log_probs_BN, rollouts.mask_BN)), 4),
            "ended": round(sum(rollouts.ended) / len(rollouts.ended), 4), "by": self.reward.all(rollouts),
        })  # fmt: skip

    def replies(self) -> dict[str, list[str]]:
        """What the open model and the policy say now, greedily, to each question."""
        from glaswerk.opened import OpenedModel

        opened, tokens = self.opened, self.size.tokens
        policy = OpenedModel(self.policy, opened.tokenizer, opened.origin, opened.speech)
        return {
            name: [talk.replies(who, [question], self.language, tokens)[0] for question in self.questions]
            for name, who in (("before", opened), ("after", policy))
        }

    @property
    def seed(self) -> int:
        """Rounds draw apart."""
        return len(self.rounds) * len(self.prompts) * self.size.group

    # ------------------------------------------------------------------------------------------ looking
    @torch.no_grad()
    def candidates(self, rollouts: Rollouts, model: Decoder) -> list[Tensor]:
        """The distribution at each token of each reply that is shown, ``[N, V]`` each."""
        found, known = [], self.opened.tokenizer.vocabulary_size
        for row in shown(rollouts):
            count = int(rollouts.mask_BN[row].sum())
            x_NC = model.hidden(rollouts.ids_BT[row : row + 1])[0, rollouts.columns_BN[row, :count]]
            found.append(model.head(x_NC).float()[:, :known].softmax(-1))
        return found

    def look(
        self, rollouts: Rollouts, reward_B: Tensor, reference_BN: Tensor, prepared: dict[str, Tensor],
        drawn: list[Tensor], learned: bool,
    ) -> dict[str, Any]:  # fmt: skip
        """All that is known of each token of the replies that are shown. ``learned``: the policy has learned from them
        since, so each token has a third probability."""
        mask_BN = rollouts.mask_BN
        models: list[Decoder] = [self.base, *([self.policy] if learned else [])]
        others = [self.candidates(rollouts, model) for model in models]
        new_BN = log_probs(self.policy, rollouts.ids_BT, rollouts.columns_BN, rollouts.targets_BN) if learned else None
        raw_BN = prepared["returns"] - prepared["values"]
        inside = raw_BN[mask_BN]
        replies = []
        for place, row in enumerate(shown(rollouts)):
            count = int(mask_BN[row].sum())
            ids = rollouts.targets_BN[row, :count].tolist()
            # by the reference, when it was drawn, and after the round
            by = torch.stack([others[0][place], drawn[place], *(each[place] for each in others[1:])], -1)
            replies.append({
                "question": row // rollouts.group, "text": rollouts.replies[row], "ended": rollouts.ended[row],
                "reward": round(float(reward_B[row]), 4), "tokens": self.texts(ids),
                "reference": rounded(reference_BN[row, :count]), "old": rounded(rollouts.log_probs_BN[row, :count]),
                "new": None if new_BN is None else rounded(new_BN[row, :count]),
                "values": rounded(prepared["values"][row, :count]), "advantages": rounded(raw_BN[row, :count]),
                "others": [self.others(by[n], ids[n]) for n in range(count)],
            })  # fmt: skip
        return {
            "round": len(self.rounds), "replies": replies,
            # what whitening takes away and divides by
            "mean": float(inside.mean()), "deviation": float((inside.var() + 1e-8).sqrt()),
        }  # fmt: skip

    def others(self, by_VP: Tensor, taken: int) -> list[list[Any]]:
        """The likeliest other tokens, each with its probabilities, ``by_VP[:, 1]`` when it was drawn."""
        best = [number for number in by_VP[:, 1].topk(OTHERS + 1).indices.tolist() if number != taken][:OTHERS]
        return [[text, *rounded(by_VP[number])] for number, text in zip(best, self.texts(best), strict=True)]

    def texts(self, ids: list[int]) -> list[str]:
        """Tokens as they stand on chips."""
        return [each["text"] for each in talk.chips(self.opened, ids)]


def shown(rollouts: Rollouts) -> list[int]:
    """The rows whose tokens are shown: some of each question's."""
    return [row for row in range(len(rollouts.replies)) if row % rollouts.group < SHOWN]


def rounded(values: Tensor) -> list[float]:
    """Four digits are enough to look at."""
    return [round(value, 4) for value in values.tolist()]


# ---------------------------------------------------------------------------------------------- what figures ask
#: model -> what was practised last
_last: WeakKeyDictionary[Decoder, dict[tuple[str, str], Practice]] = WeakKeyDictionary()


@demo(language={*talk.LANGUAGES}, reward={*REWARDS}, part=(0, PARTS - 1))
def rollouts(model: OpenedModel, language: str = "en", reward: str = "judge", part: int = 0) -> dict[str, Any]:
    """The rounds of one part of PPO and the replies that were looked at in it, token by token; with the last part, also
    replies of the policy that came out, and what it and the open model say now."""
    language = talk.tongue(model, language)
    kept = _last.setdefault(model.model, {})
    key = (language, reward)
    if key not in kept:
        kept.clear()  # an adapter, its optimizer and a reward model each: one is enough
        kept[key] = Practice(model, language, reward)
    practice = kept[key]
    size = practice.size
    while not practice.ended and len(practice.rounds) < min((part + 1) * size.rounds, practice.whole):
        practice.next()
    final = part == PARTS - 1
    if (practice.ended or final) and not practice.finished:
        practice.last()
    first, end = part * size.rounds, practice.whole + 1 if final else (part + 1) * size.rounds
    found = {
        "model": model.origin.name, "reward": practice.reward.which, "rewards": practice.reward.there,
        "run": getattr(talk.run_of(model), "argument", None), "questions": practice.questions,
        "beta": BETA, "clip": CLIP, "gamma": GAMMA, "lam": LAM, "group": size.group, "passes": size.passes,
        "whole": practice.whole, "parts": PARTS, "part": part, "ended": practice.ended,
        "rounds": practice.rounds[first:end],
        "looks": [look for look in practice.looks if first <= look["round"] < end],
    }  # fmt: skip
    if final:  # the figures' sign that this was the last part, which all models have, so that exports have it too
        # a policy that went astray may hold no numbers any more
        found["losses"] = {} if practice.ended == "astray" else practice.replies()
    return found
