"""The pulled text corpora as documents: each package keeps its texts its own way, known only here."""

from __future__ import annotations

import gzip
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from glaswerk.corpora.cut import cut
from glaswerk.corpora.document import Document

#: corpus name -> what reads its folder
CORPORA: dict[str, Callable[[Path], Iterator[Document]]] = {}


def _corpus(
    name: str,
) -> Callable[[Callable[[Path], Iterator[Document]]], Callable[[Path], Iterator[Document]]]:
    def register(function: Callable[[Path], Iterator[Document]]) -> Callable[[Path], Iterator[Document]]:
        CORPORA[name] = function
        return function

    return register


@_corpus("wikipedia-en")
def wikipedia(folder: Path) -> Iterator[Document]:
    """One lead a document, under the article's title."""
    articles = json.loads((folder / "summaries_en-us.json").read_text(encoding="utf-8"))
    for title, article in articles.items():
        topic = article.get("topic", "")
        yield Document(article["extract"], title, "wikipedia-en", "" if topic == "Uncategorized" else topic)


@_corpus("wordnet-en")
def wordnet(folder: Path) -> Iterator[Document]:
    """One word a document: ``aardvark: a nocturnal burrowing mammal ...``; several meanings are numbered."""
    return _glosses(folder / "glosses.txt.gz", "wordnet-en")


@_corpus("wiktionary-de")
def wiktionary(folder: Path) -> Iterator[Document]:
    """One German entry a document, several meanings numbered."""
    return _glosses(folder / "glosses.txt.gz", "wiktionary-de")


@_corpus("shakespeare")
def shakespeare(folder: Path) -> Iterator[Document]:
    """One scene a document, ``Hamlet, Act I, Scene I``; who speaks stands on a line of its own."""
    for path in sorted(folder.glob("*/*.md")):
        # levels vary: one play has no title line, some have epilogues as high as the title, one has acts below scenes
        play, act = path.stem.replace("-", " ").title().replace(" For ", " for "), ""
        for number, ((level, name), body) in enumerate(_scenes(path.read_text(encoding="utf-8"))):
            scene = ""
            if level == 1 and number == 0:
                play = name
            elif (level <= 2 and not name.startswith("SCENE")) or name.startswith("ACT"):
                act = _titled(name)
            else:
                scene = _titled(name.split(".")[0])
            text = re.sub(r"\*\*(.+?)\*\*[ \t]*$", r"\1:", body, flags=re.MULTILINE)
            text = re.sub(r"(?<!\w)_(.+?)_(?!\w)", r"[\1]", text, flags=re.DOTALL)
            text = re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE).strip()
            title = ", ".join(part for part in (play, act, scene) if part)
            for _, piece in cut(text) if len(text) > 20_000 else [("", text)]:
                if piece.strip():
                    yield Document(piece, title, "shakespeare", path.parent.name)
                title = ""


@_corpus("bible-en")
def bible(folder: Path) -> Iterator[Document]:
    """One chapter a document, one verse a line."""
    connection = sqlite3.connect(f"{(folder / 'bible_kjv.sqlite').as_uri()}?mode=ro", uri=True)
    query = (
        "SELECT b.common_name, b.testament, v.chapter_number, v.text "
        "FROM verses v JOIN books b ON b.id = v.book_id "
        "ORDER BY b.sort_order, v.chapter_number, v.verse_number"
    )
    try:
        key: tuple[str, str, int] | None = None
        verses: list[str] = []
        for book, testament, chapter, text in connection.execute(query):
            if key != (book, testament, chapter):
                if key:
                    yield _chapter(key, verses)
                key, verses = (book, testament, chapter), []
            verses.append(" ".join(text.split()))
        if key:
            yield _chapter(key, verses)
    finally:
        connection.close()


@_corpus("pairs-de-en")
def pairs(folder: Path) -> Iterator[Document]:
    """One German sentence and its English translation a document, on two lines."""
    for path in sorted(folder.glob("*/*.json")):
        for german, english in _pairs(json.loads(path.read_text(encoding="utf-8"))):
            yield Document(f"{german}\n{english}", "", "pairs-de-en", path.stem.replace("_", " "))


#: "[1]" refers to a numbered meaning of the dictionary's page, which is not here
_REFERENCE = re.compile(r"\s*\[[\d, ]+\]")


def _glosses(path: Path, source: str) -> Iterator[Document]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            word, _, glosses = line.rstrip("\n").partition("\t")
            if "[" in glosses:
                glosses = _REFERENCE.sub("", glosses)
            meanings = [glosses.strip(" .;")]
            if "|" in glosses:
                found = (meaning.strip().rstrip(".;") for meaning in glosses.split("|"))
                meanings = [meaning for meaning in dict.fromkeys(found) if meaning]
            if not word or not meanings or not meanings[0]:
                continue
            if len(meanings) == 1:
                text = f"{word}: {meanings[0]}."
            else:
                text = f"{word}: " + " ".join(f"{n}. {m}." for n, m in enumerate(meanings, 1))
            yield Document(text, word, source)


def _titled(heading: str) -> str:
    """``ACT IV`` as ``Act IV``, ``EPILOGUE`` as ``Epilogue``."""
    words = heading.title() if heading.isupper() or heading.startswith(("ACT", "SCENE")) else heading
    return re.sub(r"\b[IVX]+\b", lambda numeral: numeral[0].upper(), words, flags=re.IGNORECASE)


def _scenes(text: str) -> Iterator[tuple[tuple[int, str], str]]:
    marks = list(re.finditer(r"^(#{1,6})[ \t]+(.+)$", text, re.MULTILINE))
    for mark, following in zip(marks, [*marks[1:], None], strict=False):
        body = text[mark.end() : following.start() if following else len(text)]
        yield (len(mark[1]), mark[2].strip()), body


def _chapter(key: tuple[str, str, int], verses: list[str]) -> Document:
    book, testament, chapter = key
    return Document("\n".join(verses), f"{book} {chapter}", "bible-en", f"{testament.title()} Testament")


def _pairs(value: Any) -> Iterator[tuple[str, str]]:
    """Every object with both a German and an English sentence, at any depth."""
    if isinstance(value, list):
        for item in value:
            yield from _pairs(item)
    elif isinstance(value, dict):
        if isinstance(value.get("de"), str) and isinstance(value.get("en"), str):
            yield value["de"].strip(), value["en"].strip()
        for item in value.values():
            yield from _pairs(item)
