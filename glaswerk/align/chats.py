"""Conversations from a file, checked, and as tokens with the mask that says what is learned.

One JSON object a line in OpenAI's messages format. Models of strangers speak through their own chat template, ours
through ChatML. Left out: conversations made from a corpus (``sft.py``), packing into rows (train).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.task import ROLES, Messages
from glaswerk.formats import json_lines
from glaswerk.tokenizer.chat import render_chat
from glaswerk.tokenizer.speech import Speech

#: ids of a conversation, and 1 for each that is learned
Rendered = tuple[list[int], list[int]]


# ---------------------------------------------------------------------------------------------- reading
def load_chats(file: Path) -> list[Messages]:
    """Conversations in OpenAI's messages format, one JSON object (``{"messages": [...]}``) or list per line.

    Raises :class:`GlaswerkError` with file and line for the first one that is not.
    """
    conversations: list[Messages] = []
    for where, line in json_lines.lines(file, "chat file"):
        value = json_lines.parsed(line, where)
        messages = value.get("messages") if isinstance(value, dict) else value
        said = checked(messages, where)
        if not any(message["role"] == "assistant" for message in said):
            raise GlaswerkError(f"{where}: has no assistant message, so there is nothing to learn from it")
        conversations.append(said)
    if not conversations:
        raise GlaswerkError(f"{file} holds no conversation: put one JSON object with `messages` on each line")
    return conversations


def checked(messages: Any, where: str) -> Messages:
    """Messages that make a conversation: known roles, a system message only at the start, users and assistant taking
    turns (a tool's results may come between), the user first, and nobody silent. Raises :class:`GlaswerkError`."""
    if not isinstance(messages, list) or not messages:
        raise GlaswerkError(f'{where}: needs {{"messages": [{{"role": ..., "content": ...}}, ...]}}')
    said: Messages = []
    for place, message in enumerate(messages, 1):
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            raise GlaswerkError(f"{where}: each message needs a text `content`")
        role = message.get("role")
        if role not in ROLES:
            raise GlaswerkError(f"{where}: the role {role!r} is not system, user, assistant or tool")
        if not message["content"].strip():
            raise GlaswerkError(f"{where}: message {place}, of the {role}, is empty: fill it or take it out")
        if role == "system" and place > 1:
            raise GlaswerkError(f"{where}: message {place} is a system message; only the first one can be")
        before = said[-1]["role"] if said else None
        if role == "assistant" and before in (None, "system"):
            raise GlaswerkError(f"{where}: the assistant speaks first: nothing was asked; put a user message before it")
        if role in ("user", "assistant") and role == before:
            raise GlaswerkError(f"{where}: message {place} is the second of the {role} in a row: join the two")
        said.append({"role": role, "content": whole_text(message["content"])})
    return said


def whole_text(text: str) -> str:
    """Half a surrogate pair, which JSON can say and UTF-8 cannot, becomes the replacement character."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


# ---------------------------------------------------------------------------------------------- as tokens
def render(speech: Speech, messages: Sequence[dict[str, str]]) -> Rendered:
    """A conversation as the model's chat format writes it, and which tokens the assistant says: each of its turns up to
    the token that ends it.

    A stranger's template only writes whole conversations: what the assistant says is what a turn adds to the
    conversation up to where it begins to answer. Raises :class:`GlaswerkError` where a template rewrites what stood
    before.
    """
    if speech.template is None:
        return render_chat(speech.tokenizer, messages)
    ids = speech.template.encode(speech.tokenizer, messages)
    mask = [0] * len(ids)
    for place, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        begin = len(before := speech.template.encode(speech.tokenizer, messages[:place], generation_prompt=True))
        after = speech.template.encode(speech.tokenizer, messages[: place + 1])
        if after[:begin] != before or ids[:begin] != before:
            raise GlaswerkError(
                "the model's chat template changes earlier turns, so it cannot be said which tokens are to be learned"
            )
        stop = next((at + 1 for at in range(begin, len(after)) if after[at] in speech.ends), len(after))
        mask[begin:stop] = [1] * (stop - begin)
    return ids, mask


@dataclass
class Cut:
    """How many conversations were too long, and how many of those had no whole answer that fits."""

    conversations: int = 0
    long: int = 0
    inside: int = 0

    def said(self, room: int) -> str:
        """In words; nothing where all fit."""
        if not self.long:
            return ""
        inside = f", {self.inside:,} of them inside their first answer" if self.inside else ""
        return (
            f"{self.long:,} of {self.conversations:,} conversations are longer than {room:,} tokens: "
            f"cut after the last answer that fits{inside}"
        )


def fit(rendered: Sequence[Rendered], room: int) -> tuple[list[Rendered], Cut]:
    """Conversations of at most ``room`` tokens. The rule: what is too long ends after the last whole answer that fits;
    where not even the first does, it is cut where the room ends, and the answer is learned without its end."""
    kept: list[Rendered] = []
    cut = Cut()
    for ids, mask in rendered:
        cut.conversations += 1
        stop = len(ids)
        if stop > room:
            ends = [at + 1 for at in range(room) if mask[at] and not (at + 1 < len(mask) and mask[at + 1])]
            stop = ends[-1] if ends else room
            cut.long += 1
            cut.inside += not ends
        kept.append((ids[:stop], mask[:stop]))
    return kept, cut
