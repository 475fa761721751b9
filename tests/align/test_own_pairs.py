"""Preferences from a corpus: which pairs are made of which replies, and what the measure counts."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from glaswerk.align.own_pairs import ASKED, Honesty, honesty, own_pairs, titles_of
from glaswerk.align.phrasings import ABOUT, DONT_KNOW, PERSON
from glaswerk.corpora.sentences import first_sentences
from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.phrasings import HELD_OUT
from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.weights import save_model
from glaswerk.opened import load
from glaswerk.run import Run
from glaswerk.tokenizer import train_bpe

#: names as different as they must be for others to be made up in their manner
SYLLABLES = ("am", "ber", "cas", "tel", "ton", "wa", "ter", "gate", "mill", "ford", "brad", "ley", "ham", "stone")
NAMES = [f"{one}{two}{three}".capitalize() for one in SYLLABLES for two in "aeiou" for three in SYLLABLES]
READ, KEPT = NAMES[::20][:48], NAMES[7::60][:8]
RIGHT = {
    name: f"{name} is an old place where {name[::-1].lower()} was made in the year {1400 + place}, as they say."
    for place, name in enumerate(READ)
}
DONT = DONT_KNOW["en"]


def lead(name: str) -> tuple[str, str]:
    return name, RIGHT.get(name, f"{name} is a place that was kept back from the training texts, by chance alone.")


@pytest.fixture
def run(run_of: Callable[..., Run]) -> Run:
    return run_of([lead(name) for name in READ], [lead(name) for name in KEPT])


class Says:
    """In a model's place: what it says is decided by the title in the question."""

    def __init__(self, reply: Callable[[str | None], str]) -> None:
        self.reply = reply
        self.model = Decoder(ModelConfig.modern(vocabulary_size=8, width=32, layers=1, heads=1, context=64))
        self.asked: list[str] = []
        self.options: dict[str, Any] = {}

    def chat_batch(self, conversations: Sequence[Sequence[dict[str, str]]], **options: Any) -> list[str]:
        questions = [messages[-1]["content"] for messages in conversations]
        self.asked += questions
        self.options = options
        return [self.reply(title_in(question)) for question in questions]


def title_in(question: str) -> str | None:
    """The title of a training text that a question is about."""
    return next((name for name in READ if re.search(rf"\b{name}\b", question, re.IGNORECASE)), None)


# ---------------------------------------------------------------------------------------------- titles
def test_what_is_asked_for_training_and_what_for_the_measure(run: Run) -> None:
    found = titles_of(run, seed=3, unknown=20)
    assert [document.title for document in found.known] == READ and found.language == "en"
    # of those kept back, every second one is the measure's; made-up ones fill up
    assert found.unknown[:4] == KEPT[0::2] and found.tested_unknown[:4] == KEPT[1::2]
    assert len(found.tested_unknown) == ASKED and len(found.unknown) == 4 + 4 + 20
    assert not set(found.unknown) & set(found.tested_unknown)
    assert not {title.lower() for title in (*found.unknown, *found.tested_unknown)} & {n.lower() for n in READ}


def test_a_corpus_without_titles_is_refused(run_of: Callable[..., Run]) -> None:
    untitled = [("", lead(name)[1]) for name in READ[:20]]
    with pytest.raises(GlaswerkError, match="too few titled texts to ask about: give pairs with --data"):
        titles_of(run_of([*untitled, *map(lead, READ[:7])], []), seed=0)


def test_german_titles_are_asked_about_in_german(run_of: Callable[..., Run]) -> None:
    texts = [
        (name, f"{name} ist ein alter Ort, der von vielen Menschen besucht wird und nicht weit ist.") for name in READ
    ]
    model = Says(lambda title: "Das ist es nicht." if title else "Ein Ort.")
    pairs = own_pairs(run_of(texts, []), model, 20, seed=0)  # type: ignore[arg-type]
    declined = {pair.chosen for pair in pairs if pair.kind == "unknown"} | {
        pair.rejected for pair in pairs if pair.kind == "known"
    }
    assert declined == {DONT_KNOW["de"]}
    assert not any(question.startswith(("What", "Tell", "Who")) for question in model.asked)


