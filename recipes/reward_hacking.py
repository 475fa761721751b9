"""A bad reward is exploited, and what a price on leaving the start and a better reward do about it.

The same start (``plain_answers.py``) learns "What is X?" by GRPO three times, with a reward for each answer:

- ``bad``: how long it is, and nothing holds it back. What was meant: "be thorough". Judges that were learned from
  people lean that way by themselves (Singhal et al. 2023).
- ``held``: the same reward, with the distance from the start (KL) made dear.
- ``better``: what was meant is written down: X is named, the sentences are whole, few, and do not repeat themselves.

On other questions each is measured by the bad reward, which it was promised, and by plainness, which was meant.
``held`` loses less of what was meant, but loses; ``better`` is trained on what it is measured by, on other questions.
A seed takes about 5 minutes of one core.

    python -m recipes.reward_hacking --out FOLDER [--seeds 3] [--record FILE]

Left out: rewards that are learned (``preference_tradeoff.py``).
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from glaswerk import runtime
from glaswerk.align.divergence import Guard
from glaswerk.align.grpo import GRPO
from glaswerk.align.rounds import Learner
from glaswerk.opened import OpenedModel
from recipes.plain_answers import TOKENS, Questions, measured, plainness, start, twin
from recipes.preference_tradeoff import over_seeds

#: rounds, questions in each, answers to each; how often it is looked at
ROUNDS, ASKED, GROUP, EVERY = 24, 16, 8, 4
#: words from which an answer is as long as it is worth
MANY = 40
#: reward and price of leaving the start, by name
WAYS = {"bad": ("bad", 0.0), "held": ("bad", 0.3), "better": ("better", 0.02)}


def bad(title: str, reply: str) -> float:
    """How long an answer is: its words as a share of :data:`MANY`, at most 1."""
    return min(1.0, len(re.findall(r"\w+", reply)) / MANY)


def better(title: str, reply: str) -> float:
    """What was meant: a plain answer."""
    return plainness(title, reply)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write: the start's run, results.json")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--record", type=Path, help="also write what the course's chapter shows")
    arguments = parser.parse_args()
    runtime.deterministic()
    opened = start(arguments.out / "start")
    questions = Questions.of(opened, arguments.out / "start")
    rows: list[dict[str, Any]] = []
    for seed in range(arguments.seeds):
        for way in WAYS:
            file = arguments.out / f"{way}-{seed}.json"
            if not file.is_file():
                file.write_text(json.dumps(learned(opened, questions, way, seed)), encoding="utf-8")
            rows += json.loads(file.read_text(encoding="utf-8"))
    summed = summary(rows)
    print(table(summed, rows))
    (arguments.out / "results.json").write_text(json.dumps({"rows": rows, "summary": summed}), encoding="utf-8")
    if arguments.record:
        shown = [{key: value for key, value in row.items() if key != "replies" or row["seed"] == 0} for row in rows]
        arguments.record.write_text(json.dumps({"rows": shown, "summary": summed}, ensure_ascii=False) + "\n", "utf-8")


def learned(opened: OpenedModel, questions: Questions, way: str, seed: int) -> list[dict[str, Any]]:
    """One way with one seed: a row for each look, from the start on."""
    runtime.seed_everything(seed)
    name, beta = WAYS[way]
    grade = bad if name == "bad" else better
    reference, policy = twin(opened).eval(), twin(opened)
    method = GRPO(group=GROUP, max_tokens=TOKENS, beta=beta)
    # here going astray is what is to be seen: nothing stops it
    learner = Learner(
        policy, reference, opened.tokenizer, method, end_ids=opened.end_ids, guard=Guard(most_kl=1e9, least_entropy=0.0)
    )
    rows: list[dict[str, Any]] = []
    began = time.perf_counter()

    def promised(places: Sequence[int], replies: Sequence[str]) -> list[float]:
        return [bad(questions.titles[i], reply) for i, reply in zip(places, replies, strict=True)]

    def look(done: int) -> None:
        point, replies = measured(opened, policy, reference, questions, promised, seed)
        asked = [questions.titles[i] for i in questions.back[: len(replies)]]
        rows.append(
            {
                "way": way,
                "seed": seed,
                "round": done,
                **asdict(point),
                "replies": list(zip(asked, replies, strict=True)),
            }
        )
        print(
            f"seed {seed}, {way:6} {done:>3}: bad reward {point.reward:.2f}, plainness {point.plain:.2f}, "
            f"KL {point.kl:.1f} nats; {time.perf_counter() - began:.0f} s",
            flush=True,
        )

    look(0)
    for number in range(ROUNDS):
        asked = questions.chosen(number, ASKED, seed)
        learner.round(
            [questions.prompts[i] for i in asked],
            lambda rollouts, asked=asked: torch.tensor(  # type: ignore[misc]
                [
                    grade(questions.titles[asked[row // rollouts.group]], reply)
                    for row, reply in enumerate(rollouts.replies)
                ]
            ),
            seed=(seed * ROUNDS + number) * ASKED * GROUP,
        )
        if (number + 1) % EVERY == 0:
            look(number + 1)
    return rows


# ---------------------------------------------------------------------------------------------- what is told
def summary(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each way at each look over all seeds: means, and the half-width of their 95 % interval over seeds."""
    found = []
    for way in WAYS:
        for done in sorted({row["round"] for row in rows if row["way"] == way}):
            same = [row for row in rows if row["way"] == way and row["round"] == done]
            told: dict[str, Any] = {"way": way, "round": done, "seeds": len(same)}
            for name in ("plain", "reward", "kl"):
                values = [row[name] for row in same]
                told[name] = round(sum(values) / len(values), 4)
                told[f"{name}_interval"] = round(over_seeds(values), 4)
            found.append(told)
    return found


def table(summed: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]]) -> str:
    """For the eye: each way at its start and end, and an answer of the end."""
    lines = [f"{'way':8}{'round':>6}{'bad reward':>16}{'plainness':>16}{'KL, nats':>16}"]
    for way in WAYS:
        own = [row for row in summed if row["way"] == way]
        for row in (own[0], own[-1]):
            cells = "".join(f"{row[n]:>9.2f} ± {row[f'{n}_interval']:<4.2f}" for n in ("reward", "plain", "kl"))
            lines.append(f"{way:8}{row['round']:>6}{cells}")
        last = [row for row in rows if row["way"] == way and row["seed"] == 0][-1]
        title, reply = last["replies"][0]
        lines.append(f'        "What is {title}?"  {reply}')
    return "\n".join(lines)


if __name__ == "__main__":
    main()
