"""The pulled corpora as documents: counts, titles, texts. Skipped where they are not pulled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from glaswerk.corpora import Document, build, read

Pulled = Callable[[str], Path]


def all_of(name: str) -> list[Document]:
    return list(read([name]))


def test_wikipedia(pulled: Pulled) -> None:
    pulled("wikipedia-en")
    found = all_of("wikipedia-en")
    assert len(found) == 10_033 and all(d.title and d.source == "wikipedia-en" for d in found)
    ada = next(d for d in found if d.title == "Ada Lovelace")
    assert ada.text.startswith("Augusta Ada King") and ada.topic == "People"
    assert {d.topic for d in found} >= {"", "Arts", "Mathematics"} and "Uncategorized" not in {d.topic for d in found}


def test_shakespeare_by_scenes(pulled: Pulled) -> None:
    pulled("shakespeare")
    found = all_of("shakespeare")
    titles = [d.title for d in found]
    assert {
        "Hamlet, Act III, Scene IV",
        "Love's Labours Lost, Act V, Scene II",
        "Measure for Measure, Act I, Scene I",
    } <= {*titles}
    # 38 plays, of which Henry IV has two parts and Henry VI three
    assert len({t.split(",")[0] for t in titles if t}) == 35
    assert len([t for t in titles if t]) <= len({t for t in titles if t}) + 1  # the edition has one scene number twice
    first = next(d for d in found if d.title == "Hamlet, Act I, Scene I")
    assert first.text.startswith("[FRANCISCO at his post. Enter to him BERNARDO]\n\nBERNARDO:\nWho's there?")
    assert not any("**" in d.text for d in found)


def test_bible_by_chapters(pulled: Pulled) -> None:
    pulled("bible-en")
    found = all_of("bible-en")
    assert len(found) == 1_189 and sum(d.text.count("\n") + 1 for d in found) == 31_102
    assert (found[0].title, found[0].topic) == ("Genesis 1", "Old Testament")
    assert found[0].text.startswith("In the beginning God created")


@pytest.mark.parametrize(
    ("name", "count", "title", "text"),
    [
        ("wordnet-en", 78_866, "owlet", "owlet: young owl."),
        ("wordnet-en", 78_866, "ownership", "ownership: 1. the relation of an owner to the thing possessed;"),
        ("wiktionary-de", 179_831, "Unvermögen", "Unvermögen: mangelnde Fähigkeit."),
    ],
)
def test_dictionaries(pulled: Pulled, name: str, count: int, title: str, text: str) -> None:
    pulled(name)
    found = all_of(name)
    assert count - 5 <= len(found) <= count
    assert next(d for d in found if d.title == title).text.startswith(text)


def test_pairs(pulled: Pulled) -> None:
    pulled("pairs-de-en")
    found = all_of("pairs-de-en")
    assert len(found) >= 2_493 and "Da ist leider etwas schiefgelaufen.\nSomething went wrong, unfortunately." in {
        d.text for d in found
    }


def test_a_built_corpus_names_licence_and_origin(pulled: Pulled, tmp_path: Path) -> None:
    pulled("pairs-de-en")
    (tmp_path / "own.txt").write_text("Some text of my own, for once.", encoding="utf-8")
    report = build(["pairs-de-en", str(tmp_path / "own.txt")], tmp_path / "out")
    assert report.sources[0]["licence"] == "MIT" and len(report.sources[0]["sha256"]) == 64
    assert report.sources[1] == {"name": "own.txt", "files": 1}
    shares = report.languages["shares"]
    assert shares.get("de", 0) + shares.get("en", 0) > 0.9
