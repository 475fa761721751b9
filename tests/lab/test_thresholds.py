"""Chapter 13 in the browser: its sliders read stored scores. Nothing is asked while they move, and what they show is
what counting the replies by hand gives."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from browser import READY, Visit, lab, small_model

from glaswerk.model.weights import save_model
from glaswerk.opened import load

CHAPTER = "13-hallucination"
GO = "figure => figure.querySelector('button[data-name=go]').click()"
OVER = "figure => !figure.hasAttribute('data-busy') && figure.data.given === 60"


@pytest.fixture(scope="module")
def decided(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A lab whose model is surer of some tokens than of others: at random, but with larger weights than the others'."""
    folder = tmp_path_factory.mktemp("decided")
    opened = load(small_model(folder / "small"))
    for parameter in opened.model.parameters():
        parameter.data.mul_(4)
    save_model(folder / "glass", opened.model, opened.tokenizer)
    with lab(folder / "glass", folder / "runs") as url:
        yield url


def asked(live: str, name: str, **arguments: Any) -> dict[str, Any]:
    """What a figure's demo function says."""
    text = urllib.parse.quote(json.dumps(arguments))
    with urllib.request.urlopen(f"{live}api/demo/{CHAPTER}/{name}?args={text}") as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def numbers_asked(visit: Visit) -> list[str]:
    """What figures asked so far."""
    return [url for url in visit.asked if "/api/demo/" in url]


def shown(visit: Visit, figure: str, name: str) -> str:
    return visit.page.locator(f"{figure} [data-name={name}]").first.inner_text()


def test_a_threshold_asks_nobody_and_counts_right(chromium: Any, decided: str) -> None:
    with Visit(chromium, f"{decided}en/chapters/{CHAPTER}/?threshold.t=0.2") as visit:
        visit.page.wait_for_function(READY, timeout=60_000)
        figure = visit.page.locator("glaswerk-threshold")
        figure.evaluate(GO)
        visit.page.wait_for_function(f"() => ({OVER})(document.querySelector('glaswerk-threshold'))", timeout=120_000)
        dots = asked(decided, "answered", language="en", source="own", piece=9)["dots"]
        before = len(numbers_asked(visit))
        slider = figure.locator("input[data-key=t]")
        middle = sorted(dot[2] for dot in dots)[len(dots) // 2]
        for t in (0.0, round(middle, 2), 1.0):
            slider.fill(str(t))
            kept = [dot for dot in dots if dot[2] >= t]
            assert shown(visit, "glaswerk-threshold", "given") == f"{len(kept)} / 60"
            lost = sum(dot[1] for dot in dots) - sum(dot[1] for dot in kept)
            assert shown(visit, "glaswerk-threshold", "lost").startswith(f"{lost} /")
            assert figure.locator("svg.replies .kept-back").count() == 60 - len(kept)
        assert 0 < sum(dot[2] >= round(middle, 2) for dot in dots) < 60  # the middle one parts them
        assert len(numbers_asked(visit)) == before and not visit.said


def test_a_temperature_asks_nobody_and_keeps_what_is_right(chromium: Any, live: str) -> None:
    with Visit(chromium, f"{live}de/chapters/{CHAPTER}/") as visit:
        visit.page.wait_for_function(READY, timeout=60_000)
        told = asked(live, "confidence", language="de", task="own", piece=0)
        before = len(numbers_asked(visit))
        right = shown(visit, "glaswerk-reliability", "right")
        for step in (0, 8, 24):
            visit.page.locator("glaswerk-reliability input[data-key=step]").fill(str(step))
            ece = f"{told['steps'][step]['ece']:.3f}".replace(".", ",")
            assert shown(visit, "glaswerk-reliability", "ece") == ece
            assert shown(visit, "glaswerk-reliability", "right") == right
        assert len(numbers_asked(visit)) == before and not visit.said
