"""Scores of a whole task: by likelihood as a loop finds them, written as the model writes; shots, draws, notes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from glaswerk.errors import GlaswerkError
from glaswerk.evaluate import score
from glaswerk.evaluate.choice import MultipleChoice, Question
from glaswerk.evaluate.likelihood import asked, likelihoods
from glaswerk.evaluate.scoring import before, prompt_ids
from glaswerk.evaluate.task import Choice, Messages, Task, pair
from glaswerk.evaluate.tasks.bias import Bias
from glaswerk.evaluate.text import text_score
from glaswerk.opened import OpenedModel, Origin
from glaswerk.progress import Progress

RNG = np.random.default_rng(0)
TEXT = "the river runs through old town and is older than what Question Answer one two three four"
WORDS = TEXT.split()


def questions(count: int, style: str = "texts", groups: int = 1) -> MultipleChoice:
    made = []
    for place in range(count):
        options = {" ".join(RNG.choice(WORDS, size=int(RNG.integers(1, 6)))) + f" {k}" for k in range(3)}
        made.append(
            Question(" ".join(RNG.choice(WORDS, size=8)), tuple(sorted(options)), place % 3, f"g{place % groups}")
        )
    return MultipleChoice("made", made, style=style, heading="About {group}.\n\n")


@torch.inference_mode()
def total(opened: OpenedModel, context: str, option: str) -> float:
    """The obvious way: all ids, one pass, the option's tokens."""
    ids = opened.prompt_ids(context + option)
    start = len(opened.prompt_ids(context))
    logp = opened.model(torch.tensor([ids[:-1]]))[0].float().log_softmax(-1)
    return sum(float(logp[place - 1, ids[place]]) for place in range(start, len(ids)))


@pytest.mark.parametrize("shots", [0, 2])
def test_three_ways_to_compare_options(opened: OpenedModel, shots: int) -> None:
    task = questions(12, groups=2)
    found = score(opened, task, shots=shots)
    right: dict[str, list[float]] = {"accuracy": [], "accuracy per byte": [], "accuracy unconditional": []}
    for i in range(len(task)):
        choice = task.choice(i)
        context = f"About {task.group(i)}.\n\n"
        for j in [j for j in range(12) if j != i and task.group(j) == task.group(i)][:shots]:
            shown = task.choice(j)
            context += f"{shown.context}{shown.options[shown.right]}\n\n"
        raw = [total(opened, context + choice.context, option) for option in choice.options]
        assert found.samples[i].nats == pytest.approx(raw, abs=1e-3)
        scores = {
            "accuracy": raw,
            "accuracy per byte": [
                nats / len(option[1:].encode()) for nats, option in zip(raw, choice.options, strict=True)
            ],
            "accuracy unconditional": [
                nats - total(opened, "Answer:", option) for nats, option in zip(raw, choice.options, strict=True)
            ],
        }
        for way, values in scores.items():
            right[way].append(float(int(np.argmax(values)) == choice.right))
    assert {m.metric: m.value for m in found.measures} == {way: pytest.approx(np.mean(r)) for way, r in right.items()}
    assert found.grades == right["accuracy"] and found.value == pytest.approx(np.mean(found.grades))
    assert (found.how, found.shots, found.chance) == ("likelihood", shots, pytest.approx(1 / 3))
    assert found.measures[0].stderr == pytest.approx(np.std(found.grades, ddof=1) / math.sqrt(12))
    assert found.measures[0].low < found.value < found.measures[0].high


def test_rows_are_plain_json(opened: OpenedModel) -> None:
    rows = score(opened, questions(4), limit=3).rows()
    assert {"task", "metric", "value", "stderr", "n", "chance", "low", "high", "how", "shots"} == set(rows[0])
    assert rows[0]["n"] == 3 and rows[0]["task"] == "made" and len(rows) == 3
    one = score(opened, questions(1)).rows()[0]
    assert one["stderr"] is None, "JSON has no NaN"


