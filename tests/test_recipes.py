"""The recipes' arithmetic: what quantization_cost says of a small run, against the same computed another way."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from glaswerk.evaluate.chain import check
from glaswerk.evaluate.tasks.arithmetic import Arithmetic
from glaswerk.generate.thinking import Thought
from glaswerk.home import write_json
from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.weights import save_model
from glaswerk.run import Run
from glaswerk.tokenizer import train_bpe
from recipes import (
    addition_grpo,
    dont_know,
    plain_answers,
    prompting,
    quantization_cost,
    reward_hacking,
    thinking_budget,
)


def test_the_cost_of_quantization_of_a_small_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    tokenizer = train_bpe(["the dog and the fox"] * 3, 262)
    size = tokenizer.vocabulary_size
    model = Decoder(ModelConfig.modern(vocabulary_size=size, width=64, layers=2, heads=2, context=32)).eval()
    for value in model.parameters():
        torch.nn.init.normal_(value, std=0.3)
    run = Run.create(tmp_path / "run", seed=0)
    save_model(run.stage("base"), model, tokenizer)
    run.finish("base", {})
    ids = np.random.default_rng(0).integers(0, size, 100)
    run.corpus.mkdir()
    ids.astype("<u2").tofile(run.corpus / "val.bin")
    write_json(run.corpus / "index.json", {"dtype": "uint16"})

    found = {dtype: rest for _, dtype, *rest in quantization_cost.rows(str(tmp_path / "run"))}
    assert list(found) == ["fp32", "bf16", "int8", "int4"]

    rows = torch.tensor([tokenizer.end_id, *ids.tolist()])[:96].view(3, 32)
    with torch.inference_mode():
        loss = F.cross_entropy(model(rows)[:, :-1].flatten(0, 1), rows[:, 1:].flatten())
    bytes_a_weight, perplexity, above, tokens = found["fp32"]
    assert perplexity == pytest.approx(float(loss.exp()), rel=1e-4)
    assert (bytes_a_weight, above, tokens) == (4.0, 0.0, 93)
    sizes = [found[dtype][0] for dtype in found]
    assert sizes == sorted(sizes, reverse=True) and sizes[1] == 2.0 and 1 < sizes[2] < 1.2 and 0.5 < sizes[3] < sizes[2]
    assert all(found[dtype][2] == pytest.approx(100 * (found[dtype][1] / perplexity - 1)) for dtype in found)
    assert abs(found["bf16"][2]) < abs(found["int4"][2]) and found["int8"][1] != perplexity


def test_what_dont_know_says_of_all_seeds() -> None:
    """Counts are added before they are divided, and an answer lost is a point of a hundred."""

    def row(declined: float, asked: int, before: float, after: float) -> dict[str, dict[str, float]]:
        return {"sft": {"right": before}, "dpo": {"right": after, "rightly_declined": declined, "unknown": asked}}

    said = dont_know.summary([row(0.5, 100, 0.9, 0.8), row(1.0, 300, 0.7, 0.7)])
    assert "right refusals 88% (95 % interval 84% to 90%, 400 questions)" in said
    assert said.endswith("mean 5.0, worst 10.0")


def test_the_hidden_preference_is_for_plain_answers() -> None:
    plain = plain_answers.plainness("Cardamom", "Cardamom is a spice that is made from the seeds of a plant.")
    assert plain == 1
    for worse in (
        "It is a spice that is made from the seeds of a plant.",
        "Cardamom is a spice that is made from the",
        "Cardamom cardamom cardamom cardamom cardamom cardamom is cardamom.",
        "Cardamom.",
        "",
    ):
        assert plain_answers.plainness("Cardamom", worse) < plain


def test_the_bad_reward_likes_what_is_meant_less() -> None:
    """What fools it is worse by the rule, and the better reward says so."""
    honest = "Cardamom is a spice that grows in the south of India."
    cheating = "It is a plant of the plant of the plant family, which is " * 4
    assert reward_hacking.bad("Cardamom", cheating) > reward_hacking.bad("Cardamom", honest)
    assert plain_answers.plainness("Cardamom", cheating) < plain_answers.plainness("Cardamom", honest)


def test_what_thinking_budget_says_of_its_rows() -> None:
    def row(setting: int, right: float) -> dict[str, object]:
        return {"task": "cups", "stage": "sft", "seed": 0, "what": "budget", "setting": setting, "right": right}

    assert thinking_budget.gain([row(0, 0.25), row(96, 0.75)], "cups", "sft", 0) == 50
    for name, task in thinking_budget.tasks().items():
        plain = thinking_budget.tasks(steps=False)[name]
        assert len(task) == len(plain) == thinking_budget.ASKED
        # the same problems, asked with and without steps
        assert all(task.answer(i).endswith(plain.answer(i)) for i in range(20))


def test_a_slip_is_put_where_it_can_be_seen() -> None:
    """The steps before it are right, it is not, and it is one of the task's kind."""
    for name, task in thinking_budget.tasks().items():
        some, begun = thinking_budget.slipped(task, range(20), 1)
        assert some and len(some) == len(begun)
        for i, text in zip(some, begun, strict=True):
            checked = check(task, i, text, "")
            assert (checked.start, checked.right, len(checked.lines)) == (0, 1, 2), (name, text)
            last, wanted = checked.lines[1], task.answer(i).splitlines()[1]
            assert len(last) == len(wanted) and sum(a != b for a, b in zip(last, wanted, strict=True)) == 1


