"""Does an assistant answer with what its own corpus says? Word overlap of its replies with the text they should recall.

The measure is the F1 of SQuAD (Rajpurkar et al. 2016) on words, with the words of the question left out, so that merely
repeating the title earns nothing. It says nothing about truth beyond the corpus.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

#: words so frequent that sharing them says nothing
EMPTY = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "been",
        "but",
        "by",
        "for",
        "from",
        "had",
        "has",
        "have",
        "he",
        "her",
        "his",
        "in",
        "into",
        "is",
        "it",
        "its",
        "of",
        "on",
        "or",
        "she",
        "that",
        "the",
        "their",
        "they",
        "this",
        "to",
        "was",
        "were",
        "which",
        "who",
        "with",
        "der",
        "die",
        "das",
        "den",
        "dem",
        "des",
        "ein",
        "eine",
        "einer",
        "eines",
        "einem",
        "einen",
        "und",
        "ist",
        "war",
        "sind",
        "in",
        "im",
        "von",
        "mit",
        "für",
        "auf",
        "zu",
        "als",
        "auch",
        "es",
        "er",
        "sie",
        "sich",
        "nicht",
        "bei",
        "nach",
        "aus",
        "wird",
        "wurde",
    ]
)


@dataclass(frozen=True)
class AnswerScore:
    """Over ``questions`` questions: mean word F1, and the share of replies that name what was asked about."""

    mean_f1: float
    share_named: float
    questions: int


def words(text: str) -> list[str]:
    """Lower-cased words that carry content."""
    return [word for word in re.findall(r"\w+", text.lower()) if word not in EMPTY]


def overlap(reply: str, expected: str, question: str = "") -> float:
    """Word F1 in [0, 1] between a reply and the expected text, without the question's own words."""
    asked = set(words(question))
    said = Counter(word for word in words(reply) if word not in asked)
    wanted = Counter(word for word in words(expected) if word not in asked)
    shared = sum((said & wanted).values())
    if not shared:
        return 0.0
    precision, recall = shared / sum(said.values()), shared / sum(wanted.values())
    return 2 * precision * recall / (precision + recall)


def names(reply: str, title: str) -> bool:
    """Whether a reply takes up a word of the title (its last two letters aside: "accordion", "Accordions")."""
    stems = [word[: max(4, len(word) - 2)] for word in re.findall(r"\w{4,}", title.lower())] or [title.lower()]
    return any(stem in reply.lower() for stem in stems)


def score_answers(
    answer: Callable[[list[str]], list[str]], questions: Sequence[tuple[str, str, str]]
) -> tuple[AnswerScore, list[str]]:
    """Ask all ``(question, title, expected)`` and score the replies; returns the score and the replies.

    ``answer`` maps a list of questions to as many replies.
    """
    replies = answer([question for question, _, _ in questions])
    rows = list(zip(replies, questions, strict=True))
    f1 = sum(overlap(reply, expected, question) for reply, (question, _, expected) in rows)
    named = sum(names(reply, title) for reply, (_, title, _) in rows)
    count = max(1, len(rows))
    return AnswerScore(f1 / count, named / count, len(rows)), replies
