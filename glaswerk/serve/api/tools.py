"""Functions that a model may call: how they are shown to it, and how its calls are read.

The format is that of our tool-calls task (a system message with the functions, a JSON list of calls as reply), so a
model that was trained on the task is served as it was trained. Where a call is required, the reply is held to a JSON
schema made of the functions' own, so it always is one. Left out: running a function, and the formats that templates of
strangers bring for it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from typing import Any

from glaswerk.evaluate.tasks.tool_calls import ASK, read_calls
from glaswerk.serve.api.problem import Problem
from glaswerk.serve.api.schema import Chat, Function, Message, NamedTool

#: for llguidance: spaces where json.dumps puts them, and nowhere else
AS_TRAINED = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
NO_ARGUMENTS: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}


class Tools:
    """The functions of one request. ``must``: the reply has to be a call; ``schema``: what it then is."""

    def __init__(self, asked: Chat) -> None:
        choice = asked.tool_choice
        self.functions = [tool.function for tool in asked.tools or []]
        if choice == "none":
            self.functions = []
        if isinstance(choice, NamedTool):
            named = choice.function.name
            self.functions = [function for function in self.functions if function.name == named]
            if not self.functions:
                raise Problem(400, f"tool_choice names {named}, which is none of the tools", param="tool_choice")
        if choice == "required" and not self.functions:
            raise Problem(400, "tool_choice is required and there are no tools", param="tool_choice")
        self.names = {function.name for function in self.functions}
        self.must = choice == "required" or isinstance(choice, NamedTool)
        self.single = isinstance(choice, NamedTool) or asked.parallel_tool_calls is False

    def __bool__(self) -> bool:
        return bool(self.functions)

    def system(self) -> str:
        """What the model is told of them."""
        return ASK.format(functions="\n".join(json.dumps(shown(function)) for function in self.functions))

    def schema(self) -> dict[str, Any]:
        """A list of calls of these functions."""
        calls = [
            {
                "type": "object",
                "properties": {"name": {"const": function.name}, "arguments": function.parameters or NO_ARGUMENTS},
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
            for function in self.functions
        ]
        most = {"maxItems": 1} if self.single else {}
        return {"type": "array", "items": {"anyOf": calls}, "minItems": 1, **most, "x-guidance": AS_TRAINED}

    def calls(self, reply: str) -> list[dict[str, Any]] | None:
        """The calls that a reply is, in OpenAI's shape; None: it is words."""
        found = read_calls(reply) if self.functions else None
        if not found or not all(self.is_call(call) for call in found):
            return None
        return [
            {
                "id": f"call_{secrets.token_hex(12)}",
                "type": "function",
                "function": {"name": call["name"], "arguments": json.dumps(call["arguments"], ensure_ascii=False)},
            }
            for call in found
        ]

    def is_call(self, call: Any) -> bool:
        """Whether it names one of the functions and has arguments."""
        return (
            isinstance(call, dict)
            and isinstance(call.get("name"), str)
            and call["name"] in self.names
            and isinstance(call.get("arguments"), dict)
        )


def may_be_calls(text: str) -> bool:
    """Whether a reply that begins like this may still become calls: then nothing of it is shown yet."""
    return text.lstrip()[:1] in ("", "[", "{", "`")


def shown(function: Function) -> dict[str, Any]:
    """A function as the model reads it."""
    told = {"name": function.name, "description": function.description, "parameters": function.parameters}
    return {name: value for name, value in told.items() if value is not None}


def conversation(messages: Sequence[Message], tools: Tools) -> list[dict[str, str]]:
    """The messages as roles and texts. Calls of earlier turns read as the model would write them."""
    told: list[dict[str, str]] = []
    for place, message in enumerate(messages):
        role = "system" if message.role == "developer" else message.role
        told.append({"role": role, "content": content(message, place)})
    if tools:
        if told[0]["role"] == "system":
            told[0]["content"] = f"{told[0]['content']}\n\n{tools.system()}"
        else:
            told.insert(0, {"role": "system", "content": tools.system()})
    return told


def content(message: Message, place: int) -> str:
    """A message's text."""
    if isinstance(message.content, list):
        return "".join(part.text for part in message.content)
    if message.content is not None:
        return message.content
    if message.tool_calls:
        return json.dumps([{"name": call.function.name, "arguments": arguments(call.function.arguments, place)}
                           for call in message.tool_calls])  # fmt: skip
    raise Problem(400, f"message {place + 1} has no content", param=f"messages.{place}.content")


def arguments(text: str, place: int) -> Any:
    """A call's arguments, which a client sends back as text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Problem(400, "a call's arguments are not JSON", param=f"messages.{place}.tool_calls") from None
