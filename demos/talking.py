"""How the small demos talk: in German or English, with numbers, colours and tables. No mathematics in here.

A demo says every sentence in both languages, side by side: ``talk.say("auf Deutsch", "in English")``.
``<query q>`` in such a text writes "q" in the colour of queries; the colours are those of the whole project.
Left out: every other language, and every terminal that knows no ANSI colours (it gets none).
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

#: concept -> its colour for terminals of 16 million colours, and for those of 16
COLOURS = {
    "token": ("#f0b429", 33),
    "position": ("#a9b4c4", 37),
    "residual": ("#b9c6d8", 97),
    "query": ("#6cb6f2", 94),
    "key": ("#ff9c5a", 91),
    "value": ("#4fc79d", 92),
    "weight": ("#cf9be0", 95),
    "mlp": ("#d9a57c", 33),
    "logit": ("#f58ab8", 35),
    "loss": ("#ff8f8f", 31),
}
ANSI = re.compile(r"\033\[[\d;]*m")
MARKED = re.compile(rf"<({'|'.join(COLOURS)}|bold) (.+?)>(?!>)")


class Talk:
    """Prints, in one language. ``colours``: 0 (none), 16 or 16 million; ``columns``: where lines end (0: nowhere)."""

    def __init__(self, language: str, colours: int = 0, columns: int = 0) -> None:
        self.german = language == "de"
        self.language = language
        self.colours = colours
        self.columns = columns
        self.begun = False

    def say(self, german: str, english: str | None = None) -> None:
        """Print the text of this language; one text alone is for both."""
        text = self.paint(self.choose(german, german if english is None else english))
        print("\n".join(wrap(line, self.columns) for line in text.split("\n")))

    def title(self, german: str, english: str) -> None:
        """A headline, with an empty line before every one but the first."""
        gap, self.begun = "\n" * self.begun, True
        self.say(f"{gap}<bold {german}>", f"{gap}<bold {english}>")

    def next(self, german: str, english: str, demo: str) -> None:
        """The last line: what to look at now."""
        self.say(f"\n{self.choose(german, english)}: <bold python -m demos.{demo} --lang {self.language}>")

    def choose(self, german: str, english: str) -> str:
        return german if self.german else english

    def number(self, value: float, digits: int | None = None) -> str:
        """With ``digits`` after the decimal mark, or as short as it can be written; German writes a comma."""
        if abs(value) == float("inf"):
            return "∞" if value > 0 else "-∞"
        if abs(value) >= 1e7:
            return f"{value:.3e}".replace(".", "," if self.german else ".")
        value = round(float(value), 6 if digits is None else digits) + 0.0  # the + 0.0 turns -0.0 into 0.0
        shown = f"{value:.6f}".rstrip("0").rstrip(".") if digits is None else f"{value:.{digits}f}"
        return shown.replace(".", ",") if self.german else shown

    def vector(self, values: Iterable[float], digits: int | None = None) -> str:
        """[0.5, 1.2], and in German [0,5; 1,2]."""
        return "[" + self.choose("; ", ", ").join(self.number(value, digits) for value in values) + "]"

    def ids(self, numbers: Iterable[int]) -> str:
        """Whole numbers in a list need no semicolon in any language: [99, 97, 116]."""
        return f"[{', '.join(map(str, numbers))}]"

    def factor(self, value: float, digits: int | None = None) -> str:
        """A number inside a sum or product: in brackets where it is negative."""
        return f"({self.number(value, digits)})" if value < 0 else self.number(value, digits)

    def products(self, left: Iterable[float], right: Iterable[float], digits: int | None = None) -> str:
        """How a dot product is written out: 0·2 + 1·(-0.5). ``digits`` are those of the right numbers."""
        pairs = zip(left, right, strict=True)
        return " + ".join(f"{self.factor(a)}·{self.factor(b, digits)}" for a, b in pairs)

    def cell(self, value: Any, digits: int | None = None) -> str:
        """Text and whole numbers as they are, other numbers with ``digits``, several numbers as a vector."""
        if isinstance(value, str | int):
            return str(value)
        return self.vector(value, digits) if hasattr(value, "__iter__") else self.number(value, digits)

    def table(self, columns: Mapping[str, Iterable[Any]], digits: int | None = None) -> None:
        """Columns by their heads ("deutsch|English"), numbers to the right, a first column of text to the left."""
        values = [list(column) for column in columns.values()]
        heads = [self.choose(head.split("|")[0], head.split("|")[-1]) for head in columns]
        cells = [[head, *(self.cell(v, digits) for v in column)] for head, column in zip(heads, values, strict=True)]
        widths = [max(map(width, column)) for column in cells]
        text_first = all(isinstance(value, str) for value in values[0])
        for row in zip(*cells, strict=True):
            gaps = [" " * (room - width(cell)) for room, cell in zip(widths, row, strict=True)]
            first = row[0] + gaps[0] if text_first else gaps[0] + row[0]
            others = [gap + cell for gap, cell in zip(gaps[1:], row[1:], strict=True)]
            print(self.paint("  " + "  ".join([first, *others]).rstrip()))

    def paint(self, text: str) -> str:
        def colour(found: re.Match[str]) -> str:
            concept, words = found.groups()
            if not self.colours:
                return words
            if concept == "bold":
                return f"\033[1m{words}\033[0m"
            hexadecimal, simple = COLOURS[concept]
            red, green, blue = (int(hexadecimal[at : at + 2], 16) for at in (1, 3, 5))
            code = f"38;2;{red};{green};{blue}" if self.colours > 16 else str(simple)
            return f"\033[{code}m{words}\033[0m"

        return MARKED.sub(colour, text)


def width(cell: str) -> int:
    """Places that a text takes on a terminal: without markup and colours; wide characters and emoji take two."""
    text = ANSI.sub("", MARKED.sub(r"\2", cell))
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def wrap(line: str, columns: int) -> str:
    """Cut between words where the line would get too wide; what follows keeps its indent."""
    indent = line[: len(line) - len(line.lstrip())]
    lines = [""]
    for at, word in enumerate(line.split(" ")):
        longer = f"{lines[-1]} {word}" if at else word
        if columns and width(longer) > columns and lines[-1].strip():
            lines.append(indent + word)
        else:
            lines[-1] = longer
    return "\n".join(lines)


def terminal() -> tuple[int, int]:
    """Colours and columns of the terminal; (0, 0) in a pipe."""
    if not sys.stdout.isatty():
        return 0, 0
    columns = min(shutil.get_terminal_size().columns, 110)
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return 0, columns
    return (1 << 24 if os.environ.get("COLORTERM") in ("truecolor", "24bit") else 16), columns


class Parser(argparse.ArgumentParser):
    """Reads the command line; what is wrong with it is one line, and the exit code 1."""

    def __init__(self, page: str | None) -> None:
        super().__init__(description=page, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
        self.add_argument("--lang", choices=("de", "en"), default="de", help="German (the default) or English")

    def error(self, message: str) -> NoReturn:
        sys.exit(f"{message}: see --help")


def tied(arguments: Sequence[str]) -> list[str]:
    """``--h -0.5,1`` becomes ``--h=-0.5,1``: argparse would take the value for one more option."""
    out: list[str] = []
    for argument in arguments:
        if out and re.fullmatch(r"--\w+", out[-1]) and re.match(r"-[.\d]", argument):
            out[-1] += "=" + argument
        else:
            out.append(argument)
    return out


def start(demo: Callable[[Talk, argparse.Namespace], None], parser: Parser) -> None:
    """Read the command line and run the demo. A reader who has seen enough (``| head``) is no error."""
    options = parser.parse_args(tied(sys.argv[1:]))
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # where √ cannot be written, a ? stands
    try:
        demo(Talk(options.lang, *terminal()), options)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
