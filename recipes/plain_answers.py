"""What two recipes share: a small assistant of wikipedia-en, and a preference that can be computed, the same for all.

The preference is for a plain answer to "What is X?": it names X, is one to three whole sentences of 6 to 30 words, and
says no longer word again and again. Nobody who learns from it sees this rule: it labels pairs, and it measures. Left
out: what is learned (``preference_tradeoff.py``, ``reward_hacking.py``).
"""

from __future__ import annotations

import argparse
import copy
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from glaswerk import runtime
from glaswerk.align.advantages import kl_k3
from glaswerk.align.rollout import log_probs, roll_out
from glaswerk.corpora import documents
from glaswerk.evaluate.metrics.intervals import over_seeds
from glaswerk.model import Decoder
from glaswerk.opened import OpenedModel, load
from glaswerk.pipeline import pretrain, sft
from glaswerk.run import Run

#: the start: a base model of 0.9 M parameters and its assistant, by steps
LAYERS, WIDTH, BASE, ASSISTANT = 3, 128, 400, 250
#: tokens of an answer; questions to learn from and to measure with
TOKENS, LEARN, BACK = 40, 600, 64
#: answers to each question that are measured
EACH = 4


def plainness(title: str, reply: str) -> float:
    """How plain an answer about ``title`` is, 0 to 1: the mean of three things that hold or not, times the share of its
    longer words that are not said again."""
    words = re.findall(r"\w+", reply.lower())
    named = float(title.lower() in reply.lower())
    whole = float(reply.strip().endswith((".", "!", "?")) and 1 <= len(re.findall(r"[.!?](?:\s|$)", reply)) <= 3)
    fitting = float(6 <= len(words) <= 30)
    longer = [word for word in words if len(word) >= 4]
    said_once = len(set(longer)) / len(longer) if longer else 0.0
    return (named + whole + fitting) / 3 * said_once


def start(folder: Path) -> OpenedModel:
    """The assistant, made where it is not there yet; the same for every seed."""
    if not (Run.is_run(folder) and Run(folder).finished("base")):
        pretrain(["wikipedia-en"], steps=BASE, out=folder, layers=LAYERS, width=WIDTH)
    if not Run(folder).finished("sft"):
        sft(folder, steps=ASSISTANT)
    return load(str(folder / "sft"), "fp32")


@dataclass(frozen=True)
class Questions:
    """Titles and, for each, the question as tokens; the first :data:`LEARN` are learned from, the others measure."""

    titles: list[str]
    prompts: list[list[int]]

    @classmethod
    def of(cls, opened: OpenedModel, folder: Path) -> Questions:
        """About titles of the run's texts that are single words or two."""
        titles = [each.title for each in documents(Run(folder).corpus, "train") if each.title]
        titles = [title for title in titles if re.fullmatch(r"\w+(?: \w+)?", title)][: LEARN + BACK]
        return cls(titles, [opened.chat_ids(question(title)) for title in titles])

    def chosen(self, round: int, count: int, seed: int) -> list[int]:
        """Which are asked in a round, of those to learn from."""
        generator = torch.Generator().manual_seed(10_000 * seed + round)
        return torch.randperm(min(LEARN, len(self.titles)), generator=generator)[:count].tolist()

    @property
    def back(self) -> list[int]:
        """Those that measure."""
        return list(range(len(self.titles) - BACK, len(self.titles)))


def question(title: str) -> list[dict[str, str]]:
    """As a conversation."""
    return [{"role": "user", "content": f"What is {title}?"}]


def twin(opened: OpenedModel) -> Decoder:
    """A copy of the model that can be changed."""
    return copy.deepcopy(opened.model)


@dataclass(frozen=True)
class Point:
    """Where a policy stands, measured on questions that it did not learn from: the mean plainness and reward of its
    drawn answers, and nats per answer away from the start (k3), each with the half-width of its 95 % interval."""

    plain: float
    reward: float
    kl: float
    plain_interval: float
    reward_interval: float
    kl_interval: float


def measured(
    opened: OpenedModel, policy: Decoder, reference: Decoder, questions: Questions,
    reward: Callable[[Sequence[int], Sequence[str]], list[float]], seed: int = 0,
) -> tuple[Point, list[str]]:  # fmt: skip
    """The point, and the first answers to a few questions."""
    back = questions.back
    rollouts = roll_out(
        policy, opened.tokenizer, [questions.prompts[i] for i in back], EACH, max_tokens=TOKENS, seed=77_000 + seed,
        end_ids=opened.end_ids,
    )  # fmt: skip
    places = [i for i in back for _ in range(EACH)]
    plain = torch.tensor([plainness(questions.titles[i], r) for i, r in zip(places, rollouts.replies, strict=True)])
    rewards = torch.tensor(reward(places, rollouts.replies))
    theirs_BN = log_probs(reference, rollouts.ids_BT, rollouts.columns_BN, rollouts.targets_BN)
    kl = kl_k3(rollouts.log_probs_BN, theirs_BN).masked_fill(~rollouts.mask_BN, 0.0).sum(1)
    values = [(float(part.mean()), 1.96 * float(part.std()) / len(part) ** 0.5) for part in (plain, rewards, kl)]
    return Point(*(value for value, _ in values), *(half for _, half in values)), rollouts.replies[: 3 * EACH : EACH]


# ---------------------------------------------------------------------------------------------- all seeds
Rows = list[dict[str, Any]]


def run(
    about: str, parts: Sequence[str], learned: Callable[[OpenedModel, Questions, str, int], Rows],
    told: Callable[[Rows], tuple[Rows, str]],
) -> None:  # fmt: skip
    """A recipe's command line: each part of each seed is learned unless its rows are in ``--out`` already; ``told``
    sums all rows up, as rows and for the eye. ``--record`` keeps replies of the first seed only."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--out", type=Path, required=True, help="folder to write: the start's run, results.json")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--record", type=Path, help="also write what the course's chapter shows")
    arguments = parser.parse_args()
    runtime.deterministic()
    opened = start(arguments.out / "start")
    questions = Questions.of(opened, arguments.out / "start")
    rows: Rows = []
    for seed in range(arguments.seeds):
        for part in parts:
            file = arguments.out / f"{part or 'seed'}-{seed}.json"
            if not file.is_file():
                file.write_text(json.dumps(learned(opened, questions, part, seed)), encoding="utf-8")
            rows += json.loads(file.read_text(encoding="utf-8"))
    summed, table = told(rows)
    print(table)
    (arguments.out / "results.json").write_text(json.dumps({"rows": rows, "summary": summed}), encoding="utf-8")
    if arguments.record:
        shown = [{key: value for key, value in row.items() if key != "replies" or row["seed"] == 0} for row in rows]
        arguments.record.write_text(json.dumps({"rows": shown, "summary": summed}, ensure_ascii=False) + "\n", "utf-8")


def summary(rows: Sequence[dict[str, Any]], what: str, names: Sequence[str], when: str) -> Rows:
    """Each of ``names`` (in column ``what``) at each ``when``, over all seeds: means, and the half-width of their 95 %
    interval over seeds."""
    found = []
    for name in names:
        for done in sorted({row[when] for row in rows if row[what] == name}):
            same = [row for row in rows if row[what] == name and row[when] == done]
            told: dict[str, Any] = {what: name, when: done, "seeds": len(same)}
            for figure in ("plain", "reward", "kl"):
                values = [row[figure] for row in same]
                told[figure] = round(mean(values), 4)
                told[f"{figure}_interval"] = round(over_seeds(values), 4)
            found.append(told)
    return found