def test_a_measure_of_its_own(opened: OpenedModel) -> None:
    found = score(opened, Bias(), limit=8)
    assert [m.metric for m in found.measures] == ["against stereotype"], "no pair is whole"
    found = score(opened, Bias())
    assert [m.metric for m in found.measures] == ["against stereotype", "lean, bits"]
    odds = [(he - she) / math.log(2) for he, she in (sample.nats for sample in found.samples)]
    assert found.measures[1].value == pytest.approx(np.mean([odds[i] - odds[i + 1] for i in range(0, 72, 2)]))


def test_a_long_context_is_cut_and_said(opened: OpenedModel) -> None:
    long = MultipleChoice("long", [Question("the river runs " * 150, ("one", "two"), 0)], style="texts")
    assert score(opened, long).notes == ["2 of 2 texts were cut at the left to fit the context"]


# ---------------------------------------------------------------------------------------------- written
class Echo(Task):
    """Graded by what the model surely writes: its own greedy reply."""

    name, metric, max_tokens = "echo", "same", 6

    def __init__(self, opened: OpenedModel, count: int = 5) -> None:
        asked = [f"the river {word}" for word in WORDS[:count]]
        self.items = [(q, opened.chat(pair(q, "")[:-1], max_tokens=6).text.strip()) for q in asked]

    def __len__(self) -> int:
        return len(self.items)

    def conversation(self, i: int) -> Messages:
        return pair(*self.items[i])

    def grade(self, i: int, reply: str) -> float:
        return float(reply == self.items[i][1])


def test_written_replies_are_what_the_model_says(opened: OpenedModel) -> None:
    task = Echo(opened)
    found = score(opened, task)
    assert found.grades == [1.0] * 5 and found.how == "written" and not found.wrong
    assert [sample.reply for sample in found.samples] == [reply for _, reply in task.items]
    assert [m.metric for m in found.measures] == ["same"]
    # with examples before it, the question is another one: turns of the conversation
    ids, dropped = prompt_ids(opened, task, 2, 1, 6)
    assert dropped == 0 and ids == opened.chat_ids([*task.conversation(0), *task.prompt(2)])


def test_draws_are_counted_as_pass_at_k(opened: OpenedModel) -> None:
    task = Echo(opened)
    found = score(opened, task, samples=4, seed=3)
    assert [m.metric for m in found.measures] == ["pass@1", "pass@4"]
    assert found.measures[0].value == pytest.approx(np.mean(found.grades))
    assert found.measures[1].value >= found.measures[0].value
    assert score(opened, task, samples=4, seed=3).grades == found.grades
    drawn = opened.chat_batch([task.prompt(0)] * 4, max_tokens=6, temperature=0.8, seed=3)
    assert found.grades[0] == sum(task.grade(0, reply) for reply in drawn) / 4


def test_a_base_model_is_asked_in_plain_text(opened: OpenedModel) -> None:
    base = OpenedModel(
        opened.model, opened.tokenizer, Origin(opened.origin.folder, opened.origin.folder.parent, "base")
    )
    task = Echo(opened)
    ids, _ = prompt_ids(base, task, 2, 1, 6)
    question, reply = task.items[0]
    assert base.tokenizer.decode(ids) == (
        f"Question: {question}\nAnswer: {reply}\n\nQuestion: {task.items[2][0]}\nAnswer:"
    )
    said = score(base, task).samples[2].reply
    alone = base.generate(f"Question: {task.items[2][0]}\nAnswer:", max_tokens=6, stop=["\nQuestion:"]).text
    assert said == alone.strip()


def test_examples_that_do_not_fit_are_left_out(opened: OpenedModel) -> None:
    task = MultipleChoice("long", [Question("the river runs " * 25, ("one", "two"), k % 2) for k in range(6)])
    found = score(opened, task, shots=5, written=True, limit=2)
    assert "examples were left out because the context has no room" in found.notes[0]
    ids, dropped = prompt_ids(opened, task, 0, 5, 16)
    assert len(ids) <= opened.model.config.context - 16 and 0 < dropped <= 5


