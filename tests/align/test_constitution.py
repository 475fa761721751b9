"""Principles, what a judge is asked, and what of its replies is used."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from glaswerk.align import constitution
from glaswerk.align.constitution import (
    Local,
    both_orders,
    load_principles,
    our_principles,
    principles,
    read_text,
    read_verdict,
    revised,
    to_compare,
    to_revise,
    verdicts,
)
from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.task import Messages
from glaswerk.found import Origin
from glaswerk.model import Decoder, ModelConfig
from glaswerk.opened import OpenedModel
from glaswerk.tokenizer import train_bpe


def test_paragraphs_are_principles() -> None:
    text = "# a note\n\nBe kind\nand short.\n\n\n  # another\nDo not lie.\n"
    assert principles(text) == ["Be kind and short.", "Do not lie."]


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "has no principle"), ("# only notes\n\n#", "has no principle"), ("...\n\n---", "is no principle"),
     ("a" * 1001, "at most 100 of 1,000"), ("a b\n\n" * 101, "has 101 principles")],
)  # fmt: skip
def test_what_is_no_constitution_is_said(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "rules.txt"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(GlaswerkError, match=says) as found:
        load_principles(file)
    assert "rules.txt" in str(found.value) and "\n" not in str(found.value)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(GlaswerkError, match=r"nothing\.txt"):
        load_principles(tmp_path / "nothing.txt")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(GlaswerkError, match="is not UTF-8 text"):
        load_principles(tmp_path / "bytes.txt")


def test_ours_are_the_same_in_both_languages() -> None:
    assert len(our_principles("en")) == len(our_principles("de")) >= 5
    assert {*constitution.CRITICISE, *constitution.REVISE, *constitution.COMPARE} == {"en", "de"}


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [("A", 1.0), ("B.", 0.0), ("**B** because A is too long", 0.0), ("Answer: A", 1.0), ("(A)", 1.0),
     ("Both A and B are fine.", None), ("Neither", None), ("", None), ("Absolutely", None)],
)  # fmt: skip
def test_a_verdict_in_text(reply: str, verdict: float | None) -> None:
    assert read_verdict(reply) == verdict


def test_nonsense_is_no_text() -> None:
    assert read_text("  It is rude. ") == "It is rude."
    assert read_text("...") is None and read_text("") is None and read_text("12 3?") is None


def test_a_lean_to_a_place_goes_out() -> None:
    """A judge that finds the first answer better by 1 in log-odds and leans to A by 3 says the same as one without."""

    def chance(odds: float) -> float:
        return 1 / (1 + math.exp(-odds))

    for lean in (-4.0, 0.0, 3.0):
        assert both_orders(chance(1 + lean), chance(-1 + lean)) == pytest.approx(chance(1))
    assert both_orders(1.0, 0.0) == pytest.approx(1, abs=1e-5) and both_orders(0.0, 1.0) == pytest.approx(0, abs=1e-5)
    assert both_orders(1.0, 1.0) is None and both_orders(0.9, 0.9) is None and both_orders(None, 0.2) is None


class Scripted:
    """A judge that says what it is told to, in turn; it stands for an API, which ``test_endpoint.py`` has for real."""

    name = "scripted"

    def __init__(self, *replies: str | None) -> None:
        self.replies, self.failures, self.asked = list(replies), Counter[str](), list[Messages]()

    def write(self, asked: Sequence[Messages], max_tokens: int, seed: int) -> list[str | None]:
        self.asked += asked
        return [self.replies.pop(0) for _ in asked]

    def prefer(self, asked: Sequence[Messages]) -> list[float | None]:
        self.asked += asked
        return [read_verdict(self.replies.pop(0) or "") for _ in asked]


def test_nonsense_is_asked_again_counted_and_never_used() -> None:
    judge = Scripted("Too long.", "", "?!", "...", "A cat.")
    # the first answer gets a critique and a revision; the second gets none after three tries
    found = revised(judge, ["What is a cat?", "And a dog?"], ["A long cat.", "Dog"], ["Be short.", "Be kind."])
    assert (found[0].critique, found[0].revision) == ("Too long.", "A cat.")
    assert (found[1].critique, found[1].revision) == (None, None)
    assert judge.failures == Counter({"no critique": 1, "no revision": 0})


def test_a_critique_said_again_is_no_revision() -> None:
    judge = Scripted(
        "It is too long.", "It is rude.", "It is  too long.", "It is rude.", "A cat.", "it is rude.", "It is rude."
    )
    found = revised(judge, ["What is a cat?", "And a dog?"], ["A long cat.", "Dog!"], ["Be short.", "Be kind."])
    # both revisions repeat; asked again, the first is one, and the second repeats to the last
    assert found[0].revision == "A cat." and found[1].revision is None
    assert found[1].critique == "It is rude." and judge.failures["no revision"] == 1 and not judge.replies


def test_an_answer_that_cannot_be_asked_about_is_not_asked_again() -> None:
    judge = Scripted(None)
    (found,) = revised(judge, ["Q"], ["A"], ["P p p"])
    assert found.critique is None and len(judge.asked) == 1 and judge.failures["no critique"] == 1


def test_what_a_judge_reads_names_everything() -> None:
    talk = to_revise("Why?", "Because.", "Be kind.", "It is curt.", "de")
    assert [turn["role"] for turn in talk] == ["user", "assistant", "user"] and talk[1]["content"] == "It is curt."
    assert all(part in talk[0]["content"] for part in ("Why?", "Because.", "Be kind.", "Grundsatz"))


def test_verdicts_ask_in_both_orders() -> None:
    judge = Scripted("A", "A", "nobody", "B", "A", "B")
    found = verdicts(judge, ["1", "2", "3"], ["x"] * 3, ["y"] * 3, ["p"] * 3)
    assert found[0] == pytest.approx(1, abs=1e-5) and found[1:] == [None, None]
    assert judge.failures == Counter({"no verdict": 1, "no difference beside the order": 1})
    first, turned = judge.asked[0][0]["content"], judge.asked[3][0]["content"]
    assert "A: x\nB: y" in first and "A: y\nB: x" in turned


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> OpenedModel:
    torch.manual_seed(0)
    tokenizer = train_bpe(["the cat and A or B: which answer is it? Principle: be kind. " * 20], 320)
    config = ModelConfig.modern(vocabulary_size=tokenizer.vocabulary_size, width=64, layers=2, heads=2, context=512)
    model = Decoder(config).eval()
    for value in model.parameters():
        torch.nn.init.normal_(value, std=0.2)
    return OpenedModel(model, tokenizer, Origin(tmp_path_factory.mktemp("m")))


def test_a_local_verdict_is_the_share_of_a(opened: OpenedModel) -> None:
    """Against a plain forward pass: softmax over the two letters after the conversation."""
    asked = [
        to_compare("Why?", a, "no", "Be kind.") for a in ("yes", "because it is so", "perhaps, but then again not")
    ]
    found = Local(opened).prefer(asked)
    for talk, share in zip(asked, found, strict=True):
        ids = torch.tensor([opened.chat_ids(talk)])
        letters = [opened.tokenizer.encode(letter)[0] for letter in "AB"]
        with torch.no_grad():
            wanted = opened.model(ids)[0, -1, letters].softmax(0)[0]
        assert share == pytest.approx(float(wanted), abs=1e-4)


def test_what_is_too_long_for_a_local_judge_is_counted(opened: OpenedModel) -> None:
    judge = Local(opened)
    long, short = to_compare("Why? " * 400, "a", "b", "Be kind."), to_compare("Why?", "a", "b", "Be kind.")
    assert judge.prefer([long])[0] is None and judge.prefer([long, short])[1] is not None
    replies = judge.write([long, short], 8, 0)
    assert (
        replies[0] is None and isinstance(replies[1], str) and judge.failures["too long for the judge's context"] == 3
    )
