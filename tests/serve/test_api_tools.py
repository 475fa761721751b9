"""Tools, traces and embeddings: what goes beyond a text."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import openai
import pytest
import torch
from api_server import Running

from glaswerk.serve.api.asking import parse
from glaswerk.serve.api.schema import Chat
from glaswerk.serve.api.tools import Tools, conversation

SAID = [{"role": "user", "content": "How is the weather in Berlin?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "enum": ["Berlin", "Paris"]}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
CLOCK = {"type": "function", "function": {"name": "clock"}}


def asked(**more: Any) -> Chat:
    body = {"model": "small", "messages": SAID, "tools": [WEATHER, CLOCK], **more}
    return parse(json.dumps(body).encode(), Chat)


# ---------------------------------------------------------------------------------------------- tools
def test_a_required_call_is_always_one_even_from_random_weights(served: Running) -> None:
    how: dict[str, Any] = {
        "model": "small", "messages": SAID, "tools": [WEATHER, CLOCK], "max_tokens": 200, "seed": 3,
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
    }  # fmt: skip
    answer = served.client().chat.completions.create(**how)
    (choice,) = answer.choices
    assert choice.finish_reason == "tool_calls" and choice.message.content is None
    (call,) = choice.message.tool_calls
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments)["city"] in ("Berlin", "Paris")
    streamed = list(served.client().chat.completions.create(**how, stream=True))
    (delta,) = [chunk.choices[0].delta for chunk in streamed if chunk.choices[0].delta.tool_calls]
    assert delta.tool_calls[0].function.arguments == call.function.arguments
    assert not any(chunk.choices[0].delta.content for chunk in streamed)
    assert streamed[-1].choices[0].finish_reason == "tool_calls"


def test_a_required_call_has_its_spaces_where_the_task_that_trains_for_calls_has_them(served: Running) -> None:
    opened = served.opened
    told = set()
    for seed in range(4):
        reply = opened.generate("x", json_schema=Tools(asked(tool_choice="required")).schema(), max_tokens=300,
                                temperature=1.0, seed=seed)  # fmt: skip
        if reply.finish_reason == "stop":
            assert reply.text == json.dumps(json.loads(reply.text))
            told.add(reply.text)
    assert told


def test_words_stay_words_beside_tools(served: Running) -> None:
    how: dict[str, Any] = {"model": "small", "messages": SAID, "tools": [WEATHER], "max_tokens": 10, "temperature": 0}
    answer = served.client().chat.completions.create(**how)
    chunks = list(served.client().chat.completions.create(**how, stream=True))
    assert answer.choices[0].message.content and answer.choices[0].message.tool_calls is None
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == answer.choices[0].message.content


@pytest.mark.parametrize(
    ("reply", "names"),
    [
        ('[{"name": "weather", "arguments": {"city": "Berlin"}}]', ["weather"]),
        ('{"name": "clock", "arguments": {}}', ["clock"]),
        ('```json\n[{"name": "clock", "arguments": {}}, {"name": "clock", "arguments": {}}]\n```', ["clock"] * 2),
        ("[]", None),
        ("It is sunny.", None),
        ('[{"name": "unknown", "arguments": {}}]', None),
        ('[{"name": "clock"}]', None),
        ('{"name": "clock", "arguments": ', None),
        ("[" * 5000, None),
    ],
)  # fmt: skip
def test_calls_are_read_and_nothing_else_is_taken_for_one(reply: str, names: list[str] | None) -> None:
    calls = Tools(asked()).calls(reply)
    assert names == (calls if calls is None else [call["function"]["name"] for call in calls])


def test_the_model_is_told_as_the_task_tells_it_that_trains_for_calls() -> None:
    from glaswerk.evaluate.tasks.tool_calls import ASK

    chat = asked()
    told = conversation(chat.messages, Tools(chat))
    functions = "\n".join(json.dumps(tool["function"]) for tool in (WEATHER, CLOCK))
    assert told == [{"role": "system", "content": ASK.format(functions=functions)}, *SAID]


def test_earlier_calls_and_results_go_back_into_the_conversation(served: Running) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Berlin"}'}}
    messages = [
        {"role": "system", "content": "Be short."},
        *SAID,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
    ]
    chat = asked(messages=messages)
    told = conversation(chat.messages, Tools(chat))
    assert [one["role"] for one in told] == ["system", "user", "assistant", "tool"]
    assert told[0]["content"].startswith("Be short.\n\nYou can call")
    assert json.loads(told[2]["content"]) == [{"name": "weather", "arguments": {"city": "Berlin"}}]
    answer = served.client().chat.completions.create(model="small", messages=messages, max_tokens=3)
    assert answer.choices[0].finish_reason


@pytest.mark.parametrize(
    "more",
    [
        {"tool_choice": {"type": "function", "function": {"name": "nothing"}}},
        {"tools": [], "tool_choice": "required"},
        {"tool_choice": "required", "response_format": {"type": "json_object"}},
    ],
)
def test_a_choice_without_its_tool_is_refused(served: Running, more: dict[str, Any]) -> None:
    with pytest.raises(openai.BadRequestError):
        served.client().chat.completions.create(**{"model": "small", "messages": SAID, "tools": [WEATHER], **more})


# ---------------------------------------------------------------------------------------------- traces
def values(step: dict[str, Any]) -> np.ndarray:
    data = base64.b64decode(step["values"])
    if step["encoding"] == "uint8-255":
        return np.frombuffer(data, np.uint8).reshape(step["shape"]) / 255
    return np.frombuffer(data, "<f4").reshape(step["shape"])


@pytest.mark.parametrize("stream", [False, True])
def test_a_reply_comes_with_its_own_trace(served: Running, stream: bool) -> None:
    opened = served.opened
    wanted = ["blocks.*.attention.weights", "blocks.1.residual", "lens", "candidates"]
    how: dict[str, Any] = {
        "model": "small", "messages": SAID, "max_tokens": 6, "temperature": 0, "stream": stream,
        "extra_body": {"glaswerk": {"trace": wanted}},
    }  # fmt: skip
    answer = served.client().chat.completions.create(**how)
    (choice,) = list(answer)[-1].choices if stream else answer.choices
    told = choice.glaswerk["trace"]
    prompt = opened.chat_ids(SAID)
    reply = [token["id"] for token in told["tokens"]][len(prompt) :]
    assert [token["id"] for token in told["tokens"]][: told["start"]] == prompt and len(reply) == 6
    if not stream:
        assert opened.tokenizer.decode(reply) == choice.message.content
    expected = opened.trace([*prompt, *reply])
    assert [step["name"] for step in told["steps"]] == [
        "blocks.0.attention.weights", "blocks.1.attention.weights", "blocks.1.residual",
    ]  # fmt: skip
    for step in told["steps"]:
        close = 1 / 255 if "weights" in step["name"] else 1e-5
        assert np.allclose(values(step), expected[step["name"]].numpy(), atol=close)
    best = expected["probabilities"][0, len(prompt) - 1 : -1]
    for place, (row, number) in enumerate(zip(best, reply, strict=True)):
        first = told["candidates"][place][0]
        assert first["id"] == int(row.argmax()) == number  # it was greedy
        assert first["probability"] == pytest.approx(float(row.max()), abs=1e-5)
        assert told["lens"][-1]["id"][place] == number, "the last layer's reading is the output"
        assert told["lens"][-1]["chosen"][place] == pytest.approx(float(row.max()), abs=1e-4)
    assert len(told["lens"]) == 2 and told["lens"][0]["id"] != told["lens"][1]["id"]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [(["blocks.9.nothing"], "no step of the trace"), (["*"], "MiB"), (["x"] * 17, "at most 16"), ([""], "1 character")],
)
def test_a_trace_that_cannot_be_told_is_refused_before_anything_is_generated(
    served: Running, wanted: list[str], words: str
) -> None:
    before = served.service.worker.engine.counts.sampled_tokens
    with pytest.raises(openai.BadRequestError, match=words):
        served.client().chat.completions.create(
            model="small", messages=SAID, max_tokens=400, extra_body={"glaswerk": {"trace": wanted}}
        )
    assert served.service.worker.engine.counts.sampled_tokens == before


# ---------------------------------------------------------------------------------------------- embeddings
def test_an_embedding_is_the_mean_of_the_last_hidden_states(served: Running) -> None:
    opened, texts = served.opened, ["Paris ist die Hauptstadt.", "The cat", "The cat sat on the mat."]
    answer = served.client().embeddings.create(model="small", input=texts)
    plain = served.client().embeddings.create(model="small", input=texts, encoding_format="float")
    for text, one, other in zip(texts, answer.data, plain.data, strict=True):
        with torch.inference_mode():
            mean = opened.model.hidden(torch.tensor([opened.prompt_ids(text)]))[0].mean(0)
        expected = (mean / mean.norm()).numpy()
        assert np.allclose(one.embedding, expected, atol=1e-6) and np.allclose(other.embedding, expected, atol=1e-6)
    assert answer.usage.prompt_tokens == sum(len(opened.prompt_ids(text)) for text in texts)
    assert served.client().embeddings.create(model="small", input="x").data[0].index == 0
