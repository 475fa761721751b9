"""Conversations and plain completions, asked with the official client: what comes back is what plain generation says,
whole and streamed alike.
"""

from __future__ import annotations

import json
import math
from typing import Any

import openai
import pytest
import torch
from api_server import Running

from glaswerk.generate import SamplingOptions, complete

SAID = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Where is Paris?"}]


def plain(served: Running, ids: list[int], **options: Any) -> Any:
    """The oracle: generation without engine or server."""
    opened = served.opened
    return complete(opened.model, opened.tokenizer, ids, SamplingOptions(**options), opened.end_ids)


def test_the_model_is_listed(served: Running) -> None:
    client = served.client()
    (listed,) = client.models.list().data
    assert listed.id == "small" and client.models.retrieve("small").id == "small"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("another")


def test_a_conversation_is_answered_as_plain_generation_answers_it(served: Running) -> None:
    ids = served.opened.chat_ids(SAID)
    expected = plain(served, ids, max_tokens=24)
    answer = served.client().chat.completions.create(model="small", messages=SAID, max_tokens=24, temperature=0)
    (choice,) = answer.choices
    assert choice.message.content == expected.text and choice.message.role == "assistant"
    assert choice.finish_reason == expected.finish_reason
    assert answer.usage.prompt_tokens == len(ids) and answer.usage.completion_tokens == len(expected.ids)
    assert answer.usage.total_tokens == len(ids) + len(expected.ids)


def test_a_stream_says_the_same_and_ends_with_its_usage(served: Running) -> None:
    how: dict[str, Any] = {"model": "small", "messages": SAID, "max_tokens": 24, "temperature": 0.8, "seed": 5}
    client = served.client()
    whole = client.chat.completions.create(**how)
    chunks = list(client.chat.completions.create(**how, stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == whole.choices[0].finish_reason
    assert not chunks[-1].choices and chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert len(chunks) > 4


def test_n_replies_are_those_of_the_next_seeds(served: Running) -> None:
    ids = served.opened.chat_ids(SAID)
    answer = served.client().chat.completions.create(
        model="small", messages=SAID, max_tokens=12, temperature=1, seed=7, n=3
    )
    expected = [plain(served, ids, max_tokens=12, temperature=1, seed=7 + number).text for number in range(3)]
    assert [choice.message.content for choice in answer.choices] == expected
    assert len(set(expected)) == 3
    assert answer.usage.prompt_tokens == len(ids)


def test_a_stop_text_ends_a_reply_and_is_not_part_of_it(served: Running) -> None:
    ids = served.opened.prompt_ids("The cat")
    text = plain(served, ids, max_tokens=40).text
    stop = text[10:13]
    answer = served.client().completions.create(
        model="small", prompt="The cat", max_tokens=40, temperature=0, stop=["never there", stop]
    )
    assert answer.choices[0].text == text[: text.find(stop)] and answer.choices[0].finish_reason == "stop"


def test_completions_take_several_prompts_as_text_or_ids(served: Running) -> None:
    client, tokenizer = served.client(), served.opened.tokenizer
    texts = ["The cat", "Paris ist", ""]
    by_text = client.completions.create(model="small", prompt=texts, max_tokens=8, temperature=0)
    ids = [served.opened.prompt_ids(text) for text in texts]
    by_ids = client.completions.create(model="small", prompt=ids, max_tokens=8, temperature=0)
    expected = [plain(served, one, max_tokens=8).text for one in ids]
    assert [choice.text for choice in by_text.choices] == [choice.text for choice in by_ids.choices] == expected
    assert tokenizer.decode(ids[0]) == "The cat"


def test_log_probabilities_are_the_models_own(served: Running) -> None:
    """Against one plain pass over prompt and reply; temperature and top_p must not change them."""
    opened, client = served.opened, served.client()
    ids = opened.chat_ids(SAID)
    answer = client.chat.completions.create(
        model="small", messages=SAID, max_tokens=12, temperature=0.7, top_p=0.9, seed=3, logprobs=True, top_logprobs=4
    )
    reply = plain(served, ids, max_tokens=12, temperature=0.7, top_p=0.9, seed=3).ids
    with torch.inference_mode():
        logits = opened.model(torch.tensor([[*ids, *reply]]))[0, len(ids) - 1 : -1]
    expected = logits[:, : opened.tokenizer.vocabulary_size].log_softmax(-1)
    told = answer.choices[0].logprobs.content
    assert len(told) == len(reply)
    for token, number, row in zip(told, reply, expected, strict=True):
        assert math.isclose(token.logprob, float(row[number]), abs_tol=1e-4)
        assert bytes(token.bytes) == opened.tokenizer.token_bytes(number)
        best = row.topk(4).values.tolist()
        assert [one.logprob for one in token.top_logprobs] == pytest.approx(best, abs=1e-4)
    streamed = list(
        client.chat.completions.create(
            model="small", messages=SAID, max_tokens=12, temperature=0.7, top_p=0.9, seed=3, logprobs=True,
            top_logprobs=4, stream=True,
        )
    )  # fmt: skip
    again = [token for c in streamed if c.choices[0].logprobs for token in c.choices[0].logprobs.content]
    assert [token.token for token in again] == [token.token for token in told]


def test_completions_tell_log_probabilities_in_their_own_shape(served: Running) -> None:
    answer = served.client().completions.create(
        model="small", prompt="The cat", max_tokens=6, temperature=0, logprobs=2
    )
    told = answer.choices[0].logprobs
    assert len(told.tokens) == len(told.token_logprobs) == len(told.top_logprobs) == 6
    assert "".join(told.tokens) == answer.choices[0].text and told.text_offset[1] == len(told.tokens[0])
    assert all(
        max(top.values()) == pytest.approx(own) for top, own in zip(told.top_logprobs, told.token_logprobs, strict=True)
    )


def test_a_reply_fits_its_json_schema(served: Running) -> None:
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "integer", "maximum": 99}, "sure": {"enum": ["yes", "no"]}},
        "required": ["answer", "sure"],
        "additionalProperties": False,
    }
    answer = served.client().chat.completions.create(
        model="small", messages=SAID, max_tokens=80, seed=1,
        response_format={"type": "json_schema", "json_schema": {"name": "reply", "schema": schema, "strict": True}},
    )  # fmt: skip
    told = json.loads(answer.choices[0].message.content)
    assert set(told) == {"answer", "sure"} and told["sure"] in ("yes", "no") and type(told["answer"]) is int


def test_a_reply_fits_a_pattern_or_choices(served: Running) -> None:
    client = served.client()
    for inside, fits in (({"regex": "[0-9]{3}-[a-c]+x"}, None), ({"choices": ["red", "green"]}, ("red", "green"))):
        answer = client.chat.completions.create(
            model="small", messages=SAID, max_tokens=20, extra_body={"glaswerk": inside}
        )
        text = answer.choices[0].message.content
        assert text in fits if fits else text[3] == "-" and text.endswith("x")


def test_what_begins_alike_is_read_once_for_one_key_and_never_for_another(served: Running) -> None:
    from api_server import OTHER_KEY

    words = "One long beginning that nobody else has. " * 8
    ask = {"model": "small", "messages": [{"role": "user", "content": words}], "max_tokens": 2}
    first = served.client().chat.completions.create(**ask)
    second = served.client().chat.completions.create(**ask)
    other = served.client(OTHER_KEY).chat.completions.create(**ask)
    assert first.usage.prompt_tokens_details.cached_tokens == 0
    assert second.usage.prompt_tokens_details.cached_tokens >= first.usage.prompt_tokens - 17
    assert other.usage.prompt_tokens_details.cached_tokens == 0
