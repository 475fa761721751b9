"""A model does a task: ask, grade, and say how sure the figure is.

A task with options is answered by likelihood unless it is to be written; every other task is written, greedily, in the
model's chat format where it has one and was taught to chat, else as plain text ("Question: ... Answer:"). Left out:
where results are kept (``kept.py``) and how they look (``cli/eval.py``).
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.choice import WORDS
from glaswerk.evaluate.likelihood import Asked, Likelihood, asked, likelihoods
from glaswerk.evaluate.metrics.intervals import interval, mean, pass_at_k, standard_error
from glaswerk.evaluate.task import Choice, Messages, Task, chosen
from glaswerk.opened import OpenedModel
from glaswerk.progress import Progress

#: prompts written in one call, so that progress shows; as many as decoding computes side by side
TOGETHER = 32
#: with several draws per item (pass@k) replies are drawn at this temperature
TEMPERATURE = 0.8


@dataclass(frozen=True, slots=True)
class Sample:
    """What became of one item: its number, the question, the right reply, the model's, and the grade. ``nats``: the
    log-likelihood of each option, where they were compared."""

    item: int
    asked: str
    expected: str
    reply: str
    grade: float
    nats: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure: its name, value, standard error and 95 % interval."""

    metric: str
    value: float
    stderr: float
    low: float
    high: float


@dataclass(frozen=True)
class Score:
    """How a model did a task. ``measures[0]`` is the task's own; ``how`` is "likelihood", "written" (greedily) or
    "drawn" (several replies an item); ``items`` were asked, and ``grades`` are their parts of the own measure, whose
    mean it is. ``samples`` has them in words."""

    task: str
    how: str
    shots: int
    chance: float
    measures: list[Measure]
    items: list[int]
    grades: list[float]
    samples: list[Sample] = field(default_factory=list)
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    @property
    def value(self) -> float:
        """The task's own figure."""
        return self.measures[0].value

    @property
    def wrong(self) -> list[Sample]:
        """What did not get the full grade."""
        return [sample for sample in self.samples if sample.grade < 1]

    def guessing(self, metric: str) -> float | None:
        """What blind guessing gets in one of the measures; None where that is not known. The ways to count options
        share the task's own figure."""
        shared = metric.startswith("accuracy") and self.measures[0].metric.startswith("accuracy")
        return self.chance if shared or metric == self.measures[0].metric else None

    def rows(self) -> list[dict[str, Any]]:
        """Each measure as plain JSON: task, metric, value, stderr, n, chance (null where it is not known), low, high,
        how, shots."""
        return [
            {
                "task": self.task,
                "metric": measure.metric,
                "value": _number(measure.value),
                "stderr": _number(measure.stderr),
                "n": len(self.items),
                "chance": _number(self.guessing(measure.metric)),
                "low": _number(measure.low),
                "high": _number(measure.high),
                "how": self.how,
                "shots": self.shots,
            }
            for measure in self.measures
        ]


def score(
    opened: OpenedModel,
    task: Task,
    *,
    limit: int | None = None,
    shots: int = 0,
    written: bool = False,
    samples: int = 1,
    seed: int = 0,
    progress: Progress | None = None,
) -> Score:
    """Let the model do ``limit`` items of the task (all by default) after ``shots`` examples each.

    ``written``: multiple choice is answered in writing too. ``samples``: so many replies are drawn per written item,
    graded each, and pass@1 and pass@samples reported. Raises :class:`GlaswerkError` for an empty task.
    """
    items = chosen(task, limit)
    if not len(items):
        raise GlaswerkError(f"{task.name} has no items to ask")
    began = time.perf_counter()
    show = progress or Progress()
    by_likelihood = not written and task.choice(items[0]) is not None
    show.start(task.name, total=len(items), unit="questions")
    if by_likelihood:
        measures, done, notes = by_options(opened, task, items, shots, show)
    else:
        measures, done, notes = by_writing(opened, task, items, shots, samples, seed, show)
    seconds = time.perf_counter() - began
    how = "likelihood" if by_likelihood else "written" if samples == 1 else "drawn"
    if by_likelihood and samples > 1:
        notes.append("its options were compared by likelihood, so no replies were drawn: --write has them written")
    grades = [sample.grade for sample in done]
    found = Score(task.name, how, shots, task.chance, measures, list(items), grades, done, seconds, notes)
    show.done(f"{measures[0].metric} {measures[0].value:.3f}, {len(items) / max(seconds, 1e-9):,.1f} questions/s")
    return found


