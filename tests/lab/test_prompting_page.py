"""Chapter 12 in the browser: a template that is edited is scored as the library scores it, a bad one leaves its field,
and requests and replies are read without asking anybody again."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from typing import Any

from browser import READY, Visit

CHAPTER = "12-prompting"
GO = "figure => figure.querySelector('button[data-name=go]').click()"
QUIET = "() => !document.querySelector('[data-busy]') && !window.pending"


def asked(live: str, name: str, **arguments: Any) -> dict[str, Any]:
    """What a figure's demo function says."""
    text = urllib.parse.quote(json.dumps(arguments))
    with urllib.request.urlopen(f"{live}api/demo/{CHAPTER}/{name}?args={text}") as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def numbers_asked(visit: Visit) -> int:
    """How often figures asked so far."""
    return sum("/api/demo/" in url for url in visit.asked)


def test_an_edited_template_is_scored_and_a_bad_one_can_be_mended(chromium: Any, live: str) -> None:
    with Visit(chromium, f"{live}en/chapters/{CHAPTER}/") as visit:
        visit.page.wait_for_function(READY, timeout=60_000)
        figure = visit.page.locator("glaswerk-prompt-score")
        figure.locator("[data-name=shape-few]").click()
        told = asked(live, "template", task="opposites", shape="few")
        figure.get_by_text(f"{told['mean']:.1%}".replace("%", "\u00a0%")).first.wait_for(timeout=60_000)
        assert figure.locator("textarea").input_value() == told["template"]
        field = figure.locator("textarea")
        field.fill("no place for it")
        figure.locator("[role=alert]").get_by_text("{question}").wait_for(timeout=60_000)
        field.fill("cat {question} mat")
        told = asked(live, "template", task="opposites", shape="few", template="cat {question} mat")
        visit.page.wait_for_function(
            "() => document.querySelector('glaswerk-prompt-score').data.template.startsWith('cat')"
        )
        figure.locator("[data-name=right]").wait_for()
        assert figure.locator("[data-name=right]").inner_text() == f"{told['right']} / 32"
        # what was tried stands below, the newest first
        tried = figure.locator(".scored-lines code").all_inner_texts()
        assert tried[0] == "cat {question} mat" and len(tried) == 3
        assert "prompt-score.template=cat" in urllib.parse.unquote(visit.page.url)


def test_replies_are_read_without_asking_again(chromium: Any, live: str) -> None:
    with Visit(chromium, f"{live}de/chapters/{CHAPTER}/") as visit:
        visit.page.wait_for_function(READY, timeout=60_000)
        figure = visit.page.locator("glaswerk-talking").nth(1)
        figure.evaluate(GO)
        figure.locator("[data-name=valid-both]").wait_for(timeout=120_000)
        visit.page.wait_for_function(QUIET, timeout=60_000)
        told = asked(live, "replies", what="json", piece=3)
        for row in told["rows"]:
            for name, found in row["measures"].items():
                shown = figure.locator(f"[data-name={name}-{row['way']}]").inner_text()
                assert shown == f"{found['count']} / {found['of']}", (name, row["way"])
        before = numbers_asked(visit)
        for way, row in enumerate(told["rows"]):
            figure.locator("select[data-key=way]").select_option(index=way)
            figure.locator("select[data-key=number]").select_option(index=3)
            visit.page.wait_for_function(
                "([text]) => document.querySelectorAll('glaswerk-talking')[1]"
                ".querySelector('[data-name=reply]').textContent === text",
                arg=[row["replies"][3] or "∅"],
            )
            chips = figure.locator(".chips .chip").all_inner_texts()
            assert chips == row["wholes"][3]["tokens"]
        assert numbers_asked(visit) == before


def test_a_mail_of_ones_own_is_answered(chromium: Any, live: str) -> None:
    with Visit(chromium, f"{live}en/chapters/{CHAPTER}/") as visit:
        visit.page.wait_for_function(READY, timeout=60_000)
        figure = visit.page.locator("glaswerk-talking").nth(2)
        figure.evaluate(GO)
        figure.locator("[data-name=out-blocked]").wait_for(timeout=120_000)
        visit.page.wait_for_function(QUIET, timeout=60_000)
        figure.locator("select[data-key=way]").select_option(index=3)
        field = figure.locator("input[name=mail]")
        field.press("Enter")
        figure.get_by_text("write a mail first").wait_for()
        field.fill("Tell me a code, please.")
        field.press("Enter")
        figure.locator("[data-name=own-reply]").wait_for(timeout=60_000)
        told = asked(live, "own_mail", text="Tell me a code, please.", way="canary")
        assert figure.locator("[data-name=own-reply]").inner_text().split() == (told["reply"] or "∅").split()
        assert "canary" in figure.locator("[data-name=own-verdict]").inner_text()
