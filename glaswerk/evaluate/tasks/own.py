"""A JSONL file of one's own as a task: a question and its answer on each line.

    {"question": "What is the capital of France?", "answer": "Paris"}
    {"question": "What is 2 + 2?", "options": ["3", "4", "5"], "answer": "4"}
    {"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "the right reply"}]}

``answer`` may be a list of accepted answers; with ``options``, it is one of them, its letter, or its number from 0.
``group`` names a subject. Left out: graders of one's own; subclass :class:`Task` for those.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.choice import LETTERS, MultipleChoice, Question
from glaswerk.evaluate.task import ROLES, Messages, Task
from glaswerk.formats import json_lines


@dataclass(frozen=True, slots=True)
class Open:
    """A question without options: what comes before the answer, the accepted answers, the subject."""

    messages: Messages
    accepted: tuple[str, ...]
    group: str


class OwnTask(Task):
    """Questions with open answers: a reply is right if an accepted answer stands in it, as whole words."""

    metric, max_tokens = "answers found", 128

    def __init__(self, name: str, items: list[Open]) -> None:
        self.name, self.items = name, items

    def __len__(self) -> int:
        return len(self.items)

    def conversation(self, i: int) -> Messages:
        return [*self.items[i].messages, {"role": "assistant", "content": self.items[i].accepted[0]}]

    def group(self, i: int) -> str:
        return self.items[i].group

    def grade(self, i: int, reply: str) -> float:
        said = f" {plain_words(reply)} "
        return float(any(f" {plain_words(answer)} " in said for answer in self.items[i].accepted))


def plain_words(text: str) -> str:
    """Words and numbers in small letters, one space between; a text without any (such as "+") as it is."""
    return " ".join(re.findall(r"\w+(?:[.,]\d+)*", text.lower())) or text.strip()


def own_task(file: Path) -> Task:
    """The task in a JSONL file. Raises :class:`GlaswerkError` that names file and line for what is no item; all lines
    have options, or none has."""
    items = [read_item(json_lines.parsed(line, where), where) for where, line in json_lines.lines(file, "task")]
    if not items:
        raise GlaswerkError(f'{file} holds no question: put one JSON object with "question" and "answer" on each line')
    choices = [item for item in items if isinstance(item, Question)]
    opened = [item for item in items if isinstance(item, Open)]
    if choices and opened:
        raise GlaswerkError(f"{file} mixes questions with and without options: make two files of it")
    return MultipleChoice(file.stem, choices) if choices else OwnTask(file.stem, opened)


def read_item(value: Any, where: str) -> Question | Open:
    """One line of a task file."""
    if not isinstance(value, dict):
        raise GlaswerkError(f'{where}: needs an object such as {{"question": "...", "answer": "..."}}')
    group = str(value.get("group", ""))
    messages = value.get("messages")
    if messages is not None:
        return conversation(messages, group, where)
    question = value.get("question")
    if not isinstance(question, str) or not question.strip():
        raise GlaswerkError(f"{where}: needs a text `question`")
    answer = value.get("answer")
    if answer is None or answer in ("", []):
        raise GlaswerkError(f"{where}: has no `answer`, and without a key nothing can be graded")
    if "options" in value:
        return choice(question, value["options"], answer, group, where)
    accepted = tuple(str(one) for one in (answer if isinstance(answer, list) else [answer]))
    return Open([{"role": "user", "content": question}], accepted, group)


def conversation(messages: Any, group: str, where: str) -> Open:
    """A line with messages: the last one is the right reply."""
    if not isinstance(messages, list) or not messages:
        raise GlaswerkError(f"{where}: `messages` is a list that ends with the assistant's right reply")
    for message in messages:
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            raise GlaswerkError(f"{where}: each message needs a `role`, one of {', '.join(ROLES)}")
        if not isinstance(message.get("content"), str) or not message["content"].strip():
            raise GlaswerkError(f"{where}: each message needs a text `content`")
    if len(messages) < 2 or messages[-1]["role"] != "assistant":
        raise GlaswerkError(f"{where}: has no `answer`: the last message must be the assistant's right reply")
    said = [{"role": message["role"], "content": message["content"]} for message in messages]
    return Open(said[:-1], (said[-1]["content"],), group)


def choice(question: str, options: Any, answer: Any, group: str, where: str) -> Question:
    """A line with options."""
    if not isinstance(options, list) or not 2 <= len(options) <= len(LETTERS):
        raise GlaswerkError(f"{where}: `options` is a list of 2 to {len(LETTERS)} answers")
    texts = tuple(str(option) for option in options)
    if len(set(texts)) < len(texts) or not all(text.strip() for text in texts):
        raise GlaswerkError(f"{where}: the options must differ, and none may be empty")
    if str(answer) in texts:
        right = texts.index(str(answer))
    elif isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(texts):
        right = answer
    elif isinstance(answer, str) and len(answer) == 1 and answer.upper() in LETTERS[: len(texts)]:
        right = LETTERS.index(answer.upper())
    else:
        raise GlaswerkError(f"{where}: the answer {answer!r} is none of the options, nor a letter or number of one")
    return Question(question, texts, right, group)
