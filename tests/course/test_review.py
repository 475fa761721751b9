"""Review: due days are FSRS's own, nothing counts twice, files come back as they went, the terminal's session."""

from __future__ import annotations

import io
import json
import sqlite3
import threading
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from glaswerk.cli.main import dispatch
from glaswerk.course import review
from glaswerk.course.plain import formula, plain
from glaswerk.course.review import AGAIN, EASY, GOOD, HARD, Answer, Book
from glaswerk.errors import GlaswerkError

DAY = date(2026, 11, 26)


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Book:
    monkeypatch.setenv("GLASWERK_HOME", str(tmp_path))
    return Book()


def days(count: int) -> date:
    return DAY + timedelta(days=count)


def test_due_days_are_those_of_fsrs() -> None:
    """Oracle: FSRS asked directly, step by step."""
    from fsrs import Card, Rating, Scheduler

    scheduler = Scheduler(learning_steps=(), relearning_steps=(timedelta(days=1),), enable_fuzzing=False)
    card, answers, day = Card(card_id=1), [], DAY
    for rating in (GOOD, GOOD, AGAIN, HARD, GOOD, EASY, GOOD):
        card, _ = scheduler.review_card(card, Rating(rating), datetime(day.year, day.month, day.day, tzinfo=UTC))
        answers.append(Answer("a/b", day, rating, ""))
        standing = review.standings(answers)["a/b"]
        assert (standing.due, standing.answers) == (card.due.date(), len(answers))
        assert standing.stability == card.stability
        day = standing.due


def test_a_known_card_comes_back_later_each_time_and_a_forgotten_one_tomorrow() -> None:
    answers, day, gaps = [], DAY, []
    for _ in range(6):
        answers.append(Answer("a/b", day, GOOD, ""))
        due = review.standings(answers)["a/b"].due
        gaps.append((due - day).days)
        day = due
    assert gaps == sorted(gaps) and len(set(gaps)) == len(gaps) and gaps[-1] > 30
    answers.append(Answer("a/b", day, AGAIN, ""))
    assert (review.standings(answers)["a/b"].due - day).days == 1


def test_better_ratings_come_back_later(book: Book) -> None:
    ahead = review.days_by_rating([Answer("a/b", DAY, GOOD, "")], days(2))
    assert ahead[AGAIN] <= ahead[HARD] <= ahead[GOOD] <= ahead[EASY] and ahead[AGAIN] < ahead[EASY]


def test_an_answer_counts_once_until_the_card_is_due_again(book: Book) -> None:
    assert book.add("a/b", GOOD, DAY)
    assert not book.add("a/b", AGAIN, DAY), "a second tab"
    assert not book.add("a/b", GOOD, days(1)), "not due yet"
    due = review.standings(book.answers())["a/b"].due
    assert book.add("a/b", GOOD, due) and [answer.rating for answer in book.answers()] == [GOOD, GOOD]


def test_many_tabs_at_once_write_one_answer(book: Book) -> None:
    counted = []
    start = threading.Barrier(12)

    def tab() -> None:
        start.wait()
        counted.append(Book().add("a/b", GOOD, DAY))

    threads = [threading.Thread(target=tab) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counted) == [False] * 11 + [True] and len(book.answers()) == 1


