"""Chapters as notebooks: valid, the same shape in both languages, and they run from top to bottom without an error."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from glaswerk.cli.main import dispatch
from glaswerk.course.chapter import load_chapter
from glaswerk.course.notebook import notebook
from glaswerk.course.outline import OUTLINE
from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.weights import save_model
from glaswerk.serve.questions import by_kind
from glaswerk.tokenizer import train_bpe

WRITTEN = [found.name for found in OUTLINE if found.written]
TEXT = "Paris ist die Hauptstadt von Frankreich. The cat sat on the mat because it was tired.\n" * 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every chapter, written by the command beside a small model."""
    place = tmp_path_factory.mktemp("notebooks")
    tokenizer = train_bpe([TEXT], 500)
    model = Decoder(ModelConfig.modern(vocabulary_size=500, width=64, layers=2, heads=2, context=256))
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    save_model(place / "glass", model, tokenizer)
    assert dispatch(["export", str(place / "glass"), "--to", "notebooks", str(place / "out")]) == 0
    return place / "out"


def run(path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the code cells as Jupyter does, in one namespace that keeps them as ``In``; what they print."""
    monkeypatch.chdir(path.parent)
    cells = json.loads(path.read_text("utf-8"))["cells"]
    names: dict[str, Any] = {"__name__": "__main__", "In": [""]}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for number, cell in enumerate(cells):
            if cell["cell_type"] == "code":
                names["In"].append(cell["source"])
                exec(compile(cell["source"], f"{path.name}, cell {number}", "exec"), names)
    return printed.getvalue()


def test_every_chapter_is_a_valid_notebook_in_both_languages(folder: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    for name in WRITTEN:
        shapes = []
        for language in ("en", "de"):
            text = (folder / f"{name}.{language}.ipynb").read_text("utf-8")
            nbformat.validate(nbformat.reads(text, as_version=4))
            cells = json.loads(text)["cells"]
            shapes.append([cell["cell_type"] for cell in cells])
            prose = "\n".join(cell["source"] for cell in cells if cell["cell_type"] == "markdown")
            assert "{=" not in prose and "[[" not in prose.replace("[[1", "")
            assert load_chapter(name).entry.title[language] in prose
        assert shapes[0] == shapes[1]


@pytest.mark.parametrize("name", ["04-attention.en", "05-transformer.de"])
def test_a_notebook_runs_from_top_to_bottom(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = run(folder / f"{name}.ipynb", monkeypatch)
    assert "<OpenedModel model:" in printed  # the model beside it was opened
    assert "Traceback" not in printed and printed.count("\n") > 40


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("name", WRITTEN)
def test_every_notebook_runs(folder: Path, name: str, language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(folder / f"{name}.{language}.ipynb", monkeypatch)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_figures_cell_computes_what_the_figure_starts_from(name: str) -> None:
    cells = notebook(load_chapter(name), "en", "model", by_kind())["cells"]
    figures = [cell["source"] for cell in cells if cell["source"].startswith("# Figure")]
    assert figures and all("show(demo." in cell or "model." in cell for cell in figures)


def test_a_code_task_is_checked_from_its_cell(capsys: pytest.CaptureFixture[str]) -> None:
    from glaswerk.course.show import try_it

    right = "import math\ndef softmax(row):\n    e = [math.exp(x - max(row)) for x in row]\n"
    right += "    return [x / sum(e) for x in e]\n"
    stub = load_chapter("attention").exercises
    assert any(task.id == "softmax" for task in stub)
    try_it("04-attention", "softmax", {"In": ["", right, "try_it()"]})
    assert capsys.readouterr().out.startswith("✓")
    try_it("04-attention", "softmax", {"In": ["", right.replace("sum(e)", "1")]})
    assert capsys.readouterr().out.startswith("→ softmax")
    try_it("04-attention", "softmax", {})
    assert "run the cell that defines softmax" in capsys.readouterr().out
