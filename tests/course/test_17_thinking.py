"""Chapter 17: what was recorded against the library's own check of each chain, seeds put together against sums by
hand, steps that build on a mistake told from those that are wrong themselves, exercises that tell right from wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from glaswerk.course import LANGUAGES, demo
from glaswerk.course.chapter import load_chapter, shape
from glaswerk.course.demo import load_module
from glaswerk.course.outline import entry
from glaswerk.course.render import Renderer
from glaswerk.evaluate.chain import check
from glaswerk.evaluate.metrics.intervals import several
from glaswerk.found import Origin
from glaswerk.generate.thinking import MARKER, WAIT, think, vote
from glaswerk.model import Decoder, ModelConfig
from glaswerk.opened import OpenedModel
from glaswerk.tokenizer import train_bpe
from glaswerk.tokenizer.chip import chip
from glaswerk.tokenizer.speech import Speech
from recipes.thinking_budget import BUDGETS, SLIPPED, VOTES, WAITING, WAITS, tasks

CHAPTER = "17-thinking"
FOLDER = entry(CHAPTER).folder


@pytest.fixture(scope="module")
def demos() -> dict[str, demo.Demo]:
    return demo.demos(CHAPTER)


@pytest.fixture(scope="module")
def recorded(demos: dict[str, demo.Demo]) -> ModuleType:
    return sys.modules["glaswerk_chapter_thinking_recorded"]


@pytest.fixture(scope="module")
def walked(demos: dict[str, demo.Demo]) -> ModuleType:
    return sys.modules["glaswerk_chapter_thinking_walked"]


def test_both_languages_have_the_same_shape_and_can_be_shown(demos: dict[str, demo.Demo]) -> None:
    chapter = load_chapter(CHAPTER)
    assert shape(chapter.prose["en"]) == shape(chapter.prose["de"])
    numbers = demos["numbers"]()
    assert numbers["depth_walk"] == numbers["layers"] * (numbers["walk"] + 1)
    for language in LANGUAGES:
        html = Renderer(language).page(chapter.prose[language], CHAPTER)
        assert "{=" not in html and f"{numbers['cups_full']:.0f}" in html


# ---------------------------------------------------------------------------------------------- what was measured
def test_the_recording_is_small_and_whole(recorded: ModuleType) -> None:
    """Every stage of every seed was asked in every way; and it is what the command beside the figures writes."""
    assert recorded.FILE.stat().st_size < 100_000
    rows, seeds = recorded.recording()["rows"], recorded.facts()["seeds"]
    for what, settings in (("budget", BUDGETS), ("wait", WAITS), ("votes", VOTES), ("at once", (0,))):
        for task in recorded.TASKS:
            for stage in recorded.STAGES:
                found = [row for row in rows if (row["what"], row["task"], row["stage"]) == (what, task, stage)]
                assert [row["setting"] for row in found] == [*settings] * seeds, (what, task, stage)


def test_seeds_are_put_together(recorded: ModuleType) -> None:
    rows = [
        {"task": "sums", "stage": "sft", "setting": 8, "count": 10, "right": 0.2, "tokens": 8.0, "forced": 10},
        {"task": "sums", "stage": "sft", "setting": 8, "count": 30, "right": 0.4, "tokens": 4.0, "forced": 5},
    ]
    found = recorded.together(rows)
    assert found["count"] == 40 and found["right"] == pytest.approx(14 / 40) and found["forced"] == 15
    assert (found["low"], found["high"]) == several([0.2, 0.4], 10)
    assert found["tokens"] == pytest.approx(5.0) and found["price"] == pytest.approx(200 / 14)
    assert found["seeds"] == [0.2, 0.4]
    assert recorded.together([{**rows[0], "right": 0.0}])["price"] is None


def test_figures_agree_with_each_other(demos: dict[str, demo.Demo], recorded: ModuleType) -> None:
    """No budget and no limit are told in several figures; on the problems that are voted on too, too."""
    budget, hurts, votes = (json.loads(demo.call(CHAPTER, name, {})) for name in ("budget", "hurts", "votes"))
    assert budget["rows"] == hurts["cut"]
    for row in budget["rows"]:
        assert 0 <= row["both"] <= min(row["chains"], round(row["right"] * row["count"]))
        assert row["tokens"] <= row["setting"] and 0 <= row["forced"] <= row["count"]
        if row["setting"] == 0:
            assert row["chains"] == row["forced"] == 0 and row["tokens"] == 0
    for row in hurts["wait"]:
        before = recorded.found(hurts["wait"], row["task"], row["stage"], 0)
        change = round(row["right"] * row["count"]) - round(before["right"] * row["count"])
        assert change == row["gained"] - row["lost"]
    for row in votes["single"]:
        whole = recorded.found(budget["rows"], row["task"], row["stage"], row["setting"])
        assert 0 <= row["right"] <= 1 and row["voted"] <= round(whole["right"] * whole["count"])


def test_the_prose_says_what_was_recorded(demos: dict[str, demo.Demo], recorded: ModuleType) -> None:
    """Its numbers are computed; its words (so much more, hardly, only lose) were written for numbers like these."""
    n = demos["numbers"]()
    assert recorded.facts()["temperature"] == 1 and 1 / 2 < SLIPPED < 1 and WAITING == 1 / 5
    for task in ("sums", "cups"):
        assert n[f"{task}_full"] - max(n[f"{task}_none"], n[f"{task}_once"]) > 40
        assert n[f"{task}_wait_2"] < n[f"{task}_wait_1"] - 40 and n[f"{task}_wait_1"] <= n[f"{task}_wait_0"]
        assert n[f"{task}_votes_16"] > n[f"{task}_votes_1"] + 3 and abs(n[f"{task}_votes_2"] - n[f"{task}_votes_1"]) < 5
    assert n["sums_single"] > n["sums_votes_1"] + 5 and n["sums_single_tokens"] * 10 < n["sums_spent_16"]
    assert abs(n["cups_once"] - 100 / 3) < 5 and n["cups_none"] < 30, "no better than guessing, and below it"
    assert n["cups_back_0"] > 80 and n["sums_back_0"] < 40 and n["cups_slip_0"] > n["sums_slip_0"] + 10
    assert n["sums_handed"] + 50 < n["sums_worked"] and n["sums_back_1"] < 20
    assert abs(n["sums_grpo_votes_1"] - n["sums_votes_16"]) < 3 and n["sums_grpo_spent_1"] < n["sums_spent_1"]
    assert n["sums_full"] < n["sums_grpo_full"] < n["sums_full"] + 10 and n["sums_grpo_back_0"] < n["sums_back_0"]
    assert n["cups_cut"] < 45 and n["repeated"] > n["repeats"] / 2
    chains = demos["chains"]()["problems"]
    wrong = next(each for each in chains if (each["task"], each["stage"], each["kind"]) == ("sums", "sft", "wrong"))
    # the figure opens with it, and its first attempt is right, whole and taken back
    assert chains.index(wrong) == next(i for i, each in enumerate(chains) if each["task"] == "sums") + 2
    states = [step["state"] for step in wrong["replies"][0]["steps"]]
    assert states[: states.index("wait")] == ["undone"] * wrong["expected"].count("\n") and "wrong" in states


# ---------------------------------------------------------------------------------------------- chains
def test_recorded_chains_are_what_the_library_makes_of_them(recorded: ModuleType, walked: ModuleType) -> None:
    """Problems, verdicts and cuts against the tasks themselves and the check of the library."""
    for problem in recorded.recording()["chains"]:
        task = tasks()[problem["task"]]
        i = problem["item"]
        assert problem["expected"] == task.answer(i) and problem["asked"] == task.prompt(i)[-1]["content"]
        for reply in problem["replies"]:
            tokens, shares = walked.whole(problem["replies"], reply)
            assert len(tokens) == len(shares) and all(0 <= share <= 1 for share in shares)
            thinking, _, answer = "".join(tokens).rpartition(MARKER)
            found = check(task, i, thinking, answer)
            assert (found.start, found.right, found.whole, found.answered) == tuple(
                reply[key] for key in ("start", "right", "whole", "answered")
            )
            if not reply["waits"]:
                assert reply["thinking"] <= reply["budget"]
            steps = walked.steps(problem, reply)
            assert sum(step["count"] for step in steps) == len(tokens) and {s["state"] for s in steps} <= {
                *walked.STATES
            }
            assert [step["state"] for step in steps].count("right") == found.right
            assert steps[-1]["state"] == "answer"
            wrong = [step["state"] for step in steps if step["state"] in ("wrong", "follows", "again")]
            assert wrong.count("wrong") == bool(wrong) and wrong[:1] == ["wrong"] * bool(wrong)
            assert not (found.whole and wrong)


def told(task: str, i: int, lines: list[str], answer: str, **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A problem and a reply to it, a token for each character."""
    made = tasks()[task]
    text = "\n".join([*lines, f"{MARKER} {answer}"])
    found = check(made, i, "\n".join(lines), answer)
    reply = {
        "tokens": [*text], "shares": [1.0] * len(text), "same": 0, "forced": False, "waits": 0, "budget": 96,
        "start": found.start, "right": found.right, "whole": found.whole, "answered": found.answered, **more,
    }  # fmt: skip
    return {"task": task, "expected": made.answer(i), "replies": [reply]}, reply


