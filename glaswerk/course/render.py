"""A chapter's Markdown to HTML. CommonMark and tables, and on top only this:

    {query:Query}         a word in a concept's colour (the names in CONCEPTS)
    [[token]] [[token|Tokens]]   a term of the glossary, by its key, with other words where the sentence needs them
    {=share:2}            a number that the chapter's demo function ``numbers`` computed, with 2 digits
    $x$  $$x$$            a formula in LaTeX, as MathML; \\query{Q} colours a name in it
    ```widget NAME        a figure; below it, TOML: what it starts from
    ```source glaswerk.model.attention:explicit_attention     the real source, as it is now

Left out: pages around the HTML (``glaswerk/serve/pages.py``).
"""

from __future__ import annotations

import ast
import html
import json
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from glaswerk.course import demo
from glaswerk.course.glossary import CONCEPTS, glossary
from glaswerk.course.outline import CHAPTERS_FOLDER
from glaswerk.errors import GlaswerkError

PACKAGE = Path(__file__).resolve().parent.parent


class Renderer:
    """Markdown of one language to HTML. ``up`` is the relative way from the page to the language's root, where the
    glossary lies; ``widgets`` collects the names of the figures that were placed."""

    def __init__(self, language: str, up: str = "../../") -> None:
        from markdown_it import MarkdownIt
        from mdit_py_plugins.anchors import anchors_plugin
        from mdit_py_plugins.dollarmath import dollarmath_plugin

        self.language, self.up = language, up
        self.widgets: list[str] = []
        self.chapter = ""
        self.parser = MarkdownIt("commonmark", {"typographer": False, "html": False}).enable("table")
        self.parser.use(anchors_plugin, min_level=2, max_level=3)
        self.parser.use(
            dollarmath_plugin,
            renderer=lambda text, options: formula(text, options.get("display_mode", False)),
            allow_digits=False,
            double_inline=False,
        )
        self.parser.inline.ruler.before("link", "concept", concept_rule)
        self.parser.inline.ruler.before("link", "term", self.term_rule)
        # what may be wider than a phone scrolls, and so takes the focus
        self.parser.add_render_rule("table_open", lambda *_: '<table tabindex="0">\n')
        self.parser.add_render_rule("fence", lambda _, tokens, index, options, env: self.fence(tokens[index]))

    def page(self, text: str, chapter: str = "") -> str:
        """A whole text. ``chapter`` is where its figures and numbers call their demo functions."""
        self.chapter = chapter
        return str(self.parser.render(self.with_numbers(text)))

    def line(self, text: str) -> str:
        """A text in a list or a button: no paragraph around it."""
        return str(self.parser.renderInline(self.with_numbers(text)))

    def with_numbers_of(self, chapter: str, text: str) -> str:
        """:meth:`with_numbers` for a text of that chapter."""
        self.chapter = chapter
        return self.with_numbers(text)

    def with_numbers(self, text: str) -> str:
        """``{=name:digits}`` replaced by what the chapter's ``numbers()`` computes, in the language's writing."""
        if "{=" not in text:
            return text
        values = json.loads(demo.call(self.chapter, "numbers", {})) if self.chapter else {}

        def number(match: re.Match[str], comma: str, point: str) -> str:
            if match[1] not in values:
                raise GlaswerkError(f"{match[0]}: numbers() in the demo.py of {self.chapter!r} does not return it")
            value, digits = values[match[1]], int(match[2] or 0)
            # thousands are kept apart from five places on, as the figures do
            shown = f"{value:,.{digits}f}" if abs(value) >= 10_000 else f"{value:.{digits}f}"
            if self.language == "de":
                return shown.translate({ord(","): point, ord("."): comma, ord("-"): "\u2212"})
            return shown.translate({ord(","): comma, ord("-"): "\u2212"})

        def formula_or_text(match: re.Match[str]) -> str:
            comma, point = ("{,}", "{.}") if match[0].startswith("$") else (",", ".")
            return re.sub(r"\{=(\w+)(?::(\d))?\}", lambda found: number(found, comma, point), match[0])

        return re.sub(r"\$\$.+?\$\$|\$[^$\n]+\$|[^$]+", formula_or_text, text, flags=re.DOTALL)

    # ------------------------------------------------------------------ fences
    def fence(self, token: Any) -> str:
        """A widget, a piece of source, or code."""
        kind, _, rest = token.info.strip().partition(" ")
        if kind == "widget":
            return self.widget(rest.strip(), token.content)
        if kind == "source":
            return self.source(rest.strip())
        return self.code(token.content, kind or "text")

    def code(self, text: str, language: str = "python") -> str:
        """A piece of code, coloured."""
        return f'<div class="code">{highlighted(text, language)}</div>\n'

    def widget(self, name: str, body: str) -> str:
        """The custom element of a figure, with what it starts from."""
        if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
            raise GlaswerkError(f"```widget {name}: a widget's name has only a-z, 0-9 and -")
        try:
            options = tomllib.loads(body)
        except tomllib.TOMLDecodeError as error:
            raise GlaswerkError(f"```widget {name}: {error}") from None
        self.widgets.append(name)
        number = self.widgets.count(name)
        place = name if number == 1 else f"{name}-{number}"
        chapter = f' chapter="{html.escape(self.chapter)}"' if self.chapter else ""
        given = html.escape(json.dumps(options, ensure_ascii=False))
        return (
            f'<glaswerk-{name} class="wide" id="{place}" data-figure="{name}"{chapter} options="{given}">'
            f"</glaswerk-{name}>\n"
        )

    def source(self, name: str) -> str:
        """A function or class of the library, with its line numbers and where it stands."""
        file, first, text = source_of(name)
        where = f"{file}:{first}"
        return (
            f'<figure class="source wide"><figcaption><code>{html.escape(where)}</code> '
            f'<span class="source-name">{html.escape(name.partition(":")[2])}</span></figcaption>'
            f'<div class="code" data-first="{first}">{highlighted(text, "python", first)}</div></figure>\n'
        )

    # ------------------------------------------------------------------ inline
    def term_rule(self, state: Any, silent: bool) -> bool:
        """``[[key]]`` or ``[[key|words]]``."""
        match = re.match(r"\[\[([a-z0-9-]+)(?:\|([^\]\n]+))?\]\]", state.src[state.pos : state.posMax])
        if not match:
            return False
        if not silent:
            terms = glossary()
            if match[1] not in terms:
                raise GlaswerkError(f"[[{match[1]}]]: the glossary has no such term; add it to glossary.toml")
            term = terms[match[1]]
            open_ = state.push("link_open", "a", 1)
            open_.attrs = {
                "class": f"term c-{term.concept}" if term.concept else "term",
                "href": f"{self.up}glossary/#{term.key}",
                "data-term": term.key,
            }
            text = state.push("text", "", 0)
            text.content = match[2] or term.word[self.language]
            state.push("link_close", "a", -1)
        state.pos += match.end()
        return True


