"""``glaswerk study``: the quiz cards that are due today, in the terminal."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from glaswerk.course.review import Book, Card, Today

app = typer.Typer(add_completion=False)

WORDS: dict[str, dict[str, str]] = {
    "due": {"en": "{count} to review today", "de": "heute zu wiederholen: {count}"},
    "new": {"en": "{count} new", "de": "neu: {count}"},
    "prompt": {
        "en": "which one? 1-{count}, Enter without a number ends: ",
        "de": "welche? 1-{count}, Enter ohne Zahl beendet: ",
    },
    "again": {"en": "that is no number from 1 to {count}", "de": "das ist keine Zahl von 1 bis {count}"},
    "right": {"en": "right", "de": "richtig"},
    "wrong": {"en": "no; it is {answer}", "de": "nein; richtig ist {answer}"},
    "how": {
        "en": "how well did you know it?  1 guessed ({1})  2 with effort ({2})  3 knew it ({3})  "
        "4 too easy ({4})  Enter is 3: ",
        "de": "wie gut wusstest du es?  1 geraten ({1})  2 mit Mühe ({2})  3 gewusst ({3})  "
        "4 zu leicht ({4})  Enter heißt 3: ",
    },
    "day": {"en": "in 1 day", "de": "in 1 Tag"},
    "days": {"en": "in {count} days", "de": "in {count} Tagen"},
    "elsewhere": {
        "en": "already answered today, in another window: this one does not count",
        "de": "heute schon beantwortet, in einem anderen Fenster: Diese Antwort zählt nicht",
    },
    "once_more": {"en": "once more, for practice:", "de": "noch einmal, zur Übung:"},
    "done": {"en": "{right} of {count} right at the first try", "de": "{right} von {count} auf Anhieb richtig"},
    "left": {"en": "{count} are left for today", "de": "für heute bleiben {count}"},
    "nothing": {"en": "nothing is due today", "de": "heute ist nichts fällig"},
    "next": {"en": "next: {count} on {day}", "de": "als Nächstes: {count} am {day}"},
    "start": {
        "en": "new questions: {commands}, or the quiz at the end of a chapter in `glaswerk lab`",
        "de": "neue Fragen: {commands}, oder das Quiz am Ende eines Kapitels in `glaswerk lab`",
    },
}


@app.command()
def study(
    chapter: str | None = typer.Argument(
        None, help="A chapter (4, attention): its new questions too.", show_default="what is due in all"
    ),
    lang: str | None = typer.Option(None, "--lang", help="en or de.", show_default="the system's"),
    export: Path | None = typer.Option(None, "--export", help="Write all answers to this JSON file instead of asking."),
    import_: Path | None = typer.Option(
        None, "--import", help="Add the answers of such a file; what is here already stays."
    ),
    json: bool = typer.Option(False, "--json", help="Print what is due as one JSON object instead of asking."),
) -> None:
    """Answer the quiz cards that are due today. FSRS decides when a card comes back, from how well you knew it."""
    from glaswerk.cli.language import chosen
    from glaswerk.cli.terminal import console, print_json
    from glaswerk.course.review import Book, read_export, today
    from glaswerk.errors import GlaswerkError

    book, language = Book(), chosen(lang)
    if export and import_:
        raise GlaswerkError("--export and --import do opposite things: give one of them")
    if export or import_:
        told = exported(book, export) if export else {"added": book.merge(read_export(Path(import_ or "")))}
        if json:
            print_json(told)
        else:
            screen = console()
            for key, value in told.items():
                screen.print(f"[faint]{key:<10}[/faint] {value}", soft_wrap=True)
            screen.print("next: [bold]glaswerk study[/bold]")
        return
    now = today(book, chapter)
    if json:
        print_json(summary(now, language))
        return
    asked = [*now.due, *(now.new if chapter else [])]
    session = Session(book, now.day, language, console())
    if asked:
        session.counts(len(now.due), len(now.new) if chapter else 0)
        session.ask(asked)
    session.farewell(today(book), bool(asked))


def exported(book: Book, path: Path) -> dict[str, Any]:
    """Write the answers to a file."""
    from glaswerk.home import write_json

    answers = book.export()
    write_json(path, answers)
    return {"written": len(answers["answers"]), "file": str(path)}


def summary(now: Today, language: str) -> dict[str, Any]:
    """What is due, for other programs."""
    from glaswerk.course.plain import plain

    def told(card: Card) -> dict[str, Any]:
        question = card.question
        return {
            "card": card.key,
            "question": plain(question.q[language], language, card.chapter.name),
            "options": [plain(option[language], language, card.chapter.name) for option in question.options],
            "answer": question.answer,
        }

    return {
        "day": now.day.isoformat(),
        "due": [told(card) for card in now.due],
        "new": [card.key for card in now.new],
        "ahead": now.ahead(),
    }


class Session:
    """One sitting: asks card by card; what was wrong comes again at the end, for practice."""

    def __init__(self, book: Book, day: date, language: str, screen: Any) -> None:
        self.book, self.day, self.language, self.screen = book, day, language, screen
        self.right = self.asked = self.left = 0

    def say(self, key: str, style: str = "", **values: Any) -> None:
        """A line of ours, whose values are plain text."""
        from rich.text import Text

        self.screen.print(Text(self.words(key, **values), style=style), soft_wrap=True)

    def words(self, key: str, **values: Any) -> str:
        """A text of ours with {names} filled in."""
        text = WORDS[key][self.language]
        for name, value in values.items():
            text = text.replace(f"{{{name}}}", str(value))
        return text

    def counts(self, due: int, new: int) -> None:
        """What is ahead."""
        parts = [self.words("due", count=due)] * (due > 0) + [self.words("new", count=new)] * (new > 0)
        self.screen.print(", ".join(parts), style="bold")

    def ask(self, cards: list[Card]) -> None:
        """All cards once, then again those that were wrong, until each was right or the reader ends."""
        queue = [(card, True) for card in cards]
        while queue:
            card, counts = queue.pop(0)
            picked = self.pick(card, counts)
            if picked is None:
                self.left = sum(first for _, first in queue) + counts
                return
            right = picked == card.question.answer
            self.explain(card, right)
            if counts:
                self.asked += 1
                self.right += right
                self.keep(card, right)
            if not right:
                queue.append((card, False))

    def pick(self, card: Card, counts: bool) -> int | None:
        """Show a card and take the place of the option that the reader chose; None: the reader ended."""
        from rich.padding import Padding
        from rich.text import Text

        order = card.order(self.day)
        self.screen.print()
        if not counts:
            self.say("once_more", "faint")
        self.screen.print(Text(self.text(card, card.question.q), style="bold"))
        for number, place in enumerate(order, 1):
            option = Text.assemble((f"{number}  ", "faint"), self.text(card, card.question.options[place]))
            self.screen.print(Padding(option, (0, 0, 0, 2), expand=False))
        typed = self.number(self.words("prompt", count=len(order)), len(order))
        return None if typed is None else order[typed - 1]

    def explain(self, card: Card, right: bool) -> None:
        """Right or wrong, and why."""
        from rich.text import Text

        answer = self.text(card, card.question.options[card.question.answer])
        self.say("right" if right else "wrong", "value" if right else "loss", answer=answer)
        self.screen.print(Text(self.text(card, card.question.why)))

    def keep(self, card: Card, right: bool) -> None:
        """Ask how well a right answer was known, and write it down."""
        from glaswerk.course.review import AGAIN, GOOD, days_by_rating

        days = days_by_rating(self.book.answers(card.key), self.day)
        rating: int = AGAIN
        if right:
            ahead = {str(key): self.when(count) for key, count in days.items()}
            rating = self.number(self.words("how", **ahead), 4) or GOOD
        counted = self.book.add(card.key, rating, self.day)
        if not counted:
            self.say("elsewhere", "warn")
        elif not right:
            self.screen.print(self.when(days[AGAIN]), style="faint")

    def when(self, days: int) -> str:
        """In how many days, in words."""
        return self.words("day" if days == 1 else "days", count=days)

    def number(self, prompt: str, most: int) -> int | None:
        """A number from 1 to ``most`` from the keyboard; None for an empty line or the end of the input."""
        while True:
            try:
                typed = input(prompt).strip()
            except EOFError:
                self.screen.print()
                return None
            if not typed:
                return None
            if typed.isascii() and typed.isdigit() and 1 <= int(typed) <= most:
                return int(typed)
            self.say("again", "warn", count=most)

    def text(self, card: Card, both: dict[str, str]) -> str:
        """A text of a card, without marks."""
        from glaswerk.course.plain import plain

        return plain(both[self.language], self.language, card.chapter.name)

    def farewell(self, now: Today, asked: bool) -> None:
        """How it went and when the next cards come."""
        if asked:
            self.screen.print()
            self.say("done", right=self.right, count=self.asked)
            if self.left:
                self.say("left", count=self.left)
        elif not now.due:
            self.say("nothing")
        later = sorted(standing.due for standing in now.standings.values() if standing.due > now.day)
        if later:
            self.say("next", count=later.count(later[0]), day=shown(later[0], self.language))
        chapters = list(dict.fromkeys(card.chapter.number for card in now.new))[:3]
        if chapters:
            self.say("start", "faint", commands=", ".join(f"`glaswerk study {number}`" for number in chapters))


def shown(day: date, language: str) -> str:
    """A day as the language writes it."""
    return f"{day.day}.{day.month}.{day.year}" if language == "de" else day.isoformat()