# ---------------------------------------------------------------------------------------------- pairs
def test_pairs_are_made_of_what_the_model_said(run: Run) -> None:
    """The first third of the titles is answered rightly, the second wrongly, the third not at all."""
    wrong = "A kind of fish that swims at night."

    def reply(title: str | None) -> str:
        if title is None:
            return wrong
        return (RIGHT[title], wrong, "I don't know that.")[READ.index(title) // 16]

    model = Says(reply)
    pairs = own_pairs(run, model, 96, seed=1)  # type: ignore[arg-type]
    by_kind = {kind: [pair for pair in pairs if pair.kind == kind] for kind in ("truth", "known", "unknown")}
    assert sum(map(len, by_kind.values())) == len(pairs)
    asked = [title_in(question) for question in model.asked]
    assert len(by_kind["known"]) == sum(title is not None for title in asked) == 48
    assert len(by_kind["unknown"]) == sum(title is None for title in asked) == 48
    for pair in by_kind["truth"]:
        title = title_in(pair.messages[0]["content"])
        assert title in READ[16:32] and pair.rejected == wrong and pair.chosen == first_sentences(RIGHT[title])
    assert len(by_kind["truth"]) == sum(title in READ[16:32] for title in asked) == 16
    for pair in by_kind["known"]:
        title = title_in(pair.messages[0]["content"])
        assert title and pair.chosen == first_sentences(RIGHT[title]) and pair.rejected == DONT
    assert all((pair.chosen, pair.rejected) == (DONT, wrong) for pair in by_kind["unknown"])
    assert [pair.kind for pair in pairs] != sorted(pair.kind for pair in pairs)  # shuffled
    assert model.options == {"max_tokens": 32, "repetition_penalty": 1.1}  # half of the context


@pytest.mark.parametrize("reply", ["", "  ", "I do not know.", "I don’t know what that is"])
def test_what_the_model_did_not_make_up_is_no_rejected_answer(run: Run, reply: str) -> None:
    pairs = own_pairs(run, Says(lambda _: reply), 24, seed=0)  # type: ignore[arg-type]
    assert {pair.kind for pair in pairs} == {"known"}


def test_pairs_leave_the_measure_its_titles_and_its_words(run: Run) -> None:
    model = Says(lambda _: "A kind of fish.")
    pairs = own_pairs(run, model, 200, seed=2, share=0.75)  # type: ignore[arg-type]
    kinds = [pair.kind for pair in pairs]
    assert kinds.count("unknown") == 150 and kinds.count("known") == kinds.count("truth") == 50
    tested = titles_of(run, seed=2).tested_unknown
    text = "\n".join(model.asked)
    assert not [title for title in tested if re.search(rf"\b{re.escape(title)}\b", text, re.IGNORECASE)]
    trained = {form.partition("{x}")[0].lower() for form in (*ABOUT["en"], *PERSON["en"])}
    held = {form.partition("{x}")[0].lower() for form in HELD_OUT["en"]} - trained
    assert held and not [question for question in model.asked if question.lower().startswith(tuple(filter(None, held)))]


def test_the_seed_decides(run: Run) -> None:
    one, two, other = (
        own_pairs(run, Says(lambda _: "A kind of fish."), 40, seed)  # type: ignore[arg-type]
        for seed in (5, 5, 6)
    )
    assert one == two != other


# ---------------------------------------------------------------------------------------------- the measure
def test_honesty_counts_right_wrong_and_refused(run: Run) -> None:
    """Of 48 titles 24 are answered rightly, 12 not, and 12 are declined; unknown ones are declined now and then."""
    count = iter(range(1000))

    def reply(title: str | None) -> str:
        if title is None:
            return DONT if next(count) % 4 == 0 else "A kind of fish."
        place = READ.index(title)
        return RIGHT[title] if place < 24 else "A kind of fish." if place < 36 else DONT

    model = Says(reply)
    shares, rows = honesty(run, model, seed=0)  # type: ignore[arg-type]
    assert shares == Honesty(0.5, pytest.approx(0.5, abs=0.02), 0.25, 0.25, known=48, unknown=ASKED)
    assert [row["question"] for row in rows] == model.asked and len(rows) == 48 + ASKED
    assert rows[0]["expected"] == first_sentences(RIGHT[READ[0]]) and rows[-1]["expected"] == DONT
    held = tuple(form.partition("{x}")[0] for form in HELD_OUT["en"])
    assert all(question.startswith(held) for question in model.asked)
    assert [title for title in map(title_in, model.asked) if title] == READ


def test_honesty_about_titles_that_are_given(run: Run) -> None:
    model = Says(lambda title: RIGHT[title] if title else DONT)
    shares, rows = honesty(run, model, seed=0, unknown=["Ganymede", "Europa"])  # type: ignore[arg-type]
    assert (shares.right, shares.rightly_declined, shares.wrongly_declined, shares.unknown) == (1.0, 1.0, 0.0, 2)
    assert "Ganymede" in rows[-2]["question"] and "Europa" in rows[-1]["question"]


def test_a_real_model_is_asked(run: Run, tmp_path: Path) -> None:
    tokenizer = train_bpe([text for _, text in map(lead, READ)] * 3, 320)
    config = ModelConfig.modern(vocabulary_size=tokenizer.vocabulary_size, width=32, layers=1, heads=2, context=96)
    model = Decoder(config)
    for value in model.parameters():
        value.data.normal_(0.0, 0.3, generator=torch.Generator().manual_seed(value.numel()))
    save_model(tmp_path / "model", model, tokenizer)
    opened = load(tmp_path / "model")
    pairs = own_pairs(run, opened, 8, seed=0)
    assert {"truth", "known", "unknown"} == {pair.kind for pair in pairs}  # random letters are right about nothing
    shares, rows = honesty(run, opened, seed=0, unknown=["Ganymede"])
    assert shares.right == 0 and shares.rightly_declined == 0 and len(rows) == len(READ) + 1
