"""Chapter 7: the chain ends where the demos do, probabilities are the model's, loops are loops, a seed repeats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from demos import self_attention_demo, softmax_demo
from glaswerk.course import LANGUAGES, demo
from glaswerk.course.chapter import load_chapter, shape
from glaswerk.course.demo import load_module
from glaswerk.course.outline import entry
from glaswerk.course.render import Renderer
from glaswerk.errors import GlaswerkError
from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.weights import save_model
from glaswerk.opened import OpenedModel, load
from glaswerk.tokenizer import train_bpe

CHAPTER = "07-sampling"
TEXT = "The weather today is fine. The cat sat on the mat because it was tired. " * 40
PROMPT = "The cat"


@pytest.fixture(scope="module")
def chapter() -> ModuleType:
    return load_module(entry(CHAPTER).folder / "demo.py", "chapter_seven_again")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> OpenedModel:
    tokenizer = train_bpe([TEXT], 300)
    decoder = Decoder(ModelConfig.modern(vocabulary_size=300, width=32, layers=2, heads=2, context=48))
    decoder.reset_parameters(torch.Generator().manual_seed(3))
    for parameter in decoder.parameters():
        parameter.data.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(7)))
    place = tmp_path_factory.mktemp("chapter7") / "model"
    save_model(place, decoder, tokenizer)
    return load(str(place))


def test_both_languages_have_the_same_shape_and_render() -> None:
    loaded = load_chapter(CHAPTER)
    assert shape(loaded.prose["en"]) == shape(loaded.prose["de"])
    for language in LANGUAGES:
        made = Renderer(language)
        text = made.page(loaded.prose[language], CHAPTER)
        for question in loaded.quiz:
            text += "".join(made.line(part[language]) for part in (question.q, *question.options, question.why))
        assert made.widgets == ["von-choice", "next-token", "cut-rules", "loops", "draws", "sample-tree", "seeds"]
        assert "{=" not in text


def test_the_chain_is_that_of_the_demos(chapter: ModuleType) -> None:
    for ours, theirs in (("X", "X"), ("W_Q", "W_Q"), ("W_K", "W_K"), ("W_V", "W_V")):
        assert np.array_equal(getattr(chapter, ours), getattr(self_attention_demo, theirs))
    found = chapter.chain()
    z = softmax_demo.logits(self_attention_demo.context_vector(), softmax_demo.W_OUT, softmax_demo.B)
    assert np.allclose(found["z"], z, atol=1e-5) and found["words"] == softmax_demo.WORDS
    assert np.allclose(found["shares"], softmax_demo.chain(), atol=1e-5)
    assert found["choice"] == "Frankreich" and f"{float(found['shares'][0]):.2f}" == "0.44"


def test_what_the_prose_says_about_the_three_words(chapter: ModuleType) -> None:
    told = chapter.numbers()
    z = softmax_demo.logits(self_attention_demo.context_vector(), softmax_demo.W_OUT, softmax_demo.B)
    assert told["half_f"] == pytest.approx(softmax_demo.softmax(z, 0.5)[0], abs=1e-5)
    assert told["two_f"] == pytest.approx(softmax_demo.softmax(z, 2)[0], abs=1e-5)
    # each of the three cuts drops Spanien and nothing else
    pair = told["p_f"] / (told["p_f"] + told["p_d"])
    assert [told[f"cut_{rule}_f"] for rule in "kpm"] == pytest.approx([pair] * 3, abs=1e-6)
    assert told["p_f"] < 0.7 < told["two_together"] / 100 and told["p_s"] < told["bar"] < told["p_d"]
    # the exercise: a head start of 0.3 makes Deutschland win, 0.2 does not
    assert told["z_d"] + 0.1 < told["z_f"] < told["z_d"] + 0.2


def test_draws_come_as_their_shares_say(chapter: ModuleType, model: OpenedModel) -> None:
    found = chapter.draws(model, PROMPT)
    shares = model.trace(PROMPT)["logits"][0, -1].softmax(-1)
    for candidate in found["candidates"]:
        assert candidate["share"] == pytest.approx(float(shares[candidate["id"]]), abs=1e-5)
    assert sum(candidate["share"] for candidate in found["candidates"]) + found["rest"] == pytest.approx(1)
    often = np.bincount(np.array(found["drawn"]) + 1, minlength=len(found["candidates"]) + 1) / chapter.DRAWS
    assert np.abs(often - [found["rest"], *(each["share"] for each in found["candidates"])]).max() < 0.06
    assert found["drawn"] == chapter.draws(model, PROMPT)["drawn"] != chapter.draws(model, PROMPT, seed=2)["drawn"]


@pytest.mark.parametrize("way", ["greedy", "penalty", "nucleus", "all"])
def test_probabilities_are_those_of_each_step(chapter: ModuleType, model: OpenedModel, way: str) -> None:
    found = chapter.written(model, PROMPT, way=way, tokens=12)
    ids = model.prompt_ids(PROMPT)
    for token in found["tokens"]:
        logits_V = model.trace(ids)["logits"][0, -1]
        assert token["probability"] == pytest.approx(float(logits_V.softmax(-1)[token["id"]]), abs=1e-5)
        if way == "greedy":
            assert token["id"] == int(logits_V.argmax())
        ids = [*ids, token["id"]]


def test_repeats_finds_loops_and_nothing_else(chapter: ModuleType) -> None:
    assert chapter.repeats([9, 8, 1, 2, 3, 1, 2, 3, 1, 2, 3]) == {"start": 2, "period": 3, "repeated": 6}
    assert chapter.repeats([5] * 9) == {"start": 0, "period": 1, "repeated": 8}
    assert chapter.repeats([1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3]) is None
    assert chapter.repeats([1, 1, 1]) is None and chapter.repeats([]) is None
    long = list(range(20)) * 2
    assert chapter.repeats(long) == {"start": 0, "period": 20, "repeated": 20}


def leaves(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if not node["children"]:
        yield node
    for child in node["children"]:
        yield from leaves(child)


def test_the_tree_holds_all_samples(chapter: ModuleType, model: OpenedModel) -> None:
    found = chapter.tree(model, PROMPT, temperature=0.5)

    def check(node: Mapping[str, Any]) -> None:
        if node["children"]:
            assert sum(child["count"] for child in node["children"]) == node["count"]
        assert all(child["probability"] <= node["probability"] for child in node["children"])
        for child in node["children"]:
            check(child)

    check(found["root"])
    assert found["different"] == len(list(leaves(found["root"])))
    shares = model.trace(PROMPT)["logits"][0, -1].softmax(-1)
    for child in found["root"]["children"]:
        assert child["id"] < 0 or child["probability"] == pytest.approx(float(shares[child["id"]]), abs=1e-5)


def test_a_seed_repeats_and_others_differ(chapter: ModuleType, model: OpenedModel) -> None:
    found = chapter.seeds(model, PROMPT)
    assert all(line["same"] and line["text"] == line["again"] for line in found["lines"]) and found["different"] > 1
    assert chapter.seeds(model, PROMPT, temperature=0.0)["different"] == 1


def test_bad_input_is_one_line(model: OpenedModel) -> None:
    for name in ("draws", "written", "tree", "seeds"):
        for prompt in ("", "cat " * 60):
            with pytest.raises(GlaswerkError, match=r"^[^\n]+$"):
                demo.call(CHAPTER, name, {"prompt": prompt}, model)
    with pytest.raises(GlaswerkError, match="must be one of"):
        demo.call(CHAPTER, "written", {"way": "best"}, model)


def test_the_exercise_accepts_a_right_answer_only() -> None:
    check = load_module(Path(entry(CHAPTER).folder / "exercises" / "check_top_p.py"), "check_top_p").check

    def right(shares: list[float], p: float) -> list[float]:
        order = sorted(range(len(shares)), key=lambda place: -shares[place])
        kept, together = set(), 0.0
        for place in order:
            if together < p:
                kept.add(place)
            together += shares[place]
        total = sum(shares[place] for place in kept)
        return [share / total if place in kept else 0.0 for place, share in enumerate(shares)]

    module = ModuleType("answer")
    module.top_p = right  # type: ignore[attr-defined]
    check(module)
    module.top_p = lambda shares, p: [share if share > 1 - p else 0.0 for share in shares]  # type: ignore[attr-defined]
    with pytest.raises(AssertionError):
        check(module)
