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

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import torch

from glaswerk import runtime
from glaswerk.align.divergence import Guard
from glaswerk.align.grpo import GRPO
from glaswerk.align.rounds import Learner
from glaswerk.opened import OpenedModel
from recipes.plain_answers import TOKENS, Questions, measured, plainness, run, summary, twin

#: rounds, questions in each, answers to each; how often it is looked at
ROUNDS, ASKED, GROUP, EVERY = 24, 16, 8, 4
#: words from which an answer is as long as it is worth
MANY = 40


def bad(title: str, reply: str) -> float:
    """How long an answer is: its words as a share of :data:`MANY`, at most 1."""
    return min(1.0, len(re.findall(r"\w+", reply)) / MANY)


#: reward and price of leaving the start, by name
WAYS: dict[str, tuple[Callable[[str, str], float], float]] = {
    "bad": (bad, 0.0),
    "held": (bad, 0.3),
    "better": (plainness, 0.02),
}


def main() -> None:
    """Run it."""
    run(__doc__ or "", tuple(WAYS), learned, told)


def told(rows: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """All seeds together, and the same for the eye."""
    summed = summary(rows, "way", tuple(WAYS), "round")
    return summed, table(summed, rows)


def learned(opened: OpenedModel, questions: Questions, way: str, seed: int) -> list[dict[str, Any]]:
    """One way with one seed: a row for each look, from the start on."""
    runtime.seed_everything(seed)
    grade, beta = WAYS[way]
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
