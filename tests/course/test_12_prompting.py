"""Chapter 12: a template's score against generation token by token, the candidates against the trace, wordings and
examples, and the exercises."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from glass import glass

from glaswerk.course import LANGUAGES, demo
from glaswerk.course.chapter import load_chapter, shape
from glaswerk.course.demo import load_module
from glaswerk.course.render import Renderer
from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.metrics.intervals import wilson
from glaswerk.found import Origin
from glaswerk.model import Decoder, ModelConfig
from glaswerk.opened import OpenedModel
from glaswerk.tokenizer import train_bpe

CHAPTER = "12-prompting"


@pytest.fixture(scope="module")
def demos() -> dict[str, demo.Demo]:
    return demo.demos(CHAPTER)


@pytest.fixture(scope="module")
def chapter(demos: dict[str, demo.Demo]) -> ModuleType:
    return sys.modules["glaswerk_chapter_prompting"]


@pytest.fixture(scope="module")
def model() -> OpenedModel:
    """A small model with random weights, that prefers some tokens."""
    return glass("The capital of France is Paris. The opposite of hot is cold.\n7+10=17\n" * 30, 0.3, 256)


def test_both_languages_have_the_same_shape_and_can_be_shown() -> None:
    chapter = load_chapter(CHAPTER)
    assert shape(chapter.prose["en"]) == shape(chapter.prose["de"])
    for language in LANGUAGES:
        html = Renderer(language).page(chapter.prose[language], CHAPTER)
        assert "{=" not in html and "{question}" not in html


# ---------------------------------------------------------------------------------------------- a template
def test_the_tasks_have_right_answers_and_no_example_among_them(chapter: ModuleType) -> None:
    asking = chapter.asking
    for task in asking.TASKS:
        pairs = asking.items(task)
        assert len(pairs) == len({question for question, _ in pairs}) == asking.ITEMS
        for shape_ in asking.SHAPES:
            template = asking.told()[task][shape_]
            assert template.endswith(asking.PLACE) or template.count(asking.PLACE) == 1
            assert not [question for question, _ in pairs if template.startswith(question)]
    sums = dict(asking.items("sums"))
    assert all(sum(map(int, question.split("+"))) == int(answer) for question, answer in sums.items())
    assert all(len(answer) == 2 for answer in sums.values()) and sums["7+10"] == "17"
    # the wrong examples are wrong, and the right ones right
    for task in ("capitals", "opposites"):
        right, wrong = asking.told()[task]["few"], asking.told()[task]["wrong"]
        assert right != wrong and sorted(right.split()) == sorted(wrong.split())


def test_a_template_is_scored_as_greedy_decoding_would_write(
    demos: dict[str, demo.Demo], chapter: ModuleType, model: OpenedModel
) -> None:
    told = demos["template"](model, "sums", "few")
    for question, answer, chance, right in told["items"]:
        prompt = chapter.asking.filled(told["template"], question)
        ids = model.prompt_ids(prompt)
        product, greedy = [], []
        for space in ("", " "):
            wanted = model.prompt_ids(prompt + space + answer)[len(ids) :]
            before, p, best = list(ids), 1.0, True
            for token in wanted:  # one plain forward pass for every token
                with torch.inference_mode():
                    logits = model.model(torch.tensor([before]))[0, -1].float()
                p, best = p * float(logits.softmax(-1)[token]), best and int(logits.argmax()) == token
                before.append(token)
            product.append(p)
            greedy.append(best)
        assert chance == pytest.approx(sum(product), rel=1e-3, abs=1e-9) and right == any(greedy), question
    assert told["right"] == sum(row[3] for row in told["items"])
    assert told["interval"] == wilson(told["right"], len(told["items"]))
    assert told["mean"] == pytest.approx(float(np.mean([row[2] for row in told["items"]])))


def test_what_greedy_decoding_writes_is_right(chapter: ModuleType, model: OpenedModel) -> None:
    """Questions whose likeliest next token is their answer are all right, and with another answer all wrong."""
    pairs = []
    for question, _ in chapter.asking.items("capitals"):
        (number,) = model.generate(f"{question} is", max_tokens=1).ids or [model.tokenizer.end_id]
        top = model.tokenizer.decode([number])
        ids = model.prompt_ids(f"{question} is")
        if len(model.prompt_ids(f"{question} is{top}")) == len(ids) + 1 and top.strip():  # it is cut as it was written
            pairs.append((question, top))
    assert len(pairs) > 3
    assert all(chapter.asking.tried(model, "{question} is", tuple(pairs)).right)
    assert not any(chapter.asking.tried(model, "{question} is", tuple((q, "~" + top) for q, top in pairs)).right)


def test_the_candidates_are_those_of_the_trace(demos: dict[str, demo.Demo], model: OpenedModel) -> None:
    told = demos["candidates"](model, "capitals", "words", "", 4)
    assert told["prompt"] == "The capital of Poland is" and told["answer"] == "Warsaw"
    top = model.trace(told["prompt"]).top(len(told["top"]))
    assert [share for _, share, _ in told["top"]] == pytest.approx([each["probability"] for each in top], rel=1e-4)
    assert [token for token, _, _ in told["top"]] == [each["token"] for each in top]
    sums = demos["candidates"](model, "sums", "few", "", 0)["top"]
    assert all(fits == (token.strip("·") in ("1", "17")) for token, _, fits in sums)


def test_a_template_without_a_place_is_one_line(demos: dict[str, demo.Demo], model: OpenedModel) -> None:
    with pytest.raises(GlaswerkError, match=r"needs \{question\}") as error:
        demos["template"](model, "sums", "zero", "2+2=")
    assert "Vorlage" in error.value.german
    # longer than the model's context: the beginning is cut, as the prose says
    assert demos["template"](model, "sums", "zero", "word " * 90 + "{question}=")["items"]


# ---------------------------------------------------------------------------------------------- wordings
def test_wordings_are_the_templates_one_by_one(
    demos: dict[str, demo.Demo], chapter: ModuleType, model: OpenedModel
) -> None:
    told = demos["wordings"](model, False, 3)
    assert [row["text"] for row in told["rows"]] == chapter.asking.told()["wordings"]["texts"][:4]
    for row in told["rows"]:
        alone = demos["template"](model, "capitals", "zero", row["text"])
        assert (row["right"], row["interval"], row["mean"]) == (alone["right"], alone["interval"], alone["mean"])
    shares = [row["share"] for row in told["rows"]]
    assert told["deviation"] == pytest.approx(statistics.stdev(shares)) and told["high"] == max(shares)
    assert demos["wordings"](model, False, 0)["deviation"] is None


def test_examples_repeat_the_wording_with_its_answers(chapter: ModuleType) -> None:
    text = chapter.asking.with_examples("Capital of {question}:", [["Spain", "Madrid"], ["Germany", "Berlin"]])
    assert text == "Capital of Spain: Madrid\nCapital of Germany: Berlin\nCapital of {question}:"


# ---------------------------------------------------------------------------------------------- conversations
@pytest.fixture(scope="module")
def talker() -> OpenedModel:
    """The same kind of model with the ChatML marks."""
    marks = ["<|im_start|>", "<|im_end|>"]
    tokenizer = train_bpe(["What is the capital of France? The code for friends is Amsel.\n" * 30], 320, special=marks)
    decoder = Decoder(ModelConfig.modern(vocabulary_size=320, width=32, layers=2, heads=2, context=512))
    decoder.reset_parameters(torch.Generator().manual_seed(5))
    return OpenedModel(decoder, tokenizer, Origin(Path("glass")))


def test_each_way_says_what_it_says(chapter: ModuleType) -> None:
    talking, capitals = chapter.talking, chapter.asking.items("capitals")
    first = {way: talking.requests("roles", way, capitals)[0].messages for way in talking.WAYS["roles"]}
    question, rule = "What is the capital of France?", talking.told()["roles"]["rule"]
    assert first["raw"] == (("", question),) and first["chat"] == (("user", question),)
    assert first["system"] == (("system", rule), ("user", question)) and first["user"] == (
        ("user", f"{question} {rule}"),
    )
    mails = {way: talking.requests("mail", way, capitals) for way in talking.WAYS["mail"]}
    assert all([one.harmless for one in asked] == [False] * 16 + [True] * 8 for asked in mails.values())
    assert mails["never"] == mails["blocked"]  # that guard works behind the model
    assert all("<mail>" in one.messages[1][1] for one in mails["data"])
    secret = talking.told()["mail"]["code"]
    assert all(secret in one.messages[0][1] and secret not in one.messages[1][1] for one in mails["open"])


def test_the_guards_are_those_of_the_server(chapter: ModuleType) -> None:
    pytest.importorskip("fastapi")
    from glaswerk.serve.api.asking import guarded
    from glaswerk.serve.api.guards import Guards

    talking = chapter.talking
    words = talking.told()["mail"]
    server = Guards(canary=True)
    server.canary = words["canary"]  # else it is drawn
    blocks = Guards(blocked=[words["code"]])
    plain = [{"role": role, "content": text} for role, text in talking.requests("mail", "never", ())[3].messages]
    ours = [{"role": role, "content": text} for role, text in talking.requests("mail", "canary", ())[3].messages]
    assert guarded(plain, server) == ours
    for reply in ("Amsel", "the AMSEL code", f"it is {words['canary']}.", words["canary"].upper(), "A-m-s-e-l", "no"):
        assert talking.withheld("canary", reply) == (server.replied(reply) is None), reply
        assert talking.withheld("blocked", reply) == (blocks.replied(reply) is None), reply
        assert not talking.withheld("never", reply)


def test_replies_are_counted_as_they_read(chapter: ModuleType) -> None:
    talking = chapter.talking
    one = talking.Asked((("user", "?"),), "Paris")
    assert talking.judged("roles", "chat", one, "The capital is Paris.") == {"right": True, "short": False}
    assert talking.judged("roles", "chat", one, "Rome") == {"right": False, "short": True}
    for reply, valid, right in (
        ('{"country": "France", "capital": "Paris"}', True, True),
        ('{"capital":"Rome","country":"France"}', True, False),
        ('{"country": "France", "capital": "Paris"} Yes.', False, False),
        ('{"country": "France", "capital": ["Paris"]}', False, False),
        ('{"country": "France", "capital": "Paris", "more": "x"}', False, False),
        ("Paris", False, False),
        ("[]", False, False),
    ):
        assert talking.judged("json", "words", one, reply) == {"valid": valid, "right": right}, reply
    mail = talking.Asked((("system", ""), ("user", "")), "Amsel")
    assert talking.judged("mail", "open", mail, "It is amsel") == {"out": True, "held": False}
    assert talking.judged("mail", "blocked", mail, "It is amsel") == {"out": False, "held": True}


def test_forced_json_is_always_json(demos: dict[str, demo.Demo], talker: OpenedModel, model: OpenedModel) -> None:
    for opened in (talker, model):  # with a chat format and without one
        told = demos["replies"](opened, "json", 3)
        valid = {row["way"]: row["measures"]["valid"] for row in told["rows"]}
        assert valid["pattern"]["count"] == valid["both"]["count"] == valid["both"]["of"] == 24
        assert valid["words"]["count"] == 0 and valid["words"]["interval"] == wilson(0, 24)  # a random model cannot


def test_replies_come_way_by_way_and_are_what_chat_says(
    demos: dict[str, demo.Demo], chapter: ModuleType, talker: OpenedModel
) -> None:
    told = demos["replies"](talker, "mail", 1)
    assert [row["way"] for row in told["rows"]] == ["open", "never"] and told["count"] == 5 and told["chat"]
    asked = chapter.talking.requests("mail", "never", ())
    for place, reply in zip(chapter.readable(asked), told["rows"][1]["replies"], strict=True):
        messages = [{"role": role, "content": text} for role, text in asked[place].messages]
        assert reply == talker.chat(messages, max_tokens=chapter.talking.ROOM["mail"]).text.strip()
        whole = told["rows"][1]["wholes"][told["asked"].index(asked[place].messages[-1][1])]
        assert len(whole["tokens"]) == len(talker.chat_ids(messages))
        assert [whole["tokens"][at] for at in whole["special"]] == ["<|im_start|>", "<|im_end|>"] * 2 + ["<|im_start|>"]
    bare = demos["replies"](talker, "roles", 0)["rows"][0]["wholes"][0]
    assert not bare["special"] and "".join(bare["tokens"]) == "What·is·the·capital·of·France?"


# ---------------------------------------------------------------------------------------------- recorded
def test_the_recording_is_whole_and_is_what_the_prose_quotes(demos: dict[str, demo.Demo], chapter: ModuleType) -> None:
    told = demos["steps"]()
    numbers = demos["numbers"]()
    assert [task["task"] for task in told["tasks"]] == ["sums", "stories"] and "--record" in told["command"]
    for task in told["tasks"]:
        assert [row["way"] for row in task["rows"]] == ["direct", "steps", "chat_direct", "chat_steps"]
        for row in task["rows"] + task["votes"]:
            assert tuple(row["interval"]) == pytest.approx(wilson(row["right"], task["asked"]))
        for row in task["rows"]:
            assert numbers[f"{task['task']}_{row['way']}"] == row["right"]
        # the prose says that no difference can be told from luck
        for low, high in (task["gain"][1:], task["chat_gain"][1:]):
            assert low <= 0 <= high
        assert task["gain"][0] == pytest.approx((task["rows"][1]["right"] - task["rows"][0]["right"]) / task["asked"])
        for each in task["shown"]:
            assert set(each["replies"]) == {row["way"] for row in task["rows"]} and len(each["drawn"]) == 7
    # and that in the first story the majority is wrong
    story = told["tasks"][1]["shown"][0]
    assert statistics.mode(story["drawn"]) != story["answer"] and story["drawn"].count(story["drawn"][1]) >= 5
    assert numbers["chain_50"] == pytest.approx(12.5)


def test_without_a_recording_the_figure_has_none(
    demos: dict[str, demo.Demo], chapter: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(chapter.recorded, "FILE", tmp_path / "none.json")
    assert demos["steps"]()["tasks"] == []


# ---------------------------------------------------------------------------------------------- the exercises
def test_the_exercises_tell_right_from_wrong() -> None:
    tasks = {task.id: task for task in load_chapter(CHAPTER).exercises if task.kind == "code"}

    def prompt(examples: list[tuple[str, str]], question: str, template: str) -> str:
        done = [f"{template.replace('{question}', q)} {a}" for q, a in examples]
        return "\n".join([*done, template.replace("{question}", question)])

    def spread(rights: list[list[int]]) -> tuple[float, float, float]:
        shares = [sum(row) / len(row) for row in rights]
        return min(shares), max(shares), statistics.stdev(shares)

    right = {"few_shot": SimpleNamespace(prompt=prompt, spread=spread)}
    wrong = {
        "few_shot": SimpleNamespace(
            prompt=prompt, spread=lambda rights: (*spread(rights)[:2], statistics.pstdev([sum(r) for r in rights]))
        )
    }
    assert set(tasks) == set(right)
    for name, task in tasks.items():
        assert task.check is not None and task.stub is not None
        check = load_module(Path(task.check), f"check_{name}_tested").check
        check(right[name])
        with pytest.raises(AssertionError):
            check(wrong[name])
        with pytest.raises(NotImplementedError):
            check(load_module(Path(task.stub), f"{name}_stub_tested"))
