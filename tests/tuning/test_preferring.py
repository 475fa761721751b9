"""Stages after the assistant, from the outside: pairs from the corpus, three methods, adapters, going on, refusals."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from glaswerk.align.pairs import Pair, load_pairs, save_pairs
from glaswerk.cli.main import dispatch
from glaswerk.errors import GlaswerkError
from glaswerk.found import find, find_adapters
from glaswerk.model.weights import load_model
from glaswerk.opened import load
from glaswerk.pipeline import helps, sft
from glaswerk.run import Run
from glaswerk.serve.api.models import with_adapters
from glaswerk.tuning import align, tune


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Thirty pairs of one's own: short answers over long ones."""
    file = tmp_path / "pairs.jsonl"
    save_pairs(
        file, [Pair.of(f"What is a {n} cat?", f"A cat {n}.", f"It is a very long story {n} cat.") for n in range(30)]
    )
    return file


def test_dpo_from_the_corpus_is_a_stage_that_opens(run: Path) -> None:
    report = align(run, method="dpo", steps=3)
    stage = Run(run).data["stages"]["dpo"]
    assert report["stage"] == "dpo" and stage["pairs"] > 0 and stage["tokens"] > 0
    assert {"right", "right_before", "declined", "declined_before", "val_loss", "val_bits_per_byte"} <= stage.keys()
    assert Run(run).latest_stage() == "dpo" and not (run / "resume").exists()
    kinds = {pair.kind for pair in load_pairs(run / "dpo" / "pairs.jsonl")}
    assert kinds <= {"truth", "known", "unknown"} and "known" in kinds
    assert load(str(run)).chat([{"role": "user", "content": "What is a cat?"}], max_tokens=4).ids
    with pytest.raises(GlaswerkError, match="has a dpo stage already"):
        align(run, method="dpo", steps=3)


def test_dpo_moves_towards_what_was_preferred(run: Path, pairs: Path) -> None:
    align(run, method="dpo", steps=12, data=[str(pairs)])
    stage = Run(run).data["stages"]["dpo"]
    assert stage["pairs"] == 27 and stage["preferred"] == 1.0 and stage["margin"] > 0


def test_reward_then_its_favourites(run: Path, pairs: Path) -> None:
    with pytest.raises(GlaswerkError, match="holds no reward model"):
        align(run, method="reject", steps=2)
    align(run, method="reward", steps=12, data=[str(pairs)])
    assert Run(run).data["stages"]["reward"]["preferred"] == 1.0
    assert Run(run).latest_stage() == "sft", "a judge is nobody to talk to"
    align(run, method="reject", steps=2)
    stage = Run(run).data["stages"]["reject"]
    assert stage["reward_best"] > stage["reward_worst"]
    assert Run(run).latest_stage() == "reject"


@pytest.mark.parametrize("method", ["dpo", "reward"])
def test_adapters_instead_of_weights(method: str, run: Path, pairs: Path) -> None:
    peft = pytest.importorskip("peft")
    transformers = pytest.importorskip("transformers")
    align(run, method=method, steps=4, data=[str(pairs)], rank=4)
    assert (run / method / "adapter" / "adapter_model.safetensors").is_file()
    if method == "dpo":  # PEFT computes from base and adapter what the merged stage says
        ids = torch.tensor([[5, 6, 7, 8]])
        base = transformers.AutoModelForCausalLM.from_pretrained(run / "sft", dtype=torch.float32)
        theirs = peft.PeftModel.from_pretrained(base, run / method / "adapter")(ids).logits
        assert torch.allclose(load_model(run / method)(ids), theirs, atol=2e-4)
        # and so does a server of the base that was given the stage
        base = load(run / "sft")
        served = with_adapters(base, find_adapters(base.origin, [run / method])).named[f"{run.name}/{method}"]
        assert served.parent == f"{run.name}/sft" and not torch.allclose(base.model(ids), theirs, atol=2e-4)
        with served.alone():
            assert torch.allclose(served.opened.model(ids), theirs, atol=2e-4)
    else:
        with pytest.raises(GlaswerkError, match="judges replies and writes none"):
            find_adapters(find(run / "sft"), [run / method])