# ---------------------------------------------------------------------------------------------- by likelihood
def by_options(
    opened: OpenedModel, task: Task, items: Sequence[int], shots: int, show: Progress
) -> tuple[list[Measure], list[Sample], list[str]]:
    """Accuracy by the likelihood of whole options, per byte of their text, and beyond what they are worth alone."""
    choices = [_choice(task, i) for i in items]
    texts: list[Asked] = []
    for i, choice in zip(items, choices, strict=True):
        context = before(task, i, shots) + choice.context
        texts += [asked(opened, context, option) for option in choice.options]
    alone = {(choice.bare, option): 0.0 for choice in choices for option in choice.options}
    left = {place: len(choice.options) for place, choice in enumerate(choices)}
    owner = [place for place, choice in enumerate(choices) for _ in choice.options]

    def each(text: int) -> None:
        left[owner[text]] -= 1
        if not left[owner[text]]:
            show.advance(1)

    found = iter(likelihoods(opened.model, texts, each))
    bare = likelihoods(opened.model, [asked(opened, *pair) for pair in alone])
    alone = {pair: likelihood.total for pair, likelihood in zip(alone, bare, strict=True)}
    raw: list[list[float]] = [[next(found).total for _ in choice.options] for choice in choices]
    ways = {"accuracy": raw, "accuracy per byte": [], "accuracy unconditional": []}
    for choice, totals in zip(choices, raw, strict=True):
        sizes = [max(1, len(option.strip().encode())) for option in choice.options]
        ways["accuracy per byte"].append([total / size for total, size in zip(totals, sizes, strict=True)])
        own = [alone[choice.bare, option] for option in choice.options]
        ways["accuracy unconditional"].append([total - one for total, one in zip(totals, own, strict=True)])
    if task.metric not in ways:  # a task with a measure of its own
        ways = {task.metric: raw}
    picks = {way: [_best(scores) for scores in rows] for way, rows in ways.items()}
    measures = []
    for way in [task.metric, *(way for way in ways if way != task.metric)]:
        right = [float(pick == choice.right) for pick, choice in zip(picks[way], choices, strict=True)]
        measures.append(measure(way, right))
    measures += [measure(name, values) for name, values in task.more(items, raw).items() if values]
    done = [
        Sample(
            i, choice.context, choice.options[choice.right].strip(), choice.options[pick].strip(),
            float(pick == choice.right), tuple(totals),
        )
        for i, choice, pick, totals in zip(items, choices, picks[task.metric], raw, strict=True)
    ]  # fmt: skip
    cut = sum(text.cut > 0 for text in texts)
    were = "was" if cut == 1 else "were"
    notes = [f"{cut} of {len(texts)} texts {were} cut at the left to fit the context"] if cut else []
    return measures, done, notes


def before(task: Task, i: int, shots: int) -> str:
    """The heading and the examples before item ``i``, as plain text."""
    parts = [task.preamble(i)]
    for j in task.shots(i, shots):
        example = _choice(task, j)
        parts.append(f"{example.context}{example.options[example.right]}\n\n")
    return "".join(parts)


def _choice(task: Task, i: int) -> Choice:
    found = task.choice(i)
    if found is None:
        raise GlaswerkError(f"item {i} of {task.name} has no options, others have: it cannot be scored by likelihood")
    return found


def _best(scores: Sequence[float]) -> int:
    return max(range(len(scores)), key=scores.__getitem__)


