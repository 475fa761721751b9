"""PPO, DPO and GRPO on the same preference: what each gains, and how far from the start it goes for it.

One start, one preference (``plain_answers.py``). It labels pairs of the start's own drawn answers; DPO learns from the
pairs, a reward model learns from the same pairs, and PPO and GRPO learn from the reward model. Along the way each is
measured on other questions: plainness and reward against KL, the distance from the start. All seeds share one start.
A seed takes 7 to 10 minutes of one core.

    python -m recipes.preference_tradeoff --out FOLDER [--seeds 3] [--record FILE]

Left out: rewards that are wrong (``reward_hacking.py``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

import torch

from glaswerk import runtime
from glaswerk.align.batches import Endings, Pairs
from glaswerk.align.dpo import Preference, keep_reference
from glaswerk.align.grpo import GRPO
from glaswerk.align.pairs import Pair, all_tokens
from glaswerk.align.ppo import PPO, ValuedPolicy
from glaswerk.align.reward import Judge, RewardModel, reward_loss
from glaswerk.align.rollout import roll_out
from glaswerk.align.rounds import Learner, Method
from glaswerk.model import Decoder
from glaswerk.opened import OpenedModel
from glaswerk.train import TrainPlan, train
from recipes.plain_answers import TOKENS, Point, Questions, measured, plainness, question, run, summary, twin

#: answers to each question that pairs are made of; pairs in a step
DRAWN, SIZE = 4, 16
#: steps of the reward model and of DPO; rounds of PPO and GRPO, questions in each and answers to each
JUDGING, STEPS, ROUNDS, ASKED, GROUP = 150, 120, 40, 16, 8
#: how often each is measured on its way
POINTS = 5
#: how dear it is to leave the start
BETAS = {"dpo": 0.1, "ppo": 0.05, "grpo": 0.05}
METHODS = ("ppo", "dpo", "grpo")

Reward = Callable[[Sequence[int], Sequence[str]], list[float]]


def main() -> None:
    """Run it."""
    run(__doc__ or "", ("",), lambda opened, questions, _, seed: learned(opened, questions, seed), told)


def told(rows: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """All seeds together, and the same for the eye."""
    summed = summary(rows, "method", METHODS, "step")
    return summed, table(summed)


def learned(opened: OpenedModel, questions: Questions, seed: int) -> list[dict[str, Any]]:
    """All three methods with one seed: a row for each measured point."""
    runtime.seed_everything(seed)
    rows: list[dict[str, Any]] = []
    reference = twin(opened).eval()
    pairs = labelled(opened, questions, seed)
    answered, _ = all_tokens(opened.speech, pairs, opened.model.config.context)
    batches = Pairs(answered, SIZE, seed, opened.tokenizer.end_id)
    reward, agrees = judge(opened, batches, questions)
    print(f"seed {seed}: {len(pairs)} pairs; the reward model agrees with {agrees:.0%} of them", flush=True)
    for method in METHODS:
        began = time.perf_counter()

        def keep(done: int, policy: Decoder, method: str = method, began: float = began) -> Point:
            point, replies = measured(opened, policy, reference, questions, reward, seed)
            rows.append({"method": method, "seed": seed, "step": done, **asdict(point), "replies": replies})
            print(
                f"  {method} {done:>3}: plain {point.plain:.3f}, reward {point.reward:+.2f}, KL {point.kl:.1f} nats, "
                f"{time.perf_counter() - began:.0f} s",
                flush=True,
            )
            return point

        if method == "dpo":
            by_pairs(opened, batches, keep)
        else:
            by_rewards(opened, reference, questions, reward, method, seed, keep)
    return rows


def labelled(opened: OpenedModel, questions: Questions, seed: int) -> list[Pair]:
    """Each question's plainest drawn answer over its least plain one, where they differ."""
    pairs = []
    asked = questions.chosen(0, 400, seed)
    rollouts = roll_out(
        opened.model, opened.tokenizer, [questions.prompts[i] for i in asked], DRAWN, max_tokens=TOKENS,
        seed=1_000_000 * (seed + 1), end_ids=opened.end_ids,
    )  # fmt: skip
    for place, i in enumerate(asked):
        replies = [reply for reply in rollouts.replies[place * DRAWN : (place + 1) * DRAWN] if reply.strip()]
        ranked = sorted(replies, key=lambda reply, i=i: plainness(questions.titles[i], reply))  # type: ignore[misc]
        if len(ranked) > 1 and plainness(questions.titles[i], ranked[0]) < plainness(questions.titles[i], ranked[-1]):
            pairs.append(Pair.of(question(questions.titles[i]), ranked[-1], ranked[0], "plain"))
    return pairs


