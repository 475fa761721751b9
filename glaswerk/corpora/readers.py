"""One reader per kind of file: it yields the documents of one open file, holding only a block at a time.

``READERS`` maps a suffix to its reader; a new kind is one decorated function. ``.gz`` is taken off before.
Left out: PDF and Parquet, which need other libraries.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, BinaryIO

from glaswerk.corpora.cut import WHOLE, cut, first_heading, is_long
from glaswerk.corpora.decode import decode_stream
from glaswerk.corpora.document import Document
from glaswerk.corpora.html_text import HtmlText
from glaswerk.corpora.report import Report

#: a text is cut in stretches of at most this many characters, so that a file of any size fits in memory
STRETCH = 4_000_000
#: one line of JSONL, or one whole .json file, may be this long, in characters
LONGEST_RECORD = 64_000_000
#: the names under which records keep their text, title and topic, best first
TEXT_KEYS = (
    "text",
    "content",
    "body",
    "extract",
    "document",
    "article",
    "story",
    "passage",
    "completion",
    "output",
)
TITLE_KEYS = ("title", "headline", "heading", "name", "word")
TOPIC_KEYS = ("topic", "category", "section", "subject")

Reader = Callable[["Opened"], Iterator[Document]]
READERS: dict[str, Reader] = {}


class Unreadable(Exception):
    """A file is so far from its kind that it is skipped; the message is the reason that the report names."""


@dataclass
class Opened:
    """One file being read: its bytes, its name in documents, its name in messages, and the report to fill."""

    stream: BinaryIO
    label: str
    shown: str
    report: Report

    def broken(self, line: int, why: str) -> None:
        """Report one unreadable record, by its line."""
        self.report.broken_line(self.label, line, why, self.shown)

    def texts(self, hint: str = "") -> Iterator[str]:
        """The decoded file, block by block; what is unusual about its encoding goes to the report."""
        verdict, bad = "utf-8", 0
        for text, verdict, bad in decode_stream(self.stream, hint):  # noqa: B007 the last one is the verdict
            yield text
        if verdict != "utf-8":
            self.report.decoding(self.label, verdict, bad)

    def lines(self) -> Iterator[tuple[int, str]]:
        """Numbered lines without their ends; one longer than LONGEST_RECORD is reported and skipped."""
        number, held, lost = 1, "", False
        for text in self.texts():
            first, *rest = text.split("\n")
            held = held if lost else held + first
            if len(held) > LONGEST_RECORD:
                held, lost = "", True
            if not rest:
                continue
            yield from self._line(number, held, lost)
            number, lost = number + 1, False
            for line in rest[:-1]:
                yield number, line
                number += 1
            held = rest[-1]
        if held or lost:
            yield from self._line(number, held, lost)

    def _line(self, number: int, line: str, lost: bool) -> Iterator[tuple[int, str]]:
        if lost:
            self.broken(number, f"a line of more than {LONGEST_RECORD:,} characters")
        else:
            yield number, line


def reader(*suffixes: str) -> Callable[[Reader], Reader]:
    """Register a reader for files with these suffixes."""

    def register(function: Reader) -> Reader:
        READERS.update(dict.fromkeys(suffixes, function))
        return function

    return register


@reader("", ".txt", ".text", ".log", ".srt", ".vtt")
def plain(opened: Opened) -> Iterator[Document]:
    """Prose: chapters where there are headings, else paragraphs put together."""
    return _long_text(opened.texts(), opened, "plain", _spoken(opened.label))


@reader(".md", ".markdown", ".rst", ".org", ".tex", ".adoc")
def markdown(opened: Opened) -> Iterator[Document]:
    """Markdown (and its relatives, as plain lines): a heading is the title of what follows."""
    return _long_text(opened.texts(), opened, "markdown", _spoken(opened.label))


@reader(
    *[
        ".py",
        ".pyi",
        ".js",
        ".mjs",
        ".cjs",
        ".ts",
        ".tsx",
        ".jsx",
        ".c",
        ".h",
        ".cc",
        ".cpp",
        ".cxx",
        ".hh",
        ".hpp",
        ".cu",
        ".m",
        ".cs",
        ".java",
        ".kt",
        ".kts",
        ".scala",
        ".go",
        ".rs",
        ".rb",
    ],
    *[
        ".php",
        ".swift",
        ".sh",
        ".bash",
        ".zsh",
        ".ps1",
        ".bat",
        ".sql",
        ".r",
        ".jl",
        ".lua",
        ".pl",
        ".pm",
        ".hs",
        ".ml",
        ".mli",
        ".ex",
        ".exs",
        ".erl",
        ".clj",
        ".lisp",
        ".el",
        ".vim",
    ],
    *[
        ".css",
        ".scss",
        ".less",
        ".toml",
        ".ini",
        ".cfg",
        ".conf",
        ".yaml",
        ".yml",
        ".xml",
        ".proto",
        ".cmake",
        ".mk",
        ".dart",
        ".zig",
        ".nim",
        ".f90",
        ".asm",
        ".s",
        ".v",
        ".vhd",
    ],
)
def source_code(opened: Opened) -> Iterator[Document]:
    """Program text: its name is the title; a long file is cut at blank lines before unindented ones."""
    return _long_text(opened.texts(), opened, "none", PurePath(opened.label).name)


@reader(".html", ".htm", ".xhtml")
def html(opened: Opened) -> Iterator[Document]:
    """A page's text; the title is the page's own."""
    start = opened.stream.peek(2048)[:2048] if hasattr(opened.stream, "peek") else b""
    claimed = re.search(rb"charset\s*=\s*[\"']?([\w.:-]+)", start, re.IGNORECASE)
    parser = HtmlText()

    def texts() -> Iterator[str]:
        try:
            for block in opened.texts(claimed[1].decode("ascii", "replace") if claimed else ""):
                parser.feed(block)
                yield parser.take()
            parser.close()
        except AssertionError as error:  # how Python's parser refuses `<![foo[` and the like
            raise Unreadable(f"not HTML that can be read ({_short(error)})") from error
        yield parser.take()

    return _long_text(texts(), opened, "markdown", lambda: parser.title or _spoken(opened.label))


@reader(".jsonl", ".ndjson")
def jsonl(opened: Opened) -> Iterator[Document]:
    """One JSON value a line: a string, or an object with a text under one of TEXT_KEYS, or chat messages."""
    for number, line in opened.lines():
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            opened.broken(number, f"not valid JSON ({_short(error)})")
            continue
        document = _record(value, opened)
        if document is None:
            opened.broken(number, f"no text under any of {', '.join(TEXT_KEYS[:4])}, …")
        else:
            yield from _long_record(document)


@reader(".json")
def json_file(opened: Opened) -> Iterator[Document]:
    """A list of records, an object of records (its keys are titles where they have none), or one record."""
    parts: list[str] = []
    size = 0
    for block in opened.texts():
        parts.append(block)
        size += len(block)
        if size > LONGEST_RECORD:
            opened.report.skip(opened.label, "a .json file is read whole and this one is too large: make it .jsonl")
            return
    try:
        value = json.loads("".join(parts))
    except json.JSONDecodeError as error:
        opened.broken(error.lineno, f"not valid JSON ({_short(error)})")
        return
    except (ValueError, RecursionError) as error:
        opened.broken(1, f"not valid JSON ({_short(error)})")
        return
    found = False
    for document in _records(value, opened):
        found = True
        yield from _long_record(document)
    if not found:
        opened.report.skip(opened.label, f"no text under any of {', '.join(TEXT_KEYS[:4])}, …")


@reader(".csv", ".tsv")
def table(opened: Opened) -> Iterator[Document]:
    """A row is a document: the column named like a text, else the row's longest cell."""
    csv.field_size_limit(LONGEST_RECORD)
    numbered = opened.lines()
    head = [next(numbered, (0, ""))[1]]
    counts = {mark: head[0].count(mark) for mark in ("\t", ";", ",")}
    comma = "\t" if opened.label.lower().endswith((".tsv", ".tsv.gz")) else max(counts, key=lambda m: counts[m])

    def lines() -> Iterator[str]:
        yield head[0].replace("\0", "") + "\n"
        for _, line in numbered:
            yield line.replace("\0", "") + "\n"

    rows = csv.reader(lines(), delimiter=comma)
    columns: list[str] | None = None
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            opened.broken(rows.line_num, f"not valid CSV ({_short(error)})")
            continue
        if columns is None:
            columns = [cell.strip().casefold() for cell in row]
            if any(name in (*TEXT_KEYS, *TITLE_KEYS) for name in columns):
                continue
            columns = []
        if not any(cell.strip() for cell in row):
            continue
        if columns and len(row) > len(columns):
            opened.broken(rows.line_num, f"{len(row)} cells under {len(columns)} columns")
            continue
        document = _record(dict(zip(columns, row, strict=False)) if columns else max(row, key=len), opened)
        if document is not None:
            yield from _long_record(document)


