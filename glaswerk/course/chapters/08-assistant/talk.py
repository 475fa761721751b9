"""A question and an answer as tokens, for whatever model is open: in its chat format where it has one, else as text
with labels. And what is asked: ``talks.toml``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glaswerk.evaluate.choice import WORDS
from glaswerk.tokenizer.chip import chip

if TYPE_CHECKING:
    from glaswerk.opened import OpenedModel
    from glaswerk.run import Run

LANGUAGES = ("en", "de")
#: questions to choose from, and how many of them are about texts of the run
OFFERED, OWN = 6, 3
#: titles that are asked about are one short word
PLAIN = re.compile(r"[^\W\d_]{4,12}")
#: documents that say which language a run has read
LOOKED_AT = 50


@cache
def talks(language: str) -> dict[str, Any]:
    """What is asked and said in one language."""
    told = tomllib.loads(Path(__file__).with_name("talks.toml").read_text(encoding="utf-8"))
    found: dict[str, Any] = told[language]
    return found


def run_of(model: OpenedModel) -> Run | None:
    """The run that the open model belongs to."""
    from glaswerk.run import Run

    return None if model.origin.run is None else Run(model.origin.run)


def tongue(model: OpenedModel, language: str) -> str:
    """The language to ask in: that of the texts which the model's run has read, for a small model understands no other;
    without a run, the page's."""
    from glaswerk.corpora import documents
    from glaswerk.corpora.sentences import language as language_of

    run = run_of(model)
    if run is None or not run.corpus.is_dir():
        return language
    found = [language_of(document.text) for document in islice(documents(run.corpus, "train"), LOOKED_AT)]
    return "de" if 2 * found.count("de") > len(found) else "en"


def questions_of(model: OpenedModel, language: str) -> list[str]:
    """What a reader can ask: about texts that the run read, spread over its corpus, in their language and in words that
    no training used; then general questions."""
    from glaswerk.corpora import documents
    from glaswerk.corpora.sentences import language as language_of
    from glaswerk.evaluate.phrasings import HELD_OUT

    general: list[str] = talks(tongue(model, language))["questions"]
    run = run_of(model)
    if run is None or not run.corpus.is_dir():
        return general[:OFFERED]
    titled = [document for document in documents(run.corpus, "train") if PLAIN.fullmatch(document.title or "")]
    step = max(1, len(titled) // OWN)
    own = [HELD_OUT[language_of(each.text)][0].format(x=each.title) for each in titled[step // 2 :: step][:OWN]]
    return [*own, *general][:OFFERED]


def asked(model: OpenedModel, question: str, language: str, chat: bool = True) -> list[int]:
    """A question as ids, up to where the answer begins; not as ``chat``: as text with labels."""
    if chat and model.has_chat:
        return model.chat_ids([{"role": "user", "content": question}])
    ask, answer, _ = WORDS[language]
    return model.speech.text(f"{ask} {question}\n{answer}")


def ended(model: OpenedModel, question: str, answer: str, language: str) -> tuple[list[int], list[int]]:
    """A question and its answer as ids, and 1 for each token of the answer and of what ends it."""
    from glaswerk.align.chats import render

    if model.has_chat:
        return render(model.speech, [{"role": "user", "content": question}, {"role": "assistant", "content": answer}])
    before = asked(model, question, language)
    said = [*model.tokenizer.encode(f" {answer}"), model.tokenizer.end_id]
    return [*before, *said], [0] * len(before) + [1] * len(said)


def replies(
    model: OpenedModel, questions: Sequence[str], language: str, tokens: int, temperature: float = 0.0, seed: int = 0
) -> list[str]:
    """The model's answers, side by side, each drawn with a seed of its own. A mild penalty keeps small models out of
    loops."""
    from glaswerk import generate

    ask = WORDS[language][0]
    options: dict[str, Any] = {"max_tokens": tokens, "temperature": temperature, "repetition_penalty": 1.1}
    if temperature:
        options["seed"] = seed
    if not model.has_chat:
        options["stop"] = [f"\n{ask}", "\n\n"]
    ids = [asked(model, question, language) for question in questions]
    found = generate.batch(model.model, model.tokenizer, ids, **model.how(options))
    return [" ".join(reply.text.split()) or "…" for reply in found]


def chips(model: OpenedModel, ids: Sequence[int]) -> list[dict[str, Any]]:
    """Tokens as figures show them."""
    return [{"id": number, "text": chip(model.tokenizer.token_bytes(number))} for number in ids]
