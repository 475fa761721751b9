"""Thinking before answering: how right a small model of one's own is, against the tokens that it may think for.

A model of 0.7 M parameters learns two tasks with written steps, sums of numbers below a thousand and the shell game
(``glaswerk eval`` calls them arithmetic and cups), and half of the time to answer them at once. Some of the steps it
reads are taken back: "Wait", and all of them again. Then it answers test problems, which no stage has seen, with
budgets from 0 tokens to as many as it likes: what is longer is cut and the answer asked for (budget forcing;
Muennighoff et al. 2025). It is made to wait and to go on; it votes over several drawn replies (Wang et al. 2023); and
GRPO rewards right sums of replies with steps, after which all is measured again.

    python -m recipes.thinking_budget --out FOLDER [--seeds 3] [--record FILE]

Left out: answers without steps as they are learned from rewards (``addition_grpo.py``).
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from glaswerk.evaluate.chain import check
from glaswerk.evaluate.likelihood import Asked, likelihoods
from glaswerk.evaluate.metrics.intervals import wilson
from glaswerk.evaluate.task import Messages, Task, pair
from glaswerk.evaluate.tasks.arithmetic import Arithmetic, last_number
from glaswerk.evaluate.tasks.cups import PLACES, Cups, last_place
from glaswerk.generate.thinking import WAIT, Thought, think, vote
from glaswerk.opened import OpenedModel, load
from glaswerk.pipeline import pretrain, sft
from glaswerk.run import Run
from glaswerk.tuning import align

#: the model, and steps of base model, assistant and GRPO's rounds
LAYERS, WIDTH, BASE, ASSISTANT, ROUNDS = 3, 128, 800, 500, 40
#: texts to read, problems in each; test problems of each task
TEXTS, EACH, ASKED = 4000, 4, 200
#: of the replies with steps so many wait, most of those after a slip
WAITING, SLIPPED = 1 / 5, 2 / 3
#: tokens of thinking; as many as the context has room for, where it is made to wait
BUDGETS, ROOM = (0, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96), 176
#: how often it is made to go on; replies that vote, drawn at this temperature, of so many problems
WAITS, VOTES, TEMPERATURE, VOTED = (0, 1, 2), (1, 2, 4, 8, 16), 1.0, 100
#: chains that are recorded, at these budgets
SHOWN, SHOWN_AT = 4, (0, 8, 16, 96)


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
                found = {"rows": curves(opened, stage, seed), "chains": recorded(opened, stage, seed)}
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
        shown = [{key: value for key, value in row.items() if key != "items"} for row in rows]
        arguments.record.write_text(json.dumps({"rows": shown, "chains": chains}, ensure_ascii=False) + "\n", "utf-8")


def made(folder: Path, out: Path, seed: int) -> None:
    """The run's three stages, as far as they are not there yet."""
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, 5])
    practice = [each for steps in (True, False) for task in tasks(steps).values() if (each := task.practice())]
    texts, chats = out / f"texts-{seed}.jsonl", out / f"chats-{seed}.jsonl"
    talks = [some_wait(task.conversation(i), rng) for task in practice for i in range(len(task))]
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
def thoughts(opened: OpenedModel, task: Task, items: Sequence[int], budget: int, **how: Any) -> list[Thought]:
    """The model's replies to these items."""
    prompts = [opened.chat_ids(task.prompt(i)) for i in items]
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
            )  # fmt: skip
        for waits in WAITS:
            found = thoughts(opened, task, items, ROOM, waits=waits)
            right = [task.grade(i, each.answer) for i, each in zip(items, found, strict=True)]
            waited = sum(each.waited == waits for each in found)
            keep(name, "wait", waits, right, sum(each.tokens for each in found) / len(found), waited=waited)
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
        at_once = tasks(steps=False)[name]
        talks = [at_once.prompt(i) for i in items]
        replies = opened.chat_batch(talks, max_tokens=at_once.max_tokens, temperature=0.0)
        keep(name, "at once", 0, [at_once.grade(i, reply) for i, reply in zip(items, replies, strict=True)], 0.0)
    return rows


def recorded(opened: OpenedModel, stage: str, seed: int) -> list[dict[str, Any]]:
    """A few chains at several budgets, with the probability of each token as it was written."""
    found = []
    for name, task in tasks().items():
        for budget in SHOWN_AT:
            for i, each in enumerate(thoughts(opened, task, range(SHOWN), budget)):
                said = f"{each.thinking}\nAnswer: {each.answer}" if each.thinking else f"Answer: {each.answer}"
                ids = opened.tokenizer.encode(said)
                (read,) = likelihoods(opened.model, [Asked([*each.prompt, *ids], len(each.prompt))])
                found.append(
                    {"stage": stage, "task": name, "item": i, "budget": budget, "asked": task.prompt(i)[-1]["content"],
                     "expected": task.answer(i), "tokens": [opened.tokenizer.decode([id]) for id in ids],
                     "shares": [round(math.exp(nats), 4) for nats in read.nats], "thinking": each.tokens,
                     "forced": each.forced, "right": task.grade(i, each.answer),
                     **asdict(check(task, i, each.thinking, each.answer))}
                )  # fmt: skip
    return found


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
            for what, unit in (("budget", "tokens"), ("wait", "waits"), ("votes", "votes"), ("at once", "")):
                cells = "  ".join(f"{row['setting']}: {row['right']:.0%}" for row in own if row["what"] == what)
                lines.append(f"{stage:5}{task:6}{unit or what:9}{cells}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
