"""Chat templates that models of strangers bring along: Jinja programs that turn messages into text and ids.

Text of a message that looks like a special token stays text: it is swapped for private characters before the
template sees it, and swapped back when the plain parts are encoded. Left out: the sandbox they run in
(``jinja.py``, imported when the first one runs), and templates from API clients, which are never run at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glaswerk.errors import GlaswerkError
from glaswerk.formats import strict_json
from glaswerk.tokenizer.interface import Tokenizer, valid_unicode

if TYPE_CHECKING:
    from jinja2 import Template

    from glaswerk.tokenizer.jinja import Sandbox

#: longest template, and most of ``{{`` and ``{%`` in it (the largest known ones have 20 kB and some hundreds)
TEMPLATE_CHARACTERS, MOST_TAGS = 60_000, 2_000
LARGEST_FILE = 50_000_000
_MARK = re.compile("\ue000([0-9]+)\ue001")


class ChatTemplate:
    """One Jinja chat template; ``bos`` and ``eos`` are the texts it may write as ``bos_token`` and
    ``eos_token``.
    """

    def __init__(self, source: str, bos: str = "", eos: str = "") -> None:
        if len(source) > TEMPLATE_CHARACTERS:
            raise GlaswerkError(f"the chat template has {len(source):,} characters; that is none to be run")
        tags = source.count("{{") + source.count("{%")
        if tags > MOST_TAGS:
            raise GlaswerkError(f"the chat template has {tags:,} tags; that is none to be run")
        self.source, self.bos, self.eos = source, bos, eos

    @cached_property
    def program(self) -> tuple[Sandbox, Template]:
        """The compiled template and the sandbox it runs in. Raises :class:`GlaswerkError` where it is not valid."""
        from jinja2 import TemplateError

        from glaswerk.tokenizer.jinja import Sandbox

        sandbox = Sandbox()
        try:
            return sandbox, sandbox.from_string(self.source)
        except (TemplateError, RecursionError, SyntaxError, MemoryError) as error:
            raise GlaswerkError(f"the model's chat template is not valid: {_one_line(error)}") from error

    def render(self, messages: Sequence[Mapping[str, Any]], *, generation_prompt: bool = False, **names: Any) -> str:
        """The conversation as text. Raises :class:`GlaswerkError` where the template is not valid, fails or exceeds
        its bounds.
        """
        from glaswerk.tokenizer.jinja import Bound

        sandbox, template = self.program
        sandbox.begin()
        given = {
            "messages": json.loads(json.dumps(list(messages))),  # plain copies: the template can change nothing of ours
            "add_generation_prompt": generation_prompt,
            "bos_token": self.bos,
            "eos_token": self.eos,
            **names,
        }
        out: list[str] = []
        length = 0
        try:
            for part in template.generate(given):
                length += len(part)
                sandbox.check(length)
                out.append(part)
        except Bound as error:
            raise GlaswerkError(f"the model's chat template was stopped: {error}") from error
        except Exception as error:  # a stranger's program may fail in any way
            raise GlaswerkError(f"the model's chat template failed: {_one_line(error)}") from error
        return "".join(out)

    def encode(
        self, tokenizer: Tokenizer, messages: Sequence[Mapping[str, Any]], *, generation_prompt: bool = False
    ) -> list[int]:
        """Ids of the conversation: special tokens where the template writes them, plain text in the
        messages.
        """
        hidden: list[str] = []
        safe = [_hide(message, tokenizer, hidden) for message in messages]
        text = self.render(safe, generation_prompt=generation_prompt)
        ids: list[int] = []
        for part in tokenizer.split_special(valid_unicode(text)):
            if part in tokenizer.special:
                ids.append(tokenizer.special[part])
            else:
                ids += tokenizer.encode(_MARK.sub(lambda mark: _shown(mark, hidden), part))
        return ids


def load_template(folder: Path) -> ChatTemplate | None:
    """The chat template of a Hugging Face folder (``chat_template.jinja`` or ``tokenizer_config.json``), if
    any.
    """
    file, beside = folder / "tokenizer_config.json", folder / "chat_template.jinja"
    said = strict_json.read(file, LARGEST_FILE) if file.is_file() else {}
    source: Any = None
    try:
        if beside.is_file():
            with open(beside, encoding="utf-8") as text:
                source = text.read(TEMPLATE_CHARACTERS + 1)
    except (OSError, ValueError) as error:
        raise GlaswerkError(f"the chat template {beside} cannot be read: {_one_line(error)}") from error
    if not isinstance(said, dict):
        raise GlaswerkError(f"{file} is no JSON object: the file is damaged")
    if source is None:
        source = said.get("chat_template")
    if isinstance(source, list):  # several named templates: the default one
        named = [one for one in source if isinstance(one, dict) and one.get("name") == "default"]
        source = named[0].get("template") if named else None
    if not isinstance(source, str):
        return None
    return ChatTemplate(source, _token_text(said.get("bos_token")), _token_text(said.get("eos_token")))


def _token_text(token: Any) -> str:
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else ""


def _hide(value: Any, tokenizer: Tokenizer, hidden: list[str]) -> Any:
    """``value`` with every special token's text (and every mark of ours) in its strings put behind a mark.

    A string's end that a special token begins with goes too: the template may write the rest of it next.
    """
    if isinstance(value, Mapping):
        return {_hide(key, tokenizer, hidden): _hide(inner, tokenizer, hidden) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_hide(inner, tokenizer, hidden) for inner in value]
    if not isinstance(value, str):
        return value

    def mark(found: re.Match[str]) -> str:
        hidden.append(found.group())
        return f"\ue000{len(hidden) - 1}\ue001"

    names = sorted(tokenizer.special, key=len, reverse=True)
    safe = re.sub("|".join([_MARK.pattern, *map(re.escape, names)]), mark, value)
    longest = min(len(safe), len(names[0]) - 1 if names else 0)
    for length in range(longest, 0, -1):
        end = safe[-length:]
        if any(name.startswith(end) for name in names):
            hidden.append(end)
            return safe[:-length] + f"\ue000{len(hidden) - 1}\ue001"
    return safe


def _shown(mark: re.Match[str], hidden: list[str]) -> str:
    number = int(mark[1][:9])
    return hidden[number] if number < len(hidden) else mark.group()


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
