"""Supervised fine-tuning: conversations, made from the corpus itself or read from a file.

A titled document becomes a question about its title and its first sentences as the answer; an untitled one becomes a
pair "how does this go on?" and what follows. Left out: tokens and loss mask (tokenizer.chat), training (train).
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from glaswerk.align.phrasings import ABOUT, CONTINUE, PERSON, SAY, SELF
from glaswerk.corpora import Document
from glaswerk.corpora.sentences import first_sentences, language
from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.phrasings import HELD_OUT

Messages = list[dict[str, str]]
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


def pair(question: str, answer: str) -> Messages:
    """A question and its answer as messages."""
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


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


def load_chats(file: Path) -> list[Messages]:
    """Conversations in OpenAI's messages format, one JSON object (``{"messages": [...]}``) or list per line.

    Raises :class:`GlaswerkError` with file and line for the first one that is not.
    """
    conversations: list[Messages] = []
    opener: Any = gzip.open if file.suffix == ".gz" else open
    try:
        with opener(file, "rt", encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    conversations.append(checked(line, f"{file}:{number}"))
    except UnicodeDecodeError as error:
        raise GlaswerkError(f"cannot read the chat file {file}: not UTF-8 text; save it as UTF-8") from error
    except (OSError, EOFError, zlib.error) as error:
        # only an error of the operating system has a strerror; what is left is what gzip says of a damaged file
        reason = getattr(error, "strerror", None) or f"damaged gzip file ({error}); make or copy it again"
        raise GlaswerkError(f"cannot read the chat file {file}: {reason}") from error
    if not conversations:
        raise GlaswerkError(f"{file} holds no conversation: put one JSON object with `messages` on each line")
    return conversations


def checked(line: str, where: str) -> Messages:
    """One line of a chat file as messages."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise GlaswerkError(f"{where}: not valid JSON ({error}); mend or delete the line") from error
    messages = value.get("messages") if isinstance(value, dict) else value
    if not isinstance(messages, list) or not messages:
        raise GlaswerkError(f'{where}: needs {{"messages": [{{"role": ..., "content": ...}}, ...]}}')
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            raise GlaswerkError(f"{where}: each message needs a text `content`")
        if message.get("role") not in ("system", "user", "assistant", "tool"):
            raise GlaswerkError(f"{where}: the role {message.get('role')!r} is not system, user, assistant or tool")
    if not any(message["role"] == "assistant" for message in messages):
        raise GlaswerkError(f"{where}: has no assistant message, so there is nothing to learn from it")
    # half a surrogate pair, which JSON can say and UTF-8 cannot, becomes the replacement character
    said = [m["content"].encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace") for m in messages]
    return [{"role": m["role"], "content": text} for m, text in zip(messages, said, strict=True)]