def test_written_choices_are_graded_by_letter(opened: OpenedModel) -> None:
    found = score(opened, questions(4, "letters"), written=True)
    assert found.how == "written" and [m.metric for m in found.measures] == ["accuracy"]


def test_progress_is_told(opened: OpenedModel) -> None:
    class Told(Progress):
        def __init__(self) -> None:
            self.total, self.done_amount, self.lines = 0.0, 0.0, []

        def start(self, title: str, total: float | None = None, unit: str = "") -> None:
            self.total += total or 0

        def advance(self, amount: float, **facts: object) -> None:
            self.done_amount += amount

        def done(self, line: str) -> None:
            self.lines.append(line)

    told = Told()
    score(opened, questions(5), progress=told)
    score(opened, Echo(opened), progress=told, samples=2)
    assert told.done_amount == pytest.approx(told.total) == 10 and "questions/s" in told.lines[0]


def test_what_cannot_be_scored_is_said(opened: OpenedModel) -> None:
    with pytest.raises(GlaswerkError, match="has no items to ask"):
        score(opened, MultipleChoice("none", []))

    class Mixed(MultipleChoice):
        def choice(self, i: int) -> Choice | None:  # type: ignore[override]
            return super().choice(i) if i == 0 else None

    with pytest.raises(GlaswerkError, match="item 1 of made has no options, others have"):
        score(opened, Mixed("made", questions(2).questions))


# ---------------------------------------------------------------------------------------------- texts
def test_perplexity_is_transformers(opened: OpenedModel, folders) -> None:  # type: ignore[no-untyped-def]
    """The same windows through transformers: its loss is the mean over a window's tokens."""
    transformers = pytest.importorskip("transformers")
    for shape in ("modern", "classic"):
        theirs = transformers.AutoModelForCausalLM.from_pretrained(folders[shape]).eval()
        from glaswerk.opened import load

        ours = load(folders[shape])
        text = "The river runs through the old town. Wie heißt der Fluss? " * 40
        ids = np.asarray([ours.tokenizer.end_id, *ours.tokenizer.encode(text)])
        nats, tokens = 0.0, 0
        for start in range(0, len(ids) - 1, 256):
            window = torch.tensor(ids[start : start + 257].astype(np.int64))[None]
            with torch.inference_mode():
                logits = theirs(window[:, :-1]).logits[0]
            nats += float(torch.nn.functional.cross_entropy(logits, window[0, 1:], reduction="sum"))
            tokens += window.shape[1] - 1
        found = {m.metric: m for m in text_score(ours, ids, "text").measures}
        assert found["perplexity"].value == pytest.approx(math.exp(nats / tokens), rel=1e-4)
        assert found["bits per byte"].value == pytest.approx(nats / math.log(2) / len(text.encode()), rel=1e-4)
        assert found["bits per byte"].low <= found["bits per byte"].value <= found["bits per byte"].high


def test_windows_of_a_text_add_up(opened: OpenedModel) -> None:
    ids = np.asarray([opened.tokenizer.end_id, *opened.tokenizer.encode("the river runs through the old town " * 60)])
    found = text_score(opened, ids, "text")
    assert np.mean(found.grades) == pytest.approx(found.measures[0].value)
    assert found.items == list(range(0, len(ids) - 1, 256)) and found.chance == 8
    assert len(text_score(opened, ids, "text", limit=1).items) == 1


def test_before_is_what_the_context_begins_with(opened: OpenedModel) -> None:
    task = questions(4, "letters")
    one = before(task, 3, 1) + task.choice(3).context
    (found,) = likelihoods(opened.model, [asked(opened, one, " A")])
    assert found.total == pytest.approx(total(opened, one, " A"), abs=1e-3)
