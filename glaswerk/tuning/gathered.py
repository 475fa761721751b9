"""The pairs that a stage learns from: its run's own corpus, people's votes, files; kept with the unfinished stage, so
that going on learns from the same. Left out: how pairs of a corpus are made (``align/own_pairs.py``).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

from glaswerk.align.own_pairs import answers, own_pairs, titled
from glaswerk.align.pairs import Answered, Pair, all_tokens, load_pairs, save_pairs
from glaswerk.errors import GlaswerkError
from glaswerk.home import make_folder
from glaswerk.opened import OpenedModel
from glaswerk.progress import Progress
from glaswerk.run import Run

#: words that ``--data`` takes beside files
CORPUS, VOTES = "corpus", "votes"
#: where a run keeps its votes, and a stage its pairs
VOTES_FILE, PAIRS_FILE = "votes.jsonl", "pairs.jsonl"
#: questions about the own corpus, at most and at least; and how many are asked to measure the speed
MOST, LEAST, TRIED = 4000, 200, 32
#: every so many questions' pairs are kept back to measure with
EVERY = 10


def pairs_of(
    job: Run, opened: OpenedModel, stage: str, data: Sequence[str], seconds: float | None, most: int, show: Progress
) -> list[Pair]:
    """What ``data`` names, as pairs: ``corpus``, ``votes`` or JSONL files. ``seconds`` bounds the time that the model's
    own replies take, ``most`` their number. Raises :class:`GlaswerkError` where there is nothing to prefer."""
    kept = job.resume(stage) / PAIRS_FILE
    if kept.is_file():
        return load_pairs(kept)
    show.start("pairs")
    found: list[Pair] = []
    for source in data:
        if source == CORPUS:
            found += own_pairs(job, opened, affordable(job, opened, seconds, most), job.data["seed"])
        else:
            found += given(job, source)
    if not found:
        raise GlaswerkError("there is nothing to prefer: the model gave no wrong answer; name pairs with --data")
    kinds = {kind: sum(pair.kind == kind for pair in found) for kind in dict.fromkeys(pair.kind for pair in found)}
    show.done(f"{len(found):,} pairs: " + ", ".join(f"{count:,} {kind}" for kind, count in kinds.items()))
    make_folder(kept.parent)
    save_pairs(kept, found)
    return found


def usual(job: Run) -> tuple[str, ...]:
    """What is learned from where nothing is named: the corpus, and votes where people gave some."""
    return (CORPUS, VOTES) if (job.path / VOTES_FILE).is_file() else (CORPUS,)


def given(job: Run, source: str) -> list[Pair]:
    """The pairs of people: the run's votes, or a file."""
    return load_pairs(votes_of(job) if source == VOTES else Path(source))


def votes_of(job: Run) -> Path:
    """The run's votes. Raises :class:`GlaswerkError` where nobody has voted."""
    file = job.path / VOTES_FILE
    if not file.is_file():
        raise GlaswerkError(
            f"nobody has voted on {job.path} yet: open `glaswerk lab {job.path}`, chapter 16, and prefer some replies"
        )
    return file


def named(job: Run, source: str) -> str:
    """A source of pairs as the plan keeps it: a file's name with a mark of its contents, which going on compares. A
    file that is gone meanwhile is no other: what was in it is kept with the stage."""
    if source in (CORPUS, VOTES):
        return source
    file = Path(source)
    if not file.is_file():
        return file.name
    return f"{file.name} ({hashlib.sha256(file.read_bytes()).hexdigest()[:8]})"


def affordable(job: Run, opened: OpenedModel, seconds: float | None, most: int) -> int:
    """How many questions can be asked within ``seconds``, at most ``most``."""
    if seconds is None:
        return most
    asked = [f"What is {document.title}?" for document in titled(job)[:TRIED]]
    began = time.perf_counter()
    answers(opened, asked)
    each = (time.perf_counter() - began) / len(asked)
    return int(max(LEAST, min(most, seconds / each)))


def split(pairs: Sequence[Pair]) -> tuple[list[Pair], list[Pair]]:
    """Pairs to learn from and pairs kept back: every tenth question with all its pairs, none where there are few."""
    prompts = list(dict.fromkeys(pair.prompt for pair in pairs))
    back = set(prompts[EVERY - 1 :: EVERY])
    return [pair for pair in pairs if pair.prompt not in back], [pair for pair in pairs if pair.prompt in back]


def as_tokens(opened: OpenedModel, pairs: Sequence[Pair], show: Progress) -> list[Answered]:
    """Pairs as the model reads them; says what was too long."""
    answered, note = all_tokens(opened.speech, pairs, opened.model.config.context)
    if note:
        show.note(note)
    return answered
