"""Review: quiz cards that come back shortly before they would be forgotten. FSRS (package ``fsrs``) says when.

What is kept is only the answers, one per card and day, in one SQLite file of the home folder; when a card is due
follows from replaying them. So two open tabs, a repeated request or an import of the same file twice change nothing,
and two computers' answers can be put together.

FSRS works in whole days here: what is due on a day is due from its midnight on. Left out: asking
(``glaswerk/cli/study.py``, the review page), steps of minutes within one day, and fitting FSRS's parameters to one
person.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from glaswerk.course.chapter import Question, load_chapter
from glaswerk.course.outline import OUTLINE, Entry, entry
from glaswerk.errors import GlaswerkError
from glaswerk.home import home, make_folder

#: how well a card was known: FSRS's four ratings
AGAIN, HARD, GOOD, EASY = RATINGS = (1, 2, 3, 4)
#: a card comes back when the chance that it is still known has fallen to this
TARGET = 0.9
FORMAT = "glaswerk-review"
VERSION = 1
#: more answers than a lifetime holds
MOST_ANSWERS = 200_000
SCHEMA = "CREATE TABLE IF NOT EXISTS answers (card TEXT, day TEXT, rating INTEGER, at TEXT, PRIMARY KEY (card, day))"


# ---------------------------------------------------------------------------------------------- cards
@dataclass(frozen=True)
class Card:
    """A quiz question as a card. ``key`` is ``slug/question``: a chapter's number may change, its slug does not."""

    key: str
    chapter: Entry
    question: Question

    def order(self, day: date) -> list[int]:
        """The places of the options as they are shown on a day: another order each day, so that nobody learns that
        "the second one" is right."""
        from random import Random

        places = list(range(len(self.question.options)))
        Random(f"{self.key} {day}").shuffle(places)
        return places


def cards(chapter: str | None = None) -> dict[str, Card]:
    """Every card of the written chapters, or of one, in the order of the course."""
    entries = [entry(chapter)] if chapter else [found for found in OUTLINE if found.written]
    return {
        f"{found.slug}/{question.id}": Card(f"{found.slug}/{question.id}", found, question)
        for found in entries
        for question in load_chapter(found.name).quiz
    }


# ---------------------------------------------------------------------------------------------- when a card is due
@dataclass(frozen=True)
class Answer:
    """One answer: the card's key, the day, how well it was known, and when exactly."""

    card: str
    day: date
    rating: int
    at: str


@dataclass(frozen=True)
class Standing:
    """Where a card stands after its answers: ``due`` is the day it comes back."""

    due: date
    answers: int
    #: days until the chance to know it has fallen to 90 %, as FSRS defines it
    stability: float


def standings(answers: Iterable[Answer]) -> dict[str, Standing]:
    """Where every card that was ever answered stands."""
    by_card: dict[str, list[Answer]] = {}
    for answer in answers:
        by_card.setdefault(answer.card, []).append(answer)
    return {card: _standing(own) for card, own in by_card.items()}


def _standing(answers: list[Answer]) -> Standing:
    card = _replayed(answers)
    return Standing(card.due.date(), len(answers), card.stability)


def days_by_rating(answers: list[Answer], today: date) -> dict[int, int]:
    """In how many days a card would come back, for each rating it may get today."""
    return {rating: (_replayed(answers, (today, rating)).due.date() - today).days for rating in RATINGS}


def _replayed(answers: list[Answer], *more: tuple[date, int]) -> Any:
    """FSRS's card after these answers, oldest first."""
    from fsrs import Card as FsrsCard
    from fsrs import Rating, Scheduler

    # what was forgotten is asked the next day; no fuzz: the same answers give the same days on every computer
    scheduler = Scheduler(
        desired_retention=TARGET, learning_steps=(), relearning_steps=(timedelta(days=1),), enable_fuzzing=False
    )
    card = FsrsCard(card_id=0)
    for day, rating in [*sorted((answer.day, answer.rating) for answer in answers), *more]:
        when = datetime(day.year, day.month, day.day, tzinfo=UTC)
        card, _ = scheduler.review_card(card, Rating(rating), when)
    return card


