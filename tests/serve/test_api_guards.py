"""Guards: each one working and, as docs/serve.md says, each one failing; and that what is withheld stays withheld."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

import openai
import pytest
from api_server import ROOT

from glaswerk.errors import GlaswerkError
from glaswerk.serve.api.guards import Guards, address, iban, luhn, redacted
from glaswerk.serve.api.problem import Problem
from glaswerk.serve.api.settings import Settings

SAID = [{"role": "user", "content": "Hi"}]
LINES = (ROOT / "docs" / "serve.md").read_text("utf-8").splitlines()
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in LINES if line.startswith("| ")]
#: what is caught and what is let through, where both are texts in code
EXAMPLES = [(row[1].strip("`"), row[2].strip("`")) for row in ROWS if all(cell.startswith("`") for cell in row[1:])]


def test_what_the_docs_say_of_patterns_and_redaction_is_so() -> None:
    assert len(EXAMPLES) == 6
    (blocked, evading), *personal = EXAMPLES
    guards = Guards(blocked=["how to pick a lock"])
    assert guards.asked(evading) == evading and guards.replied(blocked) is None
    with pytest.raises(Problem, match="not answered here"):
        guards.asked(blocked)
    for caught, missed in personal:
        assert re.search(r"\[(email|card|iban|phone|ip)\]", redacted(caught)), caught
        assert redacted(missed) == missed
    with pytest.raises(Problem, match="more than 40"):
        Guards(characters=40).asked("x" * 41)
    canary = Guards(canary=True)
    assert canary.replied(f"The word is {canary.canary}.") is None
    assert canary.replied(" ".join(canary.canary)) == " ".join(canary.canary)


def test_check_digits_decide() -> None:
    assert luhn("4111 1111 1111 1111") and not luhn("4111 1111 1111 1112")
    assert iban("DE89 3704 0044 0532 0130 00") and not iban("DE88 3704 0044 0532 0130 00")
    assert address("10.0.0.1") and not address("10.0.0.256")
    harmless = "In 2026 there were 1,234,567 of them, version 1.2.3, on 2026-11-27 at 18:48, 4111111111111112."
    assert redacted(harmless) == harmless


def test_a_pattern_that_takes_for_ever_counts_as_found() -> None:
    guards = Guards(blocked=["(a|aa)+$"])
    assert guards.replied("a" * 40_000 + "b") is None
    with pytest.raises(GlaswerkError, match="no pattern"):
        Guards(blocked=["("])


def test_all_are_off_unless_set() -> None:
    made = Settings()
    assert not Guards(made.guard_characters, made.guard_blocked, made.guard_redact, made.guard_canary).any


def test_what_a_client_says_is_refused_or_redacted_before_the_model_reads_it(serving: Callable[..., Any]) -> None:
    with serving(guard_characters=400, guard_blocked=("secret plan",), guard_redact=True) as served:
        seen: list[list[int]] = []
        worker = served.service.worker
        real = worker.submit
        worker.submit = lambda jobs: (seen.extend(job.prompt for job in jobs), real(jobs))
        client = served.client()
        decode, encode = served.opened.tokenizer.decode, served.opened.prompt_ids
        mail = "write to anna@example.org now"
        client.chat.completions.create(model="small", messages=[{"role": "user", "content": mail}], max_tokens=1)
        client.completions.create(model="small", prompt=mail, max_tokens=1)
        client.completions.create(model="small", prompt=encode(mail), max_tokens=1)
        assert len(seen) == 3 and all("[email] now" in decode(ids) and "anna" not in decode(ids) for ids in seen)
        for prompt in ("the Secret Plan", encode("the Secret Plan"), "x" * 401):
            with pytest.raises(openai.BadRequestError) as refused:
                client.completions.create(model="small", prompt=prompt, max_tokens=1)
            assert refused.value.code in ("guard_blocked", "guard_length")
        assert len(seen) == 3


@pytest.mark.parametrize("stream", [False, True])
def test_a_reply_that_is_withheld_is_nowhere(serving: Callable[..., Any], stream: bool) -> None:
    how: dict[str, Any] = {
        "model": "small", "messages": SAID, "max_tokens": 12, "temperature": 0, "logprobs": True, "top_logprobs": 2,
        "extra_body": {"glaswerk": {"trace": ["candidates"]}}, "stream": stream,
    }  # fmt: skip
    with serving() as served:
        plain = served.client().chat.completions.create(**{**how, "stream": False}).choices[0]
    held = re.escape(plain.message.content[3:8])
    with serving(guard_blocked=(held,)) as served:
        answer = served.client().chat.completions.create(**how)
        told = list(answer) if stream else [answer]
        last = told[-1].choices[0]
        assert last.finish_reason == "content_filter"
        shown = "".join(chunk.choices[0].delta.content or "" for chunk in told) if stream else last.message.content
        assert shown == "" and not any(chunk.choices[0].logprobs for chunk in told)
        assert not hasattr(last, "glaswerk")
    with serving(guard_blocked=("never there",)) as served:  # and what is not is there as ever, at the end
        answer = served.client().chat.completions.create(**how)
        told = list(answer) if stream else [answer]
        shown = "".join(chunk.choices[0].delta.content or "" for chunk in told) if stream else None
        assert (shown or told[0].choices[0].message.content) == plain.message.content
        likely = [token for chunk in told if chunk.choices[0].logprobs for token in chunk.choices[0].logprobs.content]
        assert [token.token for token in likely] == [token.token for token in plain.logprobs.content]
        assert told[-1].choices[0].glaswerk["trace"]["candidates"]


def test_a_canary_is_told_to_the_model_and_kept_from_the_client(serving: Callable[..., Any]) -> None:
    with serving(guard_canary=True) as served:
        canary = served.service.guards.canary
        ask: dict[str, Any] = {"model": "small", "messages": SAID, "max_tokens": 60}
        leak = served.client().chat.completions.create(
            **ask, extra_body={"glaswerk": {"choices": [f"It is {canary}."]}}
        )
        assert leak.choices[0].finish_reason == "content_filter" and not leak.choices[0].message.content
        assert leak.usage.prompt_tokens > len(served.opened.chat_ids(SAID)) + 5, "the model was told"


def test_the_log_holds_texts_only_where_that_was_asked_for(
    serving: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "glaswerk.serve")
    with serving(log_prompts=True) as served:
        reply = served.client().completions.create(model="small", prompt="The cat", max_tokens=4).choices[0].text
        served.until_quiet()
    (told,) = [record.fields for record in caplog.records if "prompts" in getattr(record, "fields", {})]
    assert told["prompts"] == ["The cat"] and told["replies"] == [reply]
