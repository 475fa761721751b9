"""Chapter 13: replies are judged as they should be, probabilities are the model's own, thresholds and temperatures are
what counting by hand gives, facts read once foretell those never read, a run is asked about its own texts."""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from glaswerk.align.phrasings import DONT_KNOW
from glaswerk.course import LANGUAGES, demo
from glaswerk.course.chapter import load_chapter, shape
from glaswerk.course.demo import load_module
from glaswerk.course.outline import entry
from glaswerk.course.render import Renderer
from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.likelihood import confidence
from glaswerk.evaluate.metrics.calibration import brier, calibration_error
from glaswerk.evaluate.phrasings import HELD_OUT
from glaswerk.evaluate.scoring import by_options
from glaswerk.found import Origin
from glaswerk.home import make_folder
from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.weights import save_model
from glaswerk.opened import OpenedModel, load
from glaswerk.progress import Progress
from glaswerk.run import Run
from glaswerk.tokenizer import train_bpe
from glaswerk.tokenizer.chip import chip
from glaswerk.tokenizer.speech import Speech

CHAPTER = "13-hallucination"
FOLDER = entry(CHAPTER).folder
#: names as different as they must be for others to be made up in their manner
SYLLABLES = ("am", "ber", "cas", "tel", "ton", "wa", "ter", "gate", "mill", "ford", "brad", "ley", "ham", "stone")
NAMES = [f"{one}{two}{three}".capitalize() for one in SYLLABLES for two in "aeiou" for three in SYLLABLES]
READ = NAMES[::13][:72]
KEPT = [name for name in NAMES[7::60] if name not in READ][:14]


@pytest.fixture(scope="module")
def chapter() -> ModuleType:
    demo.demos(CHAPTER)
    return sys.modules["glaswerk_chapter_hallucination"]


def told(model: OpenedModel | None, name: str, **arguments: object) -> dict:
    return json.loads(demo.call(CHAPTER, name, arguments, model))


def small(texts: list[str]) -> tuple[Decoder, object]:
    """A small model with random weights and a tokenizer of these texts."""
    tokenizer = train_bpe(texts, 420)
    decoder = Decoder(
        ModelConfig.modern(vocabulary_size=tokenizer.vocabulary_size, width=32, layers=2, heads=2, context=256)
    )
    generator = torch.Generator().manual_seed(13)
    for parameter in decoder.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
    return decoder, tokenizer


