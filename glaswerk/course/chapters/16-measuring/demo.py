"""What chapter 16 computes: a benchmark question by question, two ways of asking it against each other, how often luck
decides, and strengths from votes. All by ``glaswerk/evaluate``, on the open model.

What is trained here in seconds lies in ``practice.py``, the pairs of the arena in ``duel.py``, both beside this file.
A figure asks piece by piece, so that it can show how far it is; what a model answered once is not asked again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from glaswerk.corpora import Document
from glaswerk.course.demo import demo, load_module
from glaswerk.course.glossary import glossary
from glaswerk.course.plain import plain
from glaswerk.errors import GlaswerkError, NotHere
from glaswerk.evaluate.arena import Vote, standings
from glaswerk.evaluate.choice import MultipleChoice, Question
from glaswerk.evaluate.metrics.intervals import NORMAL_95, bootstrap, difference, interval, mean, standard_error
from glaswerk.evaluate.task import chosen
from glaswerk.evaluate.tasks import open_task
from glaswerk.evaluate.tasks.corpus import blanked

if TYPE_CHECKING:
    from glaswerk.evaluate.scoring import Sample
    from glaswerk.opened import OpenedModel


def beside(name: str) -> ModuleType:
    """A file of this folder as a module: the folder's name begins with a number, so ``import`` cannot."""
    return load_module(Path(__file__).with_name(f"{name}.py"), f"glaswerk_chapter_measuring_{name}")


practice_module = beside("practice")
practice, contaminated = practice_module.practice, practice_module.contaminated
duel_module = beside("duel")
duel = duel_module.duel

#: questions that are asked at most, and in one piece
MOST, PIECE = 100, 5
LAST = MOST // PIECE - 1
#: the benchmarks; the first is made from this course's own glossary
BENCHMARKS = ("course", "hellaswag", "truthfulqa", "mmlu-en", "exams-de", "corpus-titles")
#: what has to be pulled for one
NEEDS = {"hellaswag": "hellaswag-100", "truthfulqa": "truthfulqa-100", "mmlu-en": "mmlu-dev", "exams-de": "exams-de"}
WHICH = {"en": "Which term is meant? {text}", "de": "Welcher Begriff ist gemeint? {text}"}
#: ways of asking the same questions
WAYS = ("plain", "examples", "letters")
EXAMPLES = 2
#: resampled differences are drawn in about so many bars
BARS = 41
#: the share that the worse of two imagined models gets right
WORSE = 0.6


# ---------------------------------------------------------------------------------------------- questions
@lru_cache(maxsize=4)
def course_terms(language: str, style: str = "texts") -> MultipleChoice:
    """Which of four terms of this course's glossary does a definition mean? The term itself is blanked out."""
    terms = glossary()
    words = list(dict.fromkeys(term.word[language] for term in terms.values()))
    questions = []
    for number, term in enumerate(terms.values()):
        rng = np.random.default_rng(number)
        right = term.word[language]
        others = [word for word in words if word != right]
        options = [others[place] for place in rng.choice(len(others), 3, replace=False)]
        place = int(rng.integers(4))
        options.insert(place, right)
        text = blanked(Document(plain(term.text[language], language), right))
        questions.append(Question(WHICH[language].format(text=text), tuple(options), place))
    metric = "accuracy unconditional" if style == "texts" else "accuracy"
    return MultipleChoice(f"course-{language}", questions, style=style, language=language, metric=metric)


@lru_cache(maxsize=16)
def task_of(name: str, language: str, way: str, run: Path | None) -> MultipleChoice:
    """A benchmark's questions. Raises :class:`GlaswerkError` where they are not here."""
    if name == "course":
        return course_terms(language, "letters" if way == "letters" else "texts")
    from glaswerk.pull import is_pulled

    if name in NEEDS and not is_pulled(NEEDS[name]):
        raise NotHere(
            f"this benchmark is not on this machine yet: run `glaswerk pull {NEEDS[name]}`, then try again",
            f"Dieser Benchmark liegt noch nicht auf diesem Rechner: `glaswerk pull {NEEDS[name]}`, dann noch einmal.",
        )
    if name == "corpus-titles" and run is None:
        raise GlaswerkError(
            "this benchmark asks about a run's own texts, and the open model belongs to no run: make one with "
            "`glaswerk run`",
            "Dieser Benchmark fragt nach den Texten eines Laufs, und das offene Modell gehört zu keinem. Mach einen "
            "mit `glaswerk run`.",
        )
    found = open_task(name, run)
    assert isinstance(found, MultipleChoice)
    return found


def order_of(task: MultipleChoice) -> list[int]:
    """The items in the order they are asked: at most ``MOST``, shuffled, so that any beginning is a fair sample."""
    items = chosen(task, MOST)
    return [items[place] for place in np.random.default_rng(0).permutation(len(items))]


#: model -> (benchmark, way) -> what became of its questions, in their order
_answered: WeakKeyDictionary[Any, dict[tuple[str, ...], list[Sample]]] = WeakKeyDictionary()


