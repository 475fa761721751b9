"""Chapter 17 in a browser: the curve stays hidden until the reader has guessed, a budget's numbers and its cut chain
are those of the recording, tokens are walked from the keyboard, and votes and prices are told as they were measured."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Visit, lab

from glaswerk.course import demo

PAGE = "en/chapters/17-thinking/"


@pytest.fixture(scope="module")
def page(chromium: Any, small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with lab(small_model, tmp_path_factory.mktemp("runs")) as root, Visit(chromium, root + PAGE) as visit:
        assert not visit.settle()
        yield visit.page
        assert not visit.said


def asked(name: str) -> Any:
    return json.loads(demo.call("17-thinking", name, {}))


def number(page: Any, figure: str, name: str) -> float:
    """What a figure shows under a name."""
    text = page.locator(f"glaswerk-{figure} [data-name={name}]").first.inner_text()
    return float(re.sub(r"[^\d.].*", "", text.replace(",", "")))


def row(rows: list[dict[str, Any]], task: str, stage: str, setting: int) -> dict[str, Any]:
    return next(each for each in rows if (each["task"], each["stage"], each["setting"]) == (task, stage, setting))


def test_first_the_guess_then_what_was_measured(page: Any) -> None:
    figure, told = page.locator("glaswerk-thinking-budget"), asked("budget")
    assert figure.locator(".interval").count() == 0 and figure.locator("[data-name=right]").count() == 0
    guess = figure.locator("path.curve.truth").get_attribute("d")
    figure.locator("input[data-key=high]").fill("30")
    assert figure.locator("path.curve.truth").get_attribute("d") != guess
    figure.locator("[data-name=reveal]").click()
    assert figure.locator(".interval").count() == 2
    off = figure.locator("[data-name=off]").inner_text()
    assert re.search(r"\d+ points off", off)
    budgets = [each["setting"] for each in told["rows"] if (each["task"], each["stage"]) == ("cups", "sft")]
    for place in (0, 3, len(budgets) - 1):
        figure.locator("input[data-key=at]").fill(str(place))
        found = row(told["rows"], "cups", "sft", budgets[place])
        assert number(page, "thinking-budget", "right") == pytest.approx(100 * found["right"], abs=0.06)
        assert figure.locator("[data-name=forced]").inner_text() == f"{found['forced']} / {found['count']}"
        # the cut chain has as many tokens of thinking as it was allowed, or as it wanted
        problem = next(each for each in asked("chains")["problems"] if (each["task"], each["stage"]) == ("cups", "sft"))
        reply = next(each for each in problem["replies"] if each["budget"] == budgets[place] and not each["waits"])
        assert figure.locator(".chain li").count() == len(reply["steps"])
        last = figure.locator(".chain li").last.inner_text()
        assert ("right" in last) == reply["answered"]


def test_a_chain_is_walked_token_by_token(page: Any) -> None:
    figure, problems = page.locator("glaswerk-chain-walk"), asked("chains")["problems"]
    figure.get_by_role("button", name="shell game").click()
    problem = next(each for each in problems if (each["task"], each["stage"]) == ("cups", "sft"))
    whole = problem["replies"][0]
    assert figure.locator(".chain button.chip").all_inner_texts() == whole["tokens"]
    slider = figure.locator("input[data-key=token]")
    slider.focus()
    slider.fill("0")
    slider.press("ArrowRight")
    assert figure.locator(".chip[aria-pressed=true]").inner_text() == whole["tokens"][1]
    assert number(page, "chain-walk", "share") == pytest.approx(100 * whole["shares"][1], abs=0.06)
    figure.locator(".chain button.chip").nth(4).click()
    assert slider.input_value() == "4"
    assert number(page, "chain-walk", "steps") == whole["right"]


def test_votes_and_prices_are_those_of_the_recording(page: Any) -> None:
    told, figure = asked("votes"), page.locator("glaswerk-thinking-votes")
    for votes in (1, 16):
        figure.get_by_role("group", name="votes").get_by_role("button", name=str(votes), exact=True).click()
        found = row(told["rows"], "sums", "sft", votes)
        assert number(page, "thinking-votes", "right") == pytest.approx(100 * found["right"], abs=0.06)
        assert number(page, "thinking-votes", "tokens") == pytest.approx(found["tokens"], abs=0.6)
    hurts, figure = asked("hurts"), page.locator("glaswerk-thinking-hurts")
    for way, name, setting in (("wait", "made to wait", 1), ("slip", "a wrong step", 0), ("cut", "cut", 8)):
        figure.get_by_role("button", name=name, exact=True).click()
        for stage in ("sft", "grpo"):
            found = row(hurts[way], "cups", stage, setting)
            text = figure.locator(f"[data-name={way}-{stage}-{setting}]").inner_text()
            assert f"{100 * found['right']:.1f}" in text
            if way == "slip":
                assert f"{found['handed_right']} of {found['handed']} right" in text
            else:
                assert ("none right" in text) if found["price"] is None else f"{found['price']:,.0f} tokens" in text