def test_an_interrupted_stage_goes_on_with_the_same_pairs(
    run: Path, tmp_path: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = shutil.copytree(run, tmp_path / "other")
    whole = align(other, method="dpo", steps=6, data=[str(pairs)])
    from glaswerk.align.dpo import Preference

    count, real = [0], Preference.__call__

    def stops(self: Preference, *batch: torch.Tensor) -> torch.Tensor:
        count[0] += 1
        if count[0] == 4:
            raise KeyboardInterrupt
        return real(self, *batch)

    monkeypatch.setattr(Preference, "__call__", stops)
    with pytest.raises(KeyboardInterrupt):
        align(run, method="dpo", steps=6, data=[str(pairs)])
    monkeypatch.undo()
    monkeypatch.setenv("GLASWERK_COMPILE", "0")
    with pytest.raises(GlaswerkError, match="has an unfinished dpo with steps 6"):
        align(run, method="dpo", steps=7, data=[str(pairs)])
    pairs.unlink()  # what it learns from is kept with the stage
    assert align(run, method="dpo", steps=6, data=[str(pairs)])["sha256"] == whole["sha256"]


def test_an_assistant_by_adapters_beside_four_bits(run: Path) -> None:
    shutil.rmtree(run / "sft")
    report = sft(run, steps=3, rank=4, nf4=True)
    assert (run / "sft" / "adapter" / "adapter_config.json").is_file() and report["val_loss"] > 0


def test_a_model_that_is_no_run_is_tuned(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chats = tmp_path / "chats.jsonl"
    talk = [
        {"role": "user", "content": "What colour is the door?"},
        {"role": "assistant", "content": "Green, of course."},
    ]
    chats.write_text((json.dumps({"messages": talk}) + "\n") * 40, encoding="utf-8")
    model = shutil.copytree(run / "sft", tmp_path / "stranger")
    monkeypatch.chdir(tmp_path)
    report = tune(str(model), chats=[chats], steps=12)
    assert report["val_loss"] < report["val_loss_before"] and report["trained"] < report["parameters"]
    assert load("stranger-tuned").origin.stage == "sft"
    with pytest.raises(GlaswerkError, match="is another run"):
        tune(str(model), chats=[chats], steps=5)
    with pytest.raises(GlaswerkError, match="give conversations with --chat"):
        tune(str(model), chats=[])


def test_minutes_decide_where_no_steps_are_given(run: Path, pairs: Path) -> None:
    """Few pairs, so that fewer steps help than any budget has room for."""
    align(run, method="dpo", minutes=0.1, data=[str(pairs)])
    assert Run(run).data["stages"]["dpo"]["steps_before_dpo"] <= 8


def test_other_stages_keep_their_events(run: Path, pairs: Path) -> None:
    align(run, method="reward", steps=4, data=[str(pairs)])
    align(run, method="dpo", steps=2, data=[str(pairs)])
    before = [event for event in Run(run).events() if event["stage"] in ("base", "sft", "dpo")]
    shutil.rmtree(run / "reward")
    align(run, method="reward", steps=4, data=[str(pairs)])
    after = [event for event in Run(run).events() if event["stage"] in ("base", "sft", "dpo")]
    assert after == before and before


def test_a_refused_file_can_be_mended(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "own.jsonl"
    save_pairs(file, [Pair.of("long " * 400, "yes " * 400, "yes " * 401)])
    with pytest.raises(GlaswerkError, match="no pair fits"):
        align(run, method="dpo", steps=2, data=[str(file)])
    assert not (run / "resume").exists() and "dpo" not in Run(run).data["plan"]
    save_pairs(file, [Pair.of(f"short {n}", "yes", "no") for n in range(12)])
    align(run, method="dpo", steps=2, data=[str(file)])
    assert len(load_pairs(run / "dpo" / "pairs.jsonl")) == 12


def test_one_long_pair_that_was_kept_back_does_not_matter(run: Path, tmp_path: Path) -> None:
    pairs = [Pair.of(f"short {n}", "yes", "no") for n in range(9)]
    save_pairs(tmp_path / "own.jsonl", [*pairs, Pair.of("long " * 400, "yes " * 400, "yes " * 401)])
    align(run, method="dpo", steps=2, data=[str(tmp_path / "own.jsonl")])
    assert Run(run).data["stages"]["dpo"]["pairs"] == 9


def test_other_pairs_of_the_same_name_are_not_gone_on_with(
    run: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from glaswerk.align.dpo import Preference

    def stops(self: Preference, *batch: torch.Tensor) -> torch.Tensor:
        raise KeyboardInterrupt

    monkeypatch.setattr(Preference, "__call__", stops)
    with pytest.raises(KeyboardInterrupt):
        align(run, method="dpo", steps=4, data=[str(pairs)])
    save_pairs(pairs, load_pairs(pairs)[:20])
    with pytest.raises(GlaswerkError, match="has an unfinished dpo with data"):
        align(run, method="dpo", steps=4, data=[str(pairs)])
    assert not (run / "resume" / "chosen").exists(), "all of the unfinished stage lies in its own folder"


def test_a_judge_is_nobody_to_talk_to_or_to_begin_with(run: Path, pairs: Path) -> None:
    align(run, method="reward", steps=2, data=[str(pairs)])
    assert "a reward model" in (run / "reward" / "card.md").read_text(encoding="utf-8")
    with pytest.raises(GlaswerkError, match="judges replies and writes none"):
        load(str(run / "reward")).chat([{"role": "user", "content": "Hello"}])
    with pytest.raises(GlaswerkError, match="judges and writes nothing"):
        align(run, method="dpo", steps=2, stage="reward")


def test_the_stage_made_last_is_the_one_to_talk_to(run: Path, pairs: Path) -> None:
    align(run, method="dpo", steps=2, data=[str(pairs)])
    align(run, method="reward", steps=2, data=[str(pairs)])
    align(run, method="reject", steps=2, stage="dpo", data=[str(pairs)])
    assert Run(run).writers() == ["base", "sft", "dpo", "reject"] and Run(run).latest_stage() == "reject"
    assert Run(run).data["stages"]["reject"]["from"] == "dpo"


def test_a_tried_assistant_leaves_the_plan_alone(run: Path, tmp_path: Path) -> None:
    plan = Run(run).data["plan"]["sft"]
    shutil.rmtree(run / "sft")
    (tmp_path / "bad.jsonl").write_text('{"messages": [{"role": "user", "content": ""}]}', encoding="utf-8")
    with pytest.raises(GlaswerkError, match="is empty"):
        sft(run, steps=2, chats=[tmp_path / "bad.jsonl"])
    assert Run(run).data["plan"]["sft"] == plan
    chats = tmp_path / "mine.jsonl"
    talk = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Me."}]
    chats.write_text(json.dumps({"messages": talk}), encoding="utf-8")
    assert sft(run, steps=2, chats=[chats])["tokens"] > 0, "an assistant made anew learns from other chats"


def test_what_was_in_the_folder_stays(run: Path, tmp_path: Path) -> None:
    folder, chats = tmp_path / "mine", tmp_path / "long.jsonl"
    folder.mkdir()
    (folder / ".env").write_text("secret", encoding="utf-8")
    talk = [{"role": "user", "content": "word " * 400}, {"role": "assistant", "content": "yes"}]
    chats.write_text(json.dumps({"messages": talk}), encoding="utf-8")
    with pytest.raises(GlaswerkError, match="no conversation has an answer"):
        tune(str(shutil.copytree(run / "sft", tmp_path / "stranger")), chats=[chats], out=folder)
    assert [file.name for file in folder.iterdir()] == [".env"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["align", "{run}", "--method", "ppp"], "there is no method 'ppp': choose dpo, reward, reject"),
        (["align", "{run}", "--method", "dpo", "--stage", "reject"], "--method reject` makes it"),
        (["align", "{run}", "--method", "dpo", "--steps", "0"], "--steps 0 trains nothing"),
        (["align", "{run}", "--method", "dpo", "--beta", "0"], "--beta 0: it must be above 0 for dpo"),
        (["align", "{run}", "--method", "dpo", "--beta", "nan"], "--beta nan: it must be above 0"),
        (["align", "{run}", "--method", "dpo", "--stage", "foo"], "there are base, sft"),
        (["align", "{run}", "--method", "dpo", "--data", "votes"], "nobody has voted"),
        (["align", "{run}", "--method", "dpo", "--data", "none.jsonl"], "cannot read the preferences none.jsonl"),
        (["align", "{run}", "--method", "dpo", "--lora", "0"], "a LoRA rank of 0 is out of range"),
        (["sft", "{run}", "--nf4"], "an assistant already"),
        (["sft", "{run}", "--out", "x"], "leave --out away"),
        (["align", "nowhere", "--method", "dpo"], "is not a run"),
    ],
)
def test_refusals_are_one_line_and_leave_nothing(
    arguments: list[str], says: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(path.name for path in run.iterdir())
    assert dispatch([each.format(run=run) for each in arguments]) == 1
    said = capsys.readouterr().err
    assert says in said and "Traceback" not in said
    assert [path.name for path in sorted(run.iterdir())] == before


def test_what_counts_as_a_help() -> None:
    better = {"declined_before": 0.0, "declined": 0.6, "right_before": 0.9, "right": 0.85, "declined_wrongly": 0.1}
    assert helps(better)[0]
    assert not helps({**better, "declined": 0.02})[0], "within chance"
    assert not helps({**better, "right": 0.5})[0], "too dear"
    assert not helps({**better, "declined_wrongly": 0.55})[0], "it only learned to decline"


def test_align_in_the_main_job_is_checked_first(tmp_path: Path, call_run: Callable[..., str]) -> None:
    assert "choose auto, dpo, none" in call_run("--align", "ppo")


@pytest.fixture
def call_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def call(*arguments: str) -> str:
        (tmp_path / "text.txt").write_text("a text " * 20, encoding="utf-8")
        assert dispatch(["run", str(tmp_path / "text.txt"), "--out", str(tmp_path / "out"), *arguments]) == 1
        assert not (tmp_path / "out").exists()
        return capsys.readouterr().err

    return call
