"""The life of a prompt: every traced number in the page equals the trace's JSON, in both shapes of model and both
languages; every multiplication that is shown comes out; bad prompts end in a line; two stages are compared."""

from __future__ import annotations

import base64
import json
import re
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import browser as helpers
import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient

from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.weights import save_model
from glaswerk.run import Run
from glaswerk.serve.app import create_app
from glaswerk.serve.holder import Holder
from glaswerk.tokenizer import Tokenizer, train_bpe

TEXT = "Paris ist die Hauptstadt von Frankreich. The cat sat on the mat because it was tired. " * 40
PROMPT = "Paris ist die Hauptstadt von"
#: as FACTS of the two shapes: rotary, RMSNorm, SwiGLU, QK-norm, grouped keys; learned places, LayerNorm, GELU, biases
SHAPES = {
    "modern": ModelConfig.modern(vocabulary_size=400, width=64, layers=3, heads=4, kv_heads=2, context=64),
    "classic": ModelConfig.classic(vocabulary_size=400, width=64, layers=2, heads=2, context=64),
}


def save(place: Path, config: ModelConfig, tokenizer: Tokenizer, seed: int) -> None:
    """A real model with random weights, biases and gains too."""
    model = Decoder(config)
    model.reset_parameters(torch.Generator().manual_seed(3))
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data.add_(0.06 * torch.randn(parameter.shape, generator=generator))
    save_model(place, model, tokenizer)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs: each shape with two stages."""
    tokenizer = train_bpe([TEXT], 400)
    folder = tmp_path_factory.mktemp("runs")
    for name, config in SHAPES.items():
        run = Run.create(folder / name, seed=0)
        for seed, stage in enumerate(("base", "sft")):
            save(run.stage(stage), config, tokenizer, seed)
            run.finish(stage, {})
    return folder


@pytest.fixture(scope="module", params=list(SHAPES))
def lab(request: pytest.FixtureRequest, runs: Path) -> Iterator[str]:
    """The lab's address on a run of each shape."""
    with helpers.lab(runs / request.param, runs) as url:
        yield url.rstrip("/")


def open_page(chromium: Any, lab: str, path: str, said: list[str]) -> Any:
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"{lab}/{path}")
    ready(page)
    return page


def ready(page: Any) -> None:
    page.wait_for_function(helpers.READY, timeout=60_000)


def ask(lab: str, kind: str, **arguments: Any) -> Any:
    query = urllib.parse.urlencode({"args": json.dumps(arguments)})
    with urllib.request.urlopen(f"{lab}/api/{kind}?{query}") as answer:
        return json.load(answer)


class Traced:
    """The trace as `glaswerk trace --json --only` gives it."""

    def __init__(self, lab: str, **where: Any) -> None:
        self.lab, self.where = lab, where
        self.known: dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.known:
            (step,) = ask(self.lab, "trace", only=name, **self.where)["steps"]
            assert step["encoding"] == "float32-le"
            values = np.frombuffer(base64.b64decode(step["values"]), "<f4")
            self.known[name] = values.reshape(step["shape"])
        return self.known[name]


def parsed(text: str, language: str) -> tuple[float, int]:
    """A number as it stands on the page, and its digits after the point."""
    plain = text.strip().replace("\u2212", "-")
    plain = plain.replace(".", "").replace(",", ".") if language == "de" else plain.replace(",", "")
    return float(plain), len(plain.partition(".")[2])


def check_numbers(page: Any, station: str, traced: Traced, language: str) -> int:
    """Every traced number of a station against the trace, to its last digit. Returns how many there were."""
    found = page.eval_on_selector_all(
        f"[data-station='{station}'] [data-step]",
        "all => all.map(each => [each.dataset.step, each.dataset.index, each.textContent])",
    )
    for step, index, text in found:
        wanted = float(traced[step][tuple(int(part) for part in index.split(","))])
        value, digits = parsed(text, language)
        assert abs(value - wanted) <= 0.5 * 10**-digits + 1e-5 * abs(wanted) + 1e-7, (
            station,
            step,
            index,
            text,
            wanted,
        )
    return len(found)


