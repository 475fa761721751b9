"""What chapter 13 computes: replies to questions that have an answer and to such that have none, what abstaining gains
and costs, how well confidence fits, ways to get an "I do not know", and the price of true and of false sentences.

What is asked lies in ``asked.py``, confidence in ``sure.py``, pairs of sentences in ``sentences.py``, all beside this
file. Thresholds and temperatures are computed ahead from stored scores, so a slider never asks a model again. Left out:
training a stage that says "I do not know" (``glaswerk align RUN --method dpo``).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from glaswerk.course.demo import demo, load_module
from glaswerk.errors import GlaswerkError, NotHere
from glaswerk.evaluate.choice import MultipleChoice, Question
from glaswerk.evaluate.metrics.calibration import abstention, area_under_risk, brier
from glaswerk.evaluate.metrics.intervals import wilson
from glaswerk.evaluate.task import chosen
from glaswerk.evaluate.tasks import open_task
from glaswerk.run import Run

if TYPE_CHECKING:
    from glaswerk.opened import OpenedModel


def beside(name: str) -> ModuleType:
    """A file of this folder as a module: the folder's name begins with a number, so ``import`` cannot."""
    return load_module(Path(__file__).with_name(f"{name}.py"), f"glaswerk_chapter_hallucination_{name}")


asked, sure, sentences = beside("asked"), beside("sure"), beside("sentences")

#: pieces in which figures ask
PIECES = 10
#: replies that can be looked at one by one, of each kind
SHOWN = 12
#: what says how sure a reply is
MEASURES = ("mean", "first", "least")


