"""Supervised fine-tuning: conversations made from the corpus itself.

A titled document becomes a question about its title and its first sentences as the answer; an untitled one becomes a
pair "how does this go on?" and what follows. Left out: conversations of one's own (``chats.py``), training (train).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np

from glaswerk.align.phrasings import ABOUT, CONTINUE, PERSON, SAY, SELF
from glaswerk.corpora import Document
from glaswerk.corpora.sentences import first_sentences, language
from glaswerk.evaluate.phrasings import HELD_OUT
from glaswerk.evaluate.task import Messages, pair

#: the share of titled conversations that only ask to say the title (docs/log.md: without them, a small model's answers
#: are fluent and about something else)
SAY_SHARE = 0.3
LIFE_YEARS = re.compile(r"\bborn\b|\bgeboren\b|\(.*\b\d{3,4}\s?[–-]\s?.*\d{2,4}\)")


def is_person(document: Document) -> bool:
    """Whether a document seems to be about a person: its topic says so, or it opens with dates of life."""
    return document.topic == "People" or bool(LIFE_YEARS.search(document.text[:160]))


def ask(document: Document, rng: np.random.Generator) -> str:
    """A question about a titled document, as different people would type it."""
    tongue = language(document.text)
    forms = ABOUT[tongue]
    form = one_of(forms, rng)
    if form.startswith(("What is", "Was ist")) and is_person(document):
        form = one_of(PERSON[tongue], rng)
    question = form.format(x=document.title)
    style = rng.random()
    if style < 0.15:
        question = question.lower()
    elif style < 0.25:
        question = question.rstrip("?.")
    return question


def converse(document: Document, rng: np.random.Generator, say: float = SAY_SHARE) -> Messages | None:
    """One conversation from one document; None if there is not enough text for one."""
    tongue = language(document.text)
    if document.title and rng.random() < say:
        return pair(one_of(SAY[tongue], rng).format(x=document.title), document.title)
    if document.title:
        question, answer = ask(document, rng), first_sentences(document.text)
    else:
        opening = first_sentences(document.text, max(12, min(160, len(document.text) // 2)))
        answer = first_sentences(document.text.strip()[len(opening) :])
        question = one_of(CONTINUE[tongue], rng).format(x=opening)
    return pair(question, answer) if len(answer) >= 4 else None


def one_of(forms: tuple[str, ...], rng: np.random.Generator) -> str:
    """One of several phrasings."""
    return forms[int(rng.integers(len(forms)))]


def corpus_conversations(
    documents: Iterable[Document],
    corpus: str,
    seed: int,
    variants: int = 1,
    limit: int = 200_000,
    say: float = SAY_SHARE,
) -> Iterator[Messages]:
    """``variants`` conversations per document, with other phrasings each, at most ``limit`` in all; and about one in
    fifty about the model itself. ``corpus`` is how the model should name what it read; ``say`` the share that only asks
    to say a title."""
    made, titles = 0, ["the first one"]
    for number, document in enumerate(documents):
        for variant in range(variants):
            rng = np.random.Generator(np.random.PCG64([seed, number, variant]))
            conversation = converse(document, rng, say)
            if conversation is None:
                break
            yield conversation
            made += 1
            if document.title:
                titles = [*titles[-50:], document.title]
            if made % 50 == 0:
                own = SELF[language(document.text)]
                question, answer = own[int(rng.integers(len(own)))]
                yield pair(question, answer.format(corpus=corpus, title=titles[int(rng.integers(len(titles)))]))
        if made >= limit:
            return


def quiz(documents: Iterable[Document], count: int) -> list[tuple[str, str, str]]:
    """``(question, title, expected answer)`` for the first ``count`` titled documents, in phrasings kept out of
    training."""
    questions: list[tuple[str, str, str]] = []
    for document in documents:
        if len(questions) == count:
            break
        if document.title and len(document.text) >= 60:
            forms = HELD_OUT[language(document.text)]
            form = forms[len(questions) % len(forms)]
            questions.append((form.format(x=document.title), document.title, first_sentences(document.text)))
    return questions
