"""Rejection sampling: several replies to each question, and which of them a reward model likes best and least.

Left out: learning from them (``aligning.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

import numpy as np

from glaswerk.align.own_pairs import REPLY, titles_of
from glaswerk.align.pairs import Pair, load_pairs, said, save_pairs
from glaswerk.align.phrasings import ABOUT
from glaswerk.align.reward import Judge
from glaswerk.align.sft import ask, one_of
from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.task import Messages
from glaswerk.home import make_folder
from glaswerk.opened import OpenedModel
from glaswerk.progress import Progress
from glaswerk.run import Run
from glaswerk.tuning.gathered import CORPUS, PAIRS_FILE, affordable, given

#: replies to each question, and how they are drawn
EACH, TEMPERATURE, TOP_P = 8, 0.8, 0.95


def best_and_worst(
    job: Run, opened: OpenedModel, stage: str, data: Sequence[str], seconds: float | None, most: int, show: Progress
) -> tuple[list[Pair], dict[str, float]]:
    """A pair for each question: the reply with the highest reward, and the one with the lowest; and the mean rewards.
    Questions whose replies are all the same teach nothing. Raises :class:`GlaswerkError` without a reward model."""
    judge = Judge.open(job.stage("reward"), opened.speech)
    kept = job.resume(stage) / PAIRS_FILE
    if kept.is_file():
        pairs = load_pairs(kept)
        return pairs, gain(judge, pairs)
    questions = asked(job, opened, data, seconds, most)
    show.start("replies", len(questions) * EACH, "replies")
    replies: list[list[str]] = [[] for _ in questions]
    room = min(REPLY, opened.model.config.context // 2)
    for draw in range(EACH):
        drawn = opened.chat_batch(
            questions, max_tokens=room, temperature=TEMPERATURE, top_p=TOP_P, seed=job.data["seed"] * EACH + draw
        )
        for several, reply in zip(replies, drawn, strict=True):
            several.append(reply)
        show.advance(len(questions))
    pairs = []
    for messages, several in zip(questions, replies, strict=True):
        different = [reply for reply in dict.fromkeys(several) if reply]
        if len(different) < 2:
            continue
        rewards = judge.rewards([[*messages, said(reply)] for reply in different])
        order = np.argsort(rewards)
        pairs.append(Pair.of(messages, different[order[-1]], different[order[0]], "sampled"))
    if not pairs:
        raise GlaswerkError("all replies to each question are the same: there is nothing to choose from")
    show.done(f"the best of {EACH} replies to each of {len(pairs):,} questions, as {job.stage('reward')} judges")
    make_folder(kept.parent)
    save_pairs(kept, pairs)
    return pairs, gain(judge, pairs)


def gain(judge: Judge, pairs: Sequence[Pair]) -> dict[str, float]:
    """The mean reward of the best and of the worst replies."""
    best, worst = (
        judge.rewards([[*pair.messages, said(getattr(pair, side))] for pair in pairs])
        for side in ("chosen", "rejected")
    )
    return {"reward_best": round(mean(best), 3), "reward_worst": round(mean(worst), 3)}


def asked(job: Run, opened: OpenedModel, data: Sequence[str], seconds: float | None, most: int) -> list[Messages]:
    """Questions about the corpus, half of them about titles that it does not have; and those of files of pairs."""
    found: list[Messages] = []
    for source in data:
        if source != CORPUS:
            found += [pair.messages for pair in given(job, source)]
            continue
        count = affordable(job, opened, None if seconds is None else seconds / EACH, most) // 4
        titles = titles_of(job, job.data["seed"], count)
        rng = np.random.Generator(np.random.PCG64([job.data["seed"], 11]))
        known = [titles.known[i % len(titles.known)] for i in rng.permutation(count).tolist()]
        questions = [ask(document, rng) for document in known]
        questions += [one_of(ABOUT[titles.language], rng).format(x=title) for title in titles.unknown[:count]]
        found += [[{"role": "user", "content": question}] for question in questions]
    return found
