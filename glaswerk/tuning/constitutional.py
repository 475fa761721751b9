"""``constitution``: a stage that learns from written principles instead of people's votes (Bai et al. 2022).

First half: the assistant answers questions about its texts, a judge criticises each answer by one principle and revises
it, and the revisions are learned. Second half: the model that came of it answers each question twice, the judge says
which answer keeps to a principle better, whichever stands first, and DPO learns from the verdicts. Everything
the judge said is kept with the stage, question by question, and going on repeats nothing that was asked. Left out: what
the judge is asked (``align/constitution.py``), where it may be (``align/endpoint.py``).
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from glaswerk.align.constitution import (
    Judge,
    Local,
    Revised,
    load_principles,
    our_principles,
    revised,
    to_revise,
    verdicts,
)
from glaswerk.align.endpoint import Endpoint
from glaswerk.align.own_pairs import REPLY, titled, tongue_of
from glaswerk.align.pairs import Pair, load_pairs, save_pairs
from glaswerk.errors import GlaswerkError
from glaswerk.home import make_folder, replacing
from glaswerk.opened import OpenedModel, load
from glaswerk.train import TrainResult
from glaswerk.tuning.gathered import CORPUS, PAIRS_FILE
from glaswerk.tuning.measured import finish_tuned
from glaswerk.tuning.preferring import CHOSEN_FILE, begun, learn_chosen, prefer
from glaswerk.tuning.sampled import asked
from glaswerk.tuning.work import QUESTIONS, Work

#: the judge that is the assistant itself
SELF = "self"
#: what the judge said of each answer, and of each two
REVISIONS_FILE, VERDICTS_FILE = "revisions.jsonl", "verdicts.jsonl"
#: questions asked together; most in all; verdicts that are too few to learn from
TOGETHER, MOST, FEW = 16, 400, 8
#: the share of the judge's texts that may be unusable; looked at once so many were asked for
UNUSABLE, LOOKED = 0.5, 48
#: the share of the budget in which the judge revises, and up to which it compares
REVISING, COMPARING = 0.35, 0.7
#: fewer tokens are no answer
LEAST_ROOM = 10
#: how the two answers are drawn that are compared
DRAWN = {"temperature": 1.0, "top_p": 0.95}


def constitution(work: Work) -> None:
    """Both halves; the second only where the judge tells enough answers apart."""
    tongue = tongue_of(titled(work.job))
    rules = load_principles(Path(work.sources[0])) if work.sources else our_principles(tongue)
    judge = judge_of(work.judge, work.opened)
    questions = [talk[-1]["content"] for talk in asked(work.job, work.opened, [CORPUS], None, MOST)]
    questions = [questions[i] for i in np.random.default_rng(work.job.data["seed"]).permutation(len(questions))]
    if work.steps is not None:
        questions = questions[: max(TOGETHER, QUESTIONS * work.steps // 4)]
    room = room_for(judge, work.opened, questions, rules, tongue)
    changed = revisions(work, judge, questions, rules, tongue, room)
    model, before = begun(work)
    learn, back = work.tokens([Pair.of(one.question, str(one.revision), one.answer, "revised") for one in changed])
    learn_chosen(work, model, learn + back)
    model.eval()
    pairs = preferences(work, judge, questions, rules, tongue, room)
    facts: dict[str, Any] = {"judge": judge.name, "principles": len(rules), "revisions": len(changed)}
    if len(pairs) < FEW:
        work.show.note(f"{len(pairs)} verdicts tell answers apart: too few to prefer by, so the revisions are all")
        learned = work.job.data["plan"][work.name]["learned"]
        speed = learned["tokens"] / max(learned["seconds"], 1e-9)
        result = TrainResult(learned["steps"], learned["tokens"], learned["seconds"], speed, math.nan, False)
        more: dict[str, Any] = {"from": work.parent, "pairs": 0}
    else:
        result, more = prefer(work, model, *work.tokens(pairs))
    kept = work.job.resume(work.name)
    make_folder(work.job.stage(work.name))
    for name in (REVISIONS_FILE, VERDICTS_FILE, PAIRS_FILE):
        if (kept / name).is_file():
            shutil.copyfile(kept / name, work.job.stage(work.name) / name)
    facts |= {f"judge: {what}": count for what, count in sorted(judge.failures.items()) if count}
    work.show.start(work.name)
    finish_tuned(work.job, work.name, work.opened, work.baked(model), result, before, more | facts, work.show)


def judge_of(name: str, assistant: OpenedModel) -> Judge:
    """Who judges: the assistant itself as it was before the stage, a model that is here, or one behind an API. Raises
    :class:`GlaswerkError` for a judge that is none of these, or that cannot chat."""
    if name == SELF:
        return Local(load(assistant.origin))  # a copy: the assistant is about to change
    if "://" in name:
        return Endpoint.named(name)
    opened = load(name)
    opened.require_chat()
    return Local(opened)


def room_for(
    judge: Judge, assistant: OpenedModel, questions: Sequence[str], rules: Sequence[str], tongue: str
) -> int:  # fmt: skip
    """Tokens of an answer, a critique and a revision, so that a judge here can read all of them with what is asked.
    Raises :class:`GlaswerkError` where its context is too short for that."""
    most = min(REPLY, assistant.model.config.context // 2)
    if not isinstance(judge, Local):
        return most
    some = max(questions, key=len)
    asked = max(len(judge.opened.chat_ids(to_revise(some, "", rule, "", tongue))) for rule in rules)
    context = judge.opened.model.config.context
    room = min(most, (context - asked) // 4)  # three of them, and another tokenizer may need more for each
    if room < LEAST_ROOM:
        raise GlaswerkError(
            f"{judge.name} reads {context} tokens, of which what a judge is asked takes {asked}: too few are left for "
            "an answer; take another --judge (smollm2), shorter principles with --data, or a run with more context"
        )
    return room


# ---------------------------------------------------------------------------------------------- the first half
def revisions(
    work: Work, judge: Judge, questions: Sequence[str], rules: Sequence[str], tongue: str, room: int
) -> list[Revised]:  # fmt: skip
    """Answers criticised and revised, as many as there is time for; those of an earlier sitting first. Returns those
    whose revision is another text than the answer. Raises :class:`GlaswerkError` where the judge says too little that
    can be used; what it said is kept."""
    file = work.job.resume(work.name) / REVISIONS_FILE
    done = [Revised(**row) for row in rows(file, judge.failures)]
    seed, show = work.job.data["seed"], work.show
    show.start("critique", len(questions), "answers")
    show.advance(len(done))
    learned = (work.job.resume(work.name) / CHOSEN_FILE).is_file()  # then no more of them are
    for start in range(len(done), len(questions), TOGETHER):
        if learned or (over(work, REVISING) and start):
            break
        part = questions[start : start + TOGETHER]
        answers = work.opened.chat_batch(
            [[{"role": "user", "content": question}] for question in part], max_tokens=room, temperature=0.7,
            top_p=0.95, seed=seed + start,
        )  # fmt: skip
        chosen = [rules[(start + i) % len(rules)] for i in range(len(part))]
        failed = Counter(judge.failures)
        found = revised(judge, part, answers, chosen, language=tongue, max_tokens=room, seed=seed + start)
        append(file, [asdict(one) for one in found], judge.failures - failed)
        done += found
        show.advance(len(part))
        usable([one.revision is not None for one in done], judge, "critique and revision", file.parent)
    usable([one.revision is not None for one in done], judge, "critique and revision", file.parent, LOOKED // 6)
    changed = [one for one in done if one.revision and one.answer.strip() and one.revision != one.answer.strip()]
    if not changed:
        raise GlaswerkError(f"{judge.name} revised none of {len(done)} answers: there is nothing to learn; "
                            "take another --judge, or other principles with --data")  # fmt: skip
    unused = told(judge.failures)
    show.done(f"{judge.name} revised {len(changed):,} of {len(done):,} answers by {len(rules)} principles{unused}")
    return changed


# ---------------------------------------------------------------------------------------------- the second half
def preferences(
    work: Work, judge: Judge, questions: Sequence[str], rules: Sequence[str], tongue: str, room: int
) -> list[Pair]:  # fmt: skip
    """Two answers to each question, compared by a principle; pairs of those that the verdict tells apart."""
    kept = work.job.resume(work.name)
    if (kept / PAIRS_FILE).is_file():
        return load_pairs(kept / PAIRS_FILE)
    file, before = kept / VERDICTS_FILE, Counter(judge.failures)
    done = rows(file, judge.failures)
    seed, show = work.job.data["seed"], work.show
    show.start("verdicts", len(questions), "questions")
    show.advance(len(done))
    for start in range(len(done), len(questions), TOGETHER):
        if over(work, COMPARING) and start:
            break
        part = questions[start : start + TOGETHER]
        talks = [[{"role": "user", "content": question}] for question in part]
        firsts, seconds = (
            work.opened.chat_batch(talks, max_tokens=room, seed=2 * (seed + start) + draw + 1, **DRAWN)
            for draw in range(2)
        )
        chosen = [rules[(start + i + 1) % len(rules)] for i in range(len(part))]
        failed = Counter(judge.failures)
        found = verdicts(judge, part, firsts, seconds, chosen, language=tongue)
        columns = ("question", "principle", "first", "second", "verdict")
        fresh = [dict(zip(columns, row, strict=True)) for row in zip(part, chosen, firsts, seconds, found, strict=True)]
        append(file, fresh, judge.failures - failed)
        done += fresh
        show.advance(len(part))
    pairs = []
    for row in done:
        if row["verdict"] is None:
            continue
        first, second = row["first"], row["second"]
        both = (first, second) if row["verdict"] > 0.5 else (second, first)
        if all(text.strip() for text in both) and both[0] != both[1]:
            pairs.append(Pair.of(row["question"], *both, "judged"))
    show.done(f"{len(pairs):,} of {len(done):,} verdicts tell the answers apart{told(judge.failures - before)}")
    if len(pairs) >= FEW:
        save_pairs(kept / PAIRS_FILE, pairs)
    return pairs


# ---------------------------------------------------------------------------------------------- what is shared
def over(work: Work, share: float) -> bool:
    """Whether this share of the budget is spent; where steps are given no clock counts."""
    return work.steps is None and time.perf_counter() - work.began > share * 60 * work.minutes


def usable(fine: Sequence[bool], judge: Judge, what: str, kept: Path, least: int = LOOKED) -> None:
    """Raises :class:`GlaswerkError` where too much of what the judge said cannot be used."""
    bad = len(fine) - sum(fine)
    if len(fine) >= least and bad > UNUSABLE * len(fine):
        raise GlaswerkError(
            f"{judge.name} gave no usable {what} for {bad:,} of {len(fine):,} answers{told(judge.failures)}: what it "
            f"gave is kept in {kept} and none of it is used; delete that folder and take another --judge"
        )


def told(failures: Counter[str]) -> str:
    """What could not be used, for the eye."""
    said = ", ".join(f"{what}: {count:,}" for what, count in sorted(failures.items()) if count)
    return f" ({said})" if said else ""


def append(file: Path, fresh: Sequence[dict[str, Any]], failed: Counter[str]) -> None:
    """One part more, whole or not at all; with what failed meanwhile, so that going on counts it too."""
    make_folder(file.parent)
    before = file.read_text(encoding="utf-8") if file.is_file() else ""
    lines = [json.dumps(row, ensure_ascii=False) for row in fresh]
    lines.append(json.dumps({"failed": dict(failed)}, ensure_ascii=False))
    with replacing(file) as part:
        part.write_text(before + "\n".join(lines) + "\n", encoding="utf-8")


def rows(file: Path, failures: Counter[str]) -> list[dict[str, Any]]:
    """What was kept; what failed then is added to ``failures``."""
    if not file.is_file():
        return []
    found = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    for row in found:
        if "failed" in row:
            failures.update(row["failed"])
    return [row for row in found if "failed" not in row]
