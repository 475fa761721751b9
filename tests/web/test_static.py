"""An exported site's file names: Python writes them, JavaScript looks for them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glaswerk.serve.questions import known, stretched
from glaswerk.serve.static import as_file, canonical, fingerprint

HERE = Path(__file__).resolve().parent
QUESTIONS: list[Any] = [
    {},
    {"prompt": "Paris ist die Hauptstadt von", "layer": 0},
    {"b": [1, 2.5, -0.0, 1e-5, 1e-6, 1.5e-7, 1e21, 123456789.125, 0.1, 1e16], "a": True, "c": None},
    {"text": 'quotes " \\ \n\t \x00\x1f\x7f ä 🦜 \u2028', "é": "x"},
]


def in_javascript(questions: list[Any]) -> list[list[str]]:
    if shutil.which("node") is None:
        pytest.skip("node is not installed: apt-get install nodejs")
    done = subprocess.run(
        ["node", str(HERE / "names.mjs")], input=json.dumps(questions), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def in_python(questions: list[Any]) -> list[list[str]]:
    return [[canonical(question), fingerprint(canonical(question))] for question in questions]


def test_both_give_a_question_the_same_name() -> None:
    assert in_python(QUESTIONS) == in_javascript(QUESTIONS)
    made: list[Any] = []

    @settings(max_examples=300, database=None, deadline=None)
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(st.characters(exclude_categories=["Cs"])),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(max_codepoint=127)), inner),
        )
    )  # fmt: skip
    def collect(question: Any) -> None:
        made.append(question)

    collect()
    # -0.0 arrives as 0 in JSON texts of JavaScript; both name it 0
    for ours, theirs in zip(in_python(made), in_javascript(made), strict=True):
        assert ours == theirs


def test_questions_are_asked_for_every_layer_and_head_of_the_model() -> None:
    asked = [
        ("demo/x/y", {"layer": 1, "prompt": "a"}),
        ("trace", {"only": "blocks.0.attention.q_rotated", "prompt": "a"}),
    ]
    told = list(stretched(asked, 3, 2, {"blocks.0.attention.q"} | {f"blocks.{n}.attention.q" for n in range(3)}))
    assert told[:3] == [("demo/x/y", {"layer": layer, "prompt": "a"}) for layer in range(3)]
    assert told[3:] == [("trace", {"only": f"blocks.{layer}.attention.q", "prompt": "a"}) for layer in range(3)]
    assert known("blocks.0.attention.k", set()) == "blocks.0.attention.k"


def test_a_page_says_that_it_is_a_file_and_keeps_its_policy() -> None:
    page = '<html lang="en" data-mode="live"><head><meta charset="utf-8"></head></html>'
    made = as_file(page, "default-src 'none'; frame-ancestors 'none'; base-uri 'none'", 'a"b', True)
    assert 'data-mode="static" data-model="a&quot;b" data-browser' in made
    assert "content=\"default-src 'none'; base-uri 'none'\"" in made