# ---------------------------------------------------------------------------------------------- the book of answers
class Book:
    """The answers in their SQLite file; safe to use from several processes and threads, one at a time writes."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or home() / "review" / "answers.sqlite3"

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        make_folder(self.path.parent)
        connection = None
        try:
            connection = sqlite3.connect(self.path, timeout=10, isolation_level=None)
            connection.execute(SCHEMA)
            yield connection
        except sqlite3.OperationalError as error:
            raise GlaswerkError(
                f"cannot use {self.path} ({error}): another process may hold it, or the disk is full or read-only"
            ) from error
        except sqlite3.DatabaseError as error:
            raise GlaswerkError(
                f"{self.path} is damaged ({error}): move it away; an export comes back with `glaswerk study --import`"
            ) from error
        finally:
            if connection is not None:
                connection.close()

    def answers(self, card: str | None = None) -> list[Answer]:
        """All answers, or those of one card, oldest first. Raises :class:`GlaswerkError` for a damaged file."""
        if not self.path.is_file():
            return []
        with self._open() as connection:
            return _read(connection, card)

    def add(self, card: str, rating: int, today: date | None = None) -> bool:
        """Write an answer of today down. False: it does not count, because the card is not due (it was answered today
        already, perhaps in another tab)."""
        if rating not in RATINGS:
            raise GlaswerkError(f"a rating is one of {', '.join(map(str, RATINGS))}, not {rating!r}")
        day = today or date.today()
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")  # nobody writes between looking and writing
            try:
                before = _read(connection, card)
                counts = not before or _standing(before).due <= day
                if counts:
                    _write(connection, [Answer(card, day, rating, _now())])
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        return counts

    def export(self) -> dict[str, Any]:
        """Everything, as plain values for a JSON file."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "answers": [
                {"card": answer.card, "day": answer.day.isoformat(), "rating": answer.rating, "at": answer.at}
                for answer in self.answers()
            ],
        }

    def merge(self, exported: Any) -> int:
        """Put exported answers to those that are here; where both have the same card and day, the one here stays.
        Returns how many were new. Raises :class:`GlaswerkError` before anything is written where one is not valid."""
        found = checked(exported)
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                count = _write(connection, found)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        return count


def _read(connection: sqlite3.Connection, card: str | None) -> list[Answer]:
    where, values = (" WHERE card = ?", (card,)) if card is not None else ("", ())
    rows = connection.execute(f"SELECT card, day, rating, at FROM answers{where} ORDER BY day, card", values)
    try:
        return [Answer(name, date.fromisoformat(day), rating, at) for name, day, rating, at in rows]
    except (TypeError, ValueError) as error:
        raise sqlite3.DatabaseError(str(error)) from error


def _write(connection: sqlite3.Connection, answers: Iterable[Answer]) -> int:
    before = connection.total_changes
    connection.executemany(
        "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?)",
        [(answer.card, answer.day.isoformat(), answer.rating, answer.at) for answer in answers],
    )
    return connection.total_changes - before


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


# ---------------------------------------------------------------------------------------------- files
def checked(exported: Any) -> list[Answer]:
    """The answers of an exported file. Cards that this version does not have are kept. Raises :class:`GlaswerkError`
    that names the first answer that is wrong."""
    if not isinstance(exported, dict) or exported.get("format") != FORMAT:
        raise GlaswerkError(f'this is no export of answers: it lacks "format": "{FORMAT}"')
    if exported.get("version") != VERSION:
        raise GlaswerkError(f"this export has version {exported.get('version')!r}; version {VERSION} is read here")
    listed = exported.get("answers")
    if not isinstance(listed, list) or len(listed) > MOST_ANSWERS:
        raise GlaswerkError(f"the export needs answers, a list of at most {MOST_ANSWERS:,}")
    return [_checked(item, place) for place, item in enumerate(listed, 1)]


def _checked(item: Any, place: int) -> Answer:
    def wrong(what: str) -> GlaswerkError:
        return GlaswerkError(f"answer {place} of the export: {what}; nothing was read")

    if not isinstance(item, dict):
        raise wrong("it is not an object")
    card, rating, at = item.get("card"), item.get("rating"), item.get("at", "")
    if not isinstance(card, str) or not re.fullmatch(r"[a-z0-9-]{1,60}/[a-z0-9_-]{1,60}", card):
        raise wrong("card must be chapter/question")
    if type(rating) is not int or rating not in RATINGS:
        raise wrong("rating must be 1, 2, 3 or 4")
    if not isinstance(at, str) or len(at) > 40:
        raise wrong("at must be a time")
    try:
        day = date.fromisoformat(item["day"])
    except (KeyError, TypeError, ValueError):
        raise wrong("day must be a date like 2026-11-26") from None
    if day.year < 2000 or day > date.today() + timedelta(days=1):
        raise wrong(f"the day {day} is not in the past")
    return Answer(card, day, rating, at)


def read_export(path: Path) -> Any:
    """An exported file's content. Raises :class:`GlaswerkError` in one line where it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise GlaswerkError(f"there is no file {path}") from None
    except OSError as error:
        raise GlaswerkError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise GlaswerkError(f"{path} is not a JSON file: name one that `glaswerk study --export` wrote") from None


# ---------------------------------------------------------------------------------------------- today
@dataclass(frozen=True)
class Today:
    """What is to do on a day: ``due`` cards first asked long ago first, ``new`` cards never asked, and where all the
    cards stand."""

    day: date
    due: list[Card]
    new: list[Card]
    standings: dict[str, Standing]

    def ahead(self, days: int = 14) -> list[int]:
        """How many cards come back today, tomorrow, and so on; what is late counts as today."""
        counts = [0] * days
        known = cards()
        for key, standing in self.standings.items():
            place = max(0, (standing.due - self.day).days)
            if key in known and place < days:
                counts[place] += 1
        return counts


def today(book: Book, chapter: str | None = None, day: date | None = None) -> Today:
    """What is due today, in all chapters or in one."""
    now = day or date.today()
    where = standings(book.answers())
    asked = cards(chapter)
    due = [card for key, card in asked.items() if key in where and where[key].due <= now]
    due.sort(key=lambda card: where[card.key].due)
    new = [card for key, card in asked.items() if key not in where]
    return Today(now, due, new, where)
