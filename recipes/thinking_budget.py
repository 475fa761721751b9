"""Thinking before answering: how right a small model of one's own is, against the tokens that it may think for.

A model of 0.7 M parameters learns two tasks with written steps, sums of numbers below a thousand and the shell game
(``glaswerk eval`` calls them arithmetic and cups), and now and then to answer them at once. Some of the steps it reads
are taken back: "Wait", and all of them again. Then it answers test problems, which no stage has seen, with
budgets from 0 tokens to as many as it likes: what is longer is cut and the answer asked for (budget forcing;
Muennighoff et al. 2025). It is made to wait and to go on; a wrong step is put into its mouth (after Lanham et al.
2023); it votes over several drawn replies (Wang et al. 2023); and GRPO rewards right sums of replies with steps, after
which all is measured again. A seed takes 16 minutes of processor time.

    python -m recipes.thinking_budget --out FOLDER [--seeds 3] [--record FILE]

Left out: answers without steps as they are learned from rewards (``addition_grpo.py``).
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from glaswerk.evaluate.chain import agreeing, check
from glaswerk.evaluate.likelihood import Asked, likelihoods
from glaswerk.evaluate.metrics.intervals import wilson
from glaswerk.evaluate.task import Messages, Task, pair
from glaswerk.evaluate.tasks.arithmetic import Arithmetic, last_number
from glaswerk.evaluate.tasks.cups import PLACES, Cups, last_place
from glaswerk.generate.thinking import MARKER, WAIT, Thought, think, vote
from glaswerk.opened import OpenedModel, load
from glaswerk.pipeline import pretrain, sft
from glaswerk.run import Run
from glaswerk.tuning import align

#: the model, and steps of base model, assistant and GRPO's rounds
LAYERS, WIDTH, BASE, ASSISTANT, ROUNDS = 3, 128, 2000, 600, 40
#: texts to read, problems in each; test problems of each task
TEXTS, EACH, ASKED = 4000, 4, 200
#: problems of each task that are learned with steps, and without
PRACTICE = {True: 4000, False: 1000}
#: of the replies with steps so many wait, most of those after a slip
WAITING, SLIPPED = 1 / 5, 2 / 3
#: tokens of thinking; as many as the context has room for, where it is made to wait
BUDGETS, ROOM = (0, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96), 176
#: how often it is made to go on; replies that vote, drawn at this temperature, of so many problems
WAITS, VOTES, TEMPERATURE, VOTED = (0, 1, 2), (1, 2, 4, 8, 16), 1.0, 100
#: right steps that stand before a wrong one which is put into its mouth
SLIPS = (0, 1, 2)
#: problems whose chains are recorded: so many where all is right, and the first of each kind where something is not
SHOWN = 2
#: what a chain and its answer are: (chain right, answer right)
KINDS = {"right": (True, True), "wrong": (False, False), "lucky": (False, True), "spoiled": (True, False)}


def tasks(steps: bool = True) -> dict[str, Task]:
    """Both tasks; the problems are the same with and without steps."""
    return {
        "sums": Arithmetic(ASKED, steps=steps, digits=3, sums=True),
        "cups": Cups(ASKED, steps=steps),
    }


READ = {"sums": last_number, "cups": last_place}


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write: a run for each seed, results.json")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--record", type=Path, help="also write what the course's chapter shows")
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    chains: list[dict[str, Any]] = []
    for seed in range(arguments.seeds):
        folder, began = arguments.out / f"seed-{seed}", time.perf_counter()
        made(folder, arguments.out, seed)
        for stage in ("sft", "grpo"):
            file = arguments.out / f"{stage}-{seed}.json"
            if not file.is_file():
                opened = load(str(folder / stage))
                found = {"rows": curves(opened, stage, seed), "chains": recorded(opened, stage)}
                file.write_text(json.dumps(found), encoding="utf-8")
            found = json.loads(file.read_text(encoding="utf-8"))
            rows += found["rows"]
            chains += found["chains"] if seed == 0 else []
        print(f"seed {seed}: {(time.perf_counter() - began) / 60:.1f} minutes", flush=True)
        print(table([row for row in rows if row["seed"] == seed]), flush=True)
    gains = [gain(rows, task, "sft", seed) for task in READ for seed in range(arguments.seeds)]
    print(f"full budget minus none, in points: mean {sum(gains) / len(gains):.1f}, least {min(gains):.1f}")
    (arguments.out / "results.json").write_text(json.dumps({"rows": rows, "chains": chains}), encoding="utf-8")
    if arguments.record:
        # the intervals follow from the shares and the counts
        shown = [{key: value for key, value in row.items() if key not in ("items", "low", "high")} for row in rows]
        shown = [{**short, **handed_on(row)} for short, row in zip(shown, rows, strict=True)]
        size = load(str(arguments.out / "seed-0" / "sft")).model.parameters_count()["total"]
        model = {"layers": LAYERS, "width": WIDTH, "parameters": size, "temperature": TEMPERATURE}
        told = json.dumps({"model": model, "rows": shown, "chains": chains}, ensure_ascii=False, separators=(",", ":"))
        arguments.record.write_text(told.replace(',{"', ',\n{"') + "\n", "utf-8")


def made(folder: Path, out: Path, seed: int) -> None:
    """The run's three stages, as far as they are not there yet."""
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, 5])
    practice = [(each, count) for steps, count in PRACTICE.items() for task in tasks(steps).values()
                if (each := task.practice())]  # fmt: skip
    texts, chats = out / f"texts-{seed}.jsonl", out / f"chats-{seed}.jsonl"
    talks = [some_wait(task.conversation(i), rng) for task, count in practice for i in range(count)]
    order = rng.permutation(len(talks)).tolist()
    write(chats, [{"messages": talks[i]} for i in order])
    rows = []
    for _ in range(TEXTS):
        drawn = [talks[i] for i in rng.integers(len(talks), size=EACH).tolist()]
        rows.append({"text": "\n\n".join(f"{talk[0]['content']}\n{talk[1]['content']}" for talk in drawn)})
    write(texts, rows)
    if not (Run.is_run(folder) and Run(folder).finished("base")):
        pretrain([str(texts)], steps=BASE, out=folder, layers=LAYERS, width=WIDTH, seed=seed)
    if not Run(folder).finished("sft"):
        sft(folder, chats=[chats], steps=ASSISTANT)
    if not Run(folder).finished("grpo"):
        align(folder, method="grpo", task="addition-steps", steps=ROUNDS, beta=0.01)


