"""Cleaning: what is mended, what is dropped, and what must never be dropped."""

from __future__ import annotations

import inspect
import json
import re
import unicodedata
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from glaswerk.corpora.clean import clean_batch, normalise

VERSE = (
    "Shall I compare thee to a summer's day?\nThou art more lovely and more temperate:\n"
    "Rough winds do shake the darling buds of May,\nAnd summer's lease hath all too short a date;\n"
)


def kept(*texts: str) -> list[str]:
    lines = clean_batch([(text, "", "", "") for text in texts]).lines
    return [json.loads(line)["text"] for line in lines.splitlines()]


def reasons(*texts: str) -> dict[str, int]:
    return {reason: count for reason, (count, _, _) in clean_batch([(t, "", "", "") for t in texts]).dropped.items()}


@pytest.mark.parametrize(
    ("raw", "clean", "counted"),
    [
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd", "line ends"),
        ("e\u0301te\u0301", "été", "not NFC"),
        ("be\0fore\x07 af\u200bter\ufeff", "before after", "control characters"),
        ("schÃ¶ne GrÃ¼ÃŸe aus KÃ¶ln", "schöne Grüße aus Köln", "mojibake"),
        ("one\ud83d\ude00two", "one😀two", "lone surrogates"),
        ("one\ud83d two", "one\ufffd two", "lone surrogates"),
    ],
)
def test_what_is_mended_is_counted(raw: str, clean: str, counted: str) -> None:
    counts: Counter[str] = Counter()
    assert normalise(raw, counts) == clean
    assert counts[counted] == 1


def test_good_text_is_left_alone() -> None:
    for text in (
        "Âge et Île: «À la française»",
        "👩‍👩‍👧 family",
        "  indented\n\tcode",
        "„Größe“ – 5 €",
        "日本語。テスト",
    ):
        counts: Counter[str] = Counter()
        assert normalise(text, counts) == text.rstrip() and not counts


@given(st.text(alphabet=st.characters(), max_size=200))
@settings(max_examples=300, deadline=None)
@example("Î\x1f¡")
@example("I\u0302¡")
@example("I\x1f\u0302\u200b¡")
def test_normalising_gives_sound_text_and_is_idempotent(text: str) -> None:
    once = normalise(text)
    once.encode("utf-8")
    assert unicodedata.is_normalized("NFC", once)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", once)
    assert normalise(once) == once


@given(st.lists(st.text(alphabet=st.characters(), max_size=60), max_size=8))
@settings(max_examples=100, deadline=None)
def test_any_batch_is_cleaned_and_accounted_for(texts: list[str]) -> None:
    cleaned = clean_batch([(text, text[:5], "s", "") for text in texts])
    rows = [json.loads(line) for line in cleaned.lines.decode("utf-8").split("\n") if line]
    assert len(rows) == len(cleaned.hashes) == len(cleaned.bands) == len(cleaned.characters)
    assert [len(row["text"]) for row in rows] == cleaned.characters.tolist()
    assert [len(row["text"].encode()) for row in rows] == cleaned.text_bytes.tolist()
    assert len(rows) + sum(count for count, _, _ in cleaned.dropped.values()) == len(texts)


def test_what_is_dropped_and_why() -> None:
    assert reasons("Too short.") == {"too short": 1}
    assert reasons("a" * 1_000_000, "ab" * 5_000, "Buy now! " * 200, "=" * 60) == {"repetition": 4}
    assert reasons("--- *** !!! ??? ### $$$ %%% &&& (((") == {"mostly symbols": 1}
    example = clean_batch([("short", "T", "f.txt", "")]).dropped["too short"][2][0]
    assert example == {"source": "f.txt", "title": "T", "text": "short"}


def test_code_verse_lists_and_other_scripts_stay() -> None:
    texts = [
        inspect.getsource(json.decoder),
        inspect.getsource(re),
        VERSE,
        "- eggs\n- milk\n- bread\n- butter\n",
        "x = {1: (2, 3), 4: [5, 6]}; y = f(x)[0]",
        "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。",
        "Вся счастливые семьи похожи друг на друга.",
        "สวัสดีชาวโลก นี่คือข้อความ",
        "Row, row, row your boat,\nGently down the stream.\nMerrily, merrily, merrily, merrily,\nLife is but a dream.\n"
        * 2,
    ]
    assert len(kept(*texts)) == len(texts)