def _long_text(
    texts: Iterator[str], opened: Opened, headings: str, title: str | Callable[[], str]
) -> Iterator[Document]:
    """One document if the file is short, else its pieces, stretch by stretch."""
    held, pieces = "", 0
    for text in texts:
        held += text
        while len(held) > 2 * STRETCH:
            end = held.rfind("\n\n", STRETCH // 2, STRETCH) + 2
            end = end if end >= 2 else held.rfind("\n", STRETCH // 2, STRETCH) + 1 or STRETCH
            for heading, piece in cut(held[:end], headings):
                pieces += 1
                yield Document(piece, heading, opened.label)
            held = held[end:]
    if pieces == 0 and not is_long(held):
        if held.strip():
            heading = first_heading(held) if headings == "markdown" else ""
            name = title if isinstance(title, str) else title()
            yield Document(held, name if not isinstance(title, str) else heading or name, opened.label)
        return
    for heading, piece in cut(held, headings):
        yield Document(piece, heading, opened.label)


def _long_record(document: Document) -> Iterator[Document]:
    if len(document.text) <= WHOLE // 4 or not is_long(document.text):
        yield document
        return
    title = document.title
    for heading, piece in cut(document.text):
        yield Document(piece, title or heading, document.source, document.topic)
        title = ""


def _records(value: Any, opened: Opened) -> Iterator[Document]:
    if isinstance(value, list):
        for item in value:
            document = _record(item, opened)
            if document is not None:
                yield document
        return
    if isinstance(value, dict):
        inner = [item for item in value.values() if isinstance(item, list | dict)]
        one = _record(value, opened) if _pick(value, TEXT_KEYS) or not inner else None
        if one is not None:
            yield one
            return
        for key, item in value.items():
            if isinstance(item, list):
                yield from _records(item, opened)
            elif isinstance(item, dict | str):
                document = _record(item, opened)
                if document is not None:
                    document.title = document.title or key
                    yield document


def _record(value: Any, opened: Opened) -> Document | None:
    """One JSON value or table row as a document; None where it holds no text."""
    if isinstance(value, str):
        return Document(value, "", opened.label) if value.strip() else None
    if not isinstance(value, dict):
        return None
    text = _pick(value, TEXT_KEYS)
    if not text and isinstance(value.get("messages"), list):
        said = [m.get("content") for m in value["messages"] if isinstance(m, dict)]
        text = "\n\n".join(part for part in said if isinstance(part, str))
    title = _pick(value, TITLE_KEYS)
    if not text:
        # whatever else is longest, if it reads like text at all
        longest = max((v for v in value.values() if isinstance(v, str)), key=len, default="")
        text = longest if " " in longest.strip() else ""
        title = "" if text == title else title
    if not text.strip():
        return None
    return Document(text, " ".join(title.split())[:200], opened.label, _pick(value, TOPIC_KEYS)[:100])


def _pick(record: dict[str, Any], names: tuple[str, ...]) -> str:
    for name in names:
        value = record.get(name)
        if isinstance(value, str) and value.strip():
            return value
    return ""


def _spoken(label: str) -> str:
    """A file's name as words."""
    return " ".join(re.split(r"[\s_\-]+", PurePath(label.removesuffix(".gz")).stem)).strip()


def _short(error: Exception) -> str:
    return str(error).split("\n")[0][:120]
