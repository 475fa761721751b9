"""Chapter 4: the worked example is that of the demo, in Python and in the page; cutting a look is what it says."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from demos import self_attention_demo
from glaswerk.course import demo
from glaswerk.course.demo import load_module
from glaswerk.course.outline import entry
from glaswerk.errors import GlaswerkError
from glaswerk.found import Origin
from glaswerk.lens.trace import trace
from glaswerk.model import Decoder, ModelConfig
from glaswerk.opened import OpenedModel
from glaswerk.tokenizer import train_bpe

CHAPTER = "04-attention"
FOLDER = entry(CHAPTER).folder
PROMPT = "The cat sat on the mat because it was"
STEPS = ("q", "k", "v", "scores", "scaled", "weights", "h")


@pytest.fixture(scope="module")
def model() -> OpenedModel:
    tokenizer = train_bpe([PROMPT * 30], 300)
    config = ModelConfig.modern(vocabulary_size=300, width=32, layers=2, heads=4, head_width=8, context=64)
    decoder = Decoder(config)
    for parameter in decoder.parameters():
        parameter.data = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(len(parameter)))
    return OpenedModel(decoder, tokenizer, Origin(Path("small")))


def told(name: str, **arguments: object) -> dict:
    return json.loads(demo.call(CHAPTER, name, arguments))


def test_the_worked_example_is_that_of_the_demo() -> None:
    ours, theirs = told("chain"), self_attention_demo
    assert ours["words"] == theirs.WORDS
    for name, wanted in (("x", theirs.X), ("w_q", theirs.W_Q), ("w_k", theirs.W_K), ("w_v", theirs.W_V)):
        assert np.array_equal(ours[name], wanted), name
    steps = theirs.attention(theirs.X, theirs.W_Q, theirs.W_K, theirs.W_V)
    for name in STEPS:
        assert np.allclose(ours[name], getattr(steps, name), atol=1e-6), name


def test_the_page_computes_what_the_library_computes(root: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: apt-get install nodejs")
    script = (
        f"import {{ attention }} from '{(root / 'glaswerk/web/by-hand.js').as_uri()}';"
        "console.log(JSON.stringify(attention(JSON.parse(process.argv[1]))));"
    )
    given = told("chain")
    done = subprocess.run(
        [node, "--input-type=module", "-e", script, json.dumps(given)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for name in STEPS:
        assert np.allclose(found[name], given[name], atol=1e-6), name


def test_cross_attention_sees_the_whole_other_text() -> None:
    found = told("cross")
    own, other = np.array(found["self"]["weights"]), np.array(found["cross"]["weights"])
    assert own.shape == (5, 5) and other.shape == (5, 6)
    assert np.allclose(own.sum(1), 1) and np.allclose(other.sum(1), 1)
    assert not np.triu(own, 1).any() and (other > 0).all()
    assert np.allclose(found["self"]["h"], told("chain")["h"])


def test_a_cut_look_changes_what_an_edited_trace_changes(model: OpenedModel) -> None:
    """Oracle: one trace per cut, edited by hand, instead of one batch."""
    found = json.loads(demo.call(CHAPTER, "cut", {"prompt": PROMPT, "looks": "because it", "at": "cat"}, model))
    assert found["count"] == 8 and len(found["heads"]) == 8
    plain = trace(model.model, model.tokenizer, PROMPT)
    texts = [model.tokenizer.token_bytes(number) for number in plain.ids]
    row, column = (
        next(n for n in range(len(texts)) if b"".join(texts[: n + 1]).endswith(end)) for end in (b" it", b" cat")
    )
    before = plain["logits"][0, -1].softmax(-1)
    for each in found["heads"]:
        name = f"blocks.{each['layer']}.attention.weights"
        assert each["weight"] == pytest.approx(float(plain[name][0, each["head"], row, column]), abs=1e-6)

        def edit(step: str, value: torch.Tensor, name: str = name, head: int = each["head"]) -> torch.Tensor:
            if step == name:
                value[0, head, row, column] = 0
            return value

        after = trace(model.model, model.tokenizer, PROMPT, edit=edit)["logits"][0, -1].softmax(-1)
        assert each["moved"] == pytest.approx(float((after - before).abs().sum() / 2), abs=1e-5)
    weights = [each["weight"] for each in found["heads"]]
    assert weights == sorted(weights, reverse=True)


@pytest.mark.parametrize(
    "wrong", [{"at": "dog"}, {"at": ""}, {"looks": "cat", "at": "mat"}, {"prompt": ""}, {"prompt": "x" * 301}]
)
def test_bad_input_is_one_clear_line(model: OpenedModel, wrong: dict[str, str]) -> None:
    with pytest.raises(GlaswerkError) as caught:
        demo.call(CHAPTER, "cut", wrong, model)
    assert "\n" not in str(caught.value)


def test_the_head_exercise_accepts_a_right_answer_and_refuses_wrong_ones(tmp_path: Path) -> None:
    check = load_module(FOLDER / "exercises" / "check_head.py", "check_head")
    right = """
from math import exp
def head(q, k, v):
    out = []
    for t, query in enumerate(q):
        scores = [sum(a * b for a, b in zip(query, key)) / len(query) ** 0.5 for key in k[: t + 1]]
        powers = [exp(score) for score in scores]
        out.append([sum(p * row[i] for p, row in zip(powers, v)) / sum(powers) for i in range(len(v[0]))])
    return out
"""
    for number, (text, good) in enumerate(
        [(right, True), (right.replace(" / len(query) ** 0.5", ""), False), (right.replace("k[: t + 1]", "k"), False)]
    ):
        file = tmp_path / f"answer{number}.py"
        file.write_text(text)
        module = load_module(file, f"answer{number}")
        if good:
            check.check(module)
        else:
            with pytest.raises(AssertionError):
                check.check(module)
