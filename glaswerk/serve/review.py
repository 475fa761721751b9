"""The review page's data: what is due today, an answer, the file with all answers. The rules stand in
``glaswerk/course/review.py``; this turns them into HTTP.
"""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from fastapi import APIRouter, Request, Response

from glaswerk.course import LANGUAGES, review
from glaswerk.course.demo import as_json
from glaswerk.course.render import Renderer
from glaswerk.course.review import Book, Card
from glaswerk.errors import GlaswerkError
from glaswerk.serve.asked import arguments_of, body_of

router = APIRouter()


@router.get("/api/review")
def due(args: str = "{}") -> Response:
    """What is due: ``language``, and ``chapter`` for that chapter's new questions too."""
    arguments = arguments_of(args)
    language, chapter = arguments.get("language", "en"), arguments.get("chapter") or None
    if language not in LANGUAGES or not isinstance(chapter, str | None):
        raise GlaswerkError(
            "language must be en or de, chapter a chapter's name",
            "„language“ muss „en“ oder „de“ sein, „chapter“ der Name eines Kapitels.",
        )
    return Response(as_json(told(Book(), language, chapter, date.today())), media_type="application/json")


@router.post("/api/review")
async def answer(request: Request) -> dict[str, Any]:
    """One answer: ``card`` and ``rating`` (1 guessed or wrong ... 4 too easy). Tells whether it counted and when the
    card comes back."""
    from starlette.concurrency import run_in_threadpool

    given = await body_of(request)
    card, rating = (given.get("card"), given.get("rating")) if isinstance(given, dict) else (None, None)
    if not isinstance(card, str) or type(rating) is not int:
        raise GlaswerkError("an answer needs card and rating", "Zu einer Antwort gehören „card“ und „rating“.")
    return await run_in_threadpool(kept, Book(), card, rating, date.today())


@router.get("/api/review/file")
def file() -> Response:
    """All answers as a file to keep or to take to another computer."""
    text = json.dumps(Book().export(), indent=1)
    named = {"Content-Disposition": f'attachment; filename="glaswerk-review-{date.today()}.json"'}
    return Response(text, media_type="application/json", headers=named)


@router.post("/api/review/file")
async def add_file(request: Request) -> dict[str, int]:
    """Such a file's answers, added to those that are here."""
    from starlette.concurrency import run_in_threadpool

    return {"added": await run_in_threadpool(Book().merge, await body_of(request))}


# ---------------------------------------------------------------------------------------------- what is told
def told(book: Book, language: str, chapter: str | None, day: date) -> dict[str, Any]:
    """Everything that the page shows."""
    answers = book.answers()
    everything = review.today(book, day=day)
    asked = [*everything.due]
    if chapter:
        here = review.today(book, chapter, day)
        asked = [*here.due, *here.new]
    renderer = Renderer(language, up="../")
    by_card: dict[str, list[review.Answer]] = {}
    for given in answers:
        by_card.setdefault(given.card, []).append(given)
    return {
        "day": day.isoformat(),
        "cards": [shown(card, renderer, by_card.get(card.key, []), day) for card in asked],
        "due": len(everything.due),
        "answered": sum(given.day == day for given in answers),
        "chapters": chapters(everything, language),
        "ahead": everything.ahead(),
    }


def shown(card: Card, renderer: Renderer, answers: list[review.Answer], day: date) -> dict[str, Any]:
    """A card as HTML, its options in today's order; ``days`` says when it would come back, by rating."""
    question, language = card.question, renderer.language

    def line(text: dict[str, str]) -> str:
        return renderer.line(renderer.with_numbers_of(card.chapter.name, text[language]))

    return {
        "card": card.key,
        "chapter": {"name": card.chapter.name, "title": card.chapter.title[language]},
        "q": line(question.q),
        "options": [{"place": place, "text": line(question.options[place])} for place in card.order(day)],
        "answer": question.answer,
        "why": line(question.why),
        "new": not answers,
        "days": review.days_by_rating(answers, day),
    }


def chapters(now: review.Today, language: str) -> list[dict[str, Any]]:
    """How many cards of each chapter are new, due and later."""
    found: dict[str, dict[str, Any]] = {}
    for key, card in review.cards().items():
        entry = card.chapter
        counts = found.setdefault(
            entry.name,
            {
                "name": entry.name,
                "number": entry.number,
                "title": entry.title[language],
                "new": 0,
                "due": 0,
                "later": 0,
            },
        )
        standing = now.standings.get(key)
        counts["new" if standing is None else "due" if standing.due <= now.day else "later"] += 1
    return list(found.values())


def kept(book: Book, key: str, rating: int, day: date) -> dict[str, Any]:
    """Write an answer down."""
    if key not in review.cards():
        raise GlaswerkError(f"there is no card {key[:80]!r}", f"Eine Karte „{key[:80]}“ gibt es nicht.")
    counted = book.add(key, rating, day)
    due_ = review.standings(book.answers(key))[key].due
    return {"counted": counted, "due": due_.isoformat(), "days": (due_ - day).days}
