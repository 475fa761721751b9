"""A constitution: written principles by which answers are criticised, revised and compared (Bai et al. 2022).

A judge is asked three things, each about one principle at a time: what is wrong with an answer (a critique), how the
answer would read without that (a revision), and which of two answers keeps to the principle better (a verdict). A
verdict is asked for in both orders, since whoever judges leans to what stands first or last (Zheng et al. 2023). The
judge is a model that is open here (:class:`Local`), whose verdict is read off the probabilities of
"A" and "B", or one behind an API (``endpoint.py``), which answers in text. Left out: what is learned from it
(``tuning/constitutional.py``).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from glaswerk.align.chats import whole_text
from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.likelihood import Asked, likelihoods
from glaswerk.evaluate.task import Messages
from glaswerk.home import explain
from glaswerk.opened import OpenedModel

#: where ours lie, by language
OURS = Path(__file__).resolve().parent
#: a principle is a sentence or a few, and a constitution can be read
MOST_PRINCIPLES, LONGEST = 100, 1000
#: how often a judge is asked again that answered nonsense
AGAIN = 2
#: how far from a half a verdict must be; and the least probability that is told from none
MARGIN, TINY = 0.05, 1e-6
#: how texts of a judge are drawn; again with other seeds
TEMPERATURE = 0.7

#: what a judge is asked, by language
CRITICISE = {
    "en": "A question was answered.\n\nQuestion: {question}\nAnswer: {answer}\n\nThe answer should keep to this "
    "principle: {principle}\n\nWhat in the answer goes against the principle? Say it in one sentence.",
    "de": "Eine Frage wurde beantwortet.\n\nFrage: {question}\nAntwort: {answer}\n\nDie Antwort soll sich an diesen "
    "Grundsatz halten: {principle}\n\nWas an der Antwort verstößt gegen den Grundsatz? Sage es in einem Satz.",
}
REVISE = {
    "en": "Write the answer to the question anew, so that it keeps to the principle. Write only the answer.",
    "de": "Schreibe die Antwort auf die Frage neu, so dass sie sich an den Grundsatz hält. Schreibe nur die Antwort.",
}
COMPARE = {
    "en": "Two answers to a question.\n\nQuestion: {question}\nA: {a}\nB: {b}\n\nPrinciple: {principle}\n\n"
    "Which answer keeps to the principle better? Reply with the letter A or B only.",
    "de": "Zwei Antworten auf eine Frage.\n\nFrage: {question}\nA: {a}\nB: {b}\n\nGrundsatz: {principle}\n\n"
    "Welche Antwort hält sich besser an den Grundsatz? Antworte nur mit dem Buchstaben A oder B.",
}


# ---------------------------------------------------------------------------------------------- the principles
def principles(text: str, where: str = "the constitution") -> list[str]:
    """The principles in a text: paragraphs, without the lines that begin with ``#``. Raises :class:`GlaswerkError`
    where there is none, or where one is no sentence that could be kept to."""
    kept = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    found = [" ".join(part.split()) for part in re.split(r"\n\s*\n", kept) if part.strip()]
    if not found:
        raise GlaswerkError(f"{where} has no principle: write each as a paragraph of its own, with empty lines between")
    if len(found) > MOST_PRINCIPLES or max(map(len, found)) > LONGEST:
        raise GlaswerkError(
            f"{where} has {len(found):,} principles of up to {max(map(len, found)):,} characters: at most "
            f"{MOST_PRINCIPLES} of {LONGEST:,}; keep an empty line between them"
        )
    if empty := next((one for one in found if not any(map(str.isalpha, one))), None):
        raise GlaswerkError(f"{where}: {empty[:40]!r} is no principle: there is no word in it")
    return [whole_text(one) for one in found]


def load_principles(file: Path) -> list[str]:
    """Those of a file. Raises :class:`GlaswerkError` for one that cannot be read or has none."""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise GlaswerkError(f"{file} is not UTF-8 text: save it as such") from error
    except OSError as error:
        raise explain(error, file, "read") from error
    return principles(text, str(file))


def our_principles(language: str) -> list[str]:
    """Ours, in English or German."""
    return load_principles(OURS / f"constitution.{language}.txt")


# ---------------------------------------------------------------------------------------------- what is asked
def to_criticise(question: str, answer: str, principle: str, language: str = "en") -> Messages:
    """The conversation whose next turn is a critique."""
    asked = CRITICISE[language].format(question=question, answer=answer, principle=principle)
    return [{"role": "user", "content": asked}]


def to_revise(question: str, answer: str, principle: str, critique: str, language: str = "en") -> Messages:
    """The same with the critique in it; the next turn is a revision."""
    return [
        *to_criticise(question, answer, principle, language),
        {"role": "assistant", "content": critique},
        {"role": "user", "content": REVISE[language]},
    ]


def to_compare(question: str, a: str, b: str, principle: str, language: str = "en") -> Messages:
    """The conversation whose next turn is A or B."""
    return [{"role": "user", "content": COMPARE[language].format(question=question, a=a, b=b, principle=principle)}]


def read_text(reply: str) -> str | None:
    """A critique or a revision, if the reply has words; None for nonsense."""
    reply = reply.strip()
    return reply if sum(map(str.isalpha, reply)) >= 3 else None


def read_verdict(reply: str) -> float | None:
    """1 where a reply in text says A, 0 where it says B, None where it says neither or both."""
    said = set(re.findall(r"\b[AB]\b", reply))
    if first := re.match(r"\W*([AB])\b", reply):  # "B, since A is too long" says B
        said = {first[1]}
    return float(said == {"A"}) if len(said) == 1 else None


def same_words(one: str, other: str) -> bool:
    """Whether two texts say the same but for spaces and capitals."""
    return one.casefold().split() == other.casefold().split()


def both_orders(first: float | None, second: float | None) -> float | None:
    """How likely the first answer is the better one, without the judge's lean to a place; None where that is not known
    or too near to a half. ``first`` and ``second``: how likely A was, with the answers in their order and the other way
    around. A lean adds the same to the log-odds of A in both, so that it goes out of their difference; letters in text
    (0 or 1) count only where both name the same answer."""
    if first is None or second is None:
        return None
    odds = [math.log(max(p, TINY) / max(1 - p, TINY)) for p in (first, second)]
    better = 1 / (1 + math.exp(-(odds[0] - odds[1]) / 2))
    return better if abs(better - 0.5) >= MARGIN else None


# ---------------------------------------------------------------------------------------------- judges
class Judge(Protocol):
    """Who criticises and compares. ``failures`` counts what could not be used, by what was wrong with it."""

    failures: Counter[str]

    @property
    def name(self) -> str:
        """As the user named it."""

    def write(self, asked: Sequence[Messages], max_tokens: int, seed: int) -> Sequence[str | None]:
        """A reply to each conversation; empty where there was none, None where asking again would not help."""

    def prefer(self, asked: Sequence[Messages]) -> list[float | None]:
        """How likely the verdict is A for each conversation, 0 to 1; None where it cannot be told."""


class Local:
    """A model that is open here."""

    def __init__(self, opened: OpenedModel) -> None:
        self.opened = opened
        self.failures: Counter[str] = Counter()

    @property
    def name(self) -> str:
        """As it was opened."""
        return self.opened.origin.name

    def write(self, asked: Sequence[Messages], max_tokens: int, seed: int) -> list[str | None]:
        """See :class:`Judge`; drawn, side by side. A conversation that is too long for the context gets no reply."""
        fits = [i for i, talk in enumerate(asked) if self.fits(talk, max_tokens)]
        self.failures["too long for the judge's context"] += len(asked) - len(fits)
        found: list[str | None] = [None] * len(asked)
        if fits:
            replies = self.opened.chat_batch(
                [asked[i] for i in fits], max_tokens=max_tokens, temperature=TEMPERATURE, top_p=0.95, seed=seed
            )
            for i, reply in zip(fits, replies, strict=True):
                found[i] = reply
        return found

    def prefer(self, asked: Sequence[Messages]) -> list[float | None]:
        """See :class:`Judge`: the probability of A where only A and B are possible."""
        letters = [self.opened.tokenizer.encode(letter)[:1] for letter in "AB"]
        fits = [i for i, talk in enumerate(asked) if self.fits(talk, 1)]
        self.failures["too long for the judge's context"] += len(asked) - len(fits)
        texts = []
        for i in fits:
            ids = self.opened.chat_ids(asked[i])
            texts += [Asked([*ids, *letter], len(ids)) for letter in letters]
        nats = [each.total for each in likelihoods(self.opened.model, texts)]
        found: list[float | None] = [None] * len(asked)
        for place, i in enumerate(fits):
            found[i] = 1 / (1 + math.exp(min(700.0, nats[2 * place + 1] - nats[2 * place])))
        return found

    def fits(self, talk: Messages, max_tokens: int) -> bool:
        """Whether there is room for a reply."""
        return len(self.opened.chat_ids(talk)) + max_tokens <= self.opened.model.config.context


# ---------------------------------------------------------------------------------------------- asking
@dataclass(frozen=True, slots=True)
class Revised:
    """What became of one answer. ``critique`` and ``revision`` are None where the judge gave none that can be used."""

    question: str
    answer: str
    principle: str
    critique: str | None
    revision: str | None


def revised(
    judge: Judge, questions: Sequence[str], answers: Sequence[str], chosen: Sequence[str], *, language: str = "en",
    max_tokens: int = 96, seed: int = 0,
) -> list[Revised]:  # fmt: skip
    """Each answer criticised by its ``chosen`` principle, and revised. A judge that answers nonsense is asked again, up
    to :data:`AGAIN` times; what is nonsense still is counted in ``judge.failures`` and is None here, never used."""
    asked = list(zip(questions, answers, chosen, strict=True))
    critiques = texts_of(judge, [to_criticise(*one, language) for one in asked], "no critique", max_tokens, seed)
    to_do = [i for i, critique in enumerate(critiques) if critique is not None]
    said = [critiques[i] or "" for i in to_do]
    talks = [to_revise(*asked[i], critique, language) for i, critique in zip(to_do, said, strict=True)]
    found = dict(zip(to_do, texts_of(judge, talks, "no revision", max_tokens, seed + 1, said), strict=True))
    return [
        Revised(question, answer, principle, critiques[i], found.get(i))
        for i, (question, answer, principle) in enumerate(asked)
    ]


def texts_of(
    judge: Judge, asked: Sequence[Messages], what: str, max_tokens: int, seed: int, unlike: Sequence[str] = ()
) -> list[str | None]:  # fmt: skip
    """Texts that can be used, or None. One that says again what it is to be ``unlike`` cannot: small judges repeat
    their critique where they are to revise, and the assistant would learn to say critiques."""
    found: list[str | None] = [None] * len(asked)
    left = list(range(len(asked)))
    for attempt in range(1 + AGAIN):
        if not left:
            break
        replies = judge.write([asked[i] for i in left], max_tokens, seed + 1000 * attempt)
        for i, reply in zip(left, replies, strict=True):
            text = read_text(reply or "")
            found[i] = None if text and unlike and same_words(text, unlike[i]) else text
        left = [i for i, reply in zip(left, replies, strict=True) if reply is not None and found[i] is None]
    judge.failures[what] += sum(text is None for text in found)
    return found


def verdicts(
    judge: Judge, questions: Sequence[str], firsts: Sequence[str], seconds: Sequence[str], chosen: Sequence[str],
    *, language: str = "en",
) -> list[float | None]:  # fmt: skip
    """For each question how likely the first answer keeps to the principle better, 0 to 1; None where the judge gave no
    verdict, or none once its lean to a place is taken out. Both are counted in ``judge.failures``."""
    asked = list(zip(questions, firsts, seconds, chosen, strict=True))
    one = judge.prefer([to_compare(q, a, b, p, language) for q, a, b, p in asked])
    other = judge.prefer([to_compare(q, b, a, p, language) for q, a, b, p in asked])
    found = [both_orders(first, second) for first, second in zip(one, other, strict=True)]
    silent = sum(first is None or second is None for first, second in zip(one, other, strict=True))
    judge.failures["no verdict"] += silent
    judge.failures["no difference beside the order"] += sum(verdict is None for verdict in found) - silent
    return found
