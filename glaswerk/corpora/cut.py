"""Long texts into documents: at headings, else at blank lines, else wherever it hurts least."""

from __future__ import annotations

import re
from collections.abc import Iterator

#: a text up to this many bytes of UTF-8 stays one document
WHOLE = 20_000
#: a piece without a heading of its own is about this long, in characters, and never longer than LONGEST
PIECE, LONGEST = 5_000, 10_000

_MARKDOWN = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t]*#*[ \t]*$", re.MULTILINE)
_FENCE = re.compile(r"^ {0,3}(```|~~~)", re.MULTILINE)
_PLAIN = re.compile(
    r"(?:\A|\n)[ \t]*\n[ \t]*("
    r"(?:chapter|kapitel|book|buch|part|teil|act|akt|aufzug|scene|szene|auftritt|canto|gesang|section|abschnitt|letter|"
    r"brief|preface|vorwort|prologue|prolog|epilogue|epilog|introduction|einleitung)\b[^\n]{0,60}[^\s,;]"
    r"|(?:preface|vorwort|prologue|prolog|epilogue|epilog|introduction|einleitung)"
    r"|[IVXLC]{1,7}\.?)[ \t]*(?=\n[ \t]*(?:\n|\Z))",
    re.IGNORECASE,
)


def is_long(text: str) -> bool:
    """Whether a text is cut: more than 20 kB of UTF-8."""
    return len(text) > WHOLE or (len(text) > WHOLE // 4 and len(text.encode("utf-8", "replace")) > WHOLE)


def first_heading(text: str) -> str:
    """The first Markdown heading, or ""."""
    found = next(_headings(text, True), None)
    return found[2] if found else ""


def cut(text: str, headings: str = "plain") -> Iterator[tuple[str, str]]:
    """Yield ``(heading, piece)``; a section that had to be cut again has its heading on the first piece only.

    ``headings``: "markdown", "plain" (lines like CHAPTER IV between blank lines) or "none" (source code).
    """
    for heading, section in _sections(text, headings):
        for number, piece in enumerate(_pieces(section)):
            yield (heading if number == 0 else ""), piece


def _headings(text: str, markdown: bool) -> Iterator[tuple[int, int, str]]:
    """Start, end and words of each heading line."""
    if not markdown:
        for found in _PLAIN.finditer(text):
            yield found.start(1), found.end(1), " ".join(found[1].split())
        return
    fences = [found.start() for found in _FENCE.finditer(text)]
    inside = list(zip(fences[0::2], [*fences[1::2], len(text)], strict=False))
    at = 0
    for found in _MARKDOWN.finditer(text):
        while at < len(inside) and inside[at][1] < found.start():
            at += 1
        if at < len(inside) and inside[at][0] < found.start():
            continue  # a comment in a fenced piece of code
        yield found.start(), found.end(), found[1].strip("*_` ")


def _sections(text: str, headings: str) -> Iterator[tuple[str, str]]:
    start, body, title = 0, 0, ""
    if headings != "none":
        for at, end, heading in _headings(text, headings == "markdown"):
            # a heading with nothing under it (ACT I, then SCENE I) stays with the section that follows
            if text[body:at].strip():
                yield title, text[start:at]
                start = at
            body, title = end, heading
    if text[start:].strip():
        yield title, text[start:]


def _pieces(text: str) -> Iterator[str]:
    at = 0
    while len(text) - at > LONGEST:
        low, high = at + PIECE, at + LONGEST
        found = re.compile(r"\n[ \t]*\n+(?=\S)").search(text, low, high)
        end = found.end() if found else -1
        for mark in ("\n\n", "\n", ". ", " "):
            if end < 0:
                end = text.rfind(mark, low, high)
                end = end + len(mark) if end >= 0 else -1
        if end < 0:
            end = high
        yield text[at:end]
        at = end
    if text[at:].strip():
        yield text[at:]
