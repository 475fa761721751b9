"""The lab's pages: each answers in both languages, with the same shape, without a word to other machines; and in a real
browser every figure becomes ready, with numbers that are those of the model."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import browser as helpers
import pytest
import torch
from fastapi.testclient import TestClient

from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.weights import save_model
from glaswerk.opened import load
from glaswerk.serve.app import create_app
from glaswerk.serve.holder import Holder
from glaswerk.tokenizer import train_bpe

PAGES = [
    "",
    "life/",
    "chapters/",
    "chapters/01-next-word/",
    "chapters/04-attention/",
    "chapters/07-sampling/",
    "models/",
    "review/",
    "glossary/",
]
TEXT = "Paris ist die Hauptstadt von Frankreich. The cat sat on the mat because it was tired. " * 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small real model: random weights, a tokenizer trained here."""
    tokenizer = train_bpe([TEXT], 400)
    config = ModelConfig.modern(vocabulary_size=400, width=64, layers=2, heads=2, context=64)
    model = Decoder(config)
    model.reset_parameters(torch.Generator().manual_seed(3))
    for parameter in model.parameters():
        parameter.data.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(7)))
    place = tmp_path_factory.mktemp("lab") / "model"
    save_model(place, model, tokenizer)
    return place


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Holder(str(folder), folder.parent)), base_url="http://127.0.0.1") as found:
        deadline = time.monotonic() + 60
        while found.get("/health").json()["model"]["state"] == "loading" and time.monotonic() < deadline:
            time.sleep(0.05)
        assert found.get("/health").json()["model"]["state"] == "ready"
        yield found


def shape(page: str) -> list[str]:
    """Headings, figures, quiz and source blocks, in order: what both languages must share."""
    return re.findall(r"<(h[1-6])[ >]|data-figure=\"([\w-]+)\"|class=\"(source|quiz|math block)", page)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_the_same_shape_in_both_languages(client: TestClient, path: str) -> None:
    shapes = {}
    for language in ("en", "de"):
        answer = client.get(f"/{language}/{path}")
        assert answer.status_code == 200 and f'<html lang="{language}"' in answer.text
        assert "script-src" in answer.headers["content-security-policy"]
        away = re.findall(r"(?:src|href)=\"(https?:[^\"]*)\"", answer.text)
        assert not [url for url in away if "script" in url or url.endswith((".js", ".css", ".woff2"))]
        shapes[language] = shape(answer.text)
    assert shapes["en"] == shapes["de"] and shapes["en"]


def test_numbers_are_those_of_the_model(client: TestClient, folder: Path) -> None:
    answer = client.get("/api/tokens", params={"args": json.dumps({"text": "Paris ist"})}).json()
    model = load(str(folder))
    assert [token["id"] for token in answer["tokens"]] == model.tokenizer.encode("Paris ist")


def test_other_hosts_and_sites_are_refused(client: TestClient) -> None:
    assert client.get("/en/", headers={"host": "evil.example"}).status_code == 403
    assert client.get("/api/tokens", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert client.get("/web/../../pyproject.toml").status_code == 404
    assert client.get("/en/nowhere/").status_code == 404
    wrong = client.get("/api/tokens", params={"args": "[" * 9})
    assert wrong.status_code == 422 and "Traceback" not in wrong.text


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """The lab as a server on the loopback."""
    with helpers.lab(folder, folder.parent) as url:
        yield url.rstrip("/")


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("path", ["", "life/", "chapters/04-attention/", "models/", "review/"])
def test_every_figure_becomes_ready_in_a_browser(chromium: Any, address: str, language: str, path: str) -> None:
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/{language}/{path}")
    page.wait_for_function(helpers.READY, timeout=60_000)
    assert not said
    assert all(url.startswith((address, "data:")) for url in asked)
    if path == "life/":
        count = "document.querySelectorAll('[data-station=tokens] .chip').length"
        page.locator("[data-station=tokens]").scroll_into_view_if_needed()  # a station computes when one comes near
        page.wait_for_function(f"() => {count} > 0", timeout=20_000)
        chips = page.evaluate(count)
        page.locator("#life input.prompt").fill("Paris")
        page.wait_for_function(f"n => {count} !== n", arg=chips, timeout=20_000)
    page.close()
