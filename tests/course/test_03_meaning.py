"""Chapter 3: its demo functions against plain arithmetic, and what its prose claims of GloVe."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from glaswerk.course import demo
from glaswerk.course.chapter import load_chapter, shape
from glaswerk.course.demo import load_module
from glaswerk.errors import GlaswerkError
from glaswerk.found import Origin
from glaswerk.model import Decoder, ModelConfig
from glaswerk.opened import OpenedModel
from glaswerk.tokenizer import train_bpe

CHAPTER = "03-meaning"
Pulled = Callable[[str], Path]


@pytest.fixture(scope="module")
def demos() -> dict[str, demo.Demo]:
    return demo.demos(CHAPTER)


@pytest.fixture(scope="module")
def model() -> OpenedModel:
    text = "the river bank and the money bank, he said that she said that the cat and the dog and the doctor " * 9
    tokenizer = train_bpe([text], 330)
    decoder = Decoder(ModelConfig.modern(vocabulary_size=330, width=32, layers=2, heads=2, context=64))
    decoder.reset_parameters(torch.Generator().manual_seed(1))
    for parameter in decoder.parameters():
        parameter.data.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
    speech = SimpleNamespace(ends=frozenset())
    decoder.eval()
    return OpenedModel(decoder, tokenizer, Origin(Path("small")), speech)  # type: ignore[arg-type]


def test_both_languages_have_the_same_shape() -> None:
    prose = load_chapter(CHAPTER).prose
    assert shape(prose["en"]) == shape(prose["de"])


def test_the_numbers_of_the_prose(demos: dict[str, demo.Demo]) -> None:
    found = demos["numbers"]()
    assert found["boy_man"] == 5 and found["man_woman"] == 8
    assert f"{found['boy_woman']:.2f}" == "9.43"
    assert found["cat_car"] == 1 and found["cat_kitten"] == 5
    assert list(b"cat") == [99, 97, 116] and list(b"car") == [99, 97, 114]


def test_animals_move(demos: dict[str, demo.Demo]) -> None:
    assert demos["animals"]("wolf", 3.5, 10, 2.5)["others"][0] == ("dog", 0)  # it stands where the dog does
    far = demos["animals"]("wolf", 10, 0, 10)["others"]
    assert [distance for _, distance in far] == sorted(distance for _, distance in far) and len(far) == 9
    assert dict(far)["lion"] == pytest.approx(np.linalg.norm(np.array([10, 0, 10]) - [7, 0.5, 9.5]))


def test_what_the_prose_says_of_glove(demos: dict[str, demo.Demo], pulled: Pulled) -> None:
    pulled("glove")
    words = {each["word"]: each["cosine"] for each in demos["apart"](["cat", "car", "kitten", "feline"])["words"]}
    assert words["kitten"] > words["car"]
    for a, b, c, d in (("man", "king", "woman", "queen"), ("france", "paris", "italy", "rome")):
        assert demos["analogy"]("glove", a, b, c)["found"][0][0] == d
    assert demos["analogy"]("glove", "walk", "walking", "swim")["found"][0][0] == "swimming"
    assert demos["analogy"]("glove", inputs=True)["found"][0][0] == "king"
    fair, easy = demos["score"]("glove", inputs=True)["share"], demos["score"]("glove")["share"]
    assert easy >= 0.4 and fair < easy - 0.2  # "that is half of the trick"
    animals = demos["animals_in_texts"]("wolf")
    assert len(animals) == 9 and list(animals.values()) == sorted(animals.values(), reverse=True)
    banks = [word for word, _ in demos["neighbours"]("glove", "bank")["found"]]
    assert {"banking", "financial"} <= set(banks) and "river" not in banks
    shares = demos["plane"]("glove", "cat dog horse paris london berlin red green blue king queen music painting")
    assert sum(shares["shares"]) < 0.6 and not shares["lost"]
    means = demos["averages"](["Dog bites man", "Man bites dog", "A cat scratches a woman"])
    assert means["cosines"][0][1] == pytest.approx(1) and means["cosines"][0][2] < 0.99
    leaning = dict(demos["leaning"]("glove")["found"])
    assert leaning["nurse"] < 0 < leaning["engineer"]


def test_a_word_without_a_vector_is_one_line(model: OpenedModel, demos: dict[str, demo.Demo]) -> None:
    with pytest.raises(GlaswerkError, match="'zzz' has no vector here"):
        demos["neighbours_open"](model, "zzz")
    with pytest.raises(GlaswerkError, match="at least three words"):
        demos["plane_open"](model, "the cat")


def test_the_open_models_table(model: OpenedModel, demos: dict[str, demo.Demo]) -> None:
    found = demos["neighbours_open"](model, "bank")["found"]
    rows = model.model.embedding.detach().numpy()  # type: ignore[union-attr]
    row = rows[model.tokenizer.encode(" bank")[0]]
    for word, cosine in found:
        (other,) = (rows[number] for number in model.tokenizer.encode(f" {word}"))
        assert cosine == pytest.approx(row @ other / np.linalg.norm(row) / np.linalg.norm(other), abs=1e-5)
    assert [cosine for _, cosine in found] == sorted((cosine for _, cosine in found), reverse=True)


def test_one_word_in_two_sentences(model: OpenedModel, demos: dict[str, demo.Demo]) -> None:
    sentences = ["the river bank", "the money bank and the dog", "the money bank"]
    found = demos["contexts"](model, "bank", sentences)["cosines"]
    assert len(found) == 3  # the embedding and two layers
    assert np.allclose(found[0], 1, atol=1e-5)
    assert all(layer[1][2] == pytest.approx(1, abs=1e-5) and layer[0][1] < 1 - 1e-5 for layer in found[1:])
    with pytest.raises(GlaswerkError, match="'bank' is not in"):
        demos["contexts"](model, "bank", ["the river", "the bank"])


def test_pronouns_are_the_models_own_probabilities(model: OpenedModel, demos: dict[str, demo.Demo]) -> None:
    found = demos["pronouns"](model, ["the doctor said that"])["found"][0]
    ids = model.tokenizer.encode("the doctor said that")
    chances = model.model(torch.tensor([ids]))[0, -1].detach().softmax(-1)
    for word in ("he", "she"):
        assert found[word] == pytest.approx(float(chances[model.tokenizer.encode(f" {word}")[0]]), rel=1e-4)


def test_word2vec_goes_on_where_it_was(
    demos: dict[str, demo.Demo], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    scope = demos["training"].function.__globals__
    random = np.random.default_rng(5)
    words = ["music", *("".join(chr(97 + place // 20**at % 20) for at in range(3)) for place in range(300))]
    texts = [" ".join(random.choice(words, 40)) for _ in range(3000)]
    monkeypatch.setitem(scope, "corpus", lambda: texts)
    scope["course"].cache_clear()
    request.addfinalizer(scope["course"].cache_clear)
    first, last = demos["training"](part=1), demos["training"]()
    assert len(first["losses"]) == 1 and len(last["losses"]) == last["parts"] == 10
    assert first["losses"] == last["losses"][:1] and first["pairs"] < last["pairs"]
    assert first["found"] != last["found"] and first == demos["training"](part=1)
    assert demos["neighbours"]("trained", "music")["found"] == demos["training"]()["found"]
    assert demos["training"](seed=1)["found"] != last["found"]


def test_the_code_exercise_has_a_solution() -> None:
    check = load_module(demo.entry(CHAPTER).folder / "exercises" / "check_nearest.py", "check_nearest")

    def cosine(one: list[float], other: list[float]) -> float:
        return sum(a * b for a, b in zip(one, other, strict=True)) / math.hypot(*one) / math.hypot(*other)

    def nearest(vectors: dict[str, list[float]], direction: list[float], without: list[str]) -> str:
        return max((word for word in vectors if word not in without), key=lambda word: cosine(vectors[word], direction))

    check.check(SimpleNamespace(cosine=cosine, nearest=nearest))
    with pytest.raises(AssertionError, match="cosine"):
        check.check(SimpleNamespace(cosine=lambda one, other: 0.0, nearest=nearest))
