"""What chapter 13 asks the open model, its replies, and what becomes of them.

A run's model is asked about the titles of its own corpus: texts it read, texts that were held out and stand nowhere in
what it read, and names that were made up. Any other model is asked for capitals: of large countries, of small ones, and
of countries that do not exist. A model writes each reply once; it is kept for as long as the model is open. Left out:
figures (``demo.py``), and whether a corpus is true.
"""

from __future__ import annotations

import math
import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from glaswerk import generate
from glaswerk.align.own_pairs import REPLY, RIGHT, titles_of
from glaswerk.align.phrasings import declines
from glaswerk.corpora import documents
from glaswerk.corpora.sentences import first_sentences
from glaswerk.errors import GlaswerkError
from glaswerk.evaluate import overlap
from glaswerk.evaluate.choice import WORDS
from glaswerk.evaluate.likelihood import Asked, likelihoods
from glaswerk.evaluate.phrasings import HELD_OUT
from glaswerk.evaluate.scoring import chats
from glaswerk.run import Run
from glaswerk.tokenizer.chip import chip

if TYPE_CHECKING:
    from glaswerk.opened import OpenedModel

#: what can be asked about -> the kinds of questions there are
KINDS = {"titles": ("read", "unread", "made-up"), "capitals": ("large", "small", "nowhere")}
#: questions of each kind that are asked at most
MOST = {"read": 60, "unread": 30, "made-up": 30, "large": 20, "small": 20, "nowhere": 20}
#: tokens of a reply that names a capital
NAMED = 24
CAPITAL = {"en": "What is the capital of {x}?", "de": "Was ist die Hauptstadt von {x}?"}
IS = {"en": "The capital of {x} is {y}.", "de": "Die Hauptstadt von {x} ist {y}."}
#: what is added to a question that offers a way out
OFFER = {
    "en": "If you do not know it, answer: I do not know.",
    "de": "Wenn du es nicht weißt, antworte: Das weiß ich nicht.",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """A question with what is true (empty where nothing is), and the text that a search would put beside it."""

    kind: str
    title: str
    question: str
    truth: str
    found: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply, token by token with its log-probabilities (nats), and its outcome: "right", "wrong" or "declined"."""

    reply: str
    tokens: list[str]
    nats: list[float]
    outcome: str
    shared: float

    @property
    def sure(self) -> dict[str, float]:
        """How sure the model was, in three ways, each from 0 to 1: the geometric mean of its tokens' probabilities,
        the probability of the first one, and that of the least likely one. Of an empty reply 0."""
        if not self.nats:
            return {"mean": 0.0, "first": 0.0, "least": 0.0}
        mean = sum(self.nats) / len(self.nats)
        return {"mean": math.exp(mean), "first": math.exp(self.nats[0]), "least": math.exp(min(self.nats))}


# ---------------------------------------------------------------------------------------------- questions
@cache
def told() -> dict[str, Any]:
    """``facts.toml``."""
    return tomllib.loads(Path(__file__).with_name("facts.toml").read_text(encoding="utf-8"))


def sources(model: OpenedModel) -> list[str]:
    """What this model can be asked about; the first is what a figure starts with."""
    return ["titles", "capitals"] if model.origin.run is not None and titles(model.origin.run) else ["capitals"]


def facts(model: OpenedModel, source: str, language: str) -> dict[str, list[Fact]]:
    """The questions by kind. "own" stands for the first of :func:`sources`."""
    there = sources(model)
    source = there[0] if source == "own" else source
    if source not in there:
        raise GlaswerkError(
            "these questions are about a run's own texts, and the open model belongs to no run that has titled ones: "
            "make one with `glaswerk run wikipedia-en`",
            "Diese Fragen handeln von den Texten eines Laufs, und das offene Modell gehört zu keinem, dessen Texte "
            "Titel haben. Mach einen mit `glaswerk run wikipedia-en`.",
        )
    if source == "capitals":
        return capitals(language)
    assert model.origin.run is not None
    return titles(model.origin.run)


@lru_cache(maxsize=4)
def titles(path: Path) -> dict[str, list[Fact]]:
    """Questions about a run's titles, in phrasings that no training uses; empty where its texts have no titles. The
    unread and made-up ones are those that ``glaswerk align`` keeps for its own measure."""
    run = Run(path)
    try:
        there = titles_of(run, int(run.data.get("seed", 0)))
    except GlaswerkError:
        return {}
    held = {document.title: document.text for document in documents(run.corpus, "val")}
    form = HELD_OUT[there.language]
    known = {document.title: document.text for document in there.known}
    near = nearest(known)

    def asked(kind: str, names: Sequence[str], text: dict[str, str]) -> list[Fact]:
        made = []
        for place, title in enumerate(names[: MOST[kind]]):
            truth = first_sentences(text[title]) if title in text else ""
            found = truth or first_sentences(known[near(title)])
            made.append(Fact(kind, title, form[place % len(form)].format(x=title), truth, found))
        return made

    step = max(1, len(known) // MOST["read"])
    unread = [title for title in there.tested_unknown if title in held]
    # a name may be drawn that some text mentions
    made = [title for title in there.tested_unknown if title not in held and not mentions(path, title)]
    return {
        "read": asked("read", list(known)[::step], known),
        "unread": asked("unread", unread, held),
        "made-up": asked("made-up", made, {}),
    }


@lru_cache(maxsize=2)
def small_letters(path: Path) -> list[str]:
    """The training texts of a run."""
    return [document.text.lower() for document in documents(Run(path).corpus, "train")]


def mentions(path: Path, title: str) -> int:
    """How many training texts of a run say a title."""
    wanted = title.lower()
    return sum(wanted in text for text in small_letters(path))


def nearest(names: Iterable[str]) -> Callable[[str], str]:
    """A poor man's search, which finds something for every name: the one that shares the largest part of its groups of
    three letters."""
    groups = {name: threes(name) for name in names}

    def found(name: str) -> str:
        wanted = threes(name)
        return max(groups, key=lambda other: len(wanted & groups[other]) / len(wanted | groups[other]))

    return found


def threes(name: str) -> set[str]:
    """All groups of three letters of a name, its beginning and end among them."""
    text = f"  {name.lower()} "
    return {text[place : place + 3] for place in range(len(text) - 2)}


@lru_cache(maxsize=2)
def capitals(language: str) -> dict[str, list[Fact]]:
    """Questions for capitals."""
    all_: dict[str, list[Fact]] = {}
    for kind in ("large", "small"):
        rows = [row[language] for row in told()[kind]]
        all_[kind] = [Fact(kind, x, CAPITAL[language].format(x=x), y, IS[language].format(x=x, y=y)) for x, y in rows]
    real = {fact.title: fact.found for kind in all_.values() for fact in kind}
    near = nearest(real)
    all_["nowhere"] = [
        Fact("nowhere", x, CAPITAL[language].format(x=x), "", real[near(x)])
        for x in (row[language] for row in told()["nowhere"])
    ]
    return all_


# ---------------------------------------------------------------------------------------------- asking
#: model -> (source, language, way, kind) -> the answers so far, by their place
_kept: WeakKeyDictionary[Any, dict[tuple[str, ...], dict[int, Answer]]] = WeakKeyDictionary()


def answers(
    model: OpenedModel, source: str, language: str, kind: str, places: Sequence[int], way: str = "plain"
) -> list[Answer]:
    """The replies to these questions of a kind; only what was not asked before is asked."""
    asked = facts(model, source, language)[kind]
    known = _kept.setdefault(model, {}).setdefault((source, language, way, kind), {})
    new = [place for place in places if place not in known]
    if new:
        found = written(model, [asked[place] for place in new], language, way)
        known.update(zip(new, found, strict=True))
    return [known[place] for place in places]


def written(model: OpenedModel, asked: Sequence[Fact], language: str, way: str) -> list[Answer]:
    """The model writes, greedily; replies about titles are longer, and there the mild repetition penalty of the
    library's own measure keeps small models out of loops."""
    short = asked[0].kind in KINDS["capitals"]
    tokens = min(NAMED if short else REPLY, model.model.config.context // 2)
    prompts = [prompt(model, fact, language, way, model.model.config.context - tokens) for fact in asked]
    options: dict[str, Any] = {"max_tokens": tokens, "repetition_penalty": 1.0 if short else 1.1}
    options["stop"] = [] if chats(model) else ["\n"]
    done = generate.batch(model.model, model.tokenizer, prompts, **model.how(options))
    ids = [shown(model, reply.ids, reply.text) for reply in done]
    texts = [Asked([*before, *after], len(before)) for before, after in zip(prompts, ids, strict=True) if after]
    found = iter(likelihoods(model.model, texts))
    made = []
    for fact, reply, after in zip(asked, done, ids, strict=True):
        nats = next(found).nats if after else []
        pieces = [chip(model.tokenizer.token_bytes(number)) for number in after]
        made.append(Answer(reply.text.strip(), pieces, nats, *judged(fact, reply.text)))
    return made


def shown(model: OpenedModel, ids: Sequence[int], text: str) -> list[int]:
    """The tokens of a reply without those of the text that stopped it."""
    for count in range(len(ids)):
        if len(model.tokenizer.decode(list(ids[:count]))) >= len(text):
            return list(ids[:count])
    return list(ids)


def prompt(model: OpenedModel, fact: Fact, language: str, way: str, room: int) -> list[int]:
    """A question as tokens: plainly, with a way out ("offer"), or with the text that a search finds ("source")."""
    said = fact.question
    if way == "offer":
        said = f"{said} {OFFER[language]}"
    elif way == "source":
        said = f"{fact.found}\n\n{said}"
    ask, answer, _ = WORDS[language]
    chat = chats(model)
    ids = model.chat_ids([{"role": "user", "content": said}]) if chat else model.prompt_ids(f"{ask} {said}\n{answer}")
    return ids[-room:]


def judged(fact: Fact, reply: str) -> tuple[str, float]:
    """The outcome, and how far the reply says what is true, from 0 to 1: the words it shares with the text, or
    whether it names the capital. Where nothing is true, every reply but "I do not know" is wrong."""
    if declines(reply):
        return "declined", 0.0
    if not fact.truth:
        return "wrong", 0.0
    if fact.kind in KINDS["capitals"]:
        shared = float(bool(re.search(rf"\b{re.escape(plain(fact.truth))}\b", plain(reply))))
    else:
        shared = overlap(reply, fact.truth, fact.question)
    return ("right" if shared >= RIGHT else "wrong"), shared


def plain(text: str) -> str:
    """Small letters without accents."""
    split = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in split if not unicodedata.combining(character))


# ---------------------------------------------------------------------------------------------- stages
def talking(model: OpenedModel) -> list[str]:
    """The finished stages of the open model's run that answer questions, the earliest first."""
    if model.origin.run is None:
        return []
    return [name for name in Run(model.origin.run).writers() if name != "base"]


@lru_cache(maxsize=3)
def stage(run: Path, name: str) -> OpenedModel:
    """Another stage of a run, opened."""
    from glaswerk.opened import load

    return load(Run(run).stage(name))