@pytest.fixture(scope="module")
def model() -> OpenedModel:
    """A model that belongs to no run and guesses."""
    decoder, tokenizer = small([(FOLDER / "facts.toml").read_text("utf-8")] * 2)
    return OpenedModel(decoder, tokenizer, Origin(Path("glass")), Speech(tokenizer, None, None, frozenset()))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def base(model: OpenedModel) -> OpenedModel:
    """The same as a base model, which is asked in plain text."""
    return OpenedModel(model.model, model.tokenizer, Origin(Path("glass"), None, "base"), model.speech)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that read 72 texts and kept 14 back; its sft stage guesses, its dpo stage was trained here to say that it
    does not know, whatever it is asked."""
    job = Run.create(tmp_path_factory.mktemp("runs") / "places", seed=0)
    rows = [
        # every second place is named by the next one's text too
        {"title": name, "text": f"{name} is an old place in the north where {name[::-1].lower()} was made, not far "
         f"from {names[place - 1] if place % 2 else 'the sea'}, as they say.", "source": "here", "topic": "",
         "split": split}
        for split, names in (("train", READ), ("val", KEPT))
        for place, name in enumerate(names)
    ]  # fmt: skip
    make_folder(job.corpus)
    (job.corpus / "documents.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    decoder, tokenizer = small([row["text"] for row in rows] + [DONT_KNOW["en"]] * 20)
    save_model(job.stage("sft"), decoder, tokenizer)  # type: ignore[arg-type]
    job.finish("sft", {})
    teach(decoder, load(job.stage("sft")))
    save_model(job.stage("dpo"), decoder, tokenizer)  # type: ignore[arg-type]
    job.finish("dpo", {})
    return job


def teach(decoder: Decoder, opened: OpenedModel) -> None:
    """Some steps on questions about titles that are all answered with "I do not know"."""
    questions = [form.format(x=name) for form in HELD_OUT["en"] for name in READ[:12]]
    said = [*opened.tokenizer.encode(DONT_KNOW["en"]), next(iter(opened.end_ids))]
    rows = [[*opened.chat_ids([{"role": "user", "content": question}]), *said] for question in questions]
    optimizer = torch.optim.Adam(decoder.parameters(), 1e-2)
    for step in range(150):
        ids = torch.tensor(rows[step % len(rows)])
        loss = F.cross_entropy(decoder(ids[None, :-1])[0, -len(said) :], ids[-len(said) :])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.3


@pytest.fixture(scope="module")
def sft(run: Run) -> OpenedModel:
    return load(run.stage("sft"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_both_languages_have_the_same_shape_and_write_their_numbers(language: str) -> None:
    chapter = load_chapter(CHAPTER)
    assert shape(chapter.prose["en"]) == shape(chapter.prose["de"])
    html = Renderer(language).page(chapter.prose[language], CHAPTER)
    assert "{=" not in html and ("22,5\u00a0%" if language == "de" else "22.5\u00a0%") in html


# ---------------------------------------------------------------------------------------------- what is asked
def test_the_lists_of_countries_are_whole(chapter: ModuleType) -> None:
    for language in LANGUAGES:
        facts = chapter.asked.capitals(language)
        assert [len(facts[kind]) for kind in ("large", "small", "nowhere")] == [20, 20, 20]
        every = [fact.title for all_ in facts.values() for fact in all_]
        assert len(set(every)) == 60
        for kind, all_ in facts.items():
            assert all((fact.truth in fact.found) if kind != "nowhere" else not fact.truth for fact in all_)
            assert all(fact.title in fact.question for fact in all_)
    pairs = chapter.asked.told()["pairs"]
    assert all(true != false for row in pairs for true, false in row.values()) and len(pairs) >= chapter.OFFERED


def test_a_run_is_asked_about_what_it_read_what_it_did_not_and_what_does_not_exist(
    chapter: ModuleType, sft: OpenedModel
) -> None:
    facts = chapter.asked.facts(sft, "own", "de")  # the corpus's language, whatever the page's
    assert {fact.title for fact in facts["read"]} <= set(READ) and len(facts["read"]) == 60
    assert {fact.title for fact in facts["unread"]} == set(KEPT[1::2])  # the other half trains
    made = [fact.title for fact in facts["made-up"]]
    assert made and not {name.lower() for name in made} & {name.lower() for name in (*READ, *KEPT)}
    text = " ".join(chapter.asked.small_letters(sft.origin.run))
    assert not any(name.lower() in text for name in made)
    for kind, all_ in facts.items():
        assert all(bool(fact.truth) == (kind != "made-up") and fact.found for fact in all_)
        assert all(fact.question in [form.format(x=fact.title) for form in HELD_OUT["en"]] for fact in all_)
    assert chapter.asked.mentions(sft.origin.run, READ[0]) == 2 and chapter.asked.mentions(sft.origin.run, READ[1]) == 1


def test_the_nearest_name_shares_most_of_its_letters(chapter: ModuleType) -> None:
    near = chapter.asked.nearest(["Ambergate", "Castelton", "Bradford"])
    assert [near(name) for name in ("Castleton", "amber", "Bradfield", "Zzz")][:3] == [
        "Castelton",
        "Ambergate",
        "Bradford",
    ]
    assert near("Zzz") in ("Ambergate", "Castelton", "Bradford")  # a search finds something for everything


@pytest.mark.parametrize(
    ("kind", "truth", "reply", "outcome"),
    [
        ("large", "Brasília", "The capital of Brazil is BRASILIA.", "right"),
        ("small", "Malé", "It is Malegaon.", "wrong"),  # a name within a word is not named
        ("nowhere", "", "The capital of Drovnia is Drov.", "wrong"),
        ("nowhere", "", "I do not know.", "declined"),
        ("large", "Paris", "I don't know, perhaps Paris.", "declined"),
        ("read", "Cork is a light bark of oak trees.", "It is a light bark of some oak trees.", "right"),
        ("read", "Cork is a light bark of oak trees.", "Cork is a city in the south of Ireland.", "wrong"),
        ("made-up", "", "Das weiß ich nicht. Darüber habe ich nichts gelesen.", "declined"),
    ],
)  # fmt: skip
def test_a_reply_is_judged(chapter: ModuleType, kind: str, truth: str, reply: str, outcome: str) -> None:
    fact = chapter.asked.Fact(kind, "Cork", "What is Cork?", truth, "")
    assert chapter.asked.judged(fact, reply)[0] == outcome


# ---------------------------------------------------------------------------------------------- replies
@pytest.mark.parametrize("chats", [True, False])
def test_probabilities_are_those_of_the_model(model: OpenedModel, base: OpenedModel, chats: bool) -> None:
    asked = model if chats else base
    found = told(asked, "reply", kind=1, number=3)
    assert found["source"] == "capitals" and found["sources"] == ["capitals"] and found["kind"] == "small"
    if chats:
        prompt = model.chat_ids([{"role": "user", "content": found["question"]}])
        reply = model.chat([{"role": "user", "content": found["question"]}], max_tokens=24)
    else:
        text = f"Question: {found['question']}\nAnswer:"
        prompt, reply = model.prompt_ids(text), model.generate(text, max_tokens=24, stop=["\n"])
    ids = reply.ids[: len(found["tokens"])]
    assert ids and found["tokens"] == [chip(model.tokenizer.token_bytes(number)) for number in ids]
    with torch.no_grad():
        probability = model.model(torch.tensor([[*prompt, *ids]]))[0].softmax(-1)
    wanted = [float(probability[len(prompt) - 1 + at, number]) for at, number in enumerate(ids)]
    assert found["probabilities"] == pytest.approx(wanted, rel=1e-3)
    assert found["sure"]["mean"] == pytest.approx(math.exp(np.mean(np.log(wanted))), rel=1e-3)
    assert found["sure"]["first"] == pytest.approx(wanted[0], rel=1e-3)
    assert found["sure"]["least"] == pytest.approx(min(wanted), rel=1e-3)
    again = model.tokenizer.decode(ids)
    if model.tokenizer.encode(again) == ids:  # the library's own measure of a reply is the same
        assert confidence(model, [prompt], [again])[0] == pytest.approx(found["sure"]["mean"], rel=1e-3)


def test_a_stop_text_is_no_part_of_a_reply(chapter: ModuleType, model: OpenedModel) -> None:
    ids = model.tokenizer.encode("The capital\nQuestion")
    kept = chapter.asked.shown(model, ids, "The capital")
    assert model.tokenizer.decode(kept) == "The capital"
    assert chapter.asked.shown(model, ids, "The capital\nQuestion") == ids


def test_a_prompt_that_is_too_long_loses_its_beginning(chapter: ModuleType, base: OpenedModel) -> None:
    fact = chapter.asked.Fact("large", "x", "What is it?", "", "many words " * 300)
    ids = chapter.asked.prompt(base, fact, "en", "source", 200)
    assert len(ids) == 200 and base.tokenizer.decode(ids).endswith("What is it?\nAnswer:")


# ---------------------------------------------------------------------------------------------- thresholds
@pytest.mark.parametrize("source", ["choice", "titles", "capitals"])
def test_thresholds_count_what_is_given_and_wrong(sft: OpenedModel, source: str) -> None:
    found = told(sft, "answered", source=source, piece=4)
    dots, column = found["dots"], {"mean": 2, "first": 3, "least": 4}
    assert found["given"] == len(dots) and found["sources"] == ["choice", "titles", "capitals"]
    assert found["asked"] == sum(sum(counts.values()) for counts in found["kinds"].values())
    for measure, steps in ((measure, found["ways"][measure]["steps"]) for measure in column):
        assert steps[-1][1] == len(dots)
        for threshold, given, wrong in steps:
            kept = [dot for dot in dots if dot[column[measure]] >= threshold - 1e-12]
            assert (given, wrong) == (len(kept), sum(not dot[1] for dot in kept))
        assert all(0 <= dot[column[measure]] <= 1 for dot in dots)
    # more pieces go on where fewer ended
    whole = told(sft, "answered", source=source)
    assert whole["asked"] > found["asked"] and all(dot[1:] in [other[1:] for other in whole["dots"]] for dot in dots)


def test_what_declines_is_given_at_no_threshold(run: Run) -> None:
    found = told(load(run.stage("dpo")), "answered", source="titles", piece=4)
    declined = sum(counts["declined"] for counts in found["kinds"].values())
    assert declined > 0.9 * found["asked"] and found["given"] == found["asked"] - declined


def test_choices_are_those_of_the_benchmark(chapter: ModuleType, sft: OpenedModel) -> None:
    task = chapter.task_of(sft, "corpus-titles", "en")
    _, items, rows = chapter.scored(sft, "corpus-titles", "en", 3)
    samples = by_options(sft, task, items, 0, Progress())[1]
    assert [float(int(np.argmax(row)) == right) for row, right in rows] == [sample.grade for sample in samples]
    kinds = {kind for kind, _, _ in chapter.chosen_titles(sft, "en", 3)}
    assert kinds == {"often", "once"}


def test_how_sure_a_choice_is(chapter: ModuleType) -> None:
    even = chapter.sure.in_three_ways([1.0, 1.0, 1.0, 1.0])
    assert (even["mean"], even["first"], even["least"]) == pytest.approx((0.25, 0, 0), abs=1e-9)
    known = chapter.sure.in_three_ways([math.log(0.7), math.log(0.2), math.log(0.1)])
    entropy = -(0.7 * math.log(0.7) + 0.2 * math.log(0.2) + 0.1 * math.log(0.1)) / math.log(3)
    assert (known["mean"], known["first"], known["least"]) == pytest.approx((0.7, 0.5, 1 - entropy))


# ---------------------------------------------------------------------------------------------- calibration
def test_temperatures_change_how_sure_it_seems_and_nothing_else(chapter: ModuleType, model: OpenedModel) -> None:
    found = told(model, "confidence", piece=9)
    assert found["task"] == "capitals" and found["asked"] == found["total"] == 40 and found["chance"] == 0.25
    _, _, rows = chapter.scored(model, "capitals", "en", 9)
    assert found["steps"][found["as_it_is"]]["temperature"] == 1
    for step in (found["steps"][place] for place in (0, found["as_it_is"], -1)):
        shares = [torch.tensor(row).double().div(step["temperature"]).softmax(0) for row, _ in rows]
        sure = [float(share.max()) for share in shares]
        right = [float(int(share.argmax()) == correct) for share, (_, correct) in zip(shares, rows, strict=True)]
        loss = -np.mean([float(share[correct].log()) for share, (_, correct) in zip(shares, rows, strict=True)])
        assert step["ece"] == pytest.approx(calibration_error(sure, right)) and found["right"] == np.mean(right)
        assert step["brier"] == pytest.approx(brier(sure, right)) and step["loss"] == pytest.approx(loss)
        assert sum(each["count"] for each in step["bins"]) == 40
    losses = [step["loss"] for step in found["steps"]]
    assert losses[found["best"]] == min(losses)
    seeming = [step["sure"] for step in found["steps"]]
    assert seeming == sorted(seeming, reverse=True)


# ---------------------------------------------------------------------------------------------- I do not know
def test_stages_meet_the_same_questions(sft: OpenedModel) -> None:
    found = told(sft, "honest")
    assert found["ways"] == ["sft", "dpo", "source"] and found["stages"] == ["sft", "dpo"] and found["run"] == "places"
    rows = {row["way"]: row["kinds"] for row in found["rows"]}
    assert set(rows["dpo"]) == {"read", "unread", "made-up"}
    for kind, counts in rows["dpo"].items():
        asked = sum(counts[name] for name in ("right", "wrong", "declined"))
        assert asked == (7 if kind == "unread" else 20)
        assert counts["declined"] > 0.9 * asked and rows["sft"][kind]["declined"] == 0
        assert counts["interval"][0] <= counts["declined"] / asked <= counts["interval"][1]
    part = told(sft, "honest", piece=1)
    assert [row["way"] for row in part["rows"]] == ["sft"] and part["count"] == 12


def test_a_run_with_a_base_stage_only_is_asked_in_other_words(run: Run, tmp_path: Path) -> None:
    job = Run.create(tmp_path / "young", seed=0)
    shutil.copytree(run.corpus, job.corpus)
    shutil.copytree(run.stage("sft"), job.stage("base"))
    job.finish("base", {})
    found = told(load(job.path), "honest", piece=0)
    assert (found["ways"], found["stages"], found["run"]) == (["plain", "offer", "source"], [], "young")
    assert set(found["rows"][0]["kinds"]) == {"read", "unread", "made-up"}


def test_a_model_without_a_run_is_asked_in_other_words(base: OpenedModel, chapter: ModuleType) -> None:
    found = told(base, "honest", piece=0)
    assert found["ways"] == ["plain", "offer", "source"] and found["run"] is None and found["stages"] == []
    fact = chapter.asked.capitals("en")["small"][2]
    said = base.tokenizer.decode(chapter.asked.prompt(base, fact, "en", "source", 256))
    assert "The capital of Vanuatu is Port Vila." in said and said.endswith("What is the capital of Vanuatu?\nAnswer:")
    assert "answer: I do not know" in base.tokenizer.decode(chapter.asked.prompt(base, fact, "en", "offer", 256))


# ---------------------------------------------------------------------------------------------- sentences
def test_the_price_of_a_sentence_is_its_loss(model: OpenedModel) -> None:
    found = told(model, "sentence_pair", true="Bats can see.", false="Bats are blind.")
    ids = [model.tokenizer.end_id, *model.tokenizer.encode("Bats can see.")]
    with torch.no_grad():
        logits = model.model(torch.tensor([ids[:-1]]))[0]
    wanted = F.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none").tolist()
    assert found["pair"][0]["losses"] == pytest.approx(wanted, rel=1e-3)
    assert found["pair"][0]["total"] == pytest.approx(sum(wanted), rel=1e-4)
    first = told(model, "sentence_pair")
    assert [first["true"], first["false"]] == first["offered"][0]


def test_false_sentences_of_a_corpus_say_another_title(chapter: ModuleType, sft: OpenedModel) -> None:
    pairs = chapter.sentences.swapped(sft.origin.run)
    assert len(pairs) == chapter.sentences.PAIRS == len(set(pairs))
    for true, false in pairs:
        one, other = true.split()[0], false.split()[0]
        assert one != other and {one, other} <= set(READ) and true.removeprefix(one) == false.removeprefix(other)
    found = told(sft, "sentence_pairs")
    assert found["corpus"] and len(found["rows"]) == len(pairs)
    assert found["fooled"] == sum(row["totals"][1] < row["totals"][0] for row in found["rows"])
    alone = told(sft, "sentence_pair", true=pairs[0][0], false=pairs[0][1])
    assert [one["total"] for one in alone["pair"]] == pytest.approx(found["rows"][0]["totals"], rel=1e-4)


# ---------------------------------------------------------------------------------------------- read once
@pytest.mark.parametrize("steep", [0, 1])
def test_facts_read_once_foretell_those_never_read(steep: int) -> None:
    rows = told(None, "seen_once", facts=1000, steep=steep)["rows"]
    apart = [abs(row["once"] - row["never"]) for row in rows if row["read"] >= 300]
    assert max(apart) < 0.08 and any(row["never"] > 0.2 for row in rows if row["read"] >= 300)
    assert all(sum(row["counts"]) == 1000 for row in rows)
    rng, shares = np.random.default_rng(5), 1 / np.arange(1, 1001.0) ** steep
    shares /= shares.sum()
    drawn = [np.bincount(rng.choice(1000, 1000, p=shares), minlength=1000) for _ in range(30)]
    row = next(row for row in rows if row["read"] == 1000)
    assert row["never"] == pytest.approx(np.mean([shares[times == 0].sum() for times in drawn]), abs=0.03)


def test_the_numbers_of_the_prose() -> None:
    numbers = told(None, "numbers")
    for cost in (1, 3, 9):
        p = numbers[f"break_{cost}"] / 100
        assert p - cost * (1 - p) == pytest.approx(0)  # there, answering brings as much as silence
    assert (numbers["brier_right"], numbers["brier_wrong"]) == pytest.approx((0.01, 0.81))


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("reply", {"source": "titles"}, "belongs to no run that has titled ones"),
        ("answered", {"source": "choice"}, "belongs to no run that has titled ones"),
        ("confidence", {"task": "corpus-titles"}, "belongs to no run that has titled ones"),
        ("sentence_pair", {"true": "Bats can see.", "false": " "}, "type two sentences"),
    ],
)
def test_bad_input_is_one_clear_line(model: OpenedModel, name: str, arguments: dict, message: str) -> None:
    with pytest.raises(GlaswerkError, match=message) as error:
        told(model, name, **arguments)
    assert error.value.german and error.value.german != str(error.value)


def test_questions_that_are_not_here_say_how_to_get_them(model: OpenedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glaswerk.pull.is_pulled", lambda name: False)
    with pytest.raises(GlaswerkError, match="glaswerk pull truthfulqa-100"):
        told(model, "confidence", task="truthfulqa", piece=0)


# ---------------------------------------------------------------------------------------------- the exercises
def kept(confidence: list[float], right: list[int], t: float) -> tuple[float, float]:
    given = [ok for sure, ok in zip(confidence, right, strict=True) if sure >= t]
    return len(given) / len(right), 1 - sum(given) / len(given) if given else 0.0


def best_threshold(confidence: list[float], right: list[int], cost: float) -> float:
    gains = {2.0: 0.0}
    for t in confidence:
        given = [ok for sure, ok in zip(confidence, right, strict=True) if sure >= t]
        gains[t] = sum(given) - cost * (len(given) - sum(given))
    return max(gains, key=lambda t: gains[t])


def ece(confidence: list[float], right: list[int], bins: int = 10) -> float:
    total = 0.0
    for k in range(bins):
        inside = [i for i, sure in enumerate(confidence) if k / bins < sure <= (k + 1) / bins or (k == 0 and sure == 0)]
        total += abs(sum(confidence[i] - right[i] for i in inside))
    return total / len(right)


def squared(confidence: list[float], right: list[int]) -> float:
    return sum((sure - ok) ** 2 for sure, ok in zip(confidence, right, strict=True)) / len(right)


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("abstain", {"kept": kept, "best_threshold": best_threshold}, {"kept": kept, "best_threshold": lambda *_: 2.0}),
        ("abstain", {"kept": kept, "best_threshold": best_threshold},
         {"kept": lambda c, r, t: kept(c, r, t + 1e-9), "best_threshold": best_threshold}),
        ("calibration", {"ece": ece, "brier": squared}, {"ece": ece, "brier": lambda c, r: squared(c, r) ** 0.5}),
        ("calibration", {"ece": ece, "brier": squared}, {"ece": lambda c, r, bins=10: ece(c, r, 10), "brier": squared}),
    ],
)  # fmt: skip
def test_the_exercises_tell_right_from_wrong(name: str, right: dict[str, Callable], wrong: dict[str, Callable]) -> None:
    check = load_module(FOLDER / "exercises" / f"check_{name}.py", f"check_{name}_of_test").check
    check(SimpleNamespace(**right))
    with pytest.raises(AssertionError):
        check(SimpleNamespace(**wrong))
    with pytest.raises(NotImplementedError):
        check(load_module(FOLDER / "exercises" / f"{name}.py", f"stub_{name}_of_test"))
