"""The chat page of ``glaswerk serve`` in a real browser: the key, a streamed reply, its tokens and their alternatives,
stopping; nothing that axe finds, nothing from elsewhere, in both languages.
"""

from __future__ import annotations

import copy
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from browser import Visit

from glaswerk.found import find_adapters
from glaswerk.model import adapter, lora
from glaswerk.opened import load
from glaswerk.serve.api.models import Models, with_adapters
from glaswerk.serve.api.server import Server, make_server
from glaswerk.serve.api.settings import Settings
from glaswerk.serve.server import open_socket

KEY = "a-key-of-the-browser"
HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def api(small_model: Path) -> Iterator[tuple[str, Server]]:
    """The address of a server, and the server."""
    with serving(Models(load(small_model))) as found:
        yield found


@contextmanager
def serving(models: Models) -> Iterator[tuple[str, Server]]:
    socket = open_socket(0)
    there = threading.Event()
    server = make_server(models, Settings(keys=(KEY,)), there.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
    thread.start()
    assert there.wait(60)
    yield f"http://127.0.0.1:{socket.getsockname()[1]}/", server
    server.should_exit = True
    thread.join(20)


@pytest.fixture(scope="module")
def several(small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[str]]]:
    """The address of a server with two adapters, and the names that it has."""
    opened, folder = load(small_model), tmp_path_factory.mktemp("adapters")
    for seed, name in enumerate(("formal", "short")):
        model = copy.deepcopy(opened.model)
        lora.attach(model, lora.LoRAConfig(4), seed=seed)
        for pair in lora.pairs(model, "default"):
            pair.b.data.normal_(0.0, 0.2, generator=torch.Generator().manual_seed(seed))
        adapter.save(folder / name, model)
    models = with_adapters(opened, find_adapters(opened.origin, [folder / "formal", folder / "short"]))
    with serving(models) as (url, _):
        yield url, list(models.named)


def talk(visit: Visit, said: str) -> None:
    visit.page.fill("textarea", said)
    visit.page.keyboard.press("Enter")


@pytest.mark.parametrize(("language", "scheme", "width"), [("en-GB", "light", 1280), ("de-DE", "dark", 390)])
def test_a_conversation(
    chromium: Any, axe: str, api: tuple[str, Server], language: str, scheme: str, width: int
) -> None:
    url, _ = api
    with Visit(chromium, url, locale=language, color_scheme=scheme) as visit:
        page = visit.page
        page.set_viewport_size({"width": width, "height": 844})
        page.wait_for_selector("input[name=key]")
        assert page.evaluate("() => document.documentElement.lang") == language[:2]
        assert not visit.violations(axe)
        page.fill("input[name=key]", "wrong")
        page.keyboard.press("Enter")
        page.wait_for_selector("[role=alert]")
        visit.said.clear()  # a browser writes every 401 into its console
        page.fill("input[name=key]", KEY)
        page.keyboard.press("Enter")
        page.wait_for_selector("textarea")
        talk(visit, "Where is Paris?")
        page.wait_for_selector(".turn-foot", timeout=60_000)
        tokens = page.locator(".tokens [role=button]")
        # what is drawn token by token is the reply, and says its probability
        assert page.locator(".tokens").text_content() == page.locator(".turn .visually-hidden").text_content()
        assert re.search(r"\d\s%$", tokens.nth(0).get_attribute("aria-label") or "")
        tokens.nth(0).click()
        rows = page.locator(".others li")
        assert rows.count() >= 9 and page.locator(".others .taken").count() == 1
        shares = page.eval_on_selector_all(".others rect", "all => all.map(each => Number(each.getAttribute('width')))")
        assert sum(shares) == pytest.approx(100, abs=0.1)
        assert not visit.violations(axe)
        assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0
        # by keyboard
        tokens.nth(0).focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        assert tokens.nth(1).get_attribute("aria-pressed") == "true"
        page.keyboard.press("Escape")
        assert page.locator(".others").count() == 0
        page.click("summary")
        assert not visit.violations(axe)
        assert not visit.said
        assert all(asked.startswith(url) for asked in visit.asked)