def answered(model: OpenedModel, name: str, language: str, way: str, count: int) -> list[Sample]:
    """The first ``count`` questions, asked by the likelihood of their options; only those not asked before."""
    from glaswerk.evaluate.scoring import by_options
    from glaswerk.progress import Progress

    task = task_of(name, language, way, model.origin.run)
    known = _answered.setdefault(model, {}).setdefault((task.name, way), [])
    new = order_of(task)[len(known) : count]
    if new:
        known += by_options(model, task, new, EXAMPLES if way == "examples" else 0, Progress())[1]
    return known[:count]


@demo(language={"en", "de"}, task={*BENCHMARKS}, piece=(0, LAST))
def benchmark(model: OpenedModel, language: str = "en", task: str = "course", piece: int = LAST) -> dict[str, Any]:
    """A benchmark up to and with a piece of five questions: the share of right answers after each question with its
    95 % interval, the share that blind guessing gives, and the last questions in words."""
    asked = task_of(task, language, "plain", model.origin.run)
    order = order_of(asked)
    done = answered(model, task, language, "plain", min(PIECE * (piece + 1), len(order)))
    path = []
    for n in range(1, len(done) + 1):
        grades = [sample.grade for sample in done[:n]]
        low, high = interval(grades)
        path.append([n, sum(grades) / n, low, high])
    first = PIECE * piece
    chance = mean([1 / len(asked.questions[item].options) for item in order])
    return {
        "model": model.origin.name, "task": task, "benchmarks": offered(model), "chance": chance,
        "total": len(order), "path": path, "half": (path[-1][3] - path[-1][2]) / 2,
        # what 95 of 100 blind guessers get
        "guessing": [NORMAL_95 * math.sqrt(chance * (1 - chance) / n) for n in range(1, len(order) + 1)],
        "questions": [shown(asked, sample) for sample in done[first:]],
    }  # fmt: skip


def offered(model: OpenedModel) -> list[str]:
    """The benchmarks that make sense for a model: without a run there are no texts of its own to ask about."""
    return [name for name in BENCHMARKS if name != "corpus-titles" or model.origin.run is not None]


def shown(task: MultipleChoice, sample: Sample) -> dict[str, Any]:
    """A question with its options, the right one and the one that the model found likeliest."""
    question = task.questions[sample.item]
    choice = task.choice(sample.item)
    picked = [option.strip() for option in choice.options].index(sample.reply)
    return {"text": question.text, "options": question.options, "right": question.right, "picked": picked}


# ---------------------------------------------------------------------------------------------- two against each other
def stages_of(model: OpenedModel) -> list[str]:
    """The other finished stages of the open model's run."""
    from glaswerk.run import Run

    if model.origin.run is None:
        return []
    return [stage for stage in Run(model.origin.run).writers() if stage != model.origin.stage]


@demo(language={"en", "de"}, rival=40, piece=(0, LAST))
def paired(model: OpenedModel, language: str = "en", rival: str = "examples", piece: int = LAST) -> dict[str, Any]:
    """The open model, asked plainly, against a rival on the same questions: another way of asking, or another stage of
    its run. The difference, its paired bootstrap interval, and the one of somebody who forgets the pairing."""
    names = [*WAYS[1:], *stages_of(model)]
    if rival not in names:
        there = ", ".join(names)
        raise GlaswerkError(
            f"there is no rival {rival[:40]!r} here; there are {there}",
            f"Den Gegner „{rival[:40]}“ gibt es hier nicht. Zur Wahl stehen: {there}.",
        )
    count = PIECE * (piece + 1)
    a = [sample.grade for sample in answered(model, "course", language, "plain", count)]
    other, way = (model, rival) if rival in WAYS else (duel_module.stage(model.origin.run, rival), "plain")
    b = [sample.grade for sample in answered(other, "course", language, way, count)]
    value, low, high = difference(a, b)
    apart = NORMAL_95 * math.hypot(standard_error(a), standard_error(b))
    drawn = resampled([y - x for x, y in zip(a, b, strict=True)])
    bars, edges = counted(drawn, len(a))
    half = (high - low) / 2
    return {
        "model": model.origin.name, "rivals": names, "rival": rival, "examples": EXAMPLES,
        "done": len(a), "total": len(order_of(course_terms(language))),
        "right": [sum(a) / len(a), sum(b) / len(b)],
        "table": [[sum((x, y) == (p, q) for x, y in zip(a, b, strict=True)) for q in (1, 0)] for p in (1, 0)],
        "difference": value, "low": low, "high": high, "apart": [value - apart, value + apart],
        "bars": bars / len(drawn), "edges": edges, "against": float(np.mean(drawn * np.sign(value) <= 0)),
        # the half-width shrinks with the root of n
        "needed": math.ceil(len(a) * (half / value) ** 2) if value else None,
    }  # fmt: skip