def check_products(page: Any, station: str, language: str) -> None:
    """What is added up in a station gives its result."""
    tables = page.eval_on_selector_all(
        f"[data-station='{station}'] table.made.sum-of",
        "all => all.map(each => [[...each.querySelectorAll('[data-part]')].map(part => part.dataset.part),"
        " each.querySelector('[data-divide]')?.dataset.divide ?? '1', each.querySelector('.result .n').textContent])",
    )
    for parts, divide, result in tables:
        value, digits = parsed(result, language)
        made = sum(map(float, parts)) / float(divide)
        assert abs(made - value) <= 0.5 * 10**-digits + 1e-4 * max(abs(made), 1e-3), (station, parts, result)


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_number_on_the_page_is_that_of_the_trace(chromium: Any, lab: str, language: str) -> None:
    said: list[str] = []
    page = open_page(chromium, lab, f"{language}/life/?life.layer=1&life.head=1", said)
    told = ask(lab, "trace", prompt=PROMPT)
    traced = Traced(lab, prompt=PROMPT)
    stations = page.eval_on_selector_all("[data-station]", "all => all.map(each => each.dataset.station)")
    assert len(stations) >= 20 and stations[0] == "bytes" and stations[-1] == "draw"
    for station in stations:
        page.locator(f"[data-station='{station}']").scroll_into_view_if_needed()
        page.wait_for_function(
            "name => !document.querySelector(`[data-station='${name}'] .waiting`)", arg=station, timeout=30_000
        )
        count = check_numbers(page, station, traced, language)
        assert count or station in ("bytes", "position", "mask", "layers", "draw"), f"no number in {station}"
        check_products(page, station, language)
        for tab in range(page.locator(f"[data-station='{station}'] .tabs button").count()):
            page.locator(f"[data-station='{station}'] .tabs button").nth(tab).click()
            page.wait_for_function(
                "name => !document.querySelector(`[data-station='${name}'] .waiting`)", arg=station, timeout=30_000
            )
            assert check_numbers(page, station, traced, language) > 5
            check_products(page, station, language)
    ids = page.eval_on_selector_all("[data-station='tokens'] [data-step]", "all => all.map(e => Number(e.innerText))")
    assert ids == [token["id"] for token in told["tokens"]]
    shown = page.eval_on_selector_all(
        "[data-station='draw'] [data-top]", "all => all.map(e => [e.dataset.id, e.innerText])"
    )
    for (number, text), wanted in zip(shown, told["top"], strict=False):
        value, digits = parsed(text.replace("%", "").replace("\u00a0", ""), language)
        assert int(number) == wanted["id"] and abs(value - 100 * wanted["probability"]) <= 0.51 * 10**-digits
    assert not said
    page.close()


def test_a_cell_shows_what_it_is_made_of_by_pointer_and_keyboard(chromium: Any, lab: str) -> None:
    said: list[str] = []
    page = open_page(chromium, lab, "en/life/", said)
    traced = Traced(lab, prompt=PROMPT)
    station = page.locator("[data-station='scores']")
    station.scroll_into_view_if_needed()
    cell = station.locator("td button[data-row='2'][data-column='1']")
    cell.click()
    title = station.locator(".made-title [data-step]")
    assert title.get_attribute("data-index") == "0,0,2,1"
    assert check_numbers(page, "scores", traced, "en") > 10
    check_products(page, "scores", "en")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function(
        "() => document.querySelector(\"[data-station='scores'] .made-title [data-step]\").dataset.index === '0,0,2,0'"
    )
    page.keyboard.press("ArrowUp")
    page.wait_for_function(
        "() => document.querySelector(\"[data-station='scores'] .made-title [data-step]\").dataset.index === '0,0,1,0'"
    )
    query = urllib.parse.parse_qs(urllib.parse.urlparse(page.url).query)
    assert query["life.place"] == ["1"] and query["life.cell"] == ["s.0"]
    # the whole state is in the address
    page.goto(page.url)
    ready(page)
    page.locator("[data-station='scores']").scroll_into_view_if_needed()
    page.wait_for_function(
        "() => document.querySelector(\"[data-station='scores'] .made-title [data-step]\")?.dataset.index === '0,0,1,0'"
    )
    assert not said
    page.close()


def test_the_drawn_token_is_appended_and_the_way_begins_again(chromium: Any, lab: str) -> None:
    said: list[str] = []
    page = open_page(chromium, lab, "de/life/?life.station=draw", said)
    page.locator("button.draw").click()
    page.locator("button.append").click()
    before = len(ask(lab, "trace", prompt=PROMPT)["tokens"])
    page.wait_for_function(
        "n => document.querySelectorAll(\"[data-station='tokens'] [data-step]\").length === n", arg=before + 1
    )
    ids = json.loads(urllib.parse.parse_qs(urllib.parse.urlparse(page.url).query)["life.ids"][0])
    drawn = ask(lab, "step", prompt=PROMPT, temperature=1, seed=1)
    assert ids == drawn["ids"]
    page.wait_for_function("() => !document.querySelector(\"[data-station='tokens'] .waiting\")")
    assert check_numbers(page, "tokens", Traced(lab, ids=ids), "de") == before + 1
    assert not said
    page.close()