def concept_rule(state: Any, silent: bool) -> bool:
    """``{concept:words}``; the words may hold other inline marks but no brace."""
    match = re.match(r"\{([a-z]+):([^{}\n]+)\}", state.src[state.pos : state.posMax])
    if not match:
        return False
    if match[1] not in CONCEPTS:
        raise GlaswerkError(f"{match[0]}: there is no concept {match[1]!r}; there are {', '.join(CONCEPTS)}")
    if not silent:
        open_ = state.push("concept_open", "span", 1)
        open_.attrs = {"class": f"c-{match[1]}"}
        start, end, most = state.pos, state.pos + match.end(), state.posMax
        state.pos, state.posMax = start + len(match[1]) + 2, end - 1
        state.md.inline.tokenize(state)
        state.pos, state.posMax = start, most
        state.push("concept_close", "span", -1)
    state.pos += match.end()
    return True


# ---------------------------------------------------------------------------------------------- formulas
def formula(text: str, display: bool = False) -> str:
    """LaTeX as MathML, with no script. ``\\query{Q}`` is Q in the query's colour."""
    from latex2mathml.converter import convert

    coloured = re.sub(rf"\\({'|'.join(CONCEPTS)})(?=\{{)", r"\\textcolor{\1}", text.strip())
    try:
        made = convert(coloured, display="block" if display else "inline")
    except Exception as error:
        raise GlaswerkError(f"the formula {text.strip()!r} is not LaTeX that can be shown ({error})") from None
    made = re.sub(r'mathcolor="([a-z]+)"', r'class="c-\1"', made)
    # a row of single letters is one name
    made = re.sub(
        r'<mrow>((?:<mi mathvariant="normal">\w</mi>){2,})</mrow>',
        lambda match: f"<mi>{''.join(re.findall(r'>(.)<', match[1]))}</mi>",
        made,
    )
    # 0{,}44 is one number
    made = re.sub(r"<mn>(\d+)</mn><mrow><mo>&#x0002C;</mo></mrow><mn>(\d+)</mn>", r"<mn>\1,\2</mn>", made)
    # infinity is a number, not an operator with room around it; a sign stands close to its number; ln 2 keeps its
    # parts apart; a list breathes
    made = made.replace("<mo>&#x0221E;</mo>", "<mi>&#x0221E;</mi>").replace("<mi>;</mi>", '<mo separator="true">;</mo>')
    made = re.sub(
        r"(<mo(?: [^>]*)?>(?:&#x00028;|&#x0003D;)</mo>)<mo>&#x02212;</mo>", r'\1<mo form="prefix">&#x02212;</mo>', made
    )
    made = re.sub(r"(<mi>ln</mi>)(?=<m(?:n|i|style)\b)", r'\1<mspace width="0.17em" />', made)
    return f'<div class="formula" tabindex="0">{made}</div>\n' if display else str(made)


