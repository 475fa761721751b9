"""The sandbox in which a stranger's chat template runs, with bounds.

Jinja's immutable sandbox keeps a template away from Python; it does not keep it from filling the memory or
running for hours. So filters are an allow-list, every loop draws on one budget of steps, every text and list
that is built is measured and draws on a budget for all of them together, and there is a deadline that every
step of a loop looks at. Left out: what is rendered (``template.py``).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, cast

from jinja2 import TemplateError, nodes, pass_context
from jinja2.ext import Extension, LoopControlExtension
from jinja2.parser import Parser
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from glaswerk.errors import GlaswerkError

#: bounds of one rendering: the longest text; all texts and lists that are ever built, together; steps of loops; time
OUTPUT_CHARACTERS = 1_000_000
BUILT_CHARACTERS = 32_000_000
LOOP_STEPS = 200_000
SECONDS = 5.0
#: an item of a list is counted as so many characters: what its place takes in memory
ITEM = 8

_FILTERS = (
    "abs capitalize count d default dictsort e escape first float forceescape indent int items join last length "
    "list lower map max min reject rejectattr replace reverse safe select selectattr sort string title tojson trim "
    "unique upper "
)
FILTERS = frozenset(_FILTERS.split())
_TEXT_METHODS = (
    "capitalize count endswith find index isalnum isalpha isdigit islower isnumeric isspace istitle "
    "isupper join lower lstrip partition removeprefix removesuffix replace rfind rindex rpartition rsplit "
    "rstrip split splitlines startswith strip swapcase title upper "
)
TEXT_METHODS = frozenset(_TEXT_METHODS.split())


class Bound(Exception):
    """A bound of the rendering was reached; not an error that a template could catch."""


class Generation(Extension):
    """``{% generation %}...{% endgeneration %}``: a mark of transformers around what the assistant says, which its
    training reads. What is inside is rendered, in a scope of its own as there; the mark itself means nothing here."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> nodes.Node:
        lineno = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=lineno)


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's immutable sandbox, with every way to build something large going through :meth:`check`."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[LoopControlExtension, Generation])
        plain = {name: made for name, made in self.filters.items() if name in FILTERS}
        plain |= {"tojson": self._to_json, "items": _items}
        self.filters = {name: self._watched(name, made) for name, made in plain.items()}
        # what _parse puts in; each takes the context, so that nothing of it is computed while compiling
        self.filters |= {
            "bounded": pass_context(lambda _, values, data: self._bounded(values, data)),
            "joined": pass_context(lambda _, parts: self._joined(parts)),
            "built": pass_context(lambda _, made: self._build(made)),
            "timely": pass_context(lambda _, value: self._timely(value)),
        }
        self.finalize = pass_context(lambda _, value: self._write(value))
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
        self.steps, self.room = LOOP_STEPS, BUILT_CHARACTERS
        self.deadline = time.monotonic() + SECONDS

    def check(self, size: int) -> None:
        """Stop if something of ``size`` is too large, or the time is over."""
        if size > OUTPUT_CHARACTERS:
            raise Bound(f"it builds more than {OUTPUT_CHARACTERS:,} characters")
        if time.monotonic() > self.deadline:
            raise Bound(f"it takes longer than {SECONDS:.0f} seconds")

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        """Parse, and put a budget on every loop and a measure on every string that the sandbox does not see
        built.
        """
        tree = super()._parse(source, name, filename)
        for node in tree.find_all((nodes.Import, nodes.FromImport, nodes.Include, nodes.Extends)):
            raise TemplateError(f"line {node.lineno}: a chat template may not load other templates")
        self.data = _data(tree)
        for loop in tree.find_all(nodes.For):
            loop.iter = _filter("bounded", cast(nodes.Expr, loop.iter), loop, nodes.Const(_data(loop)))
        for block in tree.find_all(nodes.AssignBlock):
            block.filter = _filter("string", cast(nodes.Expr | None, block.filter), block)
        for compared in tree.find_all(nodes.Compare):
            compared.expr = _filter("timely", compared.expr, compared)
        _replace(tree)
        return tree

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "**":
            raise Bound("powers are not allowed in it")
        if operator == "%" and isinstance(left, str):
            raise Bound("formatting with % is not allowed in it")
        if operator == "*":
            for text, times in ((left, right), (right, left)):
                if isinstance(text, str | list | tuple) and isinstance(times, int):
                    self.check(len(text) * max(times, 0))
        return self._build(super().call_binop(context, operator, left, right))

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        owner, name = getattr(__obj, "__self__", None), getattr(__obj, "__name__", "")
        __self._measure([args, kwargs])
        if name in ("format", "format_map"):  # of a text: the sandbox wraps it, so it has no owner any more
            raise Bound(f"the method {name} of a text is not allowed in it")
        if isinstance(owner, str):
            if name not in TEXT_METHODS:
                raise Bound(f"the method {name} of a text is not allowed in it")
            if name == "replace" and len(args) > 1:
                __self.check(len(owner) + owner.count(args[0]) * len(args[1]))
            if name == "join" and args:
                __self.check((len(owner) + ITEM) * len(args[0]))
        if isinstance(__obj, LoopContext) and args:  # a loop that calls itself
            args = (__self._bounded(args[0], __self.data), *args[1:])
        return __self._build(super().call(__context, __obj, *args, **kwargs))

    def _measure(self, made: Any) -> Any:
        """Count the characters and items inside ``made``, also those it holds many times over."""
        room, stack = OUTPUT_CHARACTERS, [made]
        while stack:
            one = stack.pop()
            if isinstance(one, str):
                room -= len(one)
            elif isinstance(one, list | tuple | dict):
                room -= ITEM * len(one)
                if room >= 0:
                    stack += [*one.keys(), *one.values()] if isinstance(one, dict) else one
            elif isinstance(one, int) and not -(1 << 63) <= one < 1 << 63:
                raise Bound("a number in it grows too large")
            self.check(OUTPUT_CHARACTERS - room)
        return made

    def _build(self, made: Any) -> Any:
        """Measure what is new, and let it draw on the budget of all that is built."""
        self._measure(made)
        if isinstance(made, str):
            self.room -= len(made)
        elif isinstance(made, list | tuple | dict):
            self.room -= ITEM * len(made) + sum(len(one) for one in made if isinstance(one, str))
        if self.room < 0:
            raise Bound(f"it builds more than {BUILT_CHARACTERS:,} characters in all")
        return made

    def _write(self, value: Any) -> str:
        """What ``{{ value }}`` writes."""
        self._measure(value)
        return str(self._build(value if isinstance(value, str) else str(value)))

    def _timely(self, value: Any) -> Any:
        """The value as it is, if there is time left: the sandbox sees no comparison, and one may look through a lot."""
        self.check(0)
        return value

    def _watched(self, name: str, made: Callable[..., Any]) -> Callable[..., Any]:
        """A filter whose input and result are measured; Jinja's marks (pass_environment ...) are kept."""

        def watched(*args: Any, **kwargs: Any) -> Any:
            given = [value for value in (*args, *kwargs.values()) if isinstance(value, str | list | tuple | dict | int)]
            self._measure(given)
            if name == "replace" and len(given) > 2:
                text, old, new = map(str, given[:3])
                self.check(len(text) + text.count(old) * len(new))
            if name in ("join", "list", "sort") and given and not isinstance(given[0], int):
                self.check((ITEM + len(str(given[1]) if name == "join" and len(given) > 1 else "")) * len(given[0]))
            if name == "indent" and len(given) > 1:
                each = given[1] if isinstance(given[1], int) else len(str(given[1]))
                self.check((str(given[0]).count("\n") + 1) * each)
            result = made(*args, **kwargs)
            if isinstance(result, Iterator):  # select, map ...: lazy, so that only the list of it has a size
                result = self._taken(result)
            return self._build(result)

        watched.__dict__.update(getattr(made, "__dict__", {}))
        return watched

    def _taken(self, values: Iterator[Any]) -> list[Any]:
        """What a lazy filter gives, as a list; it ends early if that grows too large."""
        taken, size = [], 0
        for one in values:
            size += ITEM + (len(one) if isinstance(one, str) else 0)
            self.check(size)
            taken.append(one)
        return taken

    def _bounded(self, values: Iterable[Any], data: int) -> list[Any]:
        """What a loop goes over. Each step writes up to ``data`` characters that stand in the template itself."""
        items = list(islice(values, self.steps + 1))
        self.steps -= len(items)
        if self.steps < 0:
            raise Bound(f"it loops more than {LOOP_STEPS:,} times")
        self.room -= data * len(items)
        self._build("")
        return _Steps(items, self)

    def _range(self, *bounds: int) -> range:
        made = range(*bounds)
        if len(made) > LOOP_STEPS:
            raise Bound(f"it loops more than {LOOP_STEPS:,} times")
        return made

    def _joined(self, parts: Sequence[Any]) -> str:
        self._measure(parts)
        texts = [str(part) for part in parts]
        self.check(sum(map(len, texts)))
        return str(self._build("".join(texts)))

    def _to_json(self, value: Any, indent: int | None = None, **_: Any) -> str:
        """Piece by piece: many short lines, far indented, are large at once."""
        spaces = min(indent, 16) if isinstance(indent, int) else None
        parts, size = [], 0
        for part in json.JSONEncoder(ensure_ascii=False, indent=spaces).iterencode(value):
            size += len(part)
            self.check(size)
            parts.append(part)
        return "".join(parts)


