"""``glaswerk trace``: what the terminal shows is what the trace holds, on screens of all kinds; and bad input."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

import glaswerk.cli.terminal as terminal
from glaswerk.cli.main import dispatch
from glaswerk.cli.trace import blend, focus_of, ruler, sparkline
from glaswerk.lens import trace
from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.weights import save_model
from glaswerk.opened import load
from glaswerk.tokenizer import ByteTokenizer

LAYERS, HEADS = 3, 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer = ByteTokenizer()
    config = ModelConfig.modern(
        vocabulary_size=tokenizer.vocabulary_size, width=64, layers=LAYERS, heads=HEADS, kv_heads=2, context=60
    )
    model = Decoder(config)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    place = tmp_path_factory.mktemp("models") / "town"
    save_model(place, model, tokenizer)
    return place


def screen(monkeypatch: pytest.MonkeyPatch, width: int = 80, colour: Any = None) -> io.StringIO:
    """What the verb prints, on a screen of this width and these colours (None: as in a pipe)."""
    shown = io.StringIO()
    made = Console(
        file=shown, theme=terminal.THEME, width=width, highlight=False, force_terminal=bool(colour), color_system=colour
    )
    monkeypatch.setattr(terminal, "console", lambda stderr=False: made)
    return shown


def test_json_is_the_trace(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["trace", str(folder), "Hello", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == load(folder).trace("Hello").json() and err == "" and out.count("\n") == 1
    words = ["trace", str(folder), "Hello", "--json", "--only", "blocks.1.*.weights", "--compact"]
    assert dispatch(words) == 0
    (step,) = json.loads(capsys.readouterr().out)["steps"]
    assert step == load(folder).trace("Hello").step("blocks.1.attention.weights").json(True, True)


def test_the_prompt_may_come_from_standard_input(folder: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("Grüße\n".encode())))
    assert dispatch(["trace", str(folder), "-", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["prompt"] == "Grüße\n"


@pytest.mark.parametrize("colour", [None, "standard", "256", "truecolor"])
@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("prompt", ["a", "ab", "The cat sat on the mat, because it was tired.\n", "🙂 שלום ab\x1b[31m"])
def test_every_screen_shows_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, prompt: str, width: int, colour: str | None
) -> None:
    shown = screen(monkeypatch, width, colour)
    assert dispatch(["trace", str(folder), prompt]) == 0
    text = shown.getvalue()
    for title in ("town", "Tokens", "Residual stream", "Attention, layer", "Next token"):
        assert title in text
    assert text.splitlines()[-1].startswith("Next: ")
    assert "\x1b[31m" not in text or colour, "a prompt must not colour the screen"
    if colour is None:
        assert "\x1b" not in text
        too_wide = [line for line in text.splitlines()[:-1] if len(line) > width]
        assert not too_wide
        for token in load(folder).trace(prompt).tokens:
            assert f"|{token['text']}|" in text


def test_its_numbers_are_the_traces(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = screen(monkeypatch, 120)
    assert dispatch(["trace", str(folder), "The cat", "--layer", "2", "--head", "1"]) == 0
    text, traced = shown.getvalue(), load(folder).trace("The cat")
    for each in traced.top():
        assert any(
            f"|{each['token']}|" in line
            and f"{each['probability']:.1%}" in line
            and line.rstrip().endswith(str(each["id"]))
            for line in text.splitlines()
        )
    weights = traced["blocks.2.attention.weights"][0, 1]
    for row in range(7):
        strongest = int(weights[row].argmax())
        assert f"{float(weights[row, strongest]):.2f} at {strongest} {traced.tokens[strongest]['text']}" in text
    assert f"{float(traced['embeddings'][0, -1].norm()):,.4g} before" in text
    assert f"{float(traced['blocks.2.residual'][0, -1].norm()):,.4g} after all" in text
    assert "Attention, layer 2, head 1" in text


def test_the_head_shown_is_the_one_that_looks_back_at_one_token(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    traced = load(folder).trace("The cat sat")
    slow = {}
    for layer in range(LAYERS):
        for head in range(HEADS):
            rows = traced[f"blocks.{layer}.attention.weights"][0, head].tolist()
            largest = [max(rows[t][1:t]) for t in range(2, len(rows))]
            slow[layer, head] = sum(largest) / len(largest)
        assert focus_of(traced, layer) == pytest.approx([slow[layer, head] for head in range(HEADS)])
    for options, candidates in (
        ([], slow),
        (["--layer", "1"], {place: value for place, value in slow.items() if place[0] == 1}),
        (["--head", "3"], {place: value for place, value in slow.items() if place[1] == 3}),
    ):
        shown = screen(monkeypatch)
        assert dispatch(["trace", str(folder), "The cat sat", *options]) == 0
        layer, head = max(candidates, key=lambda place: candidates[place])
        assert f"Attention, layer {layer}, head {head}" in shown.getvalue()
        assert f"a token gives {candidates[layer, head]:.2f}" in " ".join(shown.getvalue().split())


def test_long_prompts_show_their_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = screen(monkeypatch)
    assert dispatch(["trace", str(folder), "x" * 50]) == 0
    assert "the last 32 of 50 tokens" in shown.getvalue() and "\n49 x" in shown.getvalue()
    assert "\n17 x" not in shown.getvalue()


@pytest.mark.parametrize("width", [80, 140])
def test_steps_as_a_table(folder: Path, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    shown = screen(monkeypatch, width)
    assert dispatch(["trace", str(folder), "ab", "--only", "blocks.1.mlp.*,choice"]) == 0
    text = shown.getvalue()
    for step in load(folder).trace("ab").select("blocks.1.mlp.*,choice"):
        assert step.name in text and "×".join(map(str, step.value.shape)) in text and step.source in text
        assert step.json()["meaning"]["en"].split(":")[0] in " ".join(text.split())
    assert text.splitlines()[-1] == "Next: all their numbers: the same with --json"


@pytest.mark.parametrize("more", [[], ["--json"]])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["", ""], "the prompt is empty"),
        (["x" * 61], "61 tokens are more than the context of 60; shorten the text"),
        (["ab", "--only", "blocks.1.mpl.pre"], "near it: blocks.1.mlp.pre"),
        (["ab", "--dtype", "fp8"], "dtype must be one of"),
    ],
)
def test_bad_input_is_one_line(folder: Path, capsys: Any, words: list[str], said: str, more: list[str]) -> None:
    assert dispatch(["trace", str(folder), *(words if words[0] else [""]), *more]) == 1
    out, err = capsys.readouterr()
    assert out == "" and said in err and err.count("\n") == 1


@pytest.mark.parametrize(("option", "said"), [("--layer", "layers go from 0 to 2"), ("--head", "heads go from 0 to 3")])
@pytest.mark.parametrize("number", ["-1", "4"])
def test_a_head_that_is_not_there(folder: Path, capsys: Any, option: str, said: str, number: str) -> None:
    assert dispatch(["trace", str(folder), "ab", option, number]) == 1
    out, err = capsys.readouterr()
    assert out == "" and said in err


# ---------------------------------------------------------------------------------------------- drawing
def test_bars_rise_with_the_logarithm() -> None:
    assert sparkline([1, 2, 4, 8, 16, 32, 64, 128, 256], 1, 256, 9) == "▁▂▃▄▅▆▇██"
    assert sparkline([1, 256], 1, 256, 9) == "▁▁██"
    assert sparkline([5, 5], 5, 5, 2) == "██"
    assert sparkline([0.0, 0.0], 0.0, 0.0, 2) in ("▁▁", "██")
    assert len(sparkline([1.0] * 100, 1, 2, 30)) <= 30


def test_a_ruler_numbers_its_columns() -> None:
    assert ruler(0, 4, 2) == "0 1 2 3"
    line = ruler(18, 50, 1)
    assert [line[number - 18 :].split()[0] for number in (20, 25, 45)] == ["20", "25", "45"]


def test_colours_between() -> None:
    assert blend("#000000", "#ffffff", 0) == "#000000" and blend("#000000", "#ffffff", 1) == "#ffffff"
    assert blend("#102030", "#304050", 0.5) == "#203040"


def test_a_model_that_overflows_is_told_where(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Infinite weights give no number to draw; the verb says where they begin, and its table still opens."""
    opened = load(folder)
    with torch.no_grad():
        opened.model.blocks[1].mlp.down.weight.fill_(float("inf"))
    assert trace(opened.model, opened.tokenizer, "abc").json()["top"][0]["probability"] is None
    monkeypatch.setattr("glaswerk.opened.load", lambda *_: opened)
    shown = screen(monkeypatch)
    assert dispatch(["trace", str(folder), "abc"]) == 1
    assert "from the step blocks.1.mlp.output on (glaswerk/model/mlp.py:" in capsys.readouterr().err
    assert shown.getvalue() == ""
    assert dispatch(["trace", str(folder), "abc", "--only", "norm"]) == 0
    assert "not finite" in shown.getvalue()
