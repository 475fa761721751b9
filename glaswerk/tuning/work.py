"""One stage in the making: what was asked for, and what the methods of aligning share.

Left out: the methods (``preferring.py``, ``rewarded.py``, ``constitutional.py``), what comes before them
(``aligning.py``), where pairs come from (``gathered.py``), how many steps (``planned.py``).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from glaswerk.align.batches import Answers, Pairs
from glaswerk.align.pairs import Answered, Pair
from glaswerk.errors import GlaswerkError
from glaswerk.home import make_folder
from glaswerk.model import Decoder
from glaswerk.opened import OpenedModel
from glaswerk.planning import Machine
from glaswerk.progress import Progress
from glaswerk.run import Run
from glaswerk.train import Checkpoints, Conversations, Objective, TrainPlan, TrainResult, train
from glaswerk.train.loop import Batches
from glaswerk.tuning.adapted import ADAPTER_RATE, attached, baked
from glaswerk.tuning.gathered import LEAST, MOST, PAIRS_FILE, as_tokens, pairs_of, split
from glaswerk.tuning.planned import Budget, planned

#: pairs in a step, and rows of packed conversations
SIZE, ROWS = 16, 8
#: passes over answers or rewards that help
PASSES = 4
#: AdamW's rate for the model's own weights
RATE = 1e-3
#: questions for a step, where the number of steps is given
QUESTIONS = 40
#: the share of the budget that the model's own replies may take
REPLIES = 0.35


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
    task: str | None = None
    judge: str = "self"
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
