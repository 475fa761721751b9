"""Chapter 16: intervals against simulated tests, luck against a simulation, the benchmark question by question against
the whole score, a contaminated copy that is good at its test only, votes, and trainings that do what the prose says."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from glass import glass

from glaswerk.course import LANGUAGES, demo
from glaswerk.course.chapter import load_chapter, shape
from glaswerk.course.demo import load_module
from glaswerk.course.glossary import glossary
from glaswerk.course.render import Renderer
from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.metrics.intervals import RESAMPLES, difference, wilson
from glaswerk.evaluate.scoring import by_options
from glaswerk.opened import OpenedModel
from glaswerk.progress import Progress

CHAPTER = "16-measuring"


@pytest.fixture(scope="module")
def demos() -> dict[str, demo.Demo]:
    return demo.demos(CHAPTER)


@pytest.fixture(scope="module")
def chapter(demos: dict[str, demo.Demo]) -> ModuleType:
    return sys.modules["glaswerk_chapter_measuring"]


@pytest.fixture(scope="module")
def model() -> OpenedModel:
    """A small model with random weights: it guesses."""
    return glass("Which term is meant? A list of numbers. Welcher Begriff ist gemeint?\n" * 30, 0.05, 512)


def test_both_languages_have_the_same_shape_and_can_be_shown() -> None:
    chapter = load_chapter(CHAPTER)
    assert shape(chapter.prose["en"]) == shape(chapter.prose["de"])
    for language in LANGUAGES:
        html = Renderer(language).page(chapter.prose[language], CHAPTER)
        assert "{=" not in html and ("± 4,8" if language == "de" else "± 4.8") in html
    assert RESAMPLES == 2000  # the prose says so


# ---------------------------------------------------------------------------------------------- the benchmark
def test_question_by_question_is_the_whole_score(
    demos: dict[str, demo.Demo], chapter: ModuleType, model: OpenedModel
) -> None:
    task = chapter.course_terms("en")
    order = chapter.order_of(task)
    assert len(order) == len(set(order)) == chapter.MOST
    middle = demos["benchmark"](model, "en", "course", 3)
    last = demos["benchmark"](model, "en", "course", 5)  # what was asked is not asked again, and is the same
    order = order[:30]
    assert last["path"][:20] == middle["path"] and len(last["path"]) == 30 and last["total"] == chapter.MOST
    whole = by_options(model, task, order, 0, Progress())[1]  # in one go
    right = {sample.item: sample.grade for sample in whole}
    assert last["path"][-1][1] == pytest.approx(sum(right[i] for i in order) / len(order))
    n, share, low, high = last["path"][-1]
    assert (low, high) == wilson(round(n * share), n)
    assert len(last["questions"]) == chapter.PIECE and last["chance"] == 0.25
    for told, item in zip(last["questions"], order[-chapter.PIECE :], strict=True):
        assert (told["picked"] == told["right"]) == bool(right[item])


def test_the_course_asks_fair_questions(chapter: ModuleType) -> None:
    for language in LANGUAGES:
        task = chapter.course_terms(language)
        assert len(task) == len(glossary())
        places = [question.right for question in task.questions]
        assert all(places.count(place) > len(task) / 8 for place in range(4))
        for question, term in zip(task.questions, glossary().values(), strict=True):
            assert question.options[question.right] == term.word[language] and len(set(question.options)) == 4
            assert "[[" not in question.text and f" {term.word[language].lower()} " not in question.text.lower()
    letters = chapter.course_terms("en", "letters").choice(0)
    assert letters.options == (" A", " B", " C", " D")


def test_a_benchmark_that_is_not_here_says_how_to_get_it(
    demos: dict[str, demo.Demo], chapter: ModuleType, model: OpenedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glaswerk.pull.is_pulled", lambda name: False)
    chapter.task_of.cache_clear()
    with pytest.raises(GlaswerkError, match="glaswerk pull hellaswag-100") as error:
        demos["benchmark"](model, "en", "hellaswag", 0)
    assert "glaswerk pull" in error.value.german and error.value.german != str(error.value)
    with pytest.raises(GlaswerkError, match="belongs to no run"):
        demos["benchmark"](model, "en", "corpus-titles", 0)


# ---------------------------------------------------------------------------------------------- two against each other
def test_the_rivals_are_compared_question_by_question(
    demos: dict[str, demo.Demo], chapter: ModuleType, model: OpenedModel
) -> None:
    found = demos["paired"](model, "en", "letters", 7)
    count = found["done"]
    a = [s.grade for s in chapter.answered(model, "course", "en", "plain", count)]
    b = [s.grade for s in chapter.answered(model, "course", "en", "letters", count)]
    assert (found["difference"], found["low"], found["high"]) == difference(a, b)
    assert sum(map(sum, found["table"])) == count == 40
    (both, only_a), (only_b, _) = found["table"]
    assert [both + only_a, both + only_b] == [sum(a), sum(b)]
    assert found["difference"] == pytest.approx((only_b - only_a) / count)
    # the bars are the draws that the interval comes from
    middles = (np.array(found["edges"])[1:] + np.array(found["edges"])[:-1]) / 2
    below = sum(bar for bar, at in zip(found["bars"], middles, strict=True) if at < found["low"] - 0.02)
    assert sum(found["bars"]) == pytest.approx(1) and below < 0.04
    assert np.allclose(found["edges"], -np.array(found["edges"])[::-1]) and np.abs(middles).min() < 1e-9
    with pytest.raises(GlaswerkError, match="no rival"):
        demos["paired"](model, "en", "sft", 0)  # it belongs to no run


@pytest.mark.parametrize(("gap", "count"), [(3, 100), (10, 50), (1, 2000)])
def test_luck_is_what_a_simulation_says(demos: dict[str, demo.Demo], gap: int, count: int) -> None:
    found = demos["luck"](gap, count)
    rng = np.random.default_rng(0)
    apart = (rng.binomial(count, 0.6 + gap / 100, 200_000) - rng.binomial(count, 0.6, 200_000)) / count
    assert found["wrong"] == pytest.approx(float((apart < 0).mean()), abs=0.005)
    assert found["tied"] == pytest.approx(float((apart == 0).mean()), abs=0.005)
    low, high = 100 * np.quantile(apart, [0.025, 0.975])
    assert (found["low"], found["high"]) == (
        pytest.approx(low, abs=100 / count + 1e-9),
        pytest.approx(high, abs=100 / count + 1e-9),
    )
    assert sum(found["spread"]) == pytest.approx(1, abs=0.001)
    # with as many questions as are needed, the better one is ahead in 97.5 % of the tests
    if found["needed"] <= 2000:
        assert demos["luck"](gap, found["needed"])["wrong"] == pytest.approx(0.025, abs=0.006)


def test_the_numbers_of_the_prose(demos: dict[str, demo.Demo]) -> None:
    numbers = demos["numbers"]()
    assert numbers["half_100"] == pytest.approx(9.6, abs=0.05) and numbers["half_25"] == 4 * numbers["half_400"]
    assert 30 < numbers["wrong"] < 31 and numbers["win_100"] == pytest.approx(64, abs=0.1)
    assert numbers["elo_a_low"] < 1000 < numbers["elo_a"] < numbers["elo_a_high"]


# ---------------------------------------------------------------------------------------------- votes
def test_votes_become_strengths(demos: dict[str, demo.Demo]) -> None:
    found = demos["strengths"](["A>B+"] * 40 + ["B>A-"] * 10 + ["A>C-"] * 30)
    assert [row["model"] for row in found["models"]] == ["A", "B", "C"]
    assert all(row["low"] <= row["strength"] <= row["high"] for row in found["models"])
    assert found["first_won"][0] == pytest.approx(0.5) and found["votes"] == 80
    for wrong in ("A>B", "A>B?", ">B+", "A+", f"{'x' * 99}>B+"):
        with pytest.raises(GlaswerkError, match="is no vote"):
            demos["strengths"]([wrong])


def test_a_duel_is_blind_drawn_and_the_same_again(
    demos: dict[str, demo.Demo], chapter: ModuleType, model: OpenedModel
) -> None:
    seen = set()
    for number in range(6):
        told = demos["duel"](model, "en", number)
        assert told == demos["duel"](model, "en", number)
        assert told["replies"][0] != told["replies"][1] and told["names"][0] != told["names"][1]
        seen |= set(told["names"])
    assert seen == set(told["contestants"]) and len(seen) == 3
    assert all(len(questions) == chapter.duel_module.COUNT for questions in chapter.duel_module.QUESTIONS.values())


def test_the_lab_keeps_a_vote_with_its_own_texts(
    demos: dict[str, demo.Demo], model: OpenedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from glaswerk.evaluate.arena import read
    from glaswerk.serve import votes
    from glaswerk.serve.site import open_holder

    monkeypatch.setenv("GLASWERK_HOME", str(tmp_path))
    holder = open_holder(model)
    assert votes.kept(holder, {"language": "de", "number": 2, "better": "second", "reply": "mine"}) == {"votes": 1}
    told, (vote,) = demos["duel"](model, "de", 2), read(tmp_path / "votes" / "votes.jsonl")
    assert (vote.chosen, vote.rejected) == (told["replies"][1], told["replies"][0])
    assert (vote.chosen_model, vote.prompt, vote.first) == (told["names"][1], told["question"], "rejected")
    for wrong in ({}, [], {"better": "left"}, {"better": "first", "number": 99}, {"better": "first", "language": "fr"}):
        with pytest.raises(GlaswerkError):
            votes.kept(holder, wrong)
    assert len(read(tmp_path / "votes" / "votes.jsonl")) == 1
    assert votes.place(tmp_path / "run") == tmp_path / "run" / "votes.jsonl"


# ---------------------------------------------------------------------------------------------- trainings
@pytest.fixture(scope="module")
def practice(chapter: ModuleType) -> Iterator[ModuleType]:
    """The small training, once for all tests."""
    yield chapter.practice_module
    chapter.practice_module.the_practice().background.thread.join(120)


def test_words_are_apart_and_options_differ(practice: ModuleType) -> None:
    parts = practice.words()
    assert [len(part) for part in parts] == [9**4 - 200, 100, 100] and len(set().union(*parts)) == 9**4
    task = practice.Backwards(parts[1])
    for i in range(len(task)):
        choice = task.choice(i)
        assert len(set(choice.options)) == 4 and choice.options[choice.right] == task.answer(i) + "\n"
        assert task.grade(i, task.answer(i)) == 1 and task.grade(i, "xxxx") == 0


def test_the_loss_falls_before_the_exact_answer_comes(practice: ModuleType, demos: dict[str, demo.Demo]) -> None:
    told = demos["practice"]()
    points = told["checkpoints"]
    assert len(points) == told["count"] and [point["step"] for point in points] == list(range(0, 361, 15))
    assert points[0]["exact"] < 0.05 and points[-1]["exact"] > 0.8 and points[-1]["loss"] < 0.1 * points[0]["loss"]
    half = next(point for point in points if point["loss"] < points[0]["loss"] / 2)
    assert half["exact"] < 0.2  # half of the loss is gone, and hardly an answer is right
    assert all(point["choice"] >= point["exact"] - 0.1 for point in points)
    # exact means what it writes
    opened, task = practice.the_practice().opened, practice.the_practice().tested
    prompts = [f"\n{task.prompt(i)[-1]['content']}" for i in range(len(task))]
    replies = [reply.text for reply in opened.generate_batch(prompts, max_tokens=5, stop=["\n"])]
    grades = [task.grade(i, reply) for i, reply in enumerate(replies)]
    assert sum(grades) / len(grades) == pytest.approx(points[-1]["exact"], abs=0.011)


def test_trained_on_the_test_its_score_lies(practice: ModuleType, demos: dict[str, demo.Demo]) -> None:
    leaked, honest = demos["contaminated"]("test")["looks"], demos["contaminated"]("new")["looks"]
    assert leaked[0]["test"] == honest[0]["test"] and leaked[0]["test"]["exact"] < 0.2  # both begin at the same place
    last, other = leaked[-1], honest[-1]
    assert last["test"]["exact"] > 0.8 and last["test"]["exact"] - last["fresh"]["exact"] > 0.4
    assert abs(other["test"]["exact"] - other["fresh"]["exact"]) < 0.2
    assert last["test"]["exact_interval"][0] > last["fresh"]["exact_interval"][1]


def test_work_that_fails_says_why(practice: ModuleType) -> None:
    def fails(hand_over: object) -> None:
        raise ValueError("no such luck")

    with pytest.raises(GlaswerkError, match="no such luck"):
        practice.Background(fails).until(0)


# ---------------------------------------------------------------------------------------------- the exercises
def test_the_exercises_tell_right_from_wrong() -> None:
    tasks = {task.id: task for task in load_chapter(CHAPTER).exercises if task.kind == "code"}

    def interval(grades: list[int]) -> tuple[float, float]:
        p = sum(grades) / len(grades)
        return p, 1.96 * (p * (1 - p) / len(grades)) ** 0.5

    def paired(before: list[int], after: list[int]) -> tuple[float, int, int]:
        both = list(zip(before, after, strict=True))
        gained, lost = both.count((0, 1)), both.count((1, 0))
        return (gained - lost) / len(both), gained, lost

    right = {
        "interval": SimpleNamespace(interval=interval, paired=paired),
        "elo": SimpleNamespace(
            strength=lambda a, b: 400 * float(np.log10(a / b)), expected=lambda d: 1 / (1 + 10 ** (-d / 400))
        ),
    }
    wrong = {
        "interval": SimpleNamespace(interval=lambda g: (sum(g) / len(g), 0.1), paired=paired),
        "elo": SimpleNamespace(strength=lambda a, b: 400.0 * (a - b), expected=lambda d: 0.5),
    }
    assert set(tasks) == set(right)
    for name, task in tasks.items():
        assert task.check is not None and task.stub is not None
        check = load_module(Path(task.check), f"check_{name}_tested").check
        check(right[name])
        with pytest.raises(AssertionError):
            check(wrong[name])
        with pytest.raises(NotImplementedError):
            check(load_module(Path(task.stub), f"{name}_stub_tested"))