@pytest.mark.parametrize(("language", "scheme", "width"), [("en-GB", "dark", 390), ("de-DE", "light", 1280)])
def test_who_answers_can_be_chosen_where_there_are_adapters(
    chromium: Any, axe: str, several: tuple[str, list[str]], language: str, scheme: str, width: int
) -> None:
    url, names = several
    with Visit(chromium, f"{url}#key={KEY}", locale=language, color_scheme=scheme) as visit:
        page = visit.page
        page.set_viewport_size({"width": width, "height": 844})
        page.wait_for_selector("textarea")
        options = page.locator("select[name=model] option").all_inner_texts()
        base = f"{names[0]} (without adapter)" if language == "en-GB" else f"{names[0]} (ohne Adapter)"
        assert options == [base, "formal", "short"]
        asked: list[str] = []
        page.on("request", lambda one: one.post_data and asked.append(json.loads(one.post_data)["model"]))
        page.click("summary")
        page.locator("input[type=range]").nth(2).fill("16")  # three replies fit into the small model's context
        last = page.locator(".turns .turn:last-child")
        for name in (names[0], "short", "formal"):
            page.select_option("select[name=model]", label=base if name == names[0] else name)
            assert name in page.locator("h1").inner_text() and page.title() == f"{name} · Glaswerk"
            talk(visit, "Where is Paris?")
            last.locator(".turn-foot").wait_for(timeout=60_000)
            assert last.locator("h2").inner_text().split()[-1] == name, "a reply says whose it is"
        assert asked == [names[0], "short", "formal"]
        assert not visit.violations(axe) and not visit.said
        assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0


def test_stop_ends_the_reply_in_the_engine_too(chromium: Any, api: tuple[str, Server]) -> None:
    url, server = api
    engine = server.service.worker.engine
    step = engine.step
    slow = threading.Event()
    engine.step = lambda: (slow.wait(0.05), step())[1]  # type: ignore[method-assign]
    try:
        with Visit(chromium, f"{url}#key={KEY}", locale="en-GB") as visit:
            visit.page.wait_for_selector("textarea")
            assert KEY not in visit.page.url, "the key leaves the address"
            talk(visit, "Tell me everything.")
            visit.page.wait_for_selector(".tokens [role=button]")
            visit.page.click("[data-name=stop]")
            visit.page.wait_for_selector("button[type=submit]")
            assert "stopped by you" in visit.page.locator(".turn-foot").inner_text()
            for _ in range(100):
                if not engine.busy:
                    break
                threading.Event().wait(0.05)
            assert not engine.busy and not server.service.room.taken
    finally:
        slow.set()
        engine.step = step  # type: ignore[method-assign]


def test_the_reference_names_every_route_and_loads_nothing_from_elsewhere(
    chromium: Any, axe: str, api: tuple[str, Server]
) -> None:
    url, _ = api
    with Visit(chromium, f"{url}docs") as visit:
        text = visit.page.locator("main").inner_text()
        for path in ("/v1/models", "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/health", "/metrics"):
            assert path in text
        assert "repetition_penalty" in text and not visit.said and not visit.violations(axe)
        assert all(asked.startswith(url) for asked in visit.asked)


def test_both_languages_say_the_same_things() -> None:
    file = (HERE.parents[1] / "glaswerk" / "web" / "chat" / "texts.js").as_uri()
    done = subprocess.run(
        ["node", "--input-type=module", "-e", f"import t from {json.dumps(file)}; console.log(JSON.stringify(t))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    texts = json.loads(done.stdout)
    assert texts["en"].keys() == texts["de"].keys()
    page = (HERE.parents[1] / "glaswerk" / "web" / "chat" / "page.js").read_text("utf-8")
    for key, text in texts["en"].items():
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", texts["de"][key])), key
        assert (
            f'"{key}"' in page
            or key.startswith("reason_")
            or f"`{key}" in page
            or key in ("temperature", "top_p", "max_tokens")
        ), key
