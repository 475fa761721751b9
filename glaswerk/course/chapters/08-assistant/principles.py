"""One answer and a written constitution: the open model answers, a judge criticises the answer by one principle and
writes it anew, and says in both orders which of the two keeps to the principle better.

What is asked and how it is read is that of ``glaswerk/align/constitution.py``; it comes in parts, so that a page shows
each as soon as it is there. The judge is the open model, or SmolLM2 where it is pulled. Left out: many answers, and
learning from them (``glaswerk align RUN --method constitution``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from glaswerk.align.constitution import (
    Local,
    both_orders,
    our_principles,
    texts_of,
    to_compare,
    to_criticise,
    to_revise,
)
from glaswerk.course.demo import demo, load_module
from glaswerk.errors import GlaswerkError

if TYPE_CHECKING:
    from glaswerk.model.decoder import Decoder
    from glaswerk.opened import OpenedModel

practice = load_module(Path(__file__).with_name("rollouts.py"), "glaswerk_chapter_assistant_rollouts_of_principles")
talk = practice.talk
#: the open model itself, or a larger one that can be pulled
SELF, LARGER = "self", "smollm2"
#: answer, critique, revision, verdict
PARTS = 4
TOKENS = 48
#: the longest principle and question that a reader types; principles at most
LONGEST, MOST = 240, 8
NONE: list[str] = []


@lru_cache(maxsize=1)
def larger() -> OpenedModel:
    """SmolLM2, opened."""
    from glaswerk.opened import load

    return load(LARGER)


def judges_for(model: OpenedModel) -> list[str]:
    """Who can judge: whoever can be talked to. Raises :class:`GlaswerkError` where nobody can."""
    from glaswerk import pull

    found = [SELF] if model.has_chat else []
    if pull.is_pulled(LARGER):
        found.append(LARGER)
    if not found:
        raise GlaswerkError(
            f"nobody here can judge: open a model that one can talk to, or run `glaswerk pull {LARGER}`",
            "Mit dem offenen Modell kann man nicht sprechen, also kann es nicht urteilen. Öffne ein Chat-Modell oder "
            f"hol eines mit `glaswerk pull {LARGER}`.",
        )
    return found


def questions_for(model: OpenedModel, language: str) -> list[str]:
    """What can be asked: what is practised, then questions at which principles part."""
    return [*practice.asked_about(model, language), *talk.talks(language)["delicate"]]


@dataclass
class Rewriting:
    """What became of one answer so far; None where the judge gave nothing that can be used."""

    model: OpenedModel
    judge: Local
    question: str
    principle: str
    language: str
    done: int = 0
    answer: str = ""
    critique: str | None = None
    revision: str | None = None
    #: how likely the judge names the revision, with the answer first and with the revision first; and how likely the
    #: revision is the better one without a lean to a place, None where that is too near to a half
    verdict: tuple[float, float, float | None] | None = None

    def next(self) -> None:
        """The next part."""
        asked = (self.question, self.answer, self.principle)
        if self.done == 0:
            self.answer = talk.replies(self.model, [self.question], self.language, TOKENS)[0]
        elif self.done == 1:
            talks = [to_criticise(*asked, self.language)]
            self.critique = texts_of(self.judge, talks, "no critique", TOKENS, 0)[0]
        elif self.done == 2 and self.critique is not None:
            talks = [to_revise(*asked, self.critique, self.language)]
            self.revision = texts_of(self.judge, talks, "no revision", TOKENS, 1)[0]
        elif self.done == 3 and self.revision is not None:
            pair = (self.answer, self.revision)
            talks = [to_compare(self.question, *order, self.principle, self.language) for order in (pair, pair[::-1])]
            first, second = self.judge.prefer(talks)
            if first is not None and second is not None:
                better = both_orders(first, second)
                self.verdict = (1 - first, second, None if better is None else 1 - better)
        self.done += 1

    def told(self) -> dict[str, Any]:
        """What is there so far, as figures show it."""
        found = {name: getattr(self, name) for name in ("answer", "critique", "revision", "verdict")[: self.done]}
        return found | {"failures": {what: count for what, count in self.judge.failures.items() if count}}


#: model -> what was written anew last
_last: WeakKeyDictionary[Decoder, dict[tuple[str, ...], Rewriting]] = WeakKeyDictionary()


@demo(
    language={*talk.LANGUAGES}, question=(0, practice.ASKED + 1), prompt=LONGEST, judge={SELF, LARGER},
    principles=LONGEST, principle=(0, MOST - 1), part=(0, PARTS - 1),
)  # fmt: skip
def constitution(
    model: OpenedModel, language: str = "en", question: int = 0, prompt: str = "", judge: str = SELF,
    principles: list[str] = NONE, principle: int = 0, part: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """An answer of the open model up to ``part``: the answer, its critique by one of the ``principles`` (without any:
    those that ship), the revision, and how likely the judge names the revision."""
    language = talk.tongue(model, language)
    judges = judges_for(model)
    judge = judge if judge in judges else judges[0]
    offered, written = questions_for(model, language), principles or our_principles(language)
    if len(written) > MOST or principle >= len(written) or not any(map(str.isalpha, written[principle])):
        raise GlaswerkError(
            f"choose a principle with words in it, one of at most {MOST}",
            f"Wähle einen Grundsatz, in dem Wörter stehen, einen von höchstens {MOST}.",
        )
    asked = prompt.strip() or offered[min(question, len(offered) - 1)]
    kept = _last.setdefault(model.model, {})
    key = (language, asked, judge, written[principle])
    if key not in kept:
        kept.clear()
        kept[key] = Rewriting(model, Local(model if judge == SELF else larger()), asked, written[principle], language)
    rewriting = kept[key]
    while rewriting.done <= part:
        rewriting.next()
    return {
        "model": model.origin.name, "judge": judge, "judges": judges, "question": asked, "questions": offered,
        "principles": written, "principle": principle, "parts": PARTS, "part": part, **rewriting.told(),
    }  # fmt: skip
