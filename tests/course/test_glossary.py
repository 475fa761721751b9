"""The glossary: related terms are terms, and the page links them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from glaswerk.course import glossary as room
from glaswerk.course.glossary import glossary
from glaswerk.errors import GlaswerkError
from glaswerk.serve.pages import page


@pytest.mark.parametrize("language", ["en", "de"])
def test_related_terms_are_linked_and_lead_somewhere(language: str) -> None:
    text, _ = page(f"{language}/glossary/")
    places = set(re.findall(r'<div id="([a-z0-9-]+)">', text))
    for term in glossary().values():
        for other in term.see:
            assert f'<a href="#{other}">{glossary()[other].word[language]}</a>' in text
            assert other in places


@pytest.mark.parametrize("see", ['["nothing"]', '["token"]'])
def test_a_related_term_that_is_none_is_one_line(see: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "glossary.toml"
    file.write_text(f'[token]\nword.en = "a"\nword.de = "a"\ntext.en = "b"\ntext.de = "b"\nsee = {see}\n')
    monkeypatch.setattr(room, "FILE", file)
    with pytest.raises(GlaswerkError, match="token: see names"):
        glossary()
