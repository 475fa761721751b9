"""The measuring itself is measured: the scorer against a loop, the rounds' order, what counts as a result."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from benchmarks import __main__ as front
from benchmarks import measure, smollm2, time_to_loss
from benchmarks.score import score, validation_text
from glaswerk.errors import GlaswerkError
from glaswerk.model import Decoder, ModelConfig


def test_score_is_the_mean_over_all_windows() -> None:
    """Against one character at a time; 203 tokens in windows of 20 leave an uneven rest that nobody predicts."""
    torch.manual_seed(0)
    ids = torch.randint(7, (203,))
    table = torch.randn(7, 7)

    def logits_of(ids_BT: torch.Tensor) -> torch.Tensor:
        # depends on everything seen in the window so far, so a window that starts elsewhere changes the score
        return table[ids_BT].cumsum(1)

    total, count = 0.0, 0
    for start in range(0, 200, 20):
        seen = torch.zeros(7)
        for place in range(start, start + 20):
            seen = seen + table[ids[place]]
            total -= math.log(float(seen.softmax(0)[ids[place + 1]]))
            count += 1
    assert count == 200
    assert score(logits_of, ids, 20) == pytest.approx(total / count, rel=1e-5)


def test_score_of_blind_guessing() -> None:
    assert score(lambda ids: torch.zeros(*ids.shape, 65), torch.arange(65).repeat(9), 64) == pytest.approx(math.log(65))


def test_the_validation_split_is_the_last_tenth(tmp_path: Path) -> None:
    data = tmp_path / "input.txt"
    data.write_text("a" * 90 + "b" * 10, encoding="utf-8")
    assert validation_text(data) == "b" * 10


def test_rounds_take_turns() -> None:
    order: list[str] = []

    def contestant(name: str, figure: float) -> float:
        order.append(name)
        return figure

    figures = measure.interleaved({"a": lambda: contestant("a", 1), "b": lambda: contestant("b", 2)}, 3)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert figures == {"a": [1, 1, 1], "b": [2, 2, 2]}
    assert measure.spread([3, 1, 2]) == {"median": 2, "min": 1, "max": 3, "rounds": 3}


def test_nanogpt_must_be_a_clone_with_its_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOGPT_DIR", str(tmp_path))
    with pytest.raises(GlaswerkError, match=r"is no clone of nanoGPT: it has no train\.py"):
        measure.nanogpt()
    for name in ("train.py", "model.py", "config/train_shakespeare_char.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    with pytest.raises(GlaswerkError, match=r"input\.txt is missing"):
        measure.nanogpt()


def test_a_missing_package_is_named() -> None:
    with pytest.raises(GlaswerkError, match="the peer no_such_peer is not installed: run `make setup-bench`"):
        measure.peer("no_such_peer")


def test_a_process_that_fails_is_one_line() -> None:
    with pytest.raises(GlaswerkError, match="it failed with exit code 3: the reason"):
        measure.timed_process(["sh", "-c", "echo before >&2; echo the reason >&2; exit 3"], "it")


@pytest.fixture
def race(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict:
    """time_to_loss with both sides played; the dictionary says how they do."""
    does = {"loss": 1.85, "parameters": 800_000, "seconds": iter([9.0, 2.0, 1.0, 3.0])}
    monkeypatch.setattr(time_to_loss, "nanogpt", lambda: tmp_path)
    monkeypatch.setattr(time_to_loss, "ROOT", tmp_path)
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "shakespeare_char.py").write_text("")
    theirs = iter([(20.0, 1.9), (24.0, 1.87)])
    losses = []

    def train_nanogpt(clone: Path, out: Path) -> float:
        seconds, loss = next(theirs)
        losses.append(loss)
        return seconds

    monkeypatch.setattr(time_to_loss, "train_nanogpt", train_nanogpt)
    monkeypatch.setattr(time_to_loss, "score_nanogpt", lambda *_: losses[-1])
    monkeypatch.setattr(time_to_loss, "train_ours", lambda *_: next(does["seconds"]))
    monkeypatch.setattr(time_to_loss, "score_folder", lambda *_: (does["loss"], does["parameters"]))
    return does


def test_time_to_loss_counts_warm_starts_and_tells_the_cold_one(race: dict) -> None:
    result = time_to_loss.run()
    assert result["cold"] == 9.0
    assert result["ours"] == 2.0 and result["spread"]["ours"]["rounds"] == 3
    assert result["peer"] == 22.0 and result["ratio"] == 11.0


def test_time_to_loss_needs_the_better_of_the_peers_losses(race: dict) -> None:
    race["loss"] = 1.88
    with pytest.raises(GlaswerkError, match="does not reach"):
        time_to_loss.run()


def test_time_to_loss_needs_a_small_model(race: dict) -> None:
    race["parameters"] = 810_001
    with pytest.raises(GlaswerkError, match="810,001 parameters"):
        time_to_loss.run()


def chosen(logits: list[list[list[float]]], ids: list[list[int]]) -> smollm2.Choices:
    return smollm2.Choices(map(torch.tensor, logits), torch.tensor(ids))


def test_choices_count_every_place_and_every_predicted_token() -> None:
    """Two rows of three tokens over three words; the losses by hand."""
    even = [0.0, 0.0, 0.0]
    reference = chosen([[[9.0, 0, 0], even, even], [even, [0, 9.0, 0], even]], [[0, 1, 2], [2, 1, 0]])
    assert reference.chosen.tolist() == [[0, 0, 0], [0, 1, 0]]
    third = math.log(3)
    surprised = math.log(math.exp(9) + 2)  # nats for a word with the logit 0 beside one with 9
    assert reference.losses.flatten().tolist() == pytest.approx([surprised, third, third, surprised])

    same = reference.against(reference)
    assert same == {"top1_agreement": 1.0, "perplexity_ratio": 1.0, "tokens": 6}

    # another choice at one place of six, the last of a row, whose logits predict nothing: the perplexity stays
    other = chosen([[[9.0, 0, 0], even, [0, 1.0, 0]], [even, [0, 9.0, 0], even]], [[0, 1, 2], [2, 1, 0]])
    assert other.against(reference) == {"top1_agreement": pytest.approx(5 / 6), "perplexity_ratio": 1.0, "tokens": 6}

    # a right word made likelier: the ratio is e to the mean difference over the four predicted tokens
    better = chosen([[[9.0, 0, 0], [0, 0, 9.0], even], [even, [0, 9.0, 0], even]], [[0, 1, 2], [2, 1, 0]])
    gained = third - (surprised - 9)
    assert better.against(reference)["perplexity_ratio"] == pytest.approx(math.exp(-gained / 4))
    assert better.against(reference)["top1_agreement"] == pytest.approx(5 / 6)


def test_choices_of_fewer_rows_are_compared_with_the_same_rows() -> None:
    torch.manual_seed(0)
    logits, ids = torch.randn(3, 5, 7), torch.randint(7, (3, 5))
    all_rows, first = smollm2.Choices(logits, ids), smollm2.Choices(logits[:1], ids[:1])
    assert first.against(all_rows) == {"top1_agreement": 1.0, "perplexity_ratio": 1.0, "tokens": 5}
    with pytest.raises(ValueError, match="longer"):
        smollm2.Choices(logits[:1], ids)


def test_what_is_no_longer_the_same_model_is_not_timed() -> None:
    good = {"top1_agreement": 0.95, "perplexity_ratio": 1.01, "tokens": 10}
    assert smollm2.checked("int4", good) is good
    for wrong in ({"top1_agreement": 0.949}, {"perplexity_ratio": 1.0101}, {"perplexity_ratio": 0.98}):
        with pytest.raises(GlaswerkError, match=r"int4 agrees with fp32 in .* nothing is timed"):
            smollm2.checked("int4", {**good, **wrong})
    for lost in ({"top1_agreement": math.nan}, {"perplexity_ratio": math.nan}, {"perplexity_ratio": math.inf}):
        with pytest.raises(GlaswerkError, match="nothing is timed"):
            smollm2.checked("int4", {**good, **lost})


def test_a_model_agrees_with_itself_read_at_once_and_token_by_token() -> None:
    """The two ways of reading that the benchmarks check are the same model: fp32, so nearly the same numbers."""
    torch.manual_seed(0)
    model = Decoder(ModelConfig.modern(vocabulary_size=50, width=32, layers=2, heads=2, context=32)).eval()
    ids = torch.randint(50, (2, 16))
    found = smollm2.one_by_one(model, ids).against(smollm2.at_once(model, ids))
    assert found["top1_agreement"] == 1.0 and found["perplexity_ratio"] == pytest.approx(1, abs=1e-5)
    assert found["tokens"] == 32


def test_a_result_names_its_machine(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    peaks = {"fp32_gflops": 1.0, "bf16_gflops": 2.0, "read_gbs": 3.0}
    here = {"cores": 2, "threads": 2, "load": 0.0, **peaks, "versions": {"python": "3.11"}}
    monkeypatch.setattr(measure, "machine", lambda: here)
    figures = {"ours": 0.07, "peer": 0.35, "peer_name": "bound", "unit": "s", "ratio": 5.0}
    monkeypatch.setattr("benchmarks.cli_start.run", lambda: figures)
    assert front.measured("cli_start") == {
        **figures,
        "name": "cli_start",
        "gate": 1.0,
        "aim": 2.333,
        "machine": here,
    }
    assert front.main(["cli_start"]) == 0
    shown = capsys.readouterr().out
    assert "5.00x   aim reached" in shown and "0.35 s   (bound)" in shown and "3.0 GB/s" in shown