def states(walked: ModuleType, *problem_and_reply: dict[str, Any]) -> list[str]:
    return [step["state"] for step in walked.steps(*problem_and_reply)]


def longest(task: str) -> int:
    """The problem with the most steps, of the first ones."""
    return max(range(50), key=lambda i: tasks()[task].answer(i).count("\n"))


def test_what_builds_on_a_mistake_is_told_from_what_is_wrong_itself(walked: ModuleType) -> None:
    i = longest("cups")
    *lines, answer = tasks()["cups"].answer(i).splitlines()
    right = answer.split()[-1]
    assert states(walked, *told("cups", i, lines, right)) == ["right"] * len(lines) + ["answer"]
    assert walked.follows(*told("cups", i, lines, right))
    assert walked.follows(*told("cups", i, lines, "ABC".replace(right, "")[0])) is False
    # the ball is lost at the second step, and then followed faithfully
    other = "ABC".replace(lines[1][-1], "")[0]
    wrong = [lines[0], lines[1][:-1] + other]
    for line in lines[2:]:
        before, swap = wrong[-1][-1], line[2:4]
        wrong.append(f"{before} {swap}: {swap.replace(before, '') if before in swap else before}")
    chain = told("cups", i, wrong, wrong[-1][-1])
    assert states(walked, *chain) == ["right", "wrong", *["follows"] * (len(lines) - 2), "answer"]
    assert walked.follows(*chain) and not chain[1]["whole"]
    lost = [*wrong[:2], "D XY: D", *wrong[3:]]
    assert states(walked, *told("cups", i, lost, "A"))[:4] == ["right", "wrong", "again", "again"]
    # taken back, and all right after it
    again = [*wrong[:2], WAIT, *lines]
    expected = ["undone", "back", "wait", *["right"] * len(lines), "answer"]
    assert states(walked, *told("cups", i, again, right)) == expected
    # cut in the middle of a step that was right so far
    cut = [*lines[:2], lines[2][:3]]
    assert states(walked, *told("cups", i, cut, "A", forced=True)) == ["right", "right", "cut", "answer"]


