"""A small run whose assistant is barely trained, for every test of what comes after it."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from glaswerk.pipeline import pretrain, sft


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on sixty-four made-up articles, whose assistant is barely trained."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLASWERK_COMPILE", "0")
        folder = tmp_path_factory.mktemp("tuned")
        animals = ["cat", "dog", "horse", "raven", "salmon", "badger", "beetle", "heron"]
        places = ["river", "forest", "meadow", "harbour", "village", "moor", "island", "hill"]
        words = ["old", "red", "small", "river", "wind", "stone", "often", "seldom", "winter", "green", "early"]
        drawn = random.Random(0)
        rows = [
            {
                "title": f"{place.title()} {animal}",
                "text": f"The {place} {animal} is a {animal} that lives in a {place}. "
                + " ".join(f"It {' '.join(drawn.sample(words, 7))}." for _ in range(8)),
            }
            for place in places
            for animal in animals
        ]
        texts = folder / "animals.jsonl"
        texts.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        pretrain([str(texts)], steps=8, out=folder / "run", layers=2, width=64)
        sft(folder / "run", steps=8)
    torch.use_deterministic_algorithms(False)
    return folder / "run"


@pytest.fixture
def run(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of it; what a stage makes deterministic is undone after the test."""
    monkeypatch.setenv("GLASWERK_COMPILE", "0")
    monkeypatch.setattr("glaswerk.tuning.gathered.MOST", 24)
    monkeypatch.setattr("glaswerk.align.own_pairs.ASKED", 8)
    shutil.copytree(trained, tmp_path / "run")
    yield tmp_path / "run"
    torch.use_deterministic_algorithms(False)
