"""Every page, live and exported: nothing on the console, nothing asked of other machines, nothing that axe finds, every
figure ready, sliders by keyboard. The exported site lies under a sub-path of a plain static host.

`make test` sees the pages around the chapters and two chapters, live in English and exported in German; the slow tests
see every page in both languages both ways."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from browser import READY, Visit, asked_by, exportable, host, paths

from glaswerk.serve import questions, site
from glaswerk.serve.questions import Question
from glaswerk.serve.static import canonical

#: chapters of the short run: one with traces and by-hand numbers, one with the model's parts
SHORT = ("04-attention", "05-transformer")


def parameters(language: str, long: bool) -> list[str]:
    """The pages of the short run, or all others."""
    short = [path for path in paths(language) if path.count("/") < 3 or path.split("/")[2] in SHORT]
    return [path for path in paths(language) if (path in short) != long]


@contextmanager
def site_of(model: Path, folder: Path, chapters: tuple[str, ...] | None) -> Iterator[str]:
    """The site under a sub-path, with what pages (of these chapters) ask first."""
    asked = [
        question
        for question in questions.recorded("first")
        if chapters is None or not question[0].startswith("demo/") or question[0].split("/")[1] in chapters
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(questions, "recorded", lambda part: asked if part == "first" else [])
        site.write_site(model, folder / "some" / "where")
    with host(folder) as url:
        yield f"{url}some/where/"


@pytest.fixture(scope="module")
def exported(small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with site_of(small_model, tmp_path_factory.mktemp("host"), SHORT) as url:
        yield url


@pytest.fixture(scope="module")
def all_exported(small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with site_of(small_model, tmp_path_factory.mktemp("host"), None) as url:
        yield url


def check(chromium: Any, root: str, path: str, axe: str) -> Visit:
    """One page; returns it open."""
    visit = Visit(chromium, root + path, color_scheme="dark" if path.startswith("de/") else "light")
    waiting = visit.settle()
    assert not waiting, waiting
    assert not visit.said
    away = [url for url in visit.asked if not url.startswith((root, "data:", "blob:"))]
    assert not away
    wide = visit.page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, f"the page is {wide} px too wide"
    found = visit.violations(axe)
    assert not found, "\n".join(found)
    return visit


def slide(visit: Visit) -> None:
    """Move every figure's first slider by the keyboard: its value changes, is shown, and the figure is usable again."""
    sliders = "[data-figure] input[type=range]"
    firsts = """all => all.map((each, place) => {
        const figure = each.closest('[data-figure]'), seen = figure.querySelector('input[type=range]:not(:disabled)');
        return seen === each && each.getClientRects().length ? place : -1; }).filter(place => place >= 0)"""
    places = visit.page.eval_on_selector_all(sliders, firsts)
    for place in places:
        slider = visit.page.locator(sliders).nth(place)
        before = slider.input_value()
        slider.focus()
        for key in ("ArrowRight", "ArrowLeft", "End", "Home"):
            slider.press(key)
            if slider.input_value() != before:
                break
        assert slider.input_value() != before, f"{slider.get_attribute('data-key')} does not move"
        visit.page.wait_for_function(READY, timeout=60_000)
    assert not visit.said


def live_page(chromium: Any, live: str, path: str, axe: str) -> None:
    with check(chromium, live, path, axe) as visit:
        assert not unrecorded(visit, live), "record it anew: python tests/lab/record.py"
        slide(visit)


@pytest.mark.parametrize("path", parameters("en", long=False))
def test_a_live_page_works(chromium: Any, live: str, axe: str, path: str) -> None:
    live_page(chromium, live, path, axe)


@pytest.mark.parametrize("path", parameters("de", long=False))
def test_an_exported_page_works(chromium: Any, exported: str, axe: str, path: str) -> None:
    check(chromium, exported, path, axe).page.close()


@pytest.mark.slow
@pytest.mark.parametrize("path", [*parameters("en", long=True), *paths("de")])
def test_every_live_page_works(chromium: Any, live: str, axe: str, path: str) -> None:
    live_page(chromium, live, path, axe)


@pytest.mark.slow
@pytest.mark.parametrize("path", [*paths("en"), *parameters("de", long=True)])
def test_every_exported_page_works(chromium: Any, all_exported: str, axe: str, path: str) -> None:
    check(chromium, all_exported, path, axe).page.close()


def test_the_model_in_the_page_answers_a_text_that_nobody_asked_before(
    chromium: Any, exported: str, small_model: Path
) -> None:
    from glaswerk.opened import load

    prompt = "Glass, 7 panes"
    ask = """async prompt => {
        const { trace, values } = await import(new URL('../../web/data.js', location.href));
        const told = await trace(prompt), name = 'blocks.1.attention.weights';
        return { told, weights: Array.from((await values(prompt, [name]))[name].data) }; }"""
    with Visit(chromium, f"{exported}en/glossary/") as visit:
        found = visit.page.evaluate(ask, prompt)
        assert not visit.said
    wanted = load(small_model).trace(prompt)
    assert [token["id"] for token in found["told"]["tokens"]] == wanted.ids
    assert [step["name"] for step in found["told"]["steps"]] == [step.name for step in wanted]
    weights = wanted["blocks.1.attention.weights"].flatten().tolist()
    assert found["weights"] == pytest.approx(weights, abs=1e-5)


def test_the_front_page_leads_to_the_readers_language(chromium: Any, exported: str) -> None:
    for locale, language in (("de-AT", "de"), ("fr-FR", "en")):
        with Visit(chromium, exported, locale=locale) as visit:
            visit.page.wait_for_url(f"{exported}{language}/")
            assert visit.page.evaluate("() => document.documentElement.lang") == language


def test_what_was_not_exported_says_so_and_nothing_breaks(chromium: Any, exported: str) -> None:
    ask = """async () => { const { ask } = await import(new URL('../../web/data.js', location.href));
        try { await ask('demo/00-none/nothing', {a: 1}); return ''; } catch (error) { return error.message; } }"""
    with Visit(chromium, f"{exported}de/glossary/") as visit:
        assert visit.page.evaluate(ask) == "not-exported"
        assert not visit.said


def unrecorded(visit: Visit, root: str) -> list[Question]:
    """What a page asked when it opened that an export would have no answer to."""
    there = {(kind, canonical(asked)) for kind, asked in questions.recorded("first")}
    asked = [each for each in asked_by(visit, root) if exportable(each)]
    return [(kind, args) for kind, args in asked if (kind, canonical(args)) not in there]
