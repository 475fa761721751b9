"""Conversations from documents: questions, first sentences, and which phrasings are kept back."""

from __future__ import annotations

import pytest

from glaswerk.align import corpus_conversations, quiz
from glaswerk.align.phrasings import ABOUT, PERSON, SELF
from glaswerk.corpora import Document
from glaswerk.corpora.sentences import first_sentences, language
from glaswerk.evaluate import names, overlap, score_answers
from glaswerk.evaluate.phrasings import HELD_OUT

ENGLISH = Document(
    "A hat is a head covering. It is worn for various reasons, and by many. It is old.", "Hat", "w", "Life"
)
GERMAN = Document("Ein Hut ist eine Kopfbedeckung. Er wird von vielen getragen und ist alt.", "Hut")
PERSON_ = Document("Ada Lovelace (10 December 1815 – 27 November 1852) was an English mathematician.", "Ada Lovelace")


def test_a_title_becomes_questions_in_its_language() -> None:
    for document, tongue in ((ENGLISH, "en"), (GERMAN, "de")):
        made = list(corpus_conversations([document], "my texts", seed=0, variants=40, say=0.0))
        own = {question for question, _ in SELF[tongue]}
        asked = {c[0]["content"] for c in made if c[0]["content"] not in own}
        assert len(asked) > 5
        assert all(document.title.lower() in question.lower() for question in asked)
        assert all(c[1]["content"] == document.text for c in made if c[0]["content"] in asked)


def test_a_person_is_asked_for_with_who() -> None:
    asked = {c[0]["content"].lower() for c in corpus_conversations([PERSON_], "x", seed=1, variants=60, say=0.0)}
    assert not any(question.startswith("what is") for question in asked)
    assert any(question.startswith("who ") for question in asked)


def test_the_same_seed_makes_the_same_conversations() -> None:
    one, two = (list(corpus_conversations([ENGLISH, GERMAN], "x", seed=5, variants=9)) for _ in range(2))
    assert one == two
    assert one != list(corpus_conversations([ENGLISH, GERMAN], "x", seed=6, variants=9))


def test_an_untitled_document_is_continued() -> None:
    text = "First comes this sentence, which is long enough to open. " * 4 + "Then follows quite another matter."
    (conversation,) = corpus_conversations([Document(text)], "x", seed=0)
    opening = conversation[0]["content"]
    assert opening.split(" ", 3)[0] in ("Continue", "How")
    answer = conversation[1]["content"]
    assert answer in text and answer not in opening


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("One. Two. Three.", 9, "One. Two."),
        ("J. S. Bach was a composer. He lived in Leipzig.", 30, "J. S. Bach was a composer."),
        ("It cost 3.5 million. Then it fell.", 25, "It cost 3.5 million."),
        ("„Nein“, sagte er. Dann ging er.", 20, "„Nein“, sagte er."),
        ("word " * 40, 22, "word word word word"),
        ("def f():\n    return 1\n\ndef g():\n    return 2\n", 26, "def f():\n    return 1"),
        ("short", 100, "short"),
    ],
)
def test_first_sentences(text: str, limit: int, expected: str) -> None:
    assert first_sentences(text, limit) == expected


def test_held_out_phrasings_never_train() -> None:
    for tongue in ("en", "de"):
        trained = set(ABOUT[tongue]) | set(PERSON[tongue])
        assert not trained & set(HELD_OUT[tongue])
    assert set(ABOUT) == set(HELD_OUT) == set(PERSON) == set(SELF) == {"en", "de"}
    ((question, title, expected),) = quiz([ENGLISH, Document("x" * 100)], 5)
    assert "Hat" in question and title == "Hat" and expected == first_sentences(ENGLISH.text)
    assert question not in {form.format(x="Hat") for form in ABOUT["en"]}


def test_language() -> None:
    assert language(ENGLISH.text) == "en" and language(GERMAN.text) == "de"


def test_overlap_leaves_the_question_out() -> None:
    assert overlap("A hat is a head covering.", "A hat is a head covering.", "What is a hat?") == 1.0
    assert overlap("A hat is a hat.", "A hat is a head covering.", "What is a hat?") == 0.0
    # said {head, gear}, wanted {head, covering}: one of two each way
    assert overlap("head gear", "head covering") == pytest.approx(0.5)
    asked = [("hat?", "Hat", "head covering"), ("cats?", "Cats", "animal")]
    score, replies = score_answers(lambda questions: ["head covering", "A dog."], asked)
    assert score.mean_f1 == 0.5 and score.share_named == 0.0 and replies == ["head covering", "A dog."]
    assert names("Accordions are instruments.", "Accordion") and not names("Drums are.", "Accordion")


def test_some_conversations_only_say_the_title() -> None:
    made = list(corpus_conversations([ENGLISH], "x", seed=0, variants=200))
    said = [c for c in made if c[1]["content"] == "Hat"]
    assert 0.2 < len(said) / len(made) < 0.4
    assert all("Hat" in c[0]["content"] for c in said)
