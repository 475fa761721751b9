"""A recorded chain, step by step: which token belongs to which step, which step is right, which one is the first that
is not, and whether what comes after is only its consequence. Left out: how chains were made (``recipes``), and whether
a whole chain is right, which the recording says (``glaswerk.evaluate.chain``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from glaswerk.evaluate.tasks.arithmetic import Problem
from glaswerk.evaluate.tasks.cups import Game
from glaswerk.generate.thinking import MARKER, WAIT

#: what a step can be: as it should be; the first that is not; right in itself, but built on the mistake; wrong once
#: more; right and wrong ones that were taken back later; the word that takes back; not finished; the marker and answer
STATES = ("right", "wrong", "follows", "again", "undone", "back", "wait", "cut", "answer")


def whole(replies: Sequence[dict[str, Any]], reply: dict[str, Any]) -> tuple[list[str], list[float]]:
    """All tokens of a reply and their probabilities: those that it shares with the uncut one, which comes first, and
    its own."""
    first = replies[0]
    same = reply["same"] if reply is not first else 0
    return first["tokens"][:same] + reply["tokens"], first["shares"][:same] + reply["shares"]


def lines_of(tokens: Sequence[str]) -> list[tuple[int, int, str]]:
    """The lines that tokens make: first token, number of tokens, text; a line's end belongs to the line."""
    found, first, text = [], 0, ""
    for place, token in enumerate(tokens):
        text += token
        if "\n" in token or place == len(tokens) - 1:
            found.append((first, place + 1 - first, text.strip()))
            first, text = place + 1, ""
    return found


def steps(problem: dict[str, Any], reply: dict[str, Any]) -> list[dict[str, Any]]:
    """A reply's lines, each with its first token, its number of tokens and its state."""
    tokens, _ = whole(problem["replies"], reply)
    rows = lines_of(tokens)
    # the last line that begins with the marker is the answer's, the chain ends before it
    end = max((at for at, (_, _, text) in enumerate(rows) if text.startswith(MARKER)), default=len(rows))
    expected = problem["expected"].splitlines()[:-1]
    chain = [text for _, _, text in rows[:end]]
    # empty lines are none that the check counted
    counted = [at for at, text in enumerate(chain) if text]
    start = counted[reply["start"]] if reply["start"] < len(counted) else len(chain)
    told, good, broken = [], 0, False
    for at, (first, count, text) in enumerate(rows):
        if at >= end:
            state = "answer"
        elif text == WAIT:
            state, good, broken = "wait", 0, False
        elif not broken and good < len(expected) and text == expected[good]:
            state, good = ("undone" if at < start else "right"), good + 1
        elif at < start:
            state, broken = "back", True
        elif reply["forced"] and at == end - 1 and any(line.startswith(text) for line in expected):
            state = "cut"
        else:
            before = chain[at - 1] if at > start else ""
            fits = broken and consistent(problem, at - start, before, text)
            state, broken = "follows" if fits else "again" if broken else "wrong", True
        told.append({"first": first, "count": count, "state": state})
    return told


def consistent(problem: dict[str, Any], at: int, before: str, line: str) -> bool:
    """Whether step ``at`` is what must follow, if the step before it were right."""
    expected = problem["expected"].splitlines()[:-1]
    if at >= len(expected):
        return False
    if problem["task"] == "cups":
        reached, swap = re.search(r"([ABC])$", before), re.match(r"[ABC] ([ABC]{2}):", expected[at])
        return bool(reached and swap) and line == Game(reached[1], (swap[1],)).steps()  # type: ignore[index]
    carried, digits = re.search(r"carry (\d+)$", before), re.match(r"(\d) \+ (\d)", expected[at])
    if not carried or not digits or int(carried[1]) > 1:
        return False
    # two numbers with these digits at the tens, and ones that carry as much
    ones = 5 * int(carried[1])
    a, b = (100 + 10 * int(digit) + ones for digit in digits.groups())
    return line == Problem(a, b, "+").sum_steps()[1]


def follows(problem: dict[str, Any], reply: dict[str, Any]) -> bool | None:
    """Whether the answer is what the last step says, right or wrong; None where there is no whole step to go by."""
    tokens, _ = whole(problem["replies"], reply)
    texts = [text for _, _, text in lines_of(tokens)]
    end = max((at for at, text in enumerate(texts) if text.startswith(MARKER)), default=len(texts))
    answer = texts[end].removeprefix(MARKER).strip() if end < len(texts) else ""
    attempt = texts[max((at + 1 for at, text in enumerate(texts[:end]) if text == WAIT), default=0) : end]
    if problem["task"] == "cups":
        places = [text[-1] for text in attempt if re.fullmatch(r"[ABC] [ABC]{2}: [ABC]", text)]
        return answer == places[-1] if places else None
    digits = [re.search(r"write (\d), carry (\d)$", text) for text in attempt]
    if not digits or any(each is None for each in digits):
        return None
    written = "".join(each[1] for each in reversed(digits) if each)
    carry = digits[-1][2] if digits[-1] else "0"
    return answer == (f"{carry}{written}" if carry != "0" else written)