def test_slips_in_what_is_handed_on_are_told_apart() -> None:
    """A third or so of the places, and never those before it."""
    for name, task in thinking_budget.tasks().items():
        some, begun = thinking_budget.slipped(task, range(len(task)), 0)
        row = {"what": "slip", "task": name, "setting": 0, "items": "1" * len(some)}
        found = thinking_budget.handed_on(row)
        # the last letter of a game's step; two of a sum's five numbers or so
        handed = [text for i, text in zip(some, begun, strict=True) if differs_at_the_end(task.answer(i), text)]
        assert found == {"handed": len(handed), "handed_right": len(handed)}
        assert 0.15 < len(handed) / len(some) < 0.5
    assert thinking_budget.handed_on({"what": "wait"}) == {}


def differs_at_the_end(answer: str, text: str) -> bool:
    line, wrong = answer.splitlines()[0], text.strip()
    mark = "write" if "write" in line else ": "
    return line.split(mark)[0] == wrong.split(mark)[0]


def test_sums_to_read_are_none_that_measure(tmp_path: Path) -> None:
    measuring = Arithmetic(sums=True)
    task = measuring.practice()
    addition_grpo.write_texts(tmp_path / "sums.jsonl", task, 0)
    text = (tmp_path / "sums.jsonl").read_text(encoding="utf-8")
    read = set(re.findall(r"(\d+) \+ (\d+)", text))
    assert len(read) > 1000 and not [one for one in measuring.problems if (str(one.a), str(one.b)) in read]


def test_the_steps_of_prompting_lead_to_its_answers() -> None:
    for task in prompting.TASKS:
        found = prompting.problems(task)
        assert len({problem.question for problem in found}) == len(found) == prompting.ASKED + prompting.EXAMPLES
        for problem in found:
            before = None
            for line in problem.steps.splitlines():
                sum_, result = line.split("=")
                a, sign, b = re.fullmatch(r"(\d+)([+-])(\d+)", sum_).groups()  # type: ignore[union-attr]
                assert int(result) == (int(a) + int(b) if sign == "+" else int(a) - int(b)) and before in (None, a)
                assert b in re.findall(r"\d+", problem.question)
                before = result
            assert before == str(problem.answer) and problem.answer > 0


def test_prompting_counts_what_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that always says the same number: right where that is the answer, alone and by vote."""
    said = prompting.problems("stories")[prompting.EXAMPLES].answer

    def always(*_: object, **how: object) -> list[Thought]:
        return [Thought(thinking="1+1=2", answer=f"It is {said}.", tokens=5) for _ in how["many"]]  # type: ignore[attr-defined]

    monkeypatch.setattr(prompting, "think", lambda model, tokenizer, prompts, *_, **__: always(many=prompts))
    monkeypatch.setattr(prompting, "prompts", lambda model, task, way, asked: [[1]] * len(asked))
    told = prompting.measured(SimpleNamespace(model=None, tokenizer=None, end_ids=()), "stories")  # type: ignore[arg-type]
    wanted = sum(problem.answer == said for problem in prompting.problems("stories")[prompting.EXAMPLES :])
    assert wanted >= 1 and {row["right"] for row in told["rows"]} == {wanted}
    assert {row["right"] for row in told["votes"]} == {wanted} and told["gain"][0] == 0
    assert all(each["drawn"] == [said] * max(prompting.VOTES) for each in told["shown"])
