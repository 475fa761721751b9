"""Chapter 2: its merges are those of the tokenizer, its numbers those of the published vocabularies, and what stands as
text in the prose is computed here again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from glaswerk.course import LANGUAGES, demo
from glaswerk.course.chapter import load_chapter, shape
from glaswerk.course.demo import load_module
from glaswerk.errors import GlaswerkError
from glaswerk.tokenizer import train_bpe

CHAPTER = "02-tokens"
Pulled = Callable[[str], Path]


@pytest.fixture(scope="module")
def demos() -> dict[str, demo.Demo]:
    return demo.demos(CHAPTER)


def prose(language: str) -> str:
    return load_chapter(CHAPTER).prose[language]


def test_both_languages_have_the_same_shape() -> None:
    assert shape(prose("en")) == shape(prose("de"))


@pytest.mark.parametrize(
    "text", ["the cat sat on the mat and the hat", "aaaa aaa aaaaaa", "Größe, größer 😀😀", "x", ""]
)
def test_merges_are_those_of_the_tokenizer(demos: dict[str, demo.Demo], text: str) -> None:
    found = demos["merges"](text)
    now = found["start"]
    for step in found["steps"]:
        often = Counter(pair for ids in now for pair in pairwise(ids))
        assert step["count"] == often[tuple(step["pair"])] == max(often.values())
        assert all(rival["count"] <= step["count"] for rival in step["rivals"])
        now = step["ids"]
    trained = train_bpe([text], 256 + len(found["steps"]), "gpt2", special=())
    assert [number for ids in now for number in ids] == trained.encode(text)
    assert all(f"{number}" in found["chips"] or number in found["chips"] for ids in now for number in ids)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_prose_shows_the_sentence_that_its_numbers_are_of(demos: dict[str, demo.Demo], language: str) -> None:
    module = load_module(Path(demo.entry(CHAPTER).folder / "demo.py"), "chapter_two_again")
    assert f'text = "{module.SENTENCES[language]}"' in prose(language)
    first = demos["merges"](module.SENTENCES[language])["steps"]
    names = demos["merges"](module.SENTENCES[language])["chips"]
    wanted = {"en": ["a t", "t h", "th e"], "de": ["n d", "e r", "u nd"]}[language]
    assert [" ".join(names[number] for number in step["pair"]) for step in first[:3]] == wanted


def test_wordpiece_as_in_the_prose(demos: dict[str, demo.Demo], pulled: Pulled) -> None:
    known = "un be believe ##be ##believ ##able ##a"
    assert f'known = "{known}"' in prose("en") and f'known = "{known}"' in prose("de")
    found = demos["longest"]("unbelievable", known)["found"]
    assert [step["piece"] for step in found] == ["un", "##believ", "##able"]
    pulled("minilm")
    assert [step["piece"] for step in demos["longest"]("unbelievable", "", True)["found"]] == ["unbelievable"]
    assert "##believ" not in [step["piece"] for step in demos["longest"]("unbelievably", "", True)["found"]]


def test_ids_and_lengths_that_stand_in_the_prose(demos: dict[str, demo.Demo], pulled: Pulled) -> None:
    for name in ("gpt2", "cl100k"):
        pulled(name)
    hello, spaced = (ids[0]["id"] for ids in demos["cut"]("gpt2", ["Hello", " Hello"])["cuts"])
    prices = ["The price is 10000", "The price is ten thousand"]
    lengths = {name: [len(cut) for cut in demos["cut"](name, prices)["cuts"]] for name in ("gpt2", "cl100k")}
    assert (hello, spaced, lengths) == (15496, 18435, {"gpt2": [4, 5], "cl100k": [6, 5]})
    for language in LANGUAGES:
        assert str(hello) in prose(language) and str(spaced) in prose(language)


def test_the_price_of_german_that_stands_in_the_prose(demos: dict[str, demo.Demo], pulled: Pulled) -> None:
    pulled("pairs-de-en")
    for name, shown in (("gpt2", "1.65"), ("cl100k", "1.20"), ("o200k", "1.03")):
        pulled(name)
        cost = demos["price"](name)
        assert f"{cost['ratio']:.2f}" == shown and f"{cost['de'] / cost['en']:.2f}" == shown
        assert shown in prose("en") and shown.replace(".", ",") in prose("de")
    pulled("wikipedia-en")
    assert 0.98 < demos["price"]("characters")["ratio"] < 1.02  # "equally long"
    one = demos["pair"](demos["pair"](0)["pairs"] + 3)
    assert one["place"] == 3 and one["de"] == demos["pair"](3)["de"]


def test_what_a_vocabulary_cannot_write_is_marked(demos: dict[str, demo.Demo], pulled: Pulled) -> None:
    pulled("wikipedia-en")
    text = "the zzyzx 本"
    for kind in ("characters", "words"):
        pieces = demos["cut"](kind, [text])["cuts"][0]
        assert any(piece["unknown"] for piece in pieces) and not pieces[0]["unknown"]
    assert not any(piece["unknown"] for piece in demos["cut"]("bpe", [text])["cuts"][0])


def test_letters_and_digits(demos: dict[str, demo.Demo]) -> None:
    import torch

    from glaswerk.found import Origin
    from glaswerk.model import Decoder, ModelConfig
    from glaswerk.opened import OpenedModel

    tokenizer = train_bpe(["the straw and the berry: strawberry, this many times: 1 2 3 4 5"] * 9, 300)
    model = Decoder(ModelConfig.modern(vocabulary_size=300, width=32, layers=1, heads=2, context=128))
    model.reset_parameters(torch.Generator().manual_seed(1))
    for parameter in model.parameters():
        parameter.data.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
    model.eval()
    opened = OpenedModel(model, tokenizer, Origin(Path("small")), SimpleNamespace(ends=frozenset()))  # type: ignore[arg-type]
    found = demos["letters"](opened, "strawberry", "R")
    assert found["count"] == 3 == sum(token["count"] for token in found["tokens"])
    assert len(found["digits"]) == 10 and sum(found["digits"]) == pytest.approx(1, abs=1e-5)
    # against each digit scored with a forward pass of its own
    begun = len(tokenizer.encode(found["prompt"]))
    scores = []
    for digit in range(10):
        ids = tokenizer.encode(f"{found['prompt']} {digit}")
        chances = model(torch.tensor([ids]))[0].detach().log_softmax(-1)
        scores.append(sum(chances[place - 1, ids[place]] for place in range(begun, len(ids))))
    assert found["digits"] == pytest.approx(torch.tensor(scores).softmax(0).tolist(), abs=1e-4)
    with pytest.raises(GlaswerkError, match="type a word"):
        demos["letters"](opened, " ", "r")


def test_long_texts_are_refused() -> None:
    with pytest.raises(GlaswerkError, match="2,000 characters"):
        demo.call(CHAPTER, "cut", {"kind": "gpt2", "texts": ["x" * 900] * 3})


def test_the_code_exercise_has_a_solution() -> None:
    check = load_module(demo.entry(CHAPTER).folder / "exercises" / "check_bpe.py", "check_bpe")

    def pair(tokens: list[str]) -> tuple[str, str]:
        pairs = list(pairwise(tokens))
        return max(pairs, key=pairs.count)

    def merge(tokens: list[str], wanted: tuple[str, str]) -> list[str]:
        out: list[str] = []
        place = 0
        while place < len(tokens):
            hit = tuple(tokens[place : place + 2]) == wanted
            out.append("".join(wanted) if hit else tokens[place])
            place += 2 if hit else 1
        return out

    check.check(SimpleNamespace(most_frequent_pair=pair, merge=merge))
    with pytest.raises(AssertionError):
        check.check(SimpleNamespace(most_frequent_pair=pair, merge=lambda tokens, wanted: tokens))
