"""Chapter 0: what it says of GPT-2's vocabulary is computed again, its count of operations is the library's, and its
figures name stations that there are."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from glaswerk.course import LANGUAGES, demo
from glaswerk.course.chapter import load_chapter, shape
from glaswerk.errors import GlaswerkError
from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.weights import save_model
from glaswerk.opened import OpenedModel, load
from glaswerk.tokenizer import train_bpe

CHAPTER = "00-life"
WEB = Path(__file__).resolve().parents[2] / "glaswerk" / "web"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> OpenedModel:
    tokenizer = train_bpe(["Paris ist die Hauptstadt von Frankreich. Hello. " * 30], 300)
    model = Decoder(ModelConfig.modern(vocabulary_size=300, width=64, layers=2, heads=2, context=64))
    place = tmp_path_factory.mktemp("life") / "model"
    save_model(place, model, tokenizer)
    return load(str(place))


def test_both_languages_have_the_same_shape() -> None:
    prose = load_chapter(CHAPTER).prose
    assert shape(prose["en"]) == shape(prose["de"])


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_figures_show_stations_that_there_are(language: str) -> None:
    prose = load_chapter(CHAPTER).prose[language]
    source = "".join((WEB / "life" / name).read_text("utf-8") for name in ("ends.js", "stations.js"))
    known = set(re.findall(r'id: "([\w-]+)", part:', source))
    named = [
        name for only in re.findall(r"^only = \[(.+)\]$", prose, re.MULTILINE) for name in re.findall(r'"(.+?)"', only)
    ]
    assert len(named) >= 8 and set(named) <= known
    texts = (WEB / "texts" / "life.js").read_text("utf-8")
    for name in known:  # each station has its title and its text in both languages
        assert len(re.findall(rf'^    "?{name}_title"?:', texts, re.MULTILINE)) == 2, name
        assert len(re.findall(rf'^    "?{name}_text(?:_\w+)?"?:', texts, re.MULTILINE)) in (2, 4), name


def test_hello_in_gpt2_is_as_the_prose_says(pulled: Callable[[str], Path]) -> None:
    pulled("gpt2")
    found = demo.demos(CHAPTER)["gpt2"]
    (hello,) = found("Hello")["tokens"]
    assert (hello["id"], hello["merge"], bytes(hello["bytes"])) == (15496, 15241, b"Hello")
    assert found(" Hello")["tokens"][0]["id"] == 18435
    assert [token["merge"] for token in found("\x00")["tokens"]] == [0]
    prose = load_chapter(CHAPTER).prose
    assert "15,241st" in prose["en"] and "15.241." in prose["de"] and all("15496" in prose[one] for one in LANGUAGES)


def test_the_count_of_operations(opened: OpenedModel) -> None:
    found = demo.demos(CHAPTER)["effort"](opened, "Paris ist")
    T = len(opened.tokenizer.encode("Paris ist"))
    matrices = [p.numel() for name, p in opened.model.named_parameters() if p.dim() == 2]
    assert found["weights"]["together"] == sum(matrices)
    attention = 2 * 2 * T * T * opened.model.config.layers * opened.model.config.heads * opened.model.config.head_width
    assert found["operations"] == pytest.approx(2 * sum(matrices) * T + attention)
    with pytest.raises(GlaswerkError):
        demo.demos(CHAPTER)["effort"](opened, "")


def test_the_exercise_accepts_a_right_loop_and_no_other() -> None:
    check = demo.load_module(load_chapter(CHAPTER).entry.folder / "exercises" / "check_write.py", "check_write_again")

    class Right:
        @staticmethod
        def write(step: Callable[[list[int]], list[float]], ids: list[int], count: int, end: int) -> list[int]:
            new: list[int] = []
            while len(new) < count:
                best = int(torch.tensor(step([*ids, *new]), dtype=torch.float64).argmax())
                if best == end:
                    break
                new.append(best)
            return new

    class OnlyTheNew(Right):
        @staticmethod
        def write(step: Callable[[list[int]], list[float]], ids: list[int], count: int, end: int) -> list[int]:
            return Right.write(lambda all_: step(all_[-1:]), ids, count, end)

    check.check(Right)
    with pytest.raises(AssertionError):
        check.check(OnlyTheNew)
