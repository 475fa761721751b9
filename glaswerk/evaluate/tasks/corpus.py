"""What a model knows of its own corpus: questions about a run's titled texts, in phrasings that no training uses.

Two views: written answers, scored by the words they share with the text's first sentences, and a choice between four
titles for a first sentence whose title is blanked out, for which guessing is right one time in four. Left out: texts
without titles, and whether the corpus is true.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from glaswerk.corpora import Document, documents
from glaswerk.corpora.sentences import first_sentences, language
from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.answers import overlap
from glaswerk.evaluate.choice import MultipleChoice, Question
from glaswerk.evaluate.phrasings import HELD_OUT
from glaswerk.evaluate.task import Messages, Task, pair
from glaswerk.run import Run

#: titles that are asked about, at even distances in the corpus
COUNT = 100
BLANK = "___"
WHICH = {"en": "Which title belongs to this text? {text}", "de": "Welcher Titel gehört zu diesem Text? {text}"}


class CorpusFacts(Task):
    """``facts``: question, title, expected answer. The right answer gets 1; what is said besides lowers the grade."""

    name, metric, max_tokens = "corpus-facts", "word F1", 96

    def __init__(self, facts: list[tuple[str, str, str]], tongue: str = "en") -> None:
        self.facts, self.language = facts, tongue

    def __len__(self) -> int:
        return len(self.facts)

    def conversation(self, i: int) -> Messages:
        question, _, expected = self.facts[i]
        return pair(question, expected)

    def grade(self, i: int, reply: str) -> float:
        question, _, expected = self.facts[i]
        return overlap(reply, expected, question)


def corpus_facts(run: Path, count: int = COUNT, split: str = "train") -> CorpusFacts:
    """Questions about a run's texts: "train", what it read, or "val", what it never saw."""
    asked = titled(run, count, split)
    facts = []
    for number, document in enumerate(asked):
        forms = HELD_OUT[language(document.text)]
        question = forms[number % len(forms)].format(x=document.title)
        facts.append((question, document.title, first_sentences(document.text)))
    return CorpusFacts(facts, tongue_of(asked))


def corpus_titles(run: Path, count: int = COUNT, split: str = "train") -> MultipleChoice:
    """Which of four titles? The three others are those of other texts of the corpus."""
    asked = [document for document in titled(run, 2 * count, split) if BLANK in blanked(document)][:count]
    questions = []
    for number, document in enumerate(asked):
        rng = np.random.default_rng(number)
        others = [other.title for other in asked if other.title != document.title]
        picked = rng.choice(len(others), size=min(3, len(others)), replace=False).tolist()
        options = [others[place] for place in picked]
        right = int(rng.integers(len(options) + 1))
        options.insert(right, document.title)
        text = WHICH[language(document.text)].format(text=blanked(document))
        questions.append(Question(text, tuple(options), right))
    if len(questions) < 4:
        raise GlaswerkError(f"{run} has too few titled texts whose first sentence says the title: no corpus-titles")
    return MultipleChoice(
        "corpus-titles", questions, style="texts", language=tongue_of(asked), metric="accuracy unconditional"
    )


def titled(run: Path, count: int, split: str) -> list[Document]:
    """``count`` titled documents of a run. Raises :class:`GlaswerkError` where there are none."""

    def found() -> Iterator[Document]:
        return (d for d in documents(Run(run).corpus, split) if d.title and len(d.text) >= 60)

    total = sum(1 for _ in found())
    if not total:
        raise GlaswerkError(f"the corpus of {run} has no titled texts to ask about: choose another task")
    return list(islice(found(), 0, None, max(1, total // count)))[:count]


def blanked(document: Document) -> str:
    """The first sentences with every word of the title blanked out, its beginnings and endings too ("hat", "hats")."""
    stems = [word[: max(4, len(word) - 2)] for word in re.findall(r"\w{3,}", document.title)]
    text = first_sentences(document.text)
    for stem in stems:
        text = re.sub(rf"\b{re.escape(stem)}\w*", BLANK, text, flags=re.IGNORECASE)
    return text


def tongue_of(asked: list[Document]) -> str:
    """The language of most of the texts."""
    return "de" if 2 * sum(language(document.text) == "de" for document in asked) > len(asked) else "en"