# ---------------------------------------------------------------------------------------------- source
def source_of(name: str) -> tuple[str, int, str]:
    """``glaswerk.model.attention:explicit_attention`` -> file, first line, text. Read from the file without importing
    it. A name with dots is a method; without a name, the whole file. ``demos.x`` works too."""
    module, _, path = name.partition(":")
    file = PACKAGE.parent / (module.replace(".", "/") + ".py")
    if not module.startswith(("glaswerk.", "demos.")) or not file.is_file():
        chapter = CHAPTERS_FOLDER / module / "demo.py"
        if not re.fullmatch(r"\d\d-[a-z-]+", module) or not chapter.is_file():
            raise GlaswerkError(f"```source {name}: there is no module {module}")
        file = chapter
    text = file.read_text(encoding="utf-8")
    shown = file.relative_to(PACKAGE.parent).as_posix()
    if not path:
        return shown, 1, text
    nodes: Sequence[ast.stmt] = ast.parse(text).body
    for part in path.split("."):
        found = [node for node in nodes if getattr(node, "name", None) == part]
        if not found:
            raise GlaswerkError(f"```source {name}: {shown} defines no {path}")
        nodes = getattr(found[0], "body", [])
    node: Any = found[0]
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    lines = text.splitlines()[first - 1 : node.end_lineno]
    indent = len(lines[0]) - len(lines[0].lstrip())
    return shown, first, "\n".join(line[indent:] for line in lines) + "\n"


def highlighted(text: str, language: str, first: int | None = None) -> str:
    """Code as HTML with classes; with line numbers from ``first`` on."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        lexer = get_lexer_by_name(language)
    except ClassNotFound:
        lexer = get_lexer_by_name("text")
    made = str(highlight(text, lexer, HtmlFormatter(nowrap=True))).rstrip("\n")
    if first is None:
        return f'<pre tabindex="0"><code>{made}</code></pre>'
    lines = [
        f'<span class="line" data-line="{first + place}">{line}</span>' for place, line in enumerate(made.split("\n"))
    ]
    joined = "".join(line for line in lines)  # each is a block of its own
    return f'<pre tabindex="0"><code>{joined}</code></pre>'
