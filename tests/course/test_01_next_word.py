"""Chapter 1: counts are those of plain counting, prices are those of the model, what is marked as copied was copied."""

from __future__ import annotations

import json
import math
import zlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from glaswerk.corpora import pack
from glaswerk.course import LANGUAGES, demo
from glaswerk.course.chapter import load_chapter, shape
from glaswerk.course.demo import load_module
from glaswerk.course.outline import entry
from glaswerk.course.render import Renderer
from glaswerk.errors import GlaswerkError
from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.weights import save_model
from glaswerk.opened import OpenedModel, load
from glaswerk.run import Run
from glaswerk.tokenizer import train_bpe

CHAPTER = "01-next-word"
TEXTS = [f"The city of number {number} is the capital of a land. The cat sat on the mat." for number in range(120)]
PROMPT = "The city is the capital of"


@pytest.fixture(scope="module")
def chapter() -> ModuleType:
    return load_module(entry(CHAPTER).folder / "demo.py", "chapter_one_again")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> OpenedModel:
    """A run with random weights and a packed corpus: what the figures count."""
    tokenizer = train_bpe(TEXTS, 320)
    size = tokenizer.vocabulary_size
    decoder = Decoder(ModelConfig.modern(vocabulary_size=size, width=32, layers=2, heads=2, context=96))
    decoder.reset_parameters(torch.Generator().manual_seed(3))
    for parameter in decoder.parameters():
        parameter.data.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(7)))
    run = Run.create(tmp_path_factory.mktemp("chapter1") / "land", seed=0)
    run.corpus.mkdir()
    rows = [{"text": text, "title": "", "source": "", "topic": "", "split": "train"} for text in TEXTS]
    (run.corpus / "documents.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pack(run.corpus, tokenizer.encode_batch, tokenizer.vocabulary_size, tokenizer.end_id)
    save_model(run.stage("base"), decoder, tokenizer)
    run.finish("base", {})
    return load(str(run.path))


def test_both_languages_have_the_same_shape_and_render() -> None:
    loaded = load_chapter(CHAPTER)
    assert shape(loaded.prose["en"]) == shape(loaded.prose["de"])
    for language in LANGUAGES:
        made = Renderer(language)
        text = made.page(loaded.prose[language], CHAPTER)
        for question in loaded.quiz:
            text += "".join(made.line(part[language]) for part in (question.q, *question.options, question.why))
        assert made.widgets == ["next-token", "ngrams", "babble", "fields", "product", "bits", "recall"]
        assert "{=" not in text


def test_the_counts_are_those_of_plain_counting(chapter: ModuleType, model: OpenedModel) -> None:
    found = chapter.ngrams(model, PROMPT)
    text = chapter.counted(model)
    assert found["own"] and found["corpus"] == "land" and found["corpus_tokens"] == len(text.ids)
    ids, row = text.ids.tolist(), model.prompt_ids(PROMPT)
    for told in found["rows"]:
        context = row[len(row) - told["n"] + 1 :]
        after = [
            ids[place + len(context)]
            for place in range(len(ids) - len(context))
            if ids[place : place + len(context)] == context
        ]
        assert told["seen"] == len(after) and told["different"] == len(set(after))
        for one in told["top"]:
            assert one["count"] == sum(chapter.named(model, number) == one["token"] for number in after)
            assert one["share"] == pytest.approx(one["count"] / len(after))
    shares = model.trace(PROMPT)["logits"][0, -1].softmax(-1)
    assert found["top"][0]["share"] == pytest.approx(float(shares.max()), abs=1e-5)


def test_places_of_a_context(chapter: ModuleType) -> None:
    text = chapter.Counted("x", True, np.array([1, 2, 1, 2, 3, 1], dtype=np.int32))
    assert text.places([1, 2]).tolist() == [2, 4] and text.followers([1, 2]).tolist() == [1, 3]
    assert text.followers([3, 1]).tolist() == [] and text.places([3, 1]).tolist() == [6]
    assert text.followers([]).tolist() == [1, 2, 1, 2, 3, 1] and text.followers([9]).tolist() == []
    assert text.places([1] * 9).tolist() == []


def test_texts_by_counts_are_made_of_n_grams_of_the_corpus(chapter: ModuleType, model: OpenedModel) -> None:
    text = chapter.counted(model)
    for n in (2, 3, 5):
        made = chapter.spoken(text, n, np.random.default_rng(2), model.prompt_ids("The city of"))
        assert len(made) == chapter.WRITTEN
        assert all(len(text.places(made[place : place + 2])) for place in range(len(made) - 1))
    found = chapter.babble(model, PROMPT)
    assert [line["n"] for line in found["lines"]] == [1, 2, 3, 5, 0] and found == chapter.babble(model, PROMPT)
    for line in found["lines"]:
        assert len(line["copied"]) == len(line["tokens"])
    # a stretch of the corpus is copied, random tokens are not
    stretch = text.ids[40:60].tolist()
    assert chapter.copied(text, stretch) == [True] * 20
    mixed = [*stretch[:6], *np.random.default_rng(0).integers(0, 300, 6).tolist()]
    assert chapter.copied(text, mixed)[:6] == [True] * 6 and not chapter.copied(text, mixed)[-1]


def test_prices_are_those_of_the_model(chapter: ModuleType, model: OpenedModel) -> None:
    found = chapter.bits(model, PROMPT)
    ids = model.prompt_ids(PROMPT)
    logits_TV = model.trace(PROMPT)["logits"][0]
    for place, token in enumerate(found["tokens"][1:]):
        wanted = -math.log2(float(logits_TV[place].softmax(-1)[ids[place + 1]]))
        assert token["bits"] == pytest.approx(wanted, abs=1e-4)
    assert found["tokens"][0]["bits"] == pytest.approx(math.log2(model.tokenizer.vocabulary_size))
    assert found["model_bits"] == pytest.approx(sum(token["bits"] for token in found["tokens"]))
    assert found["bytes"] == len(PROMPT) and found["zlib_bits"] == 8 * len(zlib.compress(PROMPT.encode(), 9))
    assert len(chapter.bits(model, "x")["tokens"]) == 1


def test_recall_compares_with_the_corpus(chapter: ModuleType, model: OpenedModel) -> None:
    found = chapter.recall(model, 1)
    assert len(found["true"]) == len(found["made"]) == len(found["right"]) == chapter.ASKED
    assert found["right"] == [one == other for one, other in zip(found["made"], found["true"], strict=True)]
    assert all(found["right"][: found["by_heart"]]) and not found["right"][found["by_heart"]]
    size = chapter.size(model)
    ends = len(TEXTS) * len("<|endoftext|>")
    assert size["corpus_bytes"] == sum(len(text) for text in TEXTS) + ends
    assert size["weight_bytes"] == 2 * size["parameters"]


def test_what_is_sent_is_the_conversation(chapter: ModuleType, model: OpenedModel) -> None:
    found = chapter.product(model, "Where?", rules="Short.")
    assert found["chat"] and found == chapter.product(model, "Where?", rules="Short.")
    ids = model.chat_ids([{"role": "system", "content": "Short."}, {"role": "user", "content": "Where?"}])
    assert [one["token"] for one in found["sent"]] == chapter.chips(model, ids)
    assert {one["token"] for one in found["sent"] if one["special"]} == {"<|im_start|>", "<|im_end|>"}


def test_bad_input_is_one_line(
    chapter: ModuleType, model: OpenedModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, key in (("ngrams", "prompt"), ("babble", "prompt"), ("bits", "text"), ("product", "question")):
        for value in ("", "q" * 390):
            with pytest.raises(GlaswerkError, match=r"^[^\n]+$"):
                demo.call(CHAPTER, name, {key: value}, model)
    monkeypatch.setenv("GLASWERK_HOME", str(tmp_path))
    monkeypatch.setattr(chapter.pull, "is_pulled", lambda name: False)
    monkeypatch.setattr(chapter.Packed, "__init__", lambda self, folder: setattr(self, "train", []))
    with pytest.raises(GlaswerkError, match="glaswerk pull"):
        chapter.counted(model)


def test_the_exercise_accepts_a_right_answer_only() -> None:
    check = load_module(Path(entry(CHAPTER).folder / "exercises" / "check_bigram.py"), "check_bigram").check

    def right(words: list[str], word: str) -> dict[str, float]:
        after = [words[place + 1] for place in range(len(words) - 1) if words[place] == word]
        return {each: after.count(each) / len(after) for each in after}

    module = ModuleType("answer")
    module.followers = right  # type: ignore[attr-defined]
    check(module)
    module.followers = lambda words, word: {}  # type: ignore[attr-defined]
    with pytest.raises(AssertionError):
        check(module)