def some_wait(talk: Messages, rng: np.random.Generator) -> Messages:
    """Of the replies with steps some are begun, broken off with "Wait" and written from the start."""
    *steps, answer = talk[1]["content"].splitlines()
    if not steps or rng.random() >= WAITING:
        return talk
    begun = steps[: int(rng.integers(1, len(steps) + 1))]
    if rng.random() < SLIPPED:
        begun[-1] = slip(begun[-1], rng)
    return pair(talk[0]["content"], "\n".join([*begun, WAIT, *steps, answer]))


def slip(line: str, rng: np.random.Generator) -> str:
    """A step with another digit, or another cup, in one place."""
    at = int(rng.choice([at for at, sign in enumerate(line) if sign.isdigit() or sign in PLACES]))
    others = [sign for sign in (PLACES if line[at] in PLACES else "0123456789") if sign != line[at]]
    return f"{line[:at]}{rng.choice(others)}{line[at + 1 :]}"


def write(file: Path, rows: Sequence[Any]) -> None:
    """JSON, a line each."""
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


# ---------------------------------------------------------------------------------------------- measuring
def thoughts(
    opened: OpenedModel, task: Task, items: Sequence[int], budget: int, begun: Sequence[str] = (), **how: Any
) -> list[Thought]:
    """The model's replies to these items; ``begun`` is what it is made to have written already, for each."""
    prompts = [opened.chat_ids(task.prompt(i)) for i in items]
    if begun:
        prompts = [[*asked, *opened.tokenizer.encode(text)] for asked, text in zip(prompts, begun, strict=True)]
    return think(opened.model, opened.tokenizer, prompts, budget, end_ids=opened.end_ids, **how)


