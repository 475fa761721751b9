"""How large an exported site becomes and how long it takes: what pages ask first is always there, what controls ask
fills the room and the time that are left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glaswerk.serve import questions, site
from glaswerk.serve.questions import Question

FIRST: list[Question] = [("model", {})]
THEN: list[Question] = [("weight", {"name": name, "layer": 0}) for name in ("q", "k", "v")]


def export(model: Path, folder: Path, patch: pytest.MonkeyPatch) -> tuple[site.Site, dict[str, list[str]]]:
    patch.setattr(questions, "recorded", lambda part: FIRST if part == "first" else THEN)
    made = site.write_site(model, folder)
    assert made.bytes == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) - marks(folder)
    index: dict[str, list[str]] = json.loads((folder / "data" / "index.json").read_text("utf-8"))
    assert "model" in index
    return made, index


def marks(folder: Path) -> int:
    """What says that the folder is a site, beside the site."""
    return sum((folder / name).stat().st_size for name in (site.MARK, ".nojekyll"))


def test_all_answers_are_there_where_they_fit(
    small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, index = export(small_model, tmp_path / "site", monkeypatch)
    assert made.left_out == 0
    assert len(index["weight"]) == 2 * len(THEN)  # for each of the two layers
    assert made.bytes < site.MOST_SITE


@pytest.mark.parametrize(("limit", "most"), [("MOST_SITE", 0), ("MOST_ANSWERS", -1), ("MOST_SECONDS", -1)])
def test_answers_that_do_not_fit_are_counted(
    small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    monkeypatch.setattr(site, limit, most)
    made, index = export(small_model, tmp_path / "site", monkeypatch)
    assert made.left_out == 2 * len(THEN)
    assert "weight" not in index


def test_the_room_is_what_pages_and_weights_leave(
    small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = export(small_model, tmp_path / "whole", monkeypatch)
    one = (whole.bytes - export_without(small_model, tmp_path / "none", monkeypatch)) // (2 * len(THEN))
    monkeypatch.setattr(site, "SPARE", 0)
    monkeypatch.setattr(site, "MOST_SITE", whole.bytes - 3 * one)
    made, index = export(small_model, tmp_path / "some", monkeypatch)
    assert 0 < made.left_out < 2 * len(THEN)
    assert len(index["weight"]) + made.left_out == 2 * len(THEN)
    assert made.bytes < whole.bytes


def export_without(model: Path, folder: Path, patch: pytest.MonkeyPatch) -> int:
    """The bytes of the site with no answer to a control."""
    with patch.context() as once:
        once.setattr(site, "MOST_ANSWERS", -1)
        return export(model, folder, once)[0].bytes