def test_a_wrong_carry_is_carried_on(walked: ModuleType) -> None:
    task = tasks()["sums"]
    i = next(i for i in range(len(task)) if task.answer(i).count("carry 1") and task.answer(i).count("\n") == 3)
    problem = task.problems[i]  # type: ignore[attr-defined]
    *lines, _ = task.answer(i).splitlines()
    assert states(walked, *told("sums", i, lines, str(problem.result))) == ["right"] * 3 + ["answer"]
    assert walked.follows(*told("sums", i, lines, str(problem.result)))
    digits = [(problem.a // 10**place % 10, problem.b // 10**place % 10) for place in range(3)]
    carry, wrong, written = 0, [], ""
    for place, (one, two) in enumerate(digits):
        total = one + two + carry + (place == 0)  # the first sum is one too many
        added = f" + {carry}" if carry else ""
        wrong.append(f"{one} + {two}{added} = {total}, write {total % 10}, carry {total // 10}")
        carry, written = total // 10, f"{total % 10}{written}"
    result = f"{carry}{written}" if carry else written
    chain = told("sums", i, wrong, result)
    assert states(walked, *chain) == ["wrong", "follows", "follows", "answer"]
    assert walked.follows(*chain)
    assert walked.follows(*told("sums", i, wrong, str(problem.result))) is (result == str(problem.result))
    assert walked.follows(*told("sums", i, [wrong[0][:5]], "1")) is None


# ---------------------------------------------------------------------------------------------- the open model
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_open_model_on_a_budget(demos: dict[str, demo.Demo], language: str) -> None:
    tokenizer = train_bpe(["What is 48 + 36? Answer: Wait Antwort: Warte\n" * 30], 300)
    decoder = Decoder(ModelConfig.modern(vocabulary_size=300, width=32, layers=2, heads=2, context=128))
    decoder.reset_parameters(torch.Generator().manual_seed(3))
    model = OpenedModel(decoder, tokenizer, Origin(Path("glass")), Speech(tokenizer, None, None, frozenset()))
    for budget, waits in ((0, 0), (8, 0), (16, 0), (16, 1)):
        told = demos["trial"](model, language, "What is 48 + 36?", budget, waits)
        assert told["tokens"] <= budget and told["depth"] == 2 * (told["tokens"] + 1)
        assert told["marker"] == {"en": "Answer:", "de": "Antwort:"}[language] and told["chat"]
        ids = model.chat_ids([{"role": "user", "content": "What is 48 + 36?"}])
        (plain,) = think(
            decoder, tokenizer, [ids], budget, marker=told["marker"], wait={"en": "Wait", "de": "Warte"}[language],
            waits=waits, answer=10, end_ids=model.end_ids,
        )  # fmt: skip
        assert (told["answer"], told["forced"]) == (plain.answer, plain.forced)
        assert "".join(told["thinking"]) == chip(plain.thinking.encode())


# ---------------------------------------------------------------------------------------------- the exercises
def forced(write: Callable[[list[str]], str], question: list[str], budget: int, waits: int = 0) -> Any:
    reply: list[str] = []
    while len(reply) < budget:
        token = write([*question, *reply])
        if token == MARKER:
            if not waits:
                break
            token, waits = WAIT, waits - 1
        reply.append(token)
    return reply, [write([*question, *reply, MARKER])]


def price(tokens: list[int], right: list[bool]) -> float | None:
    return sum(tokens) / sum(right) if any(right) else None


CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("forced", {"forced": forced}, {"forced": lambda w, q, b, waits=0: forced(w, q, b)}),
    ("forced", {"forced": forced}, {"forced": lambda w, q, b, waits=0: forced(w, q, b + 1, waits)}),
    ("majority", {"majority": lambda a: vote(a).winner, "price": price}, {"majority": max, "price": price}),
    (
        "majority", {"majority": lambda a: vote(a).winner, "price": price},
        {"majority": lambda a: vote(a).winner, "price": lambda tokens, right: sum(tokens) / len(right)},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "right", "wrong"), CASES)
def test_the_exercises_tell_right_from_wrong(name: str, right: dict[str, Any], wrong: dict[str, Any]) -> None:
    judge = load_module(FOLDER / "exercises" / f"check_{name}.py", f"check_{name}_of_17").check
    stub: Path = FOLDER / "exercises" / f"{name}.py"

    def module(functions: dict[str, Any]) -> ModuleType:
        made = ModuleType("solution")
        made.__dict__.update(functions)
        return made

    judge(module(right))
    with pytest.raises((AssertionError, TypeError)):
        judge(module(wrong))
    with pytest.raises(NotImplementedError):
        judge(load_module(stub, f"stub_{name}_of_17"))