def resampled(changes: Sequence[float]) -> np.ndarray:
    """The means that the bootstrap of :func:`difference` draws its interval from."""
    seen = []

    def means(drawn: np.ndarray) -> np.ndarray:
        seen.append(drawn.mean(1))
        return seen[-1]

    bootstrap(changes, means)
    return seen[0]


def counted(drawn: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The differences of ``count`` questions in bars of equal width, one of them around 0."""
    whole = np.rint(drawn * count).astype(int)  # a difference is a whole number of questions
    most = max(int(np.abs(whole).max()), 3)
    wide = 2 * (most // BARS) + 1
    places = -(-(most - wide // 2) // wide)  # bars to either side of the one around 0
    edges = (np.arange(-places, places + 2) - 0.5) * wide
    return np.histogram(whole, edges)[0], edges / count


# ---------------------------------------------------------------------------------------------- luck
def binomial(count: int, share: float) -> np.ndarray:
    """The probability of 0, 1, ... ``count`` right answers, each right with probability ``share``."""
    k = np.arange(count + 1)
    ways = np.array([math.lgamma(count + 1) - math.lgamma(i + 1) - math.lgamma(count - i + 1) for i in k])
    return np.exp(ways + k * math.log(share) + (count - k) * math.log1p(-share))


@demo(gap=(1, 10), count=(20, 2000))
def luck(gap: int = 3, count: int = 100) -> dict[str, Any]:
    """Two imagined models, one right on 60 % of all questions there are, the other on ``gap`` points more, each tested
    on ``count`` questions of its own: how the measured difference spreads, and how often the worse one is ahead."""
    worse, better = binomial(count, WORSE), binomial(count, WORSE + gap / 100)
    spread = np.convolve(better, worse[::-1])  # of better - worse, from -count to count
    apart = np.arange(-count, count + 1)
    sure = np.cumsum(spread)
    low, high = (int(apart[np.searchsorted(sure, edge)]) for edge in (0.025, 0.975))
    deviation = math.sqrt(sum(share * (1 - share) for share in (WORSE, WORSE + gap / 100)) / count)
    near = np.abs(apart / count - gap / 100) <= 4 * deviation
    return {
        "gap": gap, "count": count, "worse": WORSE, "apart": 100 * apart[near] / count, "spread": spread[near],
        "wrong": float(spread[apart < 0].sum()), "tied": float(spread[apart == 0].sum()),
        "low": 100 * low / count, "high": 100 * high / count,
        # the difference is twice its standard deviation
        "needed": math.ceil(count * (NORMAL_95 * deviation / (gap / 100)) ** 2),
    }  # fmt: skip


# ---------------------------------------------------------------------------------------------- the arena
#: a worked example: ten votes between A and B, seven for A, each reply shown first in half of them
TEN = [f"{'A>B' if k < 7 else 'B>A'}{'+-'[k % 2]}" for k in range(10)]


@demo(votes=200)
def strengths(votes: list[str] = TEN) -> dict[str, Any]:
    """Strengths of models from votes such as "A>B+": A was preferred to B and was shown first (-: second). Bradley and
    Terry's model with bootstrap intervals, and what being shown first is worth; in Elo points."""
    found = standings([read_vote(vote) for vote in votes])
    return {
        "votes": len(votes), "models": [row_of(row) for row in found.models],
        "first_won": found.first_won, "first_worth": found.first_worth,
    }  # fmt: skip


def read_vote(text: str) -> Vote:
    """A text such as "A>B+" as a vote."""
    names = text[:-1].split(">")
    if len(names) != 2 or text[-1:] not in ("+", "-") or not all(0 < len(name) <= 80 for name in names):
        raise GlaswerkError(f"{text[:40]!r} is no vote; one looks like A>B+", f"„{text[:40]}“ ist keine Stimme.")
    won, lost = names
    return Vote("", "", "", won, lost, "chosen" if text[-1] == "+" else "rejected", "", 0.0)


def row_of(row: Any) -> dict[str, Any]:
    """A standing as JSON."""
    return {name: getattr(row, name) for name in ("model", "votes", "wins", "strength", "low", "high", "elo")}


@demo()
def numbers() -> dict[str, float]:
    """The numbers that stand in the prose, the quiz and the exercises."""
    halves = {n: NORMAL_95 * math.sqrt(WORSE * (1 - WORSE) / n) for n in (25, 100, 400, 1000)}
    little, ten = luck(3, 100), strengths()
    first = {row["model"]: row for row in ten["models"]}["A"]
    return {
        **{f"half_{n}": 100 * half for n, half in halves.items()},
        "wrong": 100 * little["wrong"], "tied": 100 * little["tied"], "needed": little["needed"],
        "low": little["low"], "high": little["high"], "wrong_1000": 100 * luck(3, 1000)["wrong"],
        "elo_a": first["strength"], "elo_a_low": first["low"], "elo_a_high": first["high"],
        "elo_gap": 2 * (first["strength"] - 1000), "win_100": 100 / (1 + 10 ** (-100 / 400)),
    }  # fmt: skip