def dealt(count: int, piece: int, pieces: int = PIECES) -> range:
    """The places of ``count`` things that piece ``piece`` of equally large ones adds."""
    return range(piece * count // pieces, (piece + 1) * count // pieces)


# ---------------------------------------------------------------------------------------------- one reply
@demo(language={"en", "de"}, source={"own", *asked.KINDS}, kind=(0, 2), number=(0, SHOWN - 1))
def reply(
    model: OpenedModel, language: str = "en", source: str = "own", kind: int = 0, number: int = 0
) -> dict[str, Any]:
    """One question of a kind (0, 1 or 2 of ``kinds``), the model's reply with the probability of each token, and what
    is true."""
    there = asked.facts(model, source, language)
    kinds = [name for name in there if there[name]]
    name = kinds[min(kind, len(kinds) - 1)]
    count = min(SHOWN, len(there[name]))
    number = min(number, count - 1)
    fact = there[name][number]
    (answer,) = asked.answers(model, source, language, name, [number])
    return {
        "model": model.origin.name, "sources": asked.sources(model), "source": source_of(model, source),
        "kinds": kinds, "kind": name, "count": count, "number": number, "question": fact.question, "title": fact.title,
        "truth": fact.truth, "tokens": answer.tokens, "probabilities": [float(np.exp(nats)) for nats in answer.nats],
        "outcome": answer.outcome, "shared": answer.shared, "sure": answer.sure,
    }  # fmt: skip


def source_of(model: OpenedModel, source: str) -> str:
    """ "own" as what it stands for."""
    return str(asked.sources(model)[0] if source == "own" else source)


# ---------------------------------------------------------------------------------------------- abstaining
def sources_of(model: OpenedModel) -> list[str]:
    """What the threshold can be tried on: with a run first the choice among titles, where small models are right now
    and then."""
    there = asked.sources(model)
    return ["choice", *there] if "titles" in there else list(there)


@demo(language={"en", "de"}, source={"own", "choice", *asked.KINDS}, piece=(0, PIECES - 1))
def answered(model: OpenedModel, language: str = "en", source: str = "own", piece: int = PIECES - 1) -> dict[str, Any]:
    """All replies up to a piece: their outcomes by kind, and for each way to say how sure a reply is the thresholds
    from the surest reply on, with how many replies are then given and how many of those are wrong."""
    source = sources_of(model)[0] if source == "own" else source
    rows = chosen_titles(model, language, piece) if source == "choice" else replies(model, source, language, piece)
    kinds = list(dict.fromkeys(kind for kind, _, _ in rows))
    given = [row for row in rows if row[1] != "declined"]
    right = [float(outcome == "right") for _, outcome, _ in given]
    ways = {}
    for measure in MEASURES:
        how = [sure_of[measure] for _, _, sure_of in given]
        points = abstention(how, right) if given else []
        ways[measure] = {
            "steps": [
                [point.threshold, round(point.coverage * len(given)), round(point.risk * point.coverage * len(given))]
                for point in points
            ],
            "area": area_under_risk(how, right) if given else None,
        }
    return {
        "model": model.origin.name, "sources": sources_of(model), "source": source, "count": PIECES,
        "asked": len(rows), "given": len(given), "right": int(sum(right)), "ways": ways,
        "kinds": {kind: counted([outcome for of, outcome, _ in rows if of == kind]) for kind in kinds},
        # one mark per reply: kind, whether it is right, and how sure
        "dots": [
            [kinds.index(kind), int(outcome == "right"), *(sure_of[measure] for measure in MEASURES)]
            for kind, outcome, sure_of in given
        ],
    }  # fmt: skip


def replies(model: OpenedModel, source: str, language: str, piece: int) -> list[tuple[str, str, dict[str, float]]]:
    """Written replies up to a piece: kind, outcome, and how sure."""
    rows = []
    for kind, all_ in asked.facts(model, source, language).items():
        places = range(dealt(len(all_), piece).stop)
        found = asked.answers(model, source, language, kind, places)
        rows += [(kind, answer.outcome, answer.sure) for answer in found]
    return rows


def chosen_titles(model: OpenedModel, language: str, piece: int) -> list[tuple[str, str, dict[str, float]]]:
    """Choices among four titles up to a piece: whether other texts of the corpus say the title too, outcome, and how
    sure."""
    task, items, rows = scored(model, "corpus-titles", language, piece)
    assert model.origin.run is not None
    found = []
    for item, (row, right) in zip(items, rows, strict=True):
        title = task.questions[item].options[right]
        kind = "often" if asked.mentions(model.origin.run, title) > 1 else "once"
        found.append((kind, "right" if int(np.argmax(row)) == right else "wrong", sure.in_three_ways(row)))
    return sorted(found, key=lambda each: each[0] != "often")


def counted(outcomes: list[str]) -> dict[str, int]:
    """How many replies came out how."""
    return {outcome: outcomes.count(outcome) for outcome in ("right", "wrong", "declined")}


# ---------------------------------------------------------------------------------------------- calibration
TASKS = ("corpus-titles", "capitals", "truthfulqa", "mmlu-en")
#: what has to be pulled for one
NEEDS = {"truthfulqa": "truthfulqa-100", "mmlu-en": "mmlu-dev"}
QUESTIONS = 100
#: model -> (task, language) -> the scores so far
_scores: WeakKeyDictionary[Any, dict[tuple[str, str], list[Any]]] = WeakKeyDictionary()


@lru_cache(maxsize=2)
def which_capital(language: str) -> MultipleChoice:
    """Which of four cities is the capital? The three others are capitals of other countries of the list."""
    facts = [fact for name, all_ in asked.capitals(language).items() if name != "nowhere" for fact in all_]
    questions = []
    for number, fact in enumerate(facts):
        rng = np.random.default_rng(number)
        others = [other.truth for other in facts if other.truth != fact.truth]
        options = [others[place] for place in rng.choice(len(others), 3, replace=False)]
        right = int(rng.integers(4))
        options.insert(right, fact.truth)
        questions.append(Question(fact.question, tuple(options), right))
    return MultipleChoice("capitals", questions, style="texts", language=language, metric="accuracy unconditional")


def tasks(model: OpenedModel) -> list[str]:
    """The choices that this model can be given; the first is what the figure starts with."""
    return [name for name in TASKS if name != "corpus-titles" or "titles" in asked.sources(model)]


def task_of(model: OpenedModel, name: str, language: str) -> MultipleChoice:
    """A task by its name. Raises :class:`GlaswerkError` where it is not here."""
    from glaswerk.pull import is_pulled

    if name == "capitals":
        return which_capital(language)
    if name in NEEDS and not is_pulled(NEEDS[name]):
        raise NotHere(
            f"these questions are not on this machine yet: run `glaswerk pull {NEEDS[name]}`, then try again",
            f"Diese Fragen liegen noch nicht auf diesem Rechner: `glaswerk pull {NEEDS[name]}`, dann noch einmal.",
        )
    if name not in tasks(model):
        raise GlaswerkError(
            "these questions are about a run's own texts, and the open model belongs to no run that has titled ones",
            "Diese Fragen handeln von den Texten eines Laufs, und das offene Modell gehört zu keinem, dessen Texte "
            "Titel haben.",
        )
    found = open_task(name, model.origin.run)
    assert isinstance(found, MultipleChoice)
    return found


def scored(
    model: OpenedModel, name: str, language: str, piece: int
) -> tuple[MultipleChoice, list[int], list[tuple[list[float], int]]]:
    """A task, the items that are asked up to a piece in their order, and their scores; only new ones are computed."""
    found = task_of(model, name, language)
    items = np.random.default_rng(0).permutation(chosen(found, QUESTIONS)).tolist()
    known = _scores.setdefault(model, {}).setdefault((name, language), [])
    until = dealt(len(items), piece).stop
    if len(known) < until:
        known += sure.scores(model, found, items[len(known) : until])
    return found, items[:until], known[:until]


@demo(language={"en", "de"}, task={"own", *TASKS}, piece=(0, PIECES - 1))
def confidence(model: OpenedModel, language: str = "en", task: str = "own", piece: int = PIECES - 1) -> dict[str, Any]:
    """Questions with options up to a piece: how sure the model is of its choices and how often they are right, at
    temperatures from 1/4 to 16."""
    name = tasks(model)[0] if task == "own" else task
    found, _, done = scored(model, name, language, piece)
    return {
        "model": model.origin.name, "tasks": tasks(model), "task": name, "count": PIECES,
        "asked": len(done), "total": min(QUESTIONS, len(found)),
        "chance": float(np.mean([1 / len(row) for row, _ in done])), **sure.calibrated(done),
    }  # fmt: skip


# ---------------------------------------------------------------------------------------------- I do not know
#: questions of each kind that every way is asked, and the pieces that they come in; ways there are at most
TRIED, TRIES = 20, 4
LEAST = 6


def ways_of(model: OpenedModel) -> list[str]:
    """The stages of the model's run that answer questions; without them, the ways to ask the open model. Last, with
    the text beside the question."""
    stages = asked.talking(model)
    return [*(stages or ["plain", "offer"]), "source"]


@demo(language={"en", "de"}, source={"own", *asked.KINDS}, piece=(0, LEAST * TRIES - 1))
def honest(
    model: OpenedModel, language: str = "en", source: str = "own", piece: int = LEAST * TRIES - 1
) -> dict[str, Any]:
    """The same questions to every stage of the run (or in other words), up to a piece: how many replies of each kind
    are right, wrong, or say that the model does not know; for the last with their 95 % intervals."""
    ways = ways_of(model)
    there = asked.facts(model, source, language)
    rows = []
    for place, way in enumerate(ways):
        if place * TRIES > piece:
            break
        other = way in asked.talking(model) and way != model.origin.stage
        answers_of = asked.stage(model.origin.run, way) if other else model
        half = dealt(TRIED, min(piece - place * TRIES, TRIES - 1), TRIES).stop
        kinds = {}
        for name, all_ in there.items():
            how = way if way in ("offer", "source") else "plain"
            done = asked.answers(answers_of, source, language, name, range(min(half, len(all_))), how)
            outcome = counted([answer.outcome for answer in done])
            kinds[name] = {**outcome, "interval": wilson(outcome["declined"], len(done))}
        rows.append({"way": way, "kinds": kinds})
    stages = asked.talking(model)
    return {
        "model": model.origin.name, "sources": asked.sources(model), "source": source_of(model, source),
        "ways": ways, "rows": rows, "count": len(ways) * TRIES, "open": model.origin.stage, "stages": stages,
        "run": None if model.origin.run is None else Run(model.origin.run).argument,
    }  # fmt: skip


# ---------------------------------------------------------------------------------------------- two sentences
#: pairs that are offered to begin with
OFFERED = 8


@demo(language={"en", "de"}, true=300, false=300)
def sentence_pair(model: OpenedModel, language: str = "en", true: str = "", false: str = "") -> dict[str, Any]:
    """Two sentences, token by token, with their losses on the open model (nats); without any, the first pair that is
    offered. ``most``: the loss of a blind guess."""
    offered = pairs_of(model, "own", language)[:OFFERED]
    if not true.strip() and not false.strip():
        true, false = offered[0]
    if not true.strip() or not false.strip():
        raise GlaswerkError("type two sentences", "Gib zwei Sätze ein.")
    return {
        "model": model.origin.name, "true": true, "false": false, "offered": offered,
        "pair": sentences.priced(model, [true.strip(), false.strip()]),
        "most": float(np.log(model.tokenizer.vocabulary_size)),
    }  # fmt: skip


def pairs_of(model: OpenedModel, source: str, language: str) -> list[tuple[str, str]]:
    """True and false sentences: from the run's corpus where it has enough of them, else those of this chapter."""
    pairs = sentences.swapped(model.origin.run) if source_of(model, source) == "titles" else []
    return list(pairs or [tuple(row[language]) for row in asked.told()["pairs"]])


@demo(language={"en", "de"}, source={"own", *asked.KINDS}, piece=(0, 3))
def sentence_pairs(model: OpenedModel, language: str = "en", source: str = "own", piece: int = 3) -> dict[str, Any]:
    """Pairs of a true and a false sentence up to a piece: the sum of the losses of each."""
    pairs = pairs_of(model, source, language)
    from_corpus = len(pairs) == sentences.PAIRS
    pairs = pairs[: dealt(len(pairs), piece, 4).stop]
    priced = sentences.priced(model, [text for pair in pairs for text in pair])
    rows = [
        {"true": true, "false": false, "totals": [priced[2 * at]["total"], priced[2 * at + 1]["total"]]}
        for at, (true, false) in enumerate(pairs)
    ]
    fooled = sum(row["totals"][1] < row["totals"][0] for row in rows)
    return {
        "model": model.origin.name, "rows": rows, "fooled": fooled, "interval": wilson(fooled, len(rows)),
        "count": 4, "corpus": from_corpus,
    }  # fmt: skip


# ---------------------------------------------------------------------------------------------- read once
#: how many different texts are looked at
READS = tuple(round(10 ** (k / 8)) for k in range(8, 41))


@demo(facts=(100, 3000), steep=(0, 2))
def seen_once(facts: int = 1000, steep: float = 1.0) -> dict[str, Any]:
    """Imagined facts with no rule among them, told again and again, fact number k with a frequency of 1 / k^steep. For
    growing piles of tellings: the share of all tellings that is about facts read once, and the true chance that the
    next question is about a fact that was never read."""
    shares = 1 / np.arange(1, facts + 1) ** steep
    shares /= shares.sum()
    order = np.random.default_rng(1).choice(facts, READS[-1], p=shares)
    rows = []
    for read in READS:
        times = np.bincount(order[:read], minlength=facts)
        rows.append({
            "read": read, "once": float((times == 1).sum() / read), "never": float(shares[times == 0].sum()),
            "counts": [int((times == 0).sum()), int((times == 1).sum()), int((times > 1).sum())],
        })  # fmt: skip
    return {"facts": facts, "steep": steep, "rows": rows}


# ---------------------------------------------------------------------------------------------- prose
@demo()
def numbers() -> dict[str, float]:
    """The numbers that stand in the prose, the quiz and the exercises."""
    thousand = {row["read"]: row for row in seen_once(1000, 1.0)["rows"]}[1000]
    # a grader that takes away ``loss`` points for a wrong answer: guessing pays above loss / (1 + loss)
    breaks = {f"break_{loss}": 100 * loss / (1 + loss) for loss in (1, 3, 9)}
    return {
        "facts": 1000, "once": 100 * thousand["once"], "never": 100 * thousand["never"],
        "single": thousand["counts"][1], **breaks,
        "brier_right": brier([0.9], [1]), "brier_wrong": brier([0.9], [0]),
    }  # fmt: skip
