"""Chat templates that models of strangers bring along: Jinja programs, run in a sandbox with bounds.

Jinja's immutable sandbox keeps a template away from Python; it does not keep it from filling the memory or
running for hours. So filters are an allow-list, every loop draws on one budget of steps, every string that
is built is measured, and there is a deadline. Text of a message that looks like a special token stays text:
it is swapped for private characters before the template sees it, and swapped back when the plain parts are
encoded. Left out: templates from API clients, which are never run at all.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from glaswerk.errors import GlaswerkError
from glaswerk.formats import strict_json
from glaswerk.tokenizer.interface import Tokenizer, valid_unicode

#: longest template (the largest known ones have 20 kB) and bounds of one rendering
TEMPLATE_CHARACTERS = 100_000
LARGEST_FILE = 50_000_000
OUTPUT_CHARACTERS = 2_000_000
LOOP_STEPS = 200_000
SECONDS = 5.0

_FILTERS = (
    "abs bounded capitalize count d default dictsort e escape first float forceescape indent int items "
    "join joined last length list lower map max min reject rejectattr replace reverse round safe select "
    "selectattr sort string sum title tojson trim unique upper "
)
FILTERS = frozenset(_FILTERS.split())
_TEXT_METHODS = (
    "capitalize count endswith find index isalnum isalpha isdigit islower isnumeric isspace istitle "
    "isupper join lower lstrip partition removeprefix removesuffix replace rfind rindex rpartition rsplit "
    "rstrip split splitlines startswith strip swapcase title upper "
)
TEXT_METHODS = frozenset(_TEXT_METHODS.split())
_MARK = re.compile("\ue000([0-9]+)\ue001")


class ChatTemplate:
    """One Jinja chat template; ``bos`` and ``eos`` are the texts it may write as ``bos_token`` and
    ``eos_token``.
    """

    def __init__(self, source: str, bos: str = "", eos: str = "") -> None:
        if len(source) > TEMPLATE_CHARACTERS:
            raise GlaswerkError(f"the chat template has {len(source):,} characters; that is none to be run")
        self.source, self.bos, self.eos = source, bos, eos
        self._sandbox = _Sandbox()
        try:
            self._template = self._sandbox.from_string(source)
        except (TemplateError, RecursionError, SyntaxError, MemoryError) as error:
            raise GlaswerkError(f"the model's chat template is not valid: {_one_line(error)}") from error

    def render(self, messages: Sequence[Mapping[str, Any]], *, generation_prompt: bool = False, **names: Any) -> str:
        """The conversation as text. Raises :class:`GlaswerkError` where the template fails or exceeds its
        bounds.
        """
        self._sandbox.begin()
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
            for part in self._template.generate(given):
                length += len(part)
                self._sandbox.check(length)
                out.append(part)
        except _Bound as error:
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


class _Bound(Exception):
    """A bound of the rendering was reached; not an error that a template could catch."""


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's immutable sandbox, with every way to build something large going through :meth:`check`."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
        plain = {name: made for name, made in self.filters.items() if name in FILTERS}
        plain |= {"tojson": _to_json, "bounded": self._bounded, "joined": self._joined, "items": _items}
        self.filters = {name: self._watched(name, made) for name, made in plain.items()}
        self.finalize = self._measure
        self.globals = {
            "range": self._range,
            "namespace": self.globals["namespace"],
            "dict": dict,
            "raise_exception": _raise,
            "strftime_now": lambda form: time.strftime(str(form)[:100]),
        }
        self.begin()

    def begin(self) -> None:
        """A rendering begins: full budget."""
        self.steps = LOOP_STEPS
        self.deadline = time.monotonic() + SECONDS

    def check(self, size: int) -> None:
        """Stop if something of ``size`` is too large, or the time is over."""
        if size > OUTPUT_CHARACTERS:
            raise _Bound(f"it builds more than {OUTPUT_CHARACTERS:,} characters")
        if time.monotonic() > self.deadline:
            raise _Bound(f"it takes longer than {SECONDS:.0f} seconds")

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        """Parse, and put a budget on every loop and a measure on every string that the sandbox does not see
        built.
        """
        tree = super()._parse(source, name, filename)
        for node in tree.find_all((nodes.Import, nodes.FromImport, nodes.Include, nodes.Extends)):
            raise TemplateError(f"line {node.lineno}: a chat template may not load other templates")
        for loop in tree.find_all(nodes.For):
            loop.iter = nodes.Filter(loop.iter, "bounded", [], [], None, None, lineno=loop.lineno)
        for block in tree.find_all(nodes.AssignBlock):
            block.filter = nodes.Filter(block.filter, "string", [], [], None, None, lineno=block.lineno)
        _replace_concatenations(tree)
        return tree

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "**":
            raise _Bound("powers are not allowed in it")
        if operator == "%" and isinstance(left, str):
            raise _Bound("formatting with % is not allowed in it")
        if operator == "*":
            for text, times in ((left, right), (right, left)):
                if isinstance(text, str | list | tuple) and isinstance(times, int):
                    self.check(len(text) * max(times, 0))
        made = super().call_binop(context, operator, left, right)
        return self._measure(made)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        owner, name = getattr(__obj, "__self__", None), getattr(__obj, "__name__", "")
        __self._measure([args, kwargs])
        if name in ("format", "format_map"):  # of a text: the sandbox wraps it, so it has no owner any more
            raise _Bound(f"the method {name} of a text is not allowed in it")
        if isinstance(owner, str):
            if name not in TEXT_METHODS:
                raise _Bound(f"the method {name} of a text is not allowed in it")
            if name == "replace" and len(args) > 1:
                __self.check(len(owner) + owner.count(args[0]) * len(args[1]))
            if name == "join" and args:
                __self.check(len(owner) * len(args[0]))
        made = super().call(__context, __obj, *args, **kwargs)
        __self._measure(made)
        return made

    def _measure(self, made: Any) -> Any:
        """Count the characters and items inside ``made``, also those it holds many times over."""
        room, stack = OUTPUT_CHARACTERS, [made]
        while stack:
            one = stack.pop()
            if isinstance(one, str):
                room -= len(one)
            elif isinstance(one, list | tuple | dict):
                room -= len(one)
                if room >= 0:
                    stack += [*one.keys(), *one.values()] if isinstance(one, dict) else one
            elif isinstance(one, int) and not -(1 << 63) <= one < 1 << 63:
                raise _Bound("a number in it grows too large")
            self.check(OUTPUT_CHARACTERS - room)
        return made

    def _watched(self, name: str, made: Callable[..., Any]) -> Callable[..., Any]:
        """A filter whose input and result are measured; Jinja's marks (pass_environment ...) are kept."""

        def watched(*args: Any, **kwargs: Any) -> Any:
            given = [value for value in (*args, *kwargs.values()) if isinstance(value, str | list | tuple | dict | int)]
            self._measure(given)
            if name == "replace" and len(given) > 2:
                text, old, new = map(str, given[:3])
                self.check(len(text) + text.count(old) * len(new))
            if name == "join" and len(given) > 1 and not isinstance(given[0], int):
                self.check(len(given[0]) * len(str(given[1])))
            if name == "indent" and len(given) > 1:
                each = given[1] if isinstance(given[1], int) else len(str(given[1]))
                self.check((str(given[0]).count("\n") + 1) * each)
            result = made(*args, **kwargs)
            if isinstance(result, Iterator):  # select, map ...: lazy, so that only the list of it has a size
                result = list(islice(result, LOOP_STEPS + 1))
                if len(result) > LOOP_STEPS:
                    raise _Bound(f"it loops more than {LOOP_STEPS:,} times")
            return self._measure(result)

        watched.__dict__.update(getattr(made, "__dict__", {}))
        return watched

    def _bounded(self, values: Iterable[Any]) -> list[Any]:
        items = list(values)
        self.steps -= len(items)
        if self.steps < 0:
            raise _Bound(f"it loops more than {LOOP_STEPS:,} times")
        self.check(0)
        return items

    def _range(self, *bounds: int) -> range:
        made = range(*bounds)
        if len(made) > LOOP_STEPS:
            raise _Bound(f"it loops more than {LOOP_STEPS:,} times")
        return made

    def _joined(self, parts: Sequence[Any]) -> str:
        texts = [str(part) for part in parts]
        self.check(sum(map(len, texts)))
        return "".join(texts)


def _replace_concatenations(node: nodes.Node) -> None:
    """``a ~ b`` -> ``[a, b] | joined``, which is measured."""
    for field, value in node.iter_fields():
        if isinstance(value, list):
            for place, inner in enumerate(value):
                if isinstance(inner, nodes.Node):
                    value[place] = _concatenation(inner)
        elif isinstance(value, nodes.Node):
            setattr(node, field, _concatenation(value))


def _concatenation(node: nodes.Node) -> nodes.Node:
    _replace_concatenations(node)
    if not isinstance(node, nodes.Concat):
        return node
    parts = nodes.List(node.nodes, lineno=node.lineno)
    return nodes.Filter(parts, "joined", [], [], None, None, lineno=node.lineno)


def _to_json(value: Any, indent: int | None = None, **_: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=min(indent, 16) if isinstance(indent, int) else None)


def _items(value: Any) -> list[Any]:
    return list(value.items()) if isinstance(value, Mapping) else []


def _raise(message: str) -> None:
    raise GlaswerkError(str(message))
