"""The review page: what is due over HTTP, one answer counts once, files; and in a browser a card is answered."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import browser as helpers
import pytest
from fastapi.testclient import TestClient

from glaswerk.course import review
from glaswerk.course.review import AGAIN, Book
from glaswerk.serve.app import create_app
from glaswerk.serve.holder import Holder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GLASWERK_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def client(home: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Holder(None, home / "runs")), base_url="http://127.0.0.1") as found:
        yield found


def due(client: TestClient, **arguments: Any) -> dict[str, Any]:
    answer = client.get("/api/review", params={"args": json.dumps(arguments)})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_new_questions_come_when_asked_for_and_answers_count_once(client: TestClient) -> None:
    assert due(client)["cards"] == []
    cards = due(client, chapter="04-attention", language="de")["cards"]
    assert [card["card"] for card in cards] == list(review.cards("attention"))
    first = cards[0]
    assert first["new"] and first["days"]["1"] <= first["days"]["3"] <= first["days"]["4"]
    told = client.post("/api/review", json={"card": first["card"], "rating": 3}).json()
    assert told["counted"] and told["days"] == first["days"]["3"]
    assert not client.post("/api/review", json={"card": first["card"], "rating": 1}).json()["counted"]
    now = due(client)
    assert now["answered"] == 1 and now["ahead"][told["days"]] == 1
    (chapter,) = [each for each in now["chapters"] if each["name"] == "04-attention"]
    assert (chapter["new"], chapter["due"], chapter["later"]) == (len(cards) - 1, 0, 1)


def test_both_languages_ask_the_same_in_the_same_order(client: TestClient) -> None:
    english, german = (due(client, chapter="attention", language=language)["cards"] for language in ("en", "de"))
    places = [[[option["place"] for option in card["options"]] for card in cards] for cards in (english, german)]
    assert places[0] == places[1] and english[0]["q"] != german[0]["q"]


def test_a_file_goes_out_and_comes_in(client: TestClient) -> None:
    Book().add("attention/root", AGAIN, date.today() - timedelta(days=4))
    answer = client.get("/api/review/file")
    assert "attachment" in answer.headers["content-disposition"]
    Book().path.unlink()
    assert client.post("/api/review/file", json=answer.json()).json() == {"added": 1}
    assert client.post("/api/review/file", json=answer.json()).json() == {"added": 0}
    assert [card["card"] for card in due(client)["cards"]] == ["attention/root"]


@pytest.mark.parametrize(
    "body",
    [[], {}, {"card": 5, "rating": 3}, {"card": "attention/root", "rating": 7}, {"card": "no/card", "rating": 3}],
)
def test_a_wrong_answer_is_told_and_not_kept(client: TestClient, body: Any) -> None:
    answer = client.post("/api/review", json=body)
    assert answer.status_code == 422 and "error" in answer.json()
    assert Book().answers() == []


def test_other_sites_and_large_bodies_are_refused(client: TestClient) -> None:
    body = {"card": "attention/root", "rating": 3}
    assert client.post("/api/review", json=body, headers={"origin": "http://evil.example"}).status_code == 403
    assert client.post("/api/review", content=json.dumps(body)).status_code == 403, "a form's content type"
    large = client.post("/api/review/file", content=b" " * (9 * 2**20), headers={"content-type": "application/json"})
    assert large.status_code == 422 and "MB" in large.json()["error"]
    deep = client.post("/api/review/file", content=b"[" * 100_000, headers={"content-type": "application/json"})
    assert deep.status_code == 422
    for args in ("[]", "{", '{"chapter": 5}', '{"chapter": "nowhere"}', '{"language": "fr"}'):
        assert client.get("/api/review", params={"args": args}).status_code == 422
    assert Book().answers() == []


# ---------------------------------------------------------------------------------------------- in a browser
@pytest.fixture
def address(home: Path) -> Iterator[str]:
    with helpers.lab(None, home / "runs") as url:
        yield url.rstrip("/")


def test_a_session_by_keyboard_and_a_second_tab(chromium: Any, address: str) -> None:
    """One right, one wrong that comes again, and the same card answered in another tab meanwhile."""
    cards = review.cards("attention")
    url = f"{address}/en/review/?review.chapter=04-attention"
    page, other = chromium.new_page(), chromium.new_page()
    said: list[str] = []
    for each in (page, other):
        each.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        each.on("pageerror", lambda error: said.append(str(error)))
        each.goto(url)
        each.wait_for_selector(".option")

    def press(where: Any, right: bool) -> None:
        card = list(cards.values())[0 if where is other else done]
        order = card.order(date.today())
        place = order.index(card.question.answer)
        where.focus(".option")
        where.keyboard.press(str((place if right else (place + 1) % len(order)) + 1))

    done = 0
    press(page, right=True)
    page.wait_for_selector(".rates [data-rating='4']")
    page.keyboard.press("4")
    page.wait_for_selector(".rates", state="detached")
    press(other, right=False)  # the same card, too late
    other.wait_for_selector(".notice-line")
    done = 1
    press(page, right=False)
    page.wait_for_selector(".rates .main")
    page.keyboard.press("Enter")
    deadline = time.monotonic() + 10
    while len(Book().answers()) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    keys = list(cards)
    assert {answer.card: answer.rating for answer in Book().answers()} == {keys[0]: 4, keys[1]: 1}
    assert not said
    page.close()
    other.close()


def test_a_quiz_answer_in_a_chapter_is_kept(chromium: Any, address: str) -> None:
    page = chromium.new_page()
    page.goto(f"{address}/de/chapters/04-attention/")
    key, card = next(iter(review.cards("attention").items()))
    question = f"[data-question='{card.question.id}']"
    wrong = (card.question.answer + 1) % len(card.question.options)
    page.check(f"{question} input[value='{wrong}']")
    page.wait_for_selector(f"{question} .returns")
    assert "morgen" in page.inner_text(f"{question} .returns")
    page.check(f"{question} input[value='{card.question.answer}']")  # only the first counts
    page.wait_for_timeout(300)
    assert [(answer.card, answer.rating) for answer in Book().answers()] == [(key, AGAIN)]
    page.close()


def test_reading_progress_and_the_way_back(chromium: Any, address: str) -> None:
    """Home leads to the heading where one was; in the other language to the chapter, in that language's words."""
    page = chromium.new_page(viewport={"width": 1280, "height": 800})
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"{address}/en/")
    assert page.is_hidden("a.continue") and page.is_hidden("a.due")
    page.goto(f"{address}/en/chapters/04-attention/")
    heading = page.locator("article.chapter h2[id]").nth(1)
    heading.evaluate("element => element.scrollIntoView()")
    name = heading.get_attribute("id")
    page.wait_for_function("name => (localStorage.getItem('glaswerk-last') ?? '').includes(name)", arg=name)
    Book().add("attention/root", AGAIN, date.today() - timedelta(days=3))
    page.goto(f"{address}/en/")
    page.wait_for_selector("a.due:not([hidden])")
    assert page.inner_text("a.due").endswith(": 1")
    assert page.get_attribute("a.continue", "href").endswith(f"/en/chapters/04-attention/#{name}")
    assert page.locator(".outline [data-read]").count() == 1
    page.goto(f"{address}/de/")
    page.wait_for_selector("a.continue:not([hidden])")
    assert page.get_attribute("a.continue", "href").endswith("/de/chapters/04-attention/")
    assert page.inner_text("a.continue").startswith("Dort weiterlesen")
    assert not said
    page.close()