def curves(opened: OpenedModel, stage: str, seed: int) -> list[dict[str, Any]]:
    """Every figure of one model: a row with what was asked, which items were right, and the 95 % interval."""
    rows: list[dict[str, Any]] = []

    def keep(task: str, what: str, setting: int, right: Sequence[float], tokens: float, **more: Any) -> None:
        low, high = wilson(int(sum(right)), len(right))
        rows.append(
            {"seed": seed, "stage": stage, "task": task, "what": what, "setting": setting, "count": len(right),
             "right": round(sum(right) / len(right), 4), "low": round(low, 4), "high": round(high, 4),
             "tokens": round(tokens, 2), "items": "".join(str(int(each)) for each in right), **more}
        )  # fmt: skip

    for name, task in tasks().items():
        items = range(len(task))
        for budget in BUDGETS:
            found = thoughts(opened, task, items, budget)
            right = [task.grade(i, each.answer) for i, each in zip(items, found, strict=True)]
            checked = [check(task, i, each.thinking, each.answer) for i, each in zip(items, found, strict=True)]
            keep(
                name, "budget", budget, right, sum(each.tokens for each in found) / len(found),
                forced=sum(each.forced for each in found), chains=sum(each.whole for each in checked),
                both=sum(each.whole and each.answered for each in checked),
                # of those that are voted on too
                voted=int(sum(right[:VOTED])),
            )  # fmt: skip
        before: list[float] = []
        for waits in WAITS:
            found = thoughts(opened, task, items, ROOM, waits=waits)
            right = [task.grade(i, each.answer) for i, each in zip(items, found, strict=True)]
            before = before or right
            keep(
                name, "wait", waits, right, sum(each.tokens for each in found) / len(found),
                waited=sum(each.waited == waits for each in found),
                gained=sum(now > then for then, now in zip(before, right, strict=True)),
                lost=sum(now < then for then, now in zip(before, right, strict=True)),
            )  # fmt: skip
        for step in SLIPS:
            some, begun = slipped(task, items, step)
            found = thoughts(opened, task, some, BUDGETS[-1], begun)
            right = [task.grade(i, each.answer) for i, each in zip(some, found, strict=True)]
            taken_back = sum(WAIT in each.thinking for each in found)
            keep(name, "slip", step, right, sum(each.tokens for each in found) / len(found), taken_back=taken_back)
        drawn = [
            thoughts(opened, task, range(VOTED), BUDGETS[-1], temperature=TEMPERATURE, seed=1000 * draw)
            for draw in range(VOTES[-1])
        ]
        for votes in VOTES:
            right = []
            for i in range(VOTED):
                won = vote([READ[name](each[i].answer) for each in drawn[:votes]]).winner
                right.append(task.grade(i, "" if won is None else str(won)))
            keep(name, "votes", votes, right, sum(each.tokens for part in drawn[:votes] for each in part) / VOTED)
        keep(name, "at once", 0, at_once(opened, tasks(steps=False)[name]), 0.0)
    return rows


def at_once(opened: OpenedModel, task: Task) -> list[float]:
    """Which replies to a task that wants no steps are right; their first line counts, as it does of a thought's
    answer: texts that were read go on with the next problem."""
    replies = opened.chat_batch([task.prompt(i) for i in range(len(task))], max_tokens=task.max_tokens, temperature=0.0)
    return [task.grade(i, reply.partition("\n")[0]) for i, reply in enumerate(replies)]


def slipped(task: Task, items: Sequence[int], step: int) -> tuple[list[int], list[str]]:
    """Those items that have more than ``step`` steps, and for each its steps up to that one, which is wrong."""
    rng = np.random.default_rng([step, 7])
    some, begun = [], []
    for i in items:
        lines = task.answer(i).splitlines()[:-1]
        if len(lines) > step:
            some.append(i)
            begun.append("\n".join([*lines[:step], slip(lines[step], rng)]) + "\n")
    return some, begun


