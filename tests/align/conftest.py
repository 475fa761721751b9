"""Runs whose corpus is written down here, so that a test knows which titles were read and which were kept back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from glaswerk.home import make_folder
from glaswerk.run import Run

#: (title, text) of a split
Leads = list[tuple[str, str]]


@pytest.fixture
def run_of(tmp_path: Path) -> Callable[[Leads, Leads], Run]:
    """A run that read the first texts and kept the second ones back."""

    def made(train: Leads, val: Leads) -> Run:
        job = Run.create(tmp_path / "run", seed=0)
        rows = [
            {"title": title, "text": text, "source": "here", "topic": "", "split": split}
            for split, leads in (("train", train), ("val", val))
            for title, text in leads
        ]
        make_folder(job.corpus)
        (job.corpus / "documents.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return job

    return made
