"""What goes wrong is said in the page's language: every error that a figure can meet has a German line beside the
English one, with the same numbers, and a German page shows it."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
from browser import Visit
from fastapi.testclient import TestClient

from glaswerk.opened import load
from glaswerk.serve.app import create_app
from glaswerk.serve.holder import MOST_TOKENS, Holder

ROOT = Path(__file__).resolve().parents[2] / "glaswerk"
#: what pages reach; of ``serve`` without what only the command line calls
REACHED = [
    *(path for path in (ROOT / "serve").glob("*.py") if path.name not in ("server.py", "site.py", "site_model.py")),
    *(path for path in (ROOT / "course" / "chapters").glob("*/*.py")),
    *(ROOT / "lens" / name for name in ("rows.py", "weights.py")),
]
#: what a chapter's author does wrong, not its reader
OF_AUTHORS = {"demo.py": ("has no demo function", "has no argument", "cannot be read as Python")}


def raised(path: Path) -> list[ast.Call]:
    """Every ``GlaswerkError(...)`` of a file with a text of its own."""
    calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
    return [
        call
        for call in calls
        if isinstance(call.func, ast.Name)
        and call.func.id in ("GlaswerkError", "NotHere")
        and not (isinstance(call.args[0], ast.Constant) and call.args[0].value == "")
    ]


def test_every_error_of_a_figure_is_written_in_german_too() -> None:
    files = [*REACHED, ROOT / "course" / "demo.py"]
    found = {path: raised(path) for path in files}
    assert sum(map(len, found.values())) > 40
    missing = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path, calls in found.items()
        for call in calls
        if len(call.args) < 2
        and not any(text in ast.unparse(call.args[0]) for text in OF_AUTHORS.get(path.name, ()))
        and "type(error)" not in ast.unparse(call.args[0])  # a mistake of ours, in Python's words
    ]
    assert not missing, f"a German page would show these in English: {missing}"


@pytest.fixture(scope="module")
def client(small_model: Path) -> TestClient:
    holder = Holder(str(small_model), small_model.parent / "runs")
    holder.load(str(small_model))
    return TestClient(create_app(holder), base_url="http://127.0.0.1")


ASKED: list[tuple[str, dict[str, Any]]] = [
    ("trace", {"prompt": ""}),
    ("trace", {"prompt": "cat " * 200}),
    ("trace", {"prompt": "a" * 3000}),
    ("trace", {"ids": [3, 7_000_000]}),
    ("trace", {"prompt": "cat", "only": "blocks.0.nothing"}),
    ("next", {"prompt": ""}),
    ("step", {"prompt": "cat", "temperature": "hot"}),
    ("stack", {"prompt": "cat", "place": 900}),
    ("row", {"step": "logits", "place": 10**6}),
    ("weight", {"name": "q", "layer": 900}),
    ("compare", {"prompt": "cat", "with": "nothing"}),
    ("demo/01-next-word/bits", {"text": ""}),
    ("demo/07-sampling/written", {"prompt": ""}),
    ("demo/07-sampling/tree", {"temperature": 7.5}),
]


@pytest.mark.parametrize(("kind", "arguments"), ASKED, ids=lambda value: json.dumps(value)[:40])
def test_an_answer_that_is_refused_says_why_in_both_languages(
    client: TestClient, kind: str, arguments: dict[str, Any]
) -> None:
    answer = client.get(f"/api/{kind}", params={"args": json.dumps(arguments)})
    told = answer.json()
    assert answer.status_code == 422, told
    assert told["german"] != told["error"] and told["german"].endswith((".", "?"))
    english = re.sub(r"(?<=\d),(?=\d{3})", "", told["error"])  # 1,234
    german = re.sub(r"(?<=\d),(?=\d)", ".", told["german"])  # 0,5
    assert sorted(re.findall(r"[\d.]+\d|\d", english)) == sorted(re.findall(r"[\d.]+\d|\d", german)), told


def test_a_prompt_over_a_small_context_is_refused_before_it_is_computed(client: TestClient, small_model: Path) -> None:
    config = load(small_model).model.config
    assert config.context > MOST_TOKENS  # so here the lab's bound holds
    told = client.get("/api/trace", params={"args": json.dumps({"ids": [1] * (MOST_TOKENS + 1)})}).json()
    assert str(MOST_TOKENS) in told["german"] and "Tokens" in told["german"]


def test_what_is_not_pulled_is_said_without_a_failed_request(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A browser writes every 4xx into its console, and a reader who has not pulled a vocabulary did nothing wrong."""
    monkeypatch.setenv("GLASWERK_HOME", str(tmp_path))
    answer = client.get("/api/demo/03-meaning/neighbours", params={"args": json.dumps({"word": "glass"})})
    assert answer.status_code == 200
    assert "glaswerk pull glove" in answer.json()["error"] and "Rechner" in answer.json()["german"]


def test_the_state_of_the_model_is_told_in_both_languages(tmp_path: Path) -> None:
    for model, words in ((None, "Kein Modell"), (tmp_path / "gone", "gibt es nicht")):
        holder = Holder(None if model is None else str(model), tmp_path)
        if model is not None:
            holder._load(str(model))
            assert words in holder.status()["german"] and "no model" in holder.status()["error"]
        app = TestClient(create_app(holder), base_url="http://127.0.0.1")
        told = app.get("/api/tokens", params={"args": json.dumps({"text": "Hallo"})}).json()
        assert words in told["german"], told
    holder = Holder(None, tmp_path)
    holder.state, holder.name = "loading", "paris"
    app = TestClient(create_app(holder), base_url="http://127.0.0.1")
    told = app.get("/api/tokens", params={"args": json.dumps({"text": "Hallo"})}).json()
    assert told["german"] == "paris wird noch geladen. Warte einen Moment."


@pytest.mark.parametrize(("language", "words"), [("de", "Der Prompt ist leer"), ("en", "the prompt is empty")])
def test_a_page_shows_it_in_its_language(chromium: Any, live: str, language: str, words: str) -> None:
    with Visit(chromium, f"{live}{language}/chapters/07-sampling/") as visit:
        visit.settle()
        field = visit.page.locator("[data-figure] input.prompt").first
        field.fill("")
        visit.page.wait_for_selector("[data-figure] .figure-state.error")
        assert words in visit.page.locator("[data-figure] .figure-state.error").first.inner_text()