# ---------------------------------------------------------------------------------------------- in writing
def by_writing(
    opened: OpenedModel, task: Task, items: Sequence[int], shots: int, samples: int, seed: int, show: Progress
) -> tuple[list[Measure], list[Sample], list[str]]:
    """The mean grade of written replies; with several per item, pass@1 and pass@samples."""
    options: dict[str, Any] = {"max_tokens": room(opened, task)}
    if samples > 1:
        options |= {"temperature": TEMPERATURE, "seed": seed}
    replies: dict[int, list[str]] = {i: [] for i in items}
    lost = 0
    wanted = [i for i in items for _ in range(samples)]
    for first in range(0, len(wanted), TOGETHER):
        part = wanted[first : first + TOGETHER]
        prompts = []
        for i in part:
            ids, dropped = prompt_ids(opened, task, i, shots, options["max_tokens"])
            prompts.append(ids)
            lost += dropped
        if samples > 1:
            options["seed"] = seed + first
        for i, reply in zip(part, written(opened, task, prompts, options), strict=True):
            replies[i].append(reply)
        show.advance(len(part) / samples)
    grades = {i: [task.grade(i, reply) for reply in replies[i]] for i in items}
    if samples == 1:
        measures = [measure(task.metric, [grades[i][0] for i in items])]
    else:
        right = [sum(grade == 1 for grade in grades[i]) for i in items]
        measures = [
            measure(f"pass@{k}", [pass_at_k(samples, count, k) for count in right]) for k in dict.fromkeys((1, samples))
        ]
    done = [Sample(i, task.prompt(i)[-1]["content"], task.answer(i), replies[i][0], mean(grades[i])) for i in items]
    said = "1 example was" if lost == 1 else f"{lost} examples were"
    notes = [f"{said} left out because the context has no room for more"] if lost else []
    return measures, done, notes


def written(opened: OpenedModel, task: Task, prompts: Sequence[list[int]], options: dict[str, Any]) -> list[str]:
    """The replies to prompts that are tokens already; plain text ends where the next question would begin."""
    from glaswerk import generate

    if not chats(opened):
        options = {**options, "stop": [f"\n\n{WORDS[task.language][0]}", f"\n{WORDS[task.language][0]}"]}
    done = generate.batch(opened.model, opened.tokenizer, prompts, **opened.how(options))
    return [reply.text.strip() for reply in done]


def chats(opened: OpenedModel) -> bool:
    """Whether the model is asked in its chat format: a run's base stage knows the marks, but never saw them used."""
    return opened.has_chat and opened.origin.stage != "base"


def room(opened: OpenedModel, task: Task) -> int:
    """Tokens for a reply: what the task asks for, at most half the context."""
    return min(task.max_tokens, max(1, opened.model.config.context // 2))


def prompt_ids(opened: OpenedModel, task: Task, i: int, shots: int, reply: int) -> tuple[list[int], int]:
    """Item ``i`` as tokens, after as many of its examples as fit, and how many were left out. A question that is too
    long alone loses its beginning."""
    examples = task.shots(i, shots)
    space = opened.model.config.context - reply
    for dropped in range(len(examples) + 1):
        kept = examples[: len(examples) - dropped]
        ids = _written_ids(opened, task, i, kept)
        if len(ids) <= space:
            return ids, dropped
    return ids[-space:], len(examples)


def _written_ids(opened: OpenedModel, task: Task, i: int, examples: Sequence[int]) -> list[int]:
    if chats(opened):
        turns: Messages = [message for j in examples for message in task.conversation(j)]
        return opened.chat_ids([*turns, *task.prompt(i)])
    parts = [task.preamble(i)]
    parts += [f"{plain(task, task.prompt(j))} {task.answer(j)}\n\n" for j in examples]
    return opened.prompt_ids("".join(parts) + plain(task, task.prompt(i)))


def plain(task: Task, messages: Messages) -> str:
    """A question as text that a base model continues."""
    ask, answer, _ = WORDS[task.language]
    said = "\n\n".join(message["content"] for message in messages)
    return f"{ask} {said}\n{answer}"


# ---------------------------------------------------------------------------------------------- figures
def measure(metric: str, values: Sequence[float]) -> Measure:
    """A mean with its standard error and interval."""
    return Measure(metric, mean(values), standard_error(values), *interval(values))


def _number(value: float | None) -> float | None:
    """JSON has no NaN."""
    return None if value is None or math.isnan(value) else round(value, 6)


__all__ = ["Likelihood", "Measure", "Sample", "Score", "score"]