class _Steps(list[Any]):
    """A loop's items; going on to the next one looks at the clock."""

    def __init__(self, items: list[Any], sandbox: Sandbox) -> None:
        super().__init__(items)
        self.sandbox = sandbox

    def __iter__(self) -> Iterator[Any]:
        for one in super().__iter__():
            self.sandbox.check(0)
            yield one


def _filter(name: str, inner: nodes.Expr | None, owner: nodes.Node, *arguments: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(inner, name, list(arguments), [], None, None, lineno=owner.lineno)


def _data(tree: nodes.Node) -> int:
    """How many characters of plain text stand in it."""
    return sum(len(text.data) for text in tree.find_all(nodes.TemplateData))


def _replace(node: nodes.Node) -> None:
    """``a ~ b`` -> ``[a, b] | joined`` and ``a[1:]`` -> ``a[1:] | built``, which are measured."""
    for field, value in node.iter_fields():
        if isinstance(value, list):
            for place, inner in enumerate(value):
                if isinstance(inner, nodes.Node):
                    value[place] = _measured(inner)
        elif isinstance(value, nodes.Node):
            setattr(node, field, _measured(value))


def _measured(node: nodes.Node) -> nodes.Node:
    _replace(node)
    if isinstance(node, nodes.Concat):
        return _filter("joined", nodes.List(node.nodes, lineno=node.lineno), node)
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice):
        return _filter("built", node, node)
    return node


def _items(value: Any) -> list[Any]:
    return list(value.items()) if isinstance(value, Mapping) else []


def _raise(message: str) -> None:
    raise GlaswerkError(str(message))
