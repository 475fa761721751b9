"""Preferences: a conversation up to where the assistant answers, an answer that is preferred and one that is not.

Read from JSONL with TRL's columns (``prompt``, ``chosen``, ``rejected``; texts, or messages; the prompt may stand at
the beginning of both instead), which is also how people's votes are kept. Left out: pairs made from a run's own corpus
(``own_pairs.py``); what is learned from them (``dpo.py``, ``reward.py``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glaswerk.align.chats import Messages, Rendered, checked, render, whole_text
from glaswerk.errors import GlaswerkError
from glaswerk.formats import json_lines
from glaswerk.home import write_text
from glaswerk.tokenizer.speech import Speech


@dataclass(frozen=True, slots=True)
class Pair:
    """``kind`` says where a pair comes from, for reports; it changes nothing."""

    prompt: tuple[tuple[str, str], ...]
    chosen: str
    rejected: str
    kind: str = "given"

    @property
    def messages(self) -> Messages:
        """The conversation before the answer."""
        return [{"role": role, "content": content} for role, content in self.prompt]

    @classmethod
    def of(cls, question: str | Messages, chosen: str, rejected: str, kind: str = "given") -> Pair:
        """From a question, or messages."""
        messages = [{"role": "user", "content": question}] if isinstance(question, str) else question
        return cls(tuple((m["role"], m["content"]) for m in messages), chosen, rejected, kind)


# ---------------------------------------------------------------------------------------------- files
def load_pairs(file: Path) -> list[Pair]:
    """The pairs in a JSONL file; lines that say ``"tie": true`` prefer nothing and are passed over.

    Raises :class:`GlaswerkError` with file and line for the first one that is none: a column is missing, turns are
    wrong, both answers are equal, or two conversations do not begin alike.
    """
    pairs = []
    for where, line in json_lines.lines(file, "preferences"):
        value = json_lines.parsed(line, where)
        if not isinstance(value, dict):
            raise GlaswerkError(f'{where}: needs {{"prompt": ..., "chosen": ..., "rejected": ...}}')
        if value.get("tie") is not True:
            pairs.append(read_pair(value, where))
    if not pairs:
        raise GlaswerkError(f"{file} prefers nothing: put an object with prompt, chosen and rejected on each line")
    return pairs


def read_pair(value: dict[str, Any], where: str) -> Pair:
    """One line's object as a pair."""
    for column in ("chosen", "rejected"):
        if column not in value:
            raise GlaswerkError(f"{where}: has no {column!r}: needs prompt, chosen and rejected, as TRL names them")
    before, good, bad = value.get("prompt"), value["chosen"], value["rejected"]
    if before is None and isinstance(good, list) and isinstance(bad, list):
        before, (good, bad) = good[:-1], (good[-1:], bad[-1:])
        if before != value["rejected"][:-1]:
            raise GlaswerkError(f"{where}: chosen and rejected answer different conversations: give them one beginning")
    if isinstance(before, str):
        before = [{"role": "user", "content": before}]
    if before is None:
        raise GlaswerkError(f"{where}: has no 'prompt': needs prompt, chosen and rejected, as TRL names them")
    messages = checked(before, where)
    if messages[-1]["role"] not in ("user", "tool"):
        raise GlaswerkError(f"{where}: the prompt ends with the {messages[-1]['role']}: it must end with the user")
    chosen, rejected = (answer_of(each, name, where) for each, name in ((good, "chosen"), (bad, "rejected")))
    if chosen.strip() == rejected.strip():
        raise GlaswerkError(f"{where}: chosen and rejected are equal: nothing is preferred; take the line out")
    return Pair.of(messages, chosen, rejected, str(value.get("kind", "given")))


def answer_of(value: Any, name: str, where: str) -> str:
    """A text, or a list of the assistant's one message."""
    if isinstance(value, list):
        said = value[0] if len(value) == 1 else None
        if not isinstance(said, dict) or said.get("role") != "assistant":
            raise GlaswerkError(f"{where}: {name} must be one message of the assistant after the prompt")
        value = said.get("content")
    if not isinstance(value, str) or not value.strip():
        raise GlaswerkError(f"{where}: {name} must be a text, and not an empty one")
    return whole_text(value)


def save_pairs(file: Path, pairs: Iterable[Pair]) -> None:
    """Write pairs as :func:`load_pairs`, and TRL, read them."""
    lines = (
        {"prompt": p.messages, "chosen": [said(p.chosen)], "rejected": [said(p.rejected)], "kind": p.kind}
        for p in pairs
    )
    write_text(file, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def said(answer: str) -> dict[str, str]:
    """An answer as a message."""
    return {"role": "assistant", "content": answer}


# ---------------------------------------------------------------------------------------------- as tokens
@dataclass(frozen=True, slots=True)
class Answered:
    """A pair as tokens: both conversations, each with its last answer learned."""

    chosen: Rendered
    rejected: Rendered


def tokens_of(speech: Speech, pair: Pair, room: int) -> Answered | None:
    """A pair as tokens, or None where it cannot be made to fit. The rule: while a conversation has more than ``room``
    tokens, its oldest turns go, system messages stay; then its answers are cut at the end. Only the last answer counts.
    """
    messages = pair.messages
    while True:
        both = [last_answer(render(speech, [*messages, said(answer)])) for answer in (pair.chosen, pair.rejected)]
        old = next((place for place, each in enumerate(messages[:-1]) if each["role"] != "system"), None)
        if old is None or max(len(ids) for ids, _ in both) <= room:
            break
        del messages[old]
        while old < len(messages) - 1 and messages[old]["role"] != "user":  # an answer whose question is gone goes too
            del messages[old]
    chosen, rejected = ((ids[:room], mask[:room]) for ids, mask in both)
    fits = any(chosen[1]) and any(rejected[1]) and chosen[0] != rejected[0]
    return Answered(chosen, rejected) if fits else None


def last_answer(rendered: Rendered) -> Rendered:
    """Only the last run of learned tokens stays learned."""
    ids, mask = rendered
    end = max((at + 1 for at, learn in enumerate(mask) if learn), default=0)
    begin = end
    while begin and mask[begin - 1]:
        begin -= 1
    return ids, [int(begin <= at < end) for at in range(len(mask))]


def all_tokens(speech: Speech, pairs: Sequence[Pair], room: int) -> tuple[list[Answered], str]:
    """All pairs as tokens, and a line about those that were too long (empty where none was)."""
    found = [tokens_of(speech, pair, room) for pair in pairs]
    kept = [each for each in found if each is not None]
    if not kept:
        raise GlaswerkError(f"no pair fits into {room:,} tokens: give shorter conversations")
    left = len(found) - len(kept)
    return (
        kept,
        f"{left:,} of {len(found):,} pairs have no answers that differ within {room:,} tokens: left out" * bool(left),
    )