def judge(opened: OpenedModel, batches: Pairs, questions: Questions) -> tuple[Reward, float]:
    """A reward model of the pairs, its rewards in standard deviations from what the start's pairs get; and how often it
    prefers the preferred one."""
    model = RewardModel.of(twin(opened))
    train(model, Endings(batches), reward_loss, plan(JUDGING, 2 * batches.size, batches.time, 1e-3))
    judged = Judge(model.eval(), opened.speech, "the reward model")
    every = range(len(batches.pairs))
    ids_BT, last_B = Endings(batches).rows(list(every))
    with torch.no_grad():
        chosen_P, rejected_P = model.rewards(ids_BT, last_B).chunk(2)
    both = torch.cat([chosen_P, rejected_P])
    middle, spread = float(both.mean()), float(both.std())

    def reward(places: Sequence[int], replies: Sequence[str]) -> list[float]:
        said = [{"role": "assistant", "content": reply} for reply in replies]
        talks = [[*question(questions.titles[i]), answer] for i, answer in zip(places, said, strict=True)]
        return [(each - middle) / spread for each in judged.rewards(talks)]

    return reward, float((chosen_P > rejected_P).float().mean())


def plan(steps: int, batch: int, width: int, rate: float) -> TrainPlan:
    """AdamW, as a model that was trained is only to be moved a little."""
    return TrainPlan(steps=steps, batch=batch, time=width, muon=False, other_rate=rate, decay=0.8, compile=False)


def by_pairs(opened: OpenedModel, batches: Pairs, keep: Callable[[int, Decoder], Point]) -> None:
    """DPO (Rafailov et al. 2023), measured on its way."""
    policy = twin(opened).eval()
    keep(0, policy)
    keep_reference(policy, batches)
    done = [0]

    def look() -> dict[str, float]:
        done[0] += STEPS // POINTS
        policy.eval()
        return {"plain": keep(done[0], policy).plain}

    steps = plan(STEPS, 2 * batches.size, batches.time, 1e-4)
    train(policy, batches, Preference(beta=BETAS["dpo"]), replace(steps, evaluate_every=STEPS // POINTS), evaluate=look)
    policy.eval()
    keep(STEPS, policy)


def by_rewards(
    opened: OpenedModel, reference: Decoder, questions: Questions, reward: Reward, method: str, seed: int,
    keep: Callable[[int, Decoder], Point],
) -> None:  # fmt: skip
    """PPO or GRPO from the reward model, measured on its way."""
    settings = {"group": GROUP, "max_tokens": TOKENS, "beta": BETAS[method]}
    how: Method = PPO(**settings) if method == "ppo" else GRPO(**settings)  # type: ignore[arg-type]
    policy = ValuedPolicy.of(opened.model) if method == "ppo" else twin(opened)
    learner = Learner(policy, reference, opened.tokenizer, how, end_ids=opened.end_ids)
    keep(0, policy)
    for number in range(ROUNDS):
        asked = questions.chosen(number + 1, ASKED, seed)
        learner.round(
            [questions.prompts[i] for i in asked],
            lambda rollouts, asked=asked: torch.tensor(  # type: ignore[misc]
                reward([i for i in asked for _ in range(rollouts.group)], rollouts.replies)
            ),
            seed=(seed * ROUNDS + number) * ASKED * GROUP,
            factor=1 - 0.9 * number / ROUNDS,
        )
        if (number + 1) % (ROUNDS // POINTS) == 0:
            keep(number + 1, policy)


# ---------------------------------------------------------------------------------------------- what is told
def table(summed: Sequence[dict[str, Any]]) -> str:
    """For the eye: each method at its start, and the farthest it went within 10 nats."""
    lines = [f"{'method':8}{'steps':>6}{'plain':>16}{'reward':>16}{'KL, nats':>16}"]
    for method in METHODS:
        own = [row for row in summed if row["method"] == method]
        within = [row for row in own if row["kl"] <= 10]
        for row in (own[0], max(within, key=lambda row: row["reward"])):
            cells = "".join(f"{row[n]:>9.2f} ± {row[f'{n}_interval']:<4.2f}" for n in ("plain", "reward", "kl"))
            lines.append(f"{method:8}{row['step']:>6}{cells}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
