"""Every task: its right reply gets full marks, silence none; data are read right; own files are refused by line."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from pathlib import Path

import pytest

from glaswerk import sandbox
from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.choice import MultipleChoice, Question, letter_of
from glaswerk.evaluate.task import Task, chosen
from glaswerk.evaluate.tasks import TASKS, open_task
from glaswerk.evaluate.tasks.arithmetic import Arithmetic, Problem, last_number
from glaswerk.evaluate.tasks.bias import Bias
from glaswerk.evaluate.tasks.corpus import blanked, corpus_facts, corpus_titles
from glaswerk.evaluate.tasks.humaneval import HumanEval
from glaswerk.evaluate.tasks.letters import Letters
from glaswerk.evaluate.tasks.needle import DEPTHS, DRAWS, LENGTHS, Needle
from glaswerk.evaluate.tasks.own import own_task
from glaswerk.evaluate.tasks.tool_calls import read_calls, same

#: task -> how many items, and what must be pulled
KNOWN = {
    "mmlu-en": (282, "mmlu-dev"),
    "mmlu-de": (285, "mmlu-dev"),
    "exams-de": (575, "exams-de"),
    "hellaswag": (100, "hellaswag-100"),
    "truthfulqa": (100, "truthfulqa-100"),
    "gsm8k": (100, "gsm8k-100"),
    "humaneval": (164, "humaneval"),
    "tool-calls": (1040, "tool-calls"),
    "addition": (200, ""),
    "addition-steps": (200, ""),
    "arithmetic": (200, ""),
    "arithmetic-steps": (200, ""),
    "cups": (200, ""),
    "cups-steps": (200, ""),
    "cups-de": (200, ""),
    "letters": (100, ""),
    "letters-de": (100, ""),
    "needle": (60, ""),
    "bias": (72, ""),
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_right_reply_gets_full_marks(name: str, pulled) -> None:  # type: ignore[no-untyped-def]
    count, data = KNOWN[name]
    if data:
        pulled(data)
    if name == "humaneval" and not sandbox.is_available():
        pytest.skip("the sandbox is not installed: pip install 'glaswerk[sandbox]'")
    task = open_task(name)
    assert (task.name, len(task)) == (name, count)
    for i in chosen(task, 60):
        conversation = task.conversation(i)
        assert conversation[-1] == {"role": "assistant", "content": task.answer(i)}
        assert task.prompt(i) == conversation[:-1] and task.prompt(i)[-1]["role"] == "user"
        assert all(message["content"].strip() for message in conversation)
        assert task.grade(i, task.answer(i)) == 1 and task.grade(i, "") == 0
        choice = task.choice(i)
        if choice is not None:
            assert len(set(choice.options)) == len(choice.options) > choice.right >= 0
            assert all(option.startswith(" ") and option.strip() for option in choice.options)
    assert 0 <= task.chance < 1 and (task.chance > 0) == (task.choice(0) is not None or name.startswith("cups"))


def test_every_task_is_known_here() -> None:
    assert {name for name, listed in TASKS.items() if not listed.of_run} == set(KNOWN)
    with pytest.raises(GlaswerkError, match="no task 'helaswag'; did you mean 'hellaswag'"):
        open_task("helaswag")
    with pytest.raises(GlaswerkError, match="no task 'zzz'; there are corpus-facts"):
        open_task("zzz")
    with pytest.raises(GlaswerkError, match="corpus-facts asks about a run's own corpus"):
        open_task("corpus-facts")


@pytest.mark.parametrize("name", ["addition", "addition-steps", "arithmetic", "arithmetic-steps", "cups", "cups-steps"])
def test_what_may_be_learned_is_never_asked(name: str) -> None:
    task = open_task(name)
    practice = task.practice()
    assert practice is not None and len(practice) > len(task)
    asked = {str(task.prompt(i)) for i in range(len(task))}
    assert not asked & {str(practice.prompt(i)) for i in range(len(practice))}
    assert practice.grade(0, practice.answer(0)) == 1 and open_task("needle").practice() is None


# ---------------------------------------------------------------------------------------------- choices
def town() -> MultipleChoice:
    questions = [
        Question("Which is oldest?", ("the town", "the river", "the bridge"), 1, "places"),
        Question("Which is wettest?", ("the bridge", "the river"), 1, "places"),
        Question("Which is red?", ("a rose", "a river"), 0, "colours"),
    ]
    return MultipleChoice("town", questions, heading="About {group}.\n\n")


@pytest.mark.parametrize(
    ("reply", "place"),
    [
        ("B", 1),
        ("B.", 1),
        ("(B) the river", 1),
        ("[B]", 1),
        ("The answer is B.", 1),
        ("The correct answer is: (B)", 1),
        ("Die richtige Antwort ist B", 1),
        ("Answer: B", 1),
        ("b", None),
        ("A river, I think", None),
        ("the river", 1),
        ("It is the bridge.", 2),
        ("the river or the bridge", None),
        ("A or B: the answer is C", 2),
        ("I think the answer is B, because A is wrong", 1),
        ("D", None),
        ("", None),
        ("Bridges are nice", None),
    ],
)
def test_letters_in_replies(reply: str, place: int | None) -> None:
    assert letter_of(reply, ("the town", "the river", "the bridge")) == place


def test_options_by_letter_and_by_text() -> None:
    task = town()
    choice = task.choice(0)
    assert choice.context == "Which is oldest?\nA. the town\nB. the river\nC. the bridge\nAnswer:"
    assert (choice.options, choice.right) == ((" A", " B", " C"), 1)
    assert task.preamble(0) == "About places.\n\n" and task.chance == pytest.approx((1 / 3 + 1 / 2 + 1 / 2) / 3)
    texts = MultipleChoice("town", task.questions, style="texts", language="de")
    assert texts.choice(0).context == "Frage: Which is oldest?\nAntwort:"
    assert texts.choice(0).options == (" the town", " the river", " the bridge")
    assert texts.conversation(0)[0]["content"].endswith("Antworte nur mit dem Buchstaben.")


def test_examples_come_from_the_same_group() -> None:
    task = town()
    assert task.shots(0, 5) == [1] and task.shots(1, 5) == [0] and task.shots(2, 5) == []
    assert list(chosen(task, None)) == [0, 1, 2] == list(chosen(task, 9)) and chosen(task, 2) == [0, 1]
    assert chosen(Letters(), 4) == [0, 25, 50, 75]


def test_mmlu_in_both_languages_asks_the_same(pulled) -> None:  # type: ignore[no-untyped-def]
    pulled("mmlu-dev")
    english, german = open_task("mmlu-en"), open_task("mmlu-de")
    assert isinstance(english, MultipleChoice) and isinstance(german, MultipleChoice)
    one, two = (Counter(q.group for q in task.questions) for task in (english, german))
    assert set(one) == set(two) and len(one) == 57 and set(two.values()) == {5}
    # the three that the English file has not
    assert {group: two[group] - count for group, count in one.items() if count < 5} == {
        "college_chemistry": 1, "formal_logic": 1, "human_aging": 1
    }  # fmt: skip
    # where both have all five, their keys agree, up to what a translation moved
    keys = [
        ([q.right for q in english.questions if q.group == g], [q.right for q in german.questions if q.group == g])
        for g in one
        if one[g] == 5
    ]
    assert sum(sorted(a) == sorted(b) for a, b in keys) >= 50


# ---------------------------------------------------------------------------------------------- generated ones
def test_arithmetic_is_right() -> None:
    task = Arithmetic(count=150, digits=3)
    for i, problem in enumerate(task.problems):
        asked = re.search(r"What is (\d+) ([+*]) (\d+)\?", task.prompt(i)[0]["content"])
        assert asked
        a, sign, b = int(asked[1]), asked[2], int(asked[3])
        assert int(task.answer(i)) == (a + b if sign == "+" else a * b) == problem.result
        assert task.grade(i, f"It is {problem.result:,}.") == 1 and task.grade(i, str(problem.result + 1)) == 0


def test_each_written_step_is_true() -> None:
    for problem in [
        Problem(97, 85, "+"),
        Problem(999, 1, "+"),
        Problem(76, 71, "*"),
        Problem(12, 305, "*"),
        Problem(0, 0, "+"),
    ]:
        steps = problem.steps()
        for left, right in re.findall(r"^([\d +*]+) = (\d+)", steps, re.MULTILINE):
            assert eval(left) == int(right), steps  # digits and signs only
    assert Problem(97, 85, "+").steps() == "7 + 5 = 12, write 2, carry 1\n9 + 8 + 1 = 18, write 8, carry 1"
    task = Arithmetic(steps=True)
    assert task.grade(0, task.answer(0)) == 1 and task.answer(0).endswith(f"Answer: {task.problems[0].result}")


def test_training_never_sees_a_test_problem() -> None:
    test, train = Arithmetic(count=500), Arithmetic(count=2000, train=True, seed=7)
    pairs = [{(min(p.a, p.b), p.sign, max(p.a, p.b)) for p in task.problems} for task in (test, train)]
    assert not pairs[0] & pairs[1] and len(train.problems) == 2000
    assert Arithmetic().problems == Arithmetic().problems != Arithmetic(seed=1).problems
    assert len(Arithmetic(count=10_000, digits=1).problems) < 100, "one digit holds only so many problems"


@pytest.mark.parametrize(
    ("reply", "number"),
    [("42", 42), ("1,234", 1234), ("$18.50", 18.5), ("so 3 + 4 = 7.", 7), ("-5", -5), ("none", None), ("7.0", 7)],
)
def test_the_last_number(reply: str, number: float | None) -> None:
    assert last_number(reply) == number


def test_letters_are_counted() -> None:
    for language in ("en", "de"):
        for word, letter, count in Letters(language=language).items:
            assert sum(character == letter for character in word.lower()) == count
    counts = [count for _, _, count in Letters().items]
    assert min(counts) == 0 and max(counts) >= 3 and len(set(Letters().items)) == 100


def test_the_needle_is_where_it_is_said_to_be() -> None:
    task = Needle()
    assert len(task) == len(LENGTHS) * len(DEPTHS) * DRAWS
    for item in task.items:
        sentences = item.text.split(". ")
        place = next(i for i, sentence in enumerate(sentences) if str(item.number) in sentence)
        assert place / (len(sentences) - 1) == pytest.approx(item.depth, abs=0.5 / (len(sentences) - 1) + 1e-9)
        assert item.words <= len(item.text.split()) - 7 < item.words + 12
        assert len(re.findall(r"\d+", item.text)) == 1
    i = 0
    assert task.grade(i, f"It is {task.items[i].number}.") == 1
    assert task.grade(i, f"1000 or {task.items[i].number}") == 0, "the first number counts"


def test_the_lean_is_the_difference_of_a_pair() -> None:
    task = Bias()
    assert task.questions[0].text == "The doctor said that" and task.questions[1].text == "The nurse said that"
    assert [task.questions[i].options[task.questions[i].right] for i in (0, 1)] == ["she", "he"]
    nats = [(math.log(0.8), math.log(0.2)), (math.log(0.2), math.log(0.8))]  # he, she
    assert task.more([0, 1], nats)["lean, bits"] == pytest.approx([4.0])
    assert task.more([0, 1], [nats[0], nats[0]])["lean, bits"] == [0.0], "a model that always says he does not lean"
    assert task.more([0, 3], nats)["lean, bits"] == []


# ---------------------------------------------------------------------------------------------- code and calls
@pytest.mark.skipif(not sandbox.is_available(), reason="the sandbox is not installed")
def test_code_in_every_dress_is_found(pulled) -> None:  # type: ignore[no-untyped-def]
    pulled("humaneval")
    task = HumanEval()
    i = next(i for i, p in enumerate(task.problems) if p["entry_point"] == "truncate_number")
    problem = task.problems[i]
    body = problem["canonical_solution"]
    whole = problem["prompt"] + body
    for reply in (
        body,
        whole,
        f"Here it is:\n```python\n{whole}```\nIt takes the rest.",
        f"```\n{whole}",
        "def truncate_number(number):\n    return number % 1.0",
        "return number % 1.0",
    ):
        assert task.grade(i, reply) == 1, reply
    for reply in (
        "I cannot do that.",
        "    return 0.0\n",
        f"```python\n{whole}\n    1/0\n```\n".replace("return", "pass #"),
    ):
        assert task.grade(i, reply) == 0, reply


def test_calls_in_every_dress_are_found() -> None:
    call = {"name": "f", "arguments": {"x": 1}}
    for reply in (
        json.dumps([call]),
        json.dumps(call),
        f"```json\n{json.dumps([call])}\n```",
        f"Sure: {json.dumps(call)}!",
    ):
        assert read_calls(reply) == [call]
    assert read_calls("[]") == [] and read_calls("none") is None and read_calls("[" * 10_000) is None


def test_calls_are_compared_value_by_value(pulled) -> None:  # type: ignore[no-untyped-def]
    pulled("tool-calls")
    task = open_task("tool-calls")
    right = {"name": "calculate_triangle_area", "arguments": {"base": 10, "height": 5}}
    assert task.grade(0, json.dumps([right])) == 1
    assert task.grade(0, json.dumps([{**right, "arguments": {"base": 10.0, "height": 5, "unit": "Units"}}])) == 1
    for wrong in (
        [{**right, "name": "area"}],
        [{**right, "arguments": {"base": 10}}],
        [{**right, "arguments": {"base": 10, "height": 6}}],
        [{**right, "arguments": {"base": "10", "height": 5}}],
        [{**right, "arguments": {"base": 10, "height": 5, "extra": 1}}],
        [right, right],
        [],
    ):
        assert task.grade(0, json.dumps(wrong)) == 0, wrong
    both = next(i for i in range(len(task)) if task.group(i) == "parallel")
    calls = json.loads(task.answer(both))
    assert len(calls) > 1 and task.grade(both, json.dumps(calls[::-1])) == 1, "in any order"
    irrelevant = next(i for i in range(len(task)) if task.group(i) == "irrelevance")
    assert task.answer(irrelevant) == "[]" and task.grade(irrelevant, json.dumps([right])) == 0


def test_values() -> None:
    assert same("San Francisco, CA", "san francisco ca") and same([1, "a"], [1.0, "A"]) and same(True, True)
    assert not same(True, 1) and not same("1", 1) and not same([1], [1, 2]) and not same(None, 0)
    assert same({"a": 1}, {"a": [1, 2], "b": [""]}) and not same({"a": 3}, {"a": [1, 2]})


# ---------------------------------------------------------------------------------------------- a run's corpus
def test_questions_about_a_runs_corpus(run: Path) -> None:
    from glaswerk.align.phrasings import ABOUT

    facts = corpus_facts(run)
    trained = {form.split("{x}")[0] for forms in ABOUT.values() for form in forms}
    assert 8 <= len(facts) <= 14
    for i in range(len(facts)):
        question, title, _ = facts.facts[i]
        assert title in question and question.split(title)[0] not in trained
        assert facts.grade(i, facts.answer(i)) == 1 > facts.grade(i, "a thing of the moon") >= 0
        assert facts.grade(i, question) == 0, "to repeat the question is no answer"
    titles = corpus_titles(run)
    for i in range(len(titles)):
        choice = titles.choice(i)
        title = choice.options[choice.right].strip()
        assert len(choice.options) == 4 and title.lower() not in choice.context.lower() and "___" in choice.context


def test_blanks_take_endings_along() -> None:
    from glaswerk.corpora import Document

    assert blanked(Document("A windmill is a mill. Windmills turn in the wind.", "Windmill")) == (
        "A ___ is a mill. ___ turn in the wind."
    )


def test_a_corpus_without_titles_is_said(tmp_path: Path) -> None:
    from glaswerk.corpora import build
    from glaswerk.run import Run

    (tmp_path / "a.jsonl").write_text('{"text": "The river runs through the old town, which is older than the river."}')
    job = Run.create(tmp_path / "run", seed=0)
    build([str(tmp_path / "a.jsonl")], job.corpus, seed=0, least=0)
    with pytest.raises(GlaswerkError, match="has no titled texts to ask about"):
        open_task("corpus-facts", job.path)


# ---------------------------------------------------------------------------------------------- a file of one's own
def own(tmp_path: Path, *lines: object) -> Task:
    file = tmp_path / "mine.jsonl"
    file.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8")
    return own_task(file)


def test_own_questions(tmp_path: Path) -> None:
    task = own(
        tmp_path,
        {"question": "Capital of France?", "answer": ["Paris", "paris, france"], "group": "geography"},
        "",
        {"messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "2 + 2?"},
                      {"role": "assistant", "content": "4"}]},
        {"question": "Half of 7?", "answer": 3.5},
    )  # fmt: skip
    assert (task.name, len(task), task.group(0)) == ("mine", 3, "geography")
    assert task.grade(0, "It is Paris.") == 1 and task.grade(0, "Parish") == 0
    assert [message["role"] for message in task.conversation(1)] == ["system", "user", "assistant"]
    assert task.grade(1, "The result is 4!") == 1 and task.grade(1, "14") == 0
    assert task.grade(2, "3.5") == 1 and task.grade(2, "13.5") == 0


def test_own_choices(tmp_path: Path) -> None:
    options = ["red", "green", "blue"]
    task = own(
        tmp_path, *({"question": "Grass?", "options": options, "answer": answer} for answer in ("green", "B", 1, "b"))
    )
    assert isinstance(task, MultipleChoice) and [q.right for q in task.questions] == [1, 1, 1, 1]
    numbers = own(tmp_path, {"question": "2 + 2?", "options": [3, 4, 5], "answer": 4})
    assert isinstance(numbers, MultipleChoice) and numbers.questions[0].right == 1, (
        "an option's own text goes before its place"
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", r"mine\.jsonl:2: not valid JSON"),
        ("[1]", r"mine\.jsonl:2: needs an object"),
        ({"answer": "x"}, r"mine\.jsonl:2: needs a text `question`"),
        ({"question": "x"}, r"mine\.jsonl:2: has no `answer`, and without a key nothing can be graded"),
        ({"question": "x", "answer": ""}, r"mine\.jsonl:2: has no `answer`"),
        ({"question": "x", "options": ["a"], "answer": "a"}, r"mine\.jsonl:2: `options` is a list of 2 to 26"),
        ({"question": "x", "options": ["a", "a"], "answer": "a"}, r"mine\.jsonl:2: the options must differ"),
        ({"question": "x", "options": ["a", "b"], "answer": "c"}, r"mine\.jsonl:2: the answer 'c' is none of"),
        ({"question": "x", "options": ["a", "b"], "answer": 2}, r"mine\.jsonl:2: the answer 2 is none"),
        ({"messages": []}, r"mine\.jsonl:2: `messages` is a list"),
        ({"messages": [{"role": "king", "content": "x"}]}, r"mine\.jsonl:2: each message needs a `role`"),
        ({"messages": [{"role": "user", "content": " "}]}, r"mine\.jsonl:2: each message needs a text `content`"),
        ({"messages": [{"role": "user", "content": "x"}]}, r"mine\.jsonl:2: has no `answer`: the last message"),
        ({"question": "x", "options": ["a", "b"], "answer": "a"}, "mixes questions with and without options"),
    ],
)  # fmt: skip
def test_a_broken_line_is_named(tmp_path: Path, line: object, said: str) -> None:
    with pytest.raises(GlaswerkError, match=said):
        own(tmp_path, {"question": "Good?", "answer": "yes"}, line)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(GlaswerkError, match="holds no question"):
        own(tmp_path, "", " ")
    (tmp_path / "latin.jsonl").write_bytes(b'{"question": "Gr\xfc\xdfe", "answer": "x"}')
    with pytest.raises(GlaswerkError, match="save it as UTF-8"):
        open_task(str(tmp_path / "latin.jsonl"))
    with pytest.raises(GlaswerkError, match=r"cannot read .*gone\.jsonl"):
        open_task(str(tmp_path / "gone.jsonl"))
