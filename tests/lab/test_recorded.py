"""The lab where there is no model at all: recorded answers, shown as such, until a model is there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import browser as helpers
import pytest
from fastapi.testclient import TestClient

from glaswerk import pull
from glaswerk.run import Run
from glaswerk.serve import questions, recorded
from glaswerk.serve.app import create_app
from glaswerk.serve.holder import Holder

PAGES = ("en/", "en/life/", "de/chapters/04-attention/")


@pytest.fixture
def holder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Holder:
    """A holder that found no run and no pulled model."""
    monkeypatch.setenv("GLASWERK_HOME", str(tmp_path / "home"))
    found = Holder(None, tmp_path / "runs")
    found.start()
    return found


@pytest.fixture
def client(holder: Holder) -> Iterator[TestClient]:
    with TestClient(create_app(holder), base_url="http://127.0.0.1") as found:
        yield found


def test_what_was_recorded_is_said_to_be(holder: Holder, client: TestClient) -> None:
    assert client.get("/health").json()["model"]["state"] == "recorded"
    assert recorded.model() and holder.status()["name"] == recorded.model()
    told = json.loads(recorded.answer("trace", next(a for kind, a in questions.recorded("first") if kind == "trace")))
    assert told["model"]["name"] == recorded.model()


def test_most_of_what_pages_ask_first_is_there() -> None:
    first = [
        one
        for one in questions.recorded("first")
        if not {"model", "with"} & one[1].keys() and one[0].partition("demo/")[2][:2] <= recorded.LAST
    ]
    there = [one for one in first if recorded.entry(*one) in recorded.entries()]
    assert len(there) > 0.8 * len(first), f"{len(there)} of {len(first)}: python -m glaswerk.serve.recorded RUN"


def test_what_was_not_recorded_says_how_it_comes(client: TestClient) -> None:
    told = client.get("/api/tokens", params={"args": json.dumps({"text": "never asked"})}).json()
    assert "glaswerk run" in told["error"] and "aufgezeichnet" in told["german"]


def test_a_run_that_begins_ends_it(holder: Holder, tmp_path: Path) -> None:
    Run.create(tmp_path / "runs" / "new", seed=0)
    holder.look_again()
    assert holder.state == "none", "its training is shown, and no other model's answers"


def test_answers_are_recorded_from_a_model(small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [one for one in questions.recorded("first") if one[0] in ("tokens", "trace")][:4]
    monkeypatch.setattr(questions, "recorded", lambda part: iter(asked))
    assert recorded.record(str(small_model), tmp_path / "r.zip") >= 2
    first = (tmp_path / "r.zip").read_bytes()
    recorded.record(str(small_model), tmp_path / "r.zip")
    assert (tmp_path / "r.zip").read_bytes() == first


@pytest.mark.parametrize("path", PAGES)
def test_pages_show_it(chromium: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setenv("GLASWERK_HOME", str(tmp_path / "home"))
    with helpers.lab(None, tmp_path / "runs") as url, helpers.Visit(chromium, url + path) as visit:
        waiting = visit.settle()
        assert not waiting or path == "en/", waiting
        shown = visit.page.locator(".model-name").inner_text()
        assert recorded.model() in shown and ("recorded" in shown or "aufgezeichnet" in shown)
        assert not visit.said, visit.said


def test_a_pulled_model_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not pull.is_pulled("smollm2"):
        pytest.skip("smollm2 is not pulled: `glaswerk pull smollm2`")
    found = Holder(None, tmp_path / "runs")
    monkeypatch.setattr(found, "_load", lambda name: None)
    found.start()
    assert found.name == "smollm2" and found.state == "loading"
