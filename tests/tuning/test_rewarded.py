"""``align --method ppo|grpo`` from the outside: tasks and reward models, going on, nothing to learn, going astray."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from glaswerk.align.pairs import Pair, save_pairs
from glaswerk.align.rollout import Rollouts
from glaswerk.align.rounds import Learner
from glaswerk.cli.main import dispatch
from glaswerk.errors import GlaswerkError
from glaswerk.model.weights import load_model
from glaswerk.opened import load
from glaswerk.run import Run
from glaswerk.train.loop import Diverged
from glaswerk.tuning import align, lessons
from glaswerk.tuning.lessons import Grade, Lesson, lesson
from glaswerk.tuning.rewarded import IDLE, ROLLOUTS_FILE


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Twenty questions with answers of one's own, and a reward that even a barely trained model gets sometimes: the
    share of small letters in its reply."""
    file = tmp_path / "own.jsonl"
    rows = [{"question": f"What is a {n} cat?", "answer": "cat"} for n in range(20)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    reward_with(monkeypatch, lambda places, replies: [sum(map(str.islower, r)) / max(1, len(r)) for r in replies])
    return str(file)


def reward_with(monkeypatch: pytest.MonkeyPatch, grade: Grade) -> None:
    """Replaces how a task's replies are graded, and keeps replies short."""
    made = lessons.of_task

    def of_task(*asked: object) -> Lesson:
        found = made(*asked)  # type: ignore[arg-type]
        return Lesson(**{**found.__dict__, "grade": grade, "max_tokens": 8})

    monkeypatch.setattr("glaswerk.tuning.lessons.of_task", of_task)


def test_a_task_is_learned_by_grpo(run: Path, task: str) -> None:
    report = align(run, method="grpo", task=task, steps=4)
    stage = Run(run).data["stages"]["grpo"]
    assert report["stage"] == "grpo" and stage["rounds"] == 4 and stage["reward"] == "own"
    assert {"measured", "measured_before", "interval", "last_kl", "last_entropy", "val_bits_per_byte"} <= stage.keys()
    rounds = [event for event in Run(run).events() if event["kind"] == "round"]
    assert [event["step"] for event in rounds] == [1, 2, 3, 4] and rounds[0]["kl"] == 0 < rounds[-1]["kl"]
    assert load(str(run)).chat([{"role": "user", "content": "What is a cat?"}], max_tokens=4).ids
    before, after = load_model(run / "sft"), load_model(run / "grpo")
    assert not torch.equal(before.embedding, after.embedding)


def test_ppo_keeps_what_it_knew_of_every_token(run: Path, task: str) -> None:
    align(run, method="ppo", task=task, steps=3)
    rows = [json.loads(line) for line in (run / "ppo" / ROLLOUTS_FILE).read_text(encoding="utf-8").splitlines()]
    assert {row["round"] for row in rows} == {1, 2, 3}
    for row in rows:
        count = len(row["tokens"])
        assert all(len(row[name]) == count for name in ("log_probs", "reference", "kl", "values", "advantages"))
        assert row["reward"] == pytest.approx(sum(row["rewards"]) + 0.05 * sum(row["kl"]), abs=0.01)
    assert not any(name.startswith("value") for name in load_model(run / "ppo").state_dict()), "the head is not kept"


def test_the_runs_own_reward_model(run: Path, tmp_path: Path) -> None:
    with pytest.raises(GlaswerkError, match="holds no reward model: `glaswerk align RUN --method reward` makes one"):
        align(run, method="ppo", steps=2)
    assert not (run / "resume").exists() and "ppo" not in Run(run).data["plan"]
    save_pairs(tmp_path / "p.jsonl", [Pair.of(f"What is {n}?", "A cat.", "It is a long story.") for n in range(24)])
    align(run, method="reward", steps=4, data=[str(tmp_path / "p.jsonl")])
    align(run, method="ppo", steps=2)
    stage = Run(run).data["stages"]["ppo"]
    assert stage["reward"] == "the reward model" and stage["metric"] == "reward"


@pytest.mark.parametrize("method", ["ppo", "grpo"])
def test_adapters_learn_from_rewards_too(run: Path, task: str, method: str) -> None:
    align(run, method=method, task=task, steps=2, rank=4)
    assert (run / method / "adapter" / "adapter_config.json").is_file()
    assert load(str(run / method)).chat([{"role": "user", "content": "What is a cat?"}], max_tokens=4).ids


def test_an_interrupted_stage_goes_on_to_the_same_weights(
    run: Path, task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    other = shutil.copytree(run, tmp_path / "other")
    whole = align(other, method="ppo", task=task, steps=5)
    count, real = [0], Learner.round

    def stops(self: Learner, *given: object) -> object:
        count[0] += 1
        if count[0] == 4:
            raise KeyboardInterrupt
        return real(self, *given)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "round", stops)
        with pytest.raises(KeyboardInterrupt):
            align(run, method="ppo", task=task, steps=5)
    with pytest.raises(GlaswerkError, match="has an unfinished ppo with steps 5"):
        align(run, method="ppo", task=task, steps=6)
    with pytest.raises(GlaswerkError, match="has an unfinished ppo with task"):
        align(run, method="ppo", task="addition", steps=5)
    assert align(run, method="ppo", task=task, steps=5)["sha256"] == whole["sha256"]
    assert (run / "ppo" / ROLLOUTS_FILE).read_bytes() == (other / "ppo" / ROLLOUTS_FILE).read_bytes()
    told = [[e for e in Run(each).events() if e["kind"] == "round"] for each in (run, other)]
    assert told[0] == told[1] and len(told[0]) == 5


def test_a_constant_reward_is_said(run: Path, task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reward_with(monkeypatch, lambda places, replies: [0.5] * len(replies))
    with pytest.raises(GlaswerkError, match="there is nothing to learn"):
        align(run, method="grpo", task=task, steps=IDLE + 3)
    assert not (run / "resume").exists() and "grpo" not in Run(run).data["plan"] and not (run / "grpo").exists()
    with pytest.raises(GlaswerkError, match="grpo learned nothing in 2 rounds: all replies that are compared"):
        align(run, method="grpo", task=task, steps=2)
    assert not (run / "resume").exists() and not (run / "grpo").exists()


def test_a_stage_that_got_no_better_says_so(
    run: Path, task: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is learned from is rewarded, what is measured never."""
    back = range(lessons.EVERY - 1, 20, lessons.EVERY)
    reward_with(
        monkeypatch,
        lambda places, replies: [
            0.0 if place in back else sum(map(str.islower, reply)) / max(1, len(reply))
            for place, reply in zip(places, replies, strict=True)
        ],
    )
    assert dispatch(["align", str(run), "--method", "grpo", "--task", task, "--steps", "2"]) == 0
    assert "is not higher than before (0.000, now 0.000); 0 of 2 rounds" in capsys.readouterr().err


def test_a_solved_task_ends_early(run: Path, task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reward_with(monkeypatch, lambda places, replies: [1.0] * len(replies))
    align(run, method="grpo", task=task, steps=IDLE + 3)
    stage = Run(run).data["stages"]["grpo"]
    assert stage["rounds"] == IDLE and "best reward there is" in stage["ended"]
    before, after = load_model(run / "sft"), load_model(run / "grpo")
    assert torch.equal(before.embedding, after.embedding), "a round without a difference teaches nothing"


def test_what_went_astray_leaves_the_last_good_weights(
    run: Path, task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fourth round finds a policy that is lost: what is kept is what the third round began with."""
    kept, real = [], Learner.round

    def lost(self: Learner, prompts: Sequence[Sequence[int]], reward: object, *given: object) -> object:
        if len(kept) == 3:
            raise Diverged("the policy is 99.0 nats per reply away from its reference")
        kept.append(self.model.embedding.detach().clone())
        return real(self, prompts, reward, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Learner, "round", lost)
    align(run, method="grpo", task=task, steps=6)
    assert "went astray after round 3: the policy is 99.0 nats" in Run(run).data["stages"]["grpo"]["ended"]
    assert torch.equal(load_model(run / "grpo").embedding, kept[2])
    kept.append(kept[0])
    kept[:] = kept[:3]
    (run / "more").mkdir()
    with pytest.raises(GlaswerkError, match="ppo went astray in its first round, nothing is kept"):
        align(run, method="ppo", task=task, steps=6)
    assert not (run / "ppo").exists() and not (run / "resume").exists() and load(str(run / "sft"))


def test_a_reward_that_is_no_number_stops(run: Path, task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reward_with(monkeypatch, lambda places, replies: [float("nan")] * len(replies))
    with pytest.raises(GlaswerkError, match="the reward is nan"):
        align(run, method="ppo", task=task, steps=2)


def test_learning_and_measuring_never_share_a_question(run: Path) -> None:
    from glaswerk.progress import Progress

    opened = load(str(run / "sft"))
    found = lesson(Run(run), opened, "addition", 100, Progress())
    assert found.learn and found.back and not set(found.learn) & set(found.back)
    told = [found.conversations[place][0]["content"] for place in found.learn]
    assert not {found.conversations[place][0]["content"] for place in found.back} & set(told)
    once = [place for number in range(len(found.learn) // 16) for place in found.chosen(number, 16, 0)]
    assert len(set(once)) == len(once), "all in turn"
    assert found.chosen(0, 16, 0) == found.chosen(0, 16, 0) != found.chosen(0, 16, 1)


def test_rewards_meet_their_own_questions(run: Path) -> None:
    """The reward of a rollout is the grade of its own question's reply."""
    from glaswerk.progress import Progress

    found = lesson(Run(run), load(str(run / "sft")), "addition", 100, Progress())
    places = found.learn[:2]
    asked = [found.conversations[place][0]["content"].replace("?", " ").split() for place in places]
    sums = [[int(word) for word in words if word.isdigit()] for words in asked]
    replies = [str(sum(sums[0])), "no", "no", str(sum(sums[1]))]
    nothing = torch.zeros(4, 1)
    rollouts = Rollouts(2, nothing.long(), nothing.long(), nothing.long(), nothing, [True] * 4, replies)
    assert found.reward(places, rollouts).tolist() == [1.0, 0.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--method", "grpo", "--task", "additoin"], "there is no task 'additoin'; did you mean 'addition'"),
        (["--method", "dpo", "--task", "addition"], "--task is for ppo, grpo, not for dpo"),
        (["--method", "ppo", "--data", "x.jsonl"], "--data is for"),
        (["--method", "ppo", "--beta", "-1"], "--beta -1: it must be 0 or more for ppo"),
        (["--method", "grpo", "--task", "addition", "--steps", "0"], "--steps 0 trains nothing"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    run: Path, options: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dispatch(["align", str(run), *options]) == 1
    said = capsys.readouterr().err.strip()
    assert says in said.replace("\n", " ") and "Traceback" not in said and not (run / "resume").exists()
