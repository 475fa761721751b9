"""Does writing its steps help a small model? Direct answers against steps before the answer, and votes over several.

SmolLM2-135M-Instruct (or another MODEL) is asked for sums of four numbers and for short stories with numbers, in four
ways: the answer at once and steps before it (Wei et al. 2022), each with three examples in plain text, and each in the
chat format without any, where the words "Let's think step by step" ask for the steps (Kojima et al. 2022). The way with
examples and steps is also drawn several times, and the majority's answer counts (self-consistency; Wang et al. 2023).

    python -m recipes.prompting [MODEL] [--record FILE]

Nothing is trained. Left out: a model that learned to think (``thinking_budget.py``).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glaswerk.evaluate.metrics.intervals import difference, mean, wilson
from glaswerk.evaluate.tasks.arithmetic import last_number
from glaswerk.generate.thinking import MARKER, Thought, think, vote
from glaswerk.home import write_text
from glaswerk.opened import OpenedModel, load

#: problems of each task, examples before a question, problems whose replies are recorded
ASKED, EXAMPLES, SHOWN = 50, 3, 6
#: tokens of steps
BUDGET = 64
#: replies that vote, and the temperature that they are drawn at
VOTES, TEMPERATURE = (1, 3, 5, 7), 0.7
WAYS = ("direct", "steps", "chat_direct", "chat_steps")
#: what asks for steps without an example
SPELL = "Let's think step by step, then write the answer after “Answer:”."


@dataclass(frozen=True)
class Problem:
    """A question, its right steps, one a line, and the answer."""

    question: str
    steps: str
    answer: int


# ---------------------------------------------------------------------------------------------- problems
def sum_of_four(rng: np.random.Generator) -> Problem:
    """Four numbers from 2 to 9."""
    a, *others = (int(one) for one in rng.integers(2, 10, 4))
    question, total, steps = f"What is {a}", a, []
    for b in others:
        question, steps = f"{question}+{b}", [*steps, f"{total}+{b}={total + b}"]
        total += b
    return Problem(f"{question}?", "\n".join(steps), total)


NAMES = ("Anna", "Ben", "Carla", "David", "Emma", "Felix", "Greta", "Henry")
THINGS = ("apples", "books", "coins", "cards", "eggs", "pens", "stamps", "shells")


def story(rng: np.random.Generator) -> Problem:
    """Somebody has some, gets more, and gives some away."""
    name, thing = NAMES[rng.integers(len(NAMES))], THINGS[rng.integers(len(THINGS))]
    a, b = (int(one) for one in rng.integers(3, 12, 2))
    c = int(rng.integers(2, a + b - 1))
    question = f"{name} has {a} {thing}. {name} finds {b} more and gives {c} away. How many {thing} are left?"
    return Problem(question, f"{a}+{b}={a + b}\n{a + b}-{c}={a + b - c}", a + b - c)


TASKS = {"sums": sum_of_four, "stories": story}


def problems(task: str, count: int = ASKED + EXAMPLES) -> list[Problem]:
    """Problems of a task, each once; the first ``EXAMPLES`` are the examples."""
    rng, found = np.random.default_rng(17), {}
    while len(found) < count:
        made = TASKS[task](rng)
        found.setdefault(made.question, made)
    return list(found.values())


# ---------------------------------------------------------------------------------------------- asking
def prompts(model: OpenedModel, task: str, way: str, asked: Sequence[Problem]) -> list[list[int]]:
    """Token ids up to where steps or the answer begin."""
    if way.startswith("chat"):
        said = f"\n{SPELL}" if way == "chat_steps" else "\nWrite only the answer."
        return [model.chat_ids([{"role": "user", "content": problem.question + said}]) for problem in asked]
    shown = []
    for example in problems(task)[:EXAMPLES]:
        steps = f"{example.steps}\n" if way == "steps" else ""
        shown.append(f"Question: {example.question}\n{steps}{MARKER} {example.answer}\n\n")
    return [model.prompt_ids(f"{''.join(shown)}Question: {problem.question}\n") for problem in asked]


def replies(
    model: OpenedModel, task: str, way: str, asked: Sequence[Problem], temperature: float = 0.0, seed: int | None = None
) -> list[Thought]:
    """One reply to each problem: greedy, or drawn with a seed."""
    return think(
        model.model, model.tokenizer, prompts(model, task, way, asked), BUDGET if way.endswith("steps") else 0,
        temperature=temperature, seed=seed, end_ids=model.end_ids,
    )  # fmt: skip


def read(thought: Thought) -> int | None:
    """The answer as a number."""
    found = last_number(thought.answer)
    return None if found is None else int(found)


# ---------------------------------------------------------------------------------------------- measuring
def measured(model: OpenedModel, task: str) -> dict[str, Any]:
    """All ways on one task, then the votes."""
    asked = problems(task)[EXAMPLES:]
    rows, grades, shown = [], {}, [{"question": p.question, "answer": p.answer, "replies": {}} for p in asked[:SHOWN]]
    for way in WAYS:
        began = time.perf_counter()
        thoughts = replies(model, task, way, asked)
        grades[way] = [float(read(t) == p.answer) for t, p in zip(thoughts, asked, strict=True)]
        right = int(sum(grades[way]))
        tokens = mean([float(t.tokens) for t in thoughts])
        cut = sum(t.forced for t in thoughts)
        rows.append({"way": way, "right": right, "interval": wilson(right, len(asked)), "tokens": tokens, "cut": cut})
        for each, thought in zip(shown, thoughts, strict=False):
            said = {"steps": thought.thinking, "answer": thought.answer, "read": read(thought)}
            each["replies"][way] = said  # type: ignore[index]
        print(f"{task} {way}: {right}/{len(asked)}, {time.perf_counter() - began:.0f} s", flush=True)
    # a problem's replies side by side, so that its prompt is read once
    many = [problem for problem in asked for _ in range(max(VOTES))]
    answers = [read(thought) for thought in replies(model, task, "steps", many, TEMPERATURE, 1)]
    drawn = [answers[place :: max(VOTES)] for place in range(max(VOTES))]
    votes = []
    for count in VOTES:
        won = [vote([row[place] for row in drawn[:count]]).winner for place in range(len(asked))]
        right = sum(winner == problem.answer for winner, problem in zip(won, asked, strict=True))
        votes.append({"votes": count, "right": right, "interval": wilson(right, len(asked))})
        print(f"{task} vote of {count}: {right}/{len(asked)}", flush=True)
    for each, place in zip(shown, range(SHOWN), strict=True):
        each["drawn"] = [row[place] for row in drawn]
    gains = {
        way: difference(grades[f"{way}direct"], grades[f"{way}steps"]) for way in ("", "chat_")
    }  # on the same problems
    return {
        "task": task, "asked": len(asked), "rows": rows, "votes": votes, "shown": shown,
        "gain": gains[""], "chat_gain": gains["chat_"],
    }  # fmt: skip


def main() -> None:
    """Measure, print, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="smollm2")
    parser.add_argument("--record", type=Path, help="also write what the course's chapter shows")
    arguments = parser.parse_args()
    model = load(arguments.model)
    found = {
        "model": model.origin.name, "budget": BUDGET, "examples": EXAMPLES, "temperature": TEMPERATURE, "spell": SPELL,
        "tasks": [measured(model, task) for task in TASKS],
    }  # fmt: skip
    if arguments.record:
        write_text(arguments.record, json.dumps(found, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