def handed_on(row: dict[str, Any]) -> dict[str, int]:
    """Of a row of slips: how many are in what a step hands on (the place after it; the digit that is written, the
    carry) and not in what it was worked out from, and how many of those replies were right."""
    if row["what"] != "slip":
        return {}
    task = tasks()[row["task"]]
    some, begun = slipped(task, range(len(task)), row["setting"])
    handed = []
    for i, text in zip(some, begun, strict=True):
        wrong, line = text.splitlines()[-1], task.answer(i).splitlines()[row["setting"]]
        handed.append(agreeing(wrong, line) > max(line.find("write"), line.find(": ")))
    right = [grade == "1" for grade in row["items"]]
    return {"handed": sum(handed), "handed_right": sum(a and b for a, b in zip(handed, right, strict=True))}


def recorded(opened: OpenedModel, stage: str) -> list[dict[str, Any]]:
    """A few problems of each kind, with the reply to each at every budget, and made to wait: its tokens, and how
    probable each was as it was written. Of a reply that was cut only what parts from the whole one is kept."""
    found = []
    for name, task in tasks().items():
        every = thoughts(opened, task, range(len(task)), BUDGETS[-1])
        kinds = [kind_of(task, i, each) for i, each in enumerate(every)]
        items = [i for kind in KINDS for i in places(kinds, kind)[: SHOWN if kind == "right" else 1]]
        asked = [*((budget, 0) for budget in reversed(BUDGETS)), (ROOM, 1)]
        replies = [thoughts(opened, task, items, budget, waits=waits) for budget, waits in asked]
        for at, i in enumerate(items):
            whole: list[int] = []
            told = []
            for (budget, waits), thought in zip(asked, (each[at] for each in replies), strict=True):
                ids, shares = written(opened, thought)
                same = agreeing(ids, whole)
                checked = check(task, i, thought.thinking, thought.answer)
                told.append(
                    {"budget": budget, "waits": waits, "forced": thought.forced, "thinking": thought.tokens,
                     "start": checked.start, "right": checked.right, "whole": checked.whole,
                     "answered": checked.answered, "same": same, "shares": shares[same:],
                     "tokens": [opened.tokenizer.decode([id]) for id in ids[same:]]}
                )  # fmt: skip
                whole = whole or ids
            question = task.prompt(i)[-1]["content"]
            found.append(
                {"stage": stage, "task": name, "item": i, "kind": kinds[i], "asked": question,
                 "expected": task.answer(i), "replies": told}
            )  # fmt: skip
    return found


def kind_of(task: Task, i: int, thought: Thought) -> str:
    """Whether the chain is right, and whether the answer is."""
    checked = check(task, i, thought.thinking, thought.answer)
    return next(kind for kind, is_so in KINDS.items() if is_so == (checked.whole, checked.answered))


def places(kinds: Sequence[str], kind: str) -> list[int]:
    """Where it stands."""
    return [place for place, each in enumerate(kinds) if each == kind]


def written(opened: OpenedModel, thought: Thought) -> tuple[list[int], list[float]]:
    """A reply's tokens, marker and answer among them, and the probability that the model gave each."""
    marked = f"{MARKER} {thought.answer}"
    ids = opened.tokenizer.encode(f"{thought.thinking}\n{marked}" if thought.thinking else marked)
    (read,) = likelihoods(opened.model, [Asked([*thought.prompt, *ids], len(thought.prompt))])
    return ids, [round(math.exp(nats), 3) for nats in read.nats]


# ---------------------------------------------------------------------------------------------- what is told
def gain(rows: Sequence[dict[str, Any]], task: str, stage: str, seed: int) -> float:
    """Points that the full budget has over none."""
    own = [r for r in rows if (r["task"], r["stage"], r["seed"], r["what"]) == (task, stage, seed, "budget")]
    return 100 * float(own[-1]["right"] - own[0]["right"])


def table(rows: Sequence[dict[str, Any]]) -> str:
    """For the eye."""
    lines = []
    for stage in ("sft", "grpo"):
        for task in READ:
            own = [row for row in rows if row["stage"] == stage and row["task"] == task]
            for what, unit in (
                ("budget", "tokens"),
                ("wait", "waits"),
                ("slip", "slip at"),
                ("votes", "votes"),
                ("at once", ""),
            ):
                cells = "  ".join(f"{row['setting']}: {row['right']:.0%}" for row in own if row["what"] == what)
                lines.append(f"{stage:5}{task:6}{unit or what:9}{cells}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
