"""Direct preference optimisation, step by step, on one pair: an adapter beside the open model learns to prefer one
answer to another, and after each step the log-probability of every token of both answers is written down.

The loss, the log-probabilities and the pairs' batches are those of ``glaswerk/align``; the adapter is the one of the
chapter about specializing. What beta makes of the log-probabilities, the page computes. Left out: more than one pair,
checkpoints (``glaswerk align``).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch

from glaswerk.align.batches import Pairs
from glaswerk.align.dpo import Preference, keep_reference
from glaswerk.align.losses import token_log_probs
from glaswerk.align.pairs import Answered
from glaswerk.course.demo import demo, load_module
from glaswerk.course.outline import entry
from glaswerk.model import lora
from glaswerk.model.decoder import Decoder
from glaswerk.model.quantize import QuantizedLinear
from glaswerk.runtime import fast_dtype
from glaswerk.train.gradient import GradientStep
from glaswerk.train.optimizer import MuonAdamW

if TYPE_CHECKING:
    from glaswerk.opened import OpenedModel

talk = load_module(Path(__file__).with_name("talk.py"), "glaswerk_chapter_assistant_talk_of_steps")
#: a twin of the open model that shares its tensors, and where its adapter stands
tune = load_module(entry("specializing").folder / "tune.py", "glaswerk_chapter_assistant_tune")
#: which answer is preferred: "I do not know" about what does not exist, a good answer, or that pair turned round
PAIRS = ("unknown", "known", "turned")
STEPS, PARTS = 12, 4
BETA, RATE, RANK = 0.1, 2e-3, 8
REPLY = 32


# ---------------------------------------------------------------------------------------------- pairs
def pair_of(model: OpenedModel, language: str, which: str) -> tuple[str, str, str]:
    """Question, preferred answer, other answer. One of the two was written for this chapter, the other is the open
    model's own."""
    told = talk.talks(language)["unknown" if which == "unknown" else "known"]
    own = talk.replies(model, [told["question"]], language, REPLY)[0]
    if own == told["chosen"]:  # a model that says exactly that already
        own = "…"
    both = (told["chosen"], own)
    return (told["question"], *(both[::-1] if which == "turned" else both))


def as_batch(model: OpenedModel, question: str, chosen: str, rejected: str, language: str) -> Pairs:
    """The pair as a batch of one: the row of the preferred answer, then the other's."""
    both = [talk.ended(model, question, answer, language) for answer in (chosen, rejected)]
    room = model.model.config.context
    return Pairs([Answered(*((ids[:room], mask[:room]) for ids, mask in both))], 1, 0, model.tokenizer.end_id)


# ---------------------------------------------------------------------------------------------- learning
class Learning:
    """One pair, learned in steps."""

    def __init__(self, opened: OpenedModel, language: str, which: str) -> None:
        self.opened, self.language = opened, language
        self.question, self.chosen, self.rejected = pair_of(opened, language, which)
        large = opened.model.parameters_count()["total"] > tune.LARGE
        dtype = fast_dtype() if large else torch.float32
        self.model: Decoder = tune.twin(opened.model)
        self.model.compute_dtype = None if dtype == torch.float32 else dtype

        def plain(layer: torch.nn.Module) -> torch.nn.Module:
            """Blocks of four bits would be unpacked at every step."""
            made: torch.nn.Module = tune.dense(layer, dtype) if isinstance(layer, QuantizedLinear) else layer
            return made

        tune.replace(self.model, plain)
        lora.attach(self.model, lora.LoRAConfig(RANK, tune.ALPHA, tune.targets(opened.model.config)))
        self.pairs = as_batch(opened, self.question, self.chosen, self.rejected, language)
        keep_reference(self.model, self.pairs)
        objective = Preference(beta=BETA)
        self.gradient = GradientStep(self.model, objective, compile=False, progress=None)  # type: ignore[arg-type]
        self.optimizer = MuonAdamW(self.model.named_parameters(), other_rate=RATE, muon=False)
        self.losses: list[float] = []
        self.log_probs = [self.now()]

    @torch.no_grad()
    def now(self) -> tuple[list[float], list[float]]:
        """log p of each token of both answers, as the policy is now."""
        ids_BT, places_N, targets_N = self.pairs.rows([0])
        both = token_log_probs(self.model, ids_BT, places_N, targets_N).chunk(2)
        counts = [sum(mask) for _, mask in (self.pairs.pairs[0].chosen, self.pairs.pairs[0].rejected)]
        chosen, rejected = (row[:count].tolist() for row, count in zip(both, counts, strict=True))
        return chosen, rejected

    def part(self) -> None:
        """The next steps."""
        for _ in range(STEPS // PARTS):
            loss, gradients = self.gradient(*self.pairs.batch(0))
            self.optimizer.step(gradients, 1.0)
            self.losses.append(float(loss))
            self.log_probs.append(self.now())

    def replies(self, model: OpenedModel) -> dict[str, list[str]]:
        """What the open model and the policy say now, greedily: to the pair's question, and to one about something
        else."""
        from glaswerk.opened import OpenedModel

        told = talk.talks(self.language)
        other = told["known" if self.question == told["unknown"]["question"] else "unknown"]["question"]
        policy = OpenedModel(self.model, model.tokenizer, model.origin, model.speech)
        asked = [self.question, other]
        # one after the other: side by side, a quantized model rounds a little differently
        said = {name: [talk.replies(who, [question], self.language, REPLY)[0] for question in asked]
                for name, who in (("before", model), ("after", policy))}  # fmt: skip
        return {"questions": asked, **said}


#: model -> what was learned last
_last: WeakKeyDictionary[Decoder, dict[tuple[str, str], Learning]] = WeakKeyDictionary()


@demo(language={*talk.LANGUAGES}, pair={*PAIRS}, part=(0, PARTS - 1))
def steps(model: OpenedModel, language: str = "en", pair: str = "unknown", part: int = PARTS - 1) -> dict[str, Any]:
    """DPO on one pair up to the end of ``part``: before the first step and after each, the log-probability of every
    token of the preferred and of the other answer under the policy. Before the first step the policy is the reference.
    With the last part, what the model says before and after."""
    language = talk.tongue(model, language)
    kept = _last.setdefault(model.model, {})
    key = (language, pair)
    if key not in kept:
        kept.clear()  # an adapter and its optimizer each: one is enough
        kept[key] = Learning(model, language, pair)
    learning = kept[key]
    wanted = STEPS // PARTS * (part + 1)
    while len(learning.losses) < wanted:
        learning.part()
    answered = learning.pairs.pairs[0]
    sides = {
        name: {
            "text": text,
            "tokens": talk.chips(model, [i for i, learn in zip(ids, mask, strict=True) if learn]),
            "log_probs": [both[place] for both in learning.log_probs[: wanted + 1]],
        }
        for place, (name, text, (ids, mask)) in enumerate((
            ("chosen", learning.chosen, answered.chosen), ("rejected", learning.rejected, answered.rejected),
        ))
    }  # fmt: skip
    found = {
        "model": model.origin.name, "pair": pair, "question": learning.question, "beta": BETA, "steps": STEPS,
        "parts": PARTS, "part": part, "done": wanted, "train_losses": learning.losses[:wanted], **sides,
    }  # fmt: skip
    if part == PARTS - 1:
        found["losses"] = learning.replies(model)  # the figures' sign that the last part is there
    return found