def test_an_export_comes_back_whole_and_only_once(book: Book, tmp_path: Path) -> None:
    for place in range(30):
        book.add(f"a/{place % 10}", GOOD, days(60 * (place // 10)))
    exported = json.loads(json.dumps(book.export()))
    # dates of the past, so that the check of the future does not depend on when this test runs
    for item in exported["answers"]:
        item["day"] = (date.fromisoformat(item["day"]) - timedelta(days=5000)).isoformat()
    other = Book(tmp_path / "other.sqlite3")
    assert other.merge(exported) == 30 and other.merge(exported) == 0
    assert other.export()["answers"] == exported["answers"]


def test_two_computers_are_put_together(book: Book, tmp_path: Path) -> None:
    other = Book(tmp_path / "other.sqlite3")
    book.add("a/b", GOOD, date(2020, 1, 1))
    other.add("a/b", AGAIN, date(2020, 1, 1))
    other.add("a/c", EASY, date(2020, 1, 2))
    assert book.merge(other.export()) == 1
    assert [(answer.card, answer.rating) for answer in book.answers()] == [("a/b", GOOD), ("a/c", EASY)]


GOOD_ITEM = {"card": "a/b", "day": "2020-01-01", "rating": 3, "at": ""}


@pytest.mark.parametrize(
    ("exported", "told"),
    [
        ([], "no export"),
        ({"format": "other"}, "no export"),
        ({"format": "glaswerk-review", "version": 2, "answers": []}, "version 2"),
        ({"format": "glaswerk-review", "version": 1, "answers": {}}, "a list"),
        (["x"], "not an object"),
        ([{**GOOD_ITEM, "card": "../../x"}], "chapter/question"),
        ([{**GOOD_ITEM, "card": "a/b\n"}], "chapter/question"),
        ([{**GOOD_ITEM, "rating": True}], "rating"),
        ([{**GOOD_ITEM, "rating": 5}], "rating"),
        ([{**GOOD_ITEM, "day": "yesterday"}], "a date"),
        ([{**GOOD_ITEM, "day": 5}], "a date"),
        ([{**GOOD_ITEM, "day": "9999-01-01"}], "not in the past"),
        ([GOOD_ITEM, {**GOOD_ITEM, "at": "x" * 50}], "answer 2"),
    ],
)
def test_a_wrong_export_changes_nothing_and_says_where(book: Book, exported: object, told: str) -> None:
    if isinstance(exported, list) and exported:
        exported = {"format": "glaswerk-review", "version": 1, "answers": exported}
    with pytest.raises(GlaswerkError, match=told):
        book.merge(exported)
    assert book.answers() == []


def test_a_damaged_file_is_one_line(book: Book, capsys: pytest.CaptureFixture) -> None:
    book.path.parent.mkdir(parents=True)
    book.path.write_bytes(b"this is no database, and long enough to be read as one" * 50)
    assert dispatch(["study", "--json"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and "is damaged" in err and err.count("\n") == 1
    book.path.unlink()
    with sqlite3.connect(book.path) as connection:
        connection.execute(review.SCHEMA)
        connection.execute("INSERT INTO answers VALUES ('a/b', 'never', 3, '')")
    with pytest.raises(GlaswerkError, match="is damaged"):
        book.answers()


def test_every_question_is_a_card_with_a_name_of_its_own() -> None:
    found = review.cards()
    assert "attention/root" in found
    for key, card in found.items():
        assert key.startswith(card.chapter.slug + "/")
        assert sorted(card.order(DAY)) == list(range(len(card.question.options)))
    orders = {tuple(found["attention/root"].order(days(count))) for count in range(20)}
    assert len(orders) > 2, "the right option stays at one place"


def test_due_cards_come_oldest_first_and_new_ones_apart(book: Book) -> None:
    keys = list(review.cards("attention"))
    book.add(keys[2], AGAIN, days(-9))
    book.add(keys[0], AGAIN, days(-5))
    book.add("gone/card", AGAIN, days(-5))  # a chapter that this version has not
    now = review.today(book, "attention", DAY)
    assert [card.key for card in now.due] == [keys[2], keys[0]]
    assert [card.key for card in now.new] == [key for key in keys if key not in (keys[0], keys[2])]
    assert now.ahead()[0] == 2 and sum(now.ahead()) == 2


# ---------------------------------------------------------------------------------------------- the terminal
def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def places(chapter: str, right: bool) -> list[str]:
    """What to type for each card of a chapter today, to be right or wrong."""
    found = []
    for card in review.cards(chapter).values():
        order = card.order(date.today())
        place = order.index(card.question.answer)
        found.append(str((place if right else (place + 1) % len(order)) + 1))
    return found


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_session_from_the_first_question_to_nothing_due(
    book: Book, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, language: str
) -> None:
    right, wrong = places("attention", True), places("attention", False)
    # the first one wrong, the others right and rated 4, then the first again
    lines = [wrong[0], *(line for place in right[1:] for line in (place, "4")), right[0]]
    typed(monkeypatch, "\n".join(lines) + "\n")
    assert dispatch(["study", "attention", "--lang", language]) == 0
    shown = capsys.readouterr().out
    count = len(right)
    assert {"en": f"{count - 1} of {count} right", "de": f"{count - 1} von {count} auf Anhieb"}[language] in shown
    ratings = {answer.card.split("/")[1]: answer.rating for answer in book.answers()}
    assert sorted(ratings.values()) == [AGAIN] + [EASY] * (count - 1)
    assert "{=" not in shown and "[[" not in shown and "$" not in shown
    assert dispatch(["study", "--lang", language]) == 0
    assert {"en": "nothing is due today", "de": "heute ist nichts fällig"}[language] in capsys.readouterr().out


def test_an_ended_session_keeps_what_was_answered(
    book: Book, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    typed(monkeypatch, f"seven\n0\n{places('attention', True)[0]}\n\n")
    assert dispatch(["study", "4", "--lang", "en"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("that is no number") == 2 and "1 of 1 right" in shown and "are left for today" in shown
    assert [answer.rating for answer in book.answers()] == [GOOD]


def test_files_by_the_verb(book: Book, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    book.add("attention/root", GOOD, date(2024, 5, 1))
    file = tmp_path / "answers.json"
    assert dispatch(["study", "--export", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["written"] == 1
    book.path.unlink()
    assert dispatch(["study", "--import", str(file)]) == 0
    assert "added      1" in capsys.readouterr().out and len(book.answers()) == 1
    for wrong in (tmp_path / "none.json", tmp_path):
        assert dispatch(["study", "--import", str(wrong)]) == 1
        assert capsys.readouterr().err.count("\n") == 1


def test_json_is_what_is_due(book: Book, capsys: pytest.CaptureFixture) -> None:
    book.add("attention/root", AGAIN, date.today() - timedelta(days=3))
    assert dispatch(["study", "--json", "--lang", "de"]) == 0
    told = json.loads(capsys.readouterr().out)
    (card,) = told["due"]
    assert card["card"] == "attention/root" and "Wurzel" in card["question"] and told["ahead"][0] == 1


@pytest.mark.parametrize(
    "wrong", [["study", "99"], ["study", "--lang", "fr"], ["study", "--export", "a", "--import", "b"]]
)
def test_bad_arguments_are_one_line(book: Book, wrong: list[str], capsys: pytest.CaptureFixture) -> None:
    assert dispatch(wrong) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1


def test_marks_become_plain_text() -> None:
    text = "The {query:Query} of a [[token|word]] is `W_q[[x]]`, **not** *more* than $\\sqrt{d_k}$ or 2 * 3 * 4."
    assert plain(text, "en") == "The Query of a word is W_q[[x]], not more than √d_k or 2 * 3 * 4."
    assert plain("eine [[softmax]]", "de").startswith("eine Softmax")
    assert formula("\\frac{\\query{q} \\cdot k}{\\sqrt{d}}") == "(q · k)/√d"
    assert formula("e^{x_1} + 10^{-3}, 0{,}44") == "e^x₁ + 10⁻³, 0,44"
