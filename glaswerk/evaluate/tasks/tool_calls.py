"""Tool calls (Berkeley Function Calling Leaderboard, Patil et al. 2025): which function, with which arguments?

One call, one of several functions, several calls, and questions that no function fits, where the right reply is ``[]``.
A reply is right if every call is there, with an accepted value for every argument. Left out: running the functions, and
other languages than Python.
"""

from __future__ import annotations

import json
import re
from typing import Any

from glaswerk.evaluate.task import Messages, Task
from glaswerk.evaluate.tasks.reading import json_lines

PARTS = ("simple_python", "multiple", "parallel", "irrelevance")
ASK = (
    "You can call these functions:\n{functions}\n"
    'Reply with a JSON list of calls, [{{"name": ..., "arguments": {{...}}}}], and nothing else. '
    "If no function fits, reply with []."
)


class ToolCalls(Task):
    """1,040 questions in four groups."""

    name, metric, max_tokens = "tool-calls", "exact calls", 128

    def __init__(self) -> None:
        self.cases: list[dict[str, Any]] = []
        for part in PARTS:
            right: dict[str, Any] = {}
            if part != "irrelevance":  # there the right answer is no call at all
                known = json_lines("tool-calls", f"possible_answer/BFCL_v4_{part}.json")
                right = {case["id"]: case["ground_truth"] for case in known}
            for case in json_lines("tool-calls", f"BFCL_v4_{part}.json"):
                self.cases.append({**case, "part": part, "right": right.get(case["id"], [])})

    def __len__(self) -> int:
        return len(self.cases)

    def group(self, i: int) -> str:
        return str(self.cases[i]["part"])

    def conversation(self, i: int) -> Messages:
        case = self.cases[i]
        functions = "\n".join(json.dumps(function) for function in case["function"])
        calls = [
            {"name": name, "arguments": first_accepted(accepted)}
            for call in case["right"]
            for name, accepted in call.items()
        ]
        return [
            {"role": "system", "content": ASK.format(functions=functions)},
            *case["question"][0],
            {"role": "assistant", "content": json.dumps(calls)},
        ]

    def grade(self, i: int, reply: str) -> float:
        calls = read_calls(reply)
        wanted = [next(iter(call.items())) for call in self.cases[i]["right"]]
        if calls is None or len(calls) != len(wanted):
            return 0.0
        for name, accepted in wanted:  # in any order
            found = next((call for call in calls if matches(call, name, accepted)), None)
            if found is None:
                return 0.0
            calls.remove(found)
        return 1.0


def first_accepted(accepted: dict[str, list[Any]]) -> dict[str, Any]:
    """For each argument that must be given, the first accepted value; objects list values for their own keys."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return first_accepted({key: inner if isinstance(inner, list) else [inner] for key, inner in value.items()})
        return [plain(one) for one in value] if isinstance(value, list) else value

    return {key: plain(values[0]) for key, values in accepted.items() if "" not in values}


def read_calls(reply: str) -> list[Any] | None:
    """The calls in a reply: a JSON list, or one call alone, with or without a fence or words around; else None."""
    for begin in re.finditer(r"[\[{]", reply):
        try:
            value, _ = json.JSONDecoder().raw_decode(reply[begin.start() :])
        except (ValueError, RecursionError):
            continue
        return value if isinstance(value, list) else [value]
    return None


def matches(call: Any, name: str, accepted: dict[str, list[Any]]) -> bool:
    """Whether a call names the function and gives each argument an accepted value; "" among those: it may be left
    out."""
    if not isinstance(call, dict) or call.get("name") != name or not isinstance(call.get("arguments"), dict):
        return False
    given = call["arguments"]
    if not set(given) <= set(accepted):
        return False
    return all(
        any(same(given[key], value) for value in values) if key in given else "" in values
        for key, values in accepted.items()
    )


def same(one: Any, other: Any) -> bool:
    """Equal values: numbers by size, texts without case, spaces and punctuation, lists and objects by their parts. In
    the accepted values, an object lists accepted values for each of its keys."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, str) and isinstance(other, str):
        return tidy(one) == tidy(other)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        lists = {key: value if isinstance(value, list) else [value] for key, value in other.items()}
        return matches({"name": "", "arguments": one}, "", lists)
    if type(one) in (int, float) and type(other) in (int, float):
        return bool(one == other)
    return one is None and other is None


def tidy(text: str) -> str:
    """As the leaderboard compares texts."""
    return re.sub(r"[ ,./\-_*^'\"]", "", text).lower()