@pytest.mark.parametrize(
    ("prompt", "wrong"),
    [("", "empty"), ("cat " * 90, "shorten"), ("👩‍🚀 Ü", ""), ("שלום עולם", ""), ("a", ""), ("x" * 30 + " <b>&", "")],
)
def test_odd_prompts(chromium: Any, lab: str, prompt: str, wrong: str) -> None:
    said: list[str] = []
    page = open_page(chromium, lab, "en/life/", said)
    page.locator("#life input.prompt").fill(prompt)
    if wrong:
        page.wait_for_selector("#life .figure-state.error")
        text = page.locator("#life .figure-state.error").inner_text()
        assert wrong in text and "Traceback" not in text
        page.locator("#life input.prompt").fill("Paris")  # and it goes on
        page.wait_for_selector("#life [data-station='tokens'] [data-step]")
        # a browser writes the answer 422 into its console by itself
        assert all("422" in line for line in said)
    else:
        count = len(ask(lab, "tokens", text=prompt)["tokens"])
        page.wait_for_function(
            "n => document.querySelectorAll(\"[data-station='tokens'] [data-step]\").length === n", arg=count
        )
        for station in ("bytes", "mask", "weights", "draw"):
            page.locator(f"[data-station='{station}']").scroll_into_view_if_needed()
            page.wait_for_function(
                "name => !document.querySelector(`[data-station='${name}'] .waiting`)", arg=station, timeout=30_000
            )
        assert page.locator(".byte").count() == sum(len(character.encode()) for character in prompt[:48])
        assert not said
    page.close()


def test_a_lab_that_does_not_answer_is_said_and_not_asked_on_and_on(chromium: Any, lab: str) -> None:
    page = open_page(chromium, lab, "de/life/", [])
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.route("**/api/**", lambda route: route.abort())
    page.locator("[data-station='neurons']").scroll_into_view_if_needed()
    page.wait_for_selector("[data-station='neurons'] .figure-state.error")
    before = sum("/api/" in url for url in asked)
    page.wait_for_timeout(500)
    assert sum("/api/" in url for url in asked) == before < 10
    page.unroute("**/api/**")
    page.evaluate("document.dispatchEvent(new Event('glaswerk-back'))")
    page.wait_for_selector("[data-station='neurons'] td button[data-step]")
    page.close()


def test_two_stages_are_compared(chromium: Any, lab: str) -> None:
    said: list[str] = []
    page = open_page(chromium, lab, "en/life/", said)
    others = ask(lab, "models")
    assert others["open"].endswith("/sft") and others["models"][0].endswith("/base")
    wanted = ask(lab, "compare", prompt=PROMPT, **{"with": others["models"][0]})
    shown = page.eval_on_selector_all("#compare [data-moved]", "all => all.map(each => each.innerText)")
    assert len(shown) == len(wanted["places"]) > 0
    for text, place in zip(shown, wanted["places"], strict=True):
        assert re.fullmatch(r"[\d.]+ %", text.replace("\u00a0", " "))
        assert abs(float(text[:-2]) - 100 * place["moved"]) <= 0.051
    # a model of another shape: places can still be compared, layers cannot
    other = next(name for name in others["models"] if name.split("/")[0] != others["open"].split("/")[0])
    page.locator("#compare select[data-key='with']").select_option(other)
    page.wait_for_function("() => !document.querySelector('#compare glaswerk-heat')")
    assert page.locator("#compare [data-moved]").count() == len(wanted["places"])
    assert not said
    page.close()


def test_only_offered_models_are_opened_beside(runs: Path) -> None:
    with TestClient(create_app(Holder(str(runs / "modern"), runs)), base_url="http://127.0.0.1") as client:
        deadline = time.monotonic() + 60
        while client.get("/health").json()["model"]["state"] == "loading" and time.monotonic() < deadline:
            time.sleep(0.05)
        offered = client.get("/api/models").json()["models"]
        assert set(offered) >= {"modern/base", "classic/base", "classic/sft"} and "modern/sft" not in offered
        for name in (str(runs / "classic"), "../classic", "nowhere", 3, None, ["modern/base"]):
            for kind, key in (("compare", "with"), ("trace", "model")):
                answer = client.get(f"/api/{kind}", params={"args": json.dumps({"prompt": "a", key: name})})
                assert answer.status_code == 422, (kind, name)
        one = client.get("/api/trace", params={"args": json.dumps({"prompt": "a", "model": "classic/base"})}).json()
        assert one["model"]["name"] == "classic/base"
        for bad in ({"step": "logits"}, {"step": "logits", "place": -1}, {"step": 3, "place": 0}, {"place": 2**70}):
            assert client.get("/api/row", params={"args": json.dumps(bad)}).status_code == 422
