"""What replies are rewarded for: a task's grade, or a run's reward model; with items kept back to measure with.

Left out: learning from rewards (``rewarded.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from glaswerk.align.own_pairs import REPLY
from glaswerk.align.reward import Judge
from glaswerk.align.rollout import Rollouts
from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.metrics.intervals import mean
from glaswerk.evaluate.scoring import Measure, measure
from glaswerk.evaluate.task import Messages, Task
from glaswerk.evaluate.tasks import open_task
from glaswerk.opened import OpenedModel
from glaswerk.progress import Progress
from glaswerk.run import Run
from glaswerk.tuning.gathered import CORPUS, MOST
from glaswerk.tuning.sampled import asked

#: items that are kept back where a task has none to learn from: every so many; and how many are measured at most
EVERY, MEASURED = 5, 200
#: replies written side by side while measuring
TOGETHER = 64

#: places of conversations and a reply to each -> a reward for each
Grade = Callable[[Sequence[int], Sequence[str]], list[float]]


@dataclass(frozen=True)
class Lesson:
    """``conversations`` up to the reply, as tokens in ``prompts``; which of them are for learning and which are kept
    ``back``; ``grade`` rewards replies of at most ``max_tokens``. ``best``: the highest reward there is, if there is
    one. ``source`` and ``metric`` say what a reward is."""

    source: str
    metric: str
    conversations: list[Messages]
    prompts: list[list[int]]
    learn: list[int]
    back: list[int]
    grade: Grade
    max_tokens: int
    best: float | None = None

    def reward(self, places: Sequence[int], rollouts: Rollouts) -> Tensor:
        """The reward of each rollout, fp32 ``[B]``; prompt ``p`` is conversation ``places[p]``."""
        each = [place for place in places for _ in range(rollouts.group)]
        return torch.tensor(self.grade(each, rollouts.replies), dtype=torch.float32)

    def chosen(self, round: int, count: int, seed: int) -> list[int]:
        """Which conversations a round asks: all in turn, in an order that is another each time around."""
        count = min(count, len(self.learn))
        first, last = round * count, (round + 1) * count - 1
        orders = {
            around: np.random.default_rng([seed, around]).permutation(self.learn)
            for around in range(first // len(self.learn), last // len(self.learn) + 1)
        }
        return [int(orders[n // len(self.learn)][n % len(self.learn)]) for n in range(first, last + 1)]

    def measured(self, opened: OpenedModel, show: Progress) -> Measure:
        """The mean reward of greedy replies to what was kept back, with its 95 % interval."""
        show.start(self.source, len(self.back), "questions")
        grades: list[float] = []
        for start in range(0, len(self.back), TOGETHER):
            places = self.back[start : start + TOGETHER]
            talks = [self.conversations[place] for place in places]
            replies = opened.chat_batch(talks, max_tokens=self.max_tokens, temperature=0.0)
            grades += self.grade(places, replies)
            show.advance(len(places))
        found = measure(self.metric, grades)
        show.done(f"{opened.origin.name}: {self.metric} {mean(grades):.3f} on {len(grades)} that were kept back")
        return found


def lesson(job: Run, opened: OpenedModel, task: str | None, most: int, show: Progress) -> Lesson:
    """What ``task`` rewards; without one, what the run's reward model likes, on at most ``most`` questions about the
    run's texts. What is too long for the context is left out, and said. Raises :class:`GlaswerkError` for a task that
    is none, where there is no reward model, and where too few items are left."""
    found = of_task(opened, open_task(task, job.path)) if task else of_judge(job, opened, most)
    room = opened.model.config.context - found.max_tokens
    fits = {place for place, ids in enumerate(found.prompts) if len(ids) <= room}
    learn, back = ([place for place in part if place in fits] for part in (found.learn, found.back))
    if not learn or not back:
        raise GlaswerkError(
            f"{found.source} has {len(found.learn)} prompts to learn from and {len(found.back)} to measure with, of "
            f"which {len(learn)} and {len(back)} fit the context of {opened.model.config.context}: at least one of "
            "each is needed"
        )
    if lost := len(found.learn) + len(found.back) - len(learn) - len(back):
        show.note(f"{lost:,} prompts are too long for the context and are left out")
    return replace(found, learn=learn, back=back[:MEASURED])


def of_task(opened: OpenedModel, task: Task) -> Lesson:
    """A task's own items to learn from, where it has some beside those that measure; else four of five of its items."""
    other = task.practice()
    owners = [(task, i) for i in range(len(task))]
    if other is None:
        learn, back = parted(len(owners))
    else:
        back = list(range(len(owners)))
        learn = list(range(len(owners), len(owners) + len(other)))
        owners += [(other, i) for i in range(len(other))]
    conversations = [owner.prompt(i) for owner, i in owners]

    def grade(places: Sequence[int], replies: Sequence[str]) -> list[float]:
        return [owners[place][0].grade(owners[place][1], reply) for place, reply in zip(places, replies, strict=True)]

    room = min(task.max_tokens, opened.model.config.context // 2)
    prompts = [opened.chat_ids(messages) for messages in conversations]
    return Lesson(task.name, task.metric, conversations, prompts, learn, back, grade, room, best=1.0)


def parted(count: int) -> tuple[list[int], list[int]]:
    """Places to learn from and places kept back."""
    back = range(EVERY - 1, count, EVERY)
    return [place for place in range(count) if place not in back], list(back)


def of_judge(job: Run, opened: OpenedModel, most: int) -> Lesson:
    """Questions about the run's own texts, half of them about titles that it does not have; its reward model judges."""
    judge = Judge.open(job.stage("reward"), opened.speech)
    conversations = asked(job, opened, [CORPUS], None, min(most, MOST))
    learn, back = parted(len(conversations))

    def grade(places: Sequence[int], replies: Sequence[str]) -> list[float]:
        said = zip(places, replies, strict=True)
        return judge.rewards([[*conversations[p], {"role": "assistant", "content": reply}] for p, reply in said])

    room = min(REPLY, opened.model.config.context // 2)
    prompts = [opened.chat_ids(messages) for messages in conversations]
    return Lesson("the reward model", "reward", conversations, prompts, learn, back, grade, room)
