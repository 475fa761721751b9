"""The six small demos: their numbers against the library and torch, both languages alike, quiet in every pipe."""

from __future__ import annotations

import ast
import math
import os
import re
import subprocess
import sys
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from demos import (
    crossentropy_demo,
    gradient_descent_demo,
    perceptron_demo,
    self_attention_demo,
    softmax_demo,
    talking,
    tokenization_demo,
)
from demos.talking import Talk, tied, width, wrap

ROOT = Path(__file__).resolve().parent.parent
NAMES = ["tokenization", "self_attention", "softmax", "crossentropy", "gradient_descent", "perceptron"]
every_demo = pytest.mark.parametrize("name", NAMES)


def run(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", f"demos.{name}_demo", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


@cache
def told(name: str, *arguments: str) -> str:
    done = run(name, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def numbers(text: str) -> list[str]:
    """Every number of a text, in order, with a point whatever the language."""
    return [number.replace(",", ".") for number in re.findall(r"-?\d+(?:[.,]\d+)?", text)]


# --- how they talk ----------------------------------------------------------------------------------------------------


@every_demo
def test_both_languages_have_the_same_shape(name: str) -> None:
    german, english = told(name), told(name, "--lang", "en")
    assert german == told(name, "--lang", "de"), "German is the default"
    assert len(numbers(german)) > 30
    assert numbers(german) == numbers(english)
    assert len(german.splitlines()) == len(english.splitlines())
    assert not re.search(r"\d\.\d", german), "a decimal comma in German"
    assert not re.search(r"\d,\d", english), "a decimal point in English"
    assert german.count("\n\n") == english.count("\n\n") >= 5


@every_demo
def test_a_pipe_gets_no_colours_and_no_markup(name: str) -> None:
    text = told(name)
    assert "\033" not in text and not talking.MARKED.search(text)


@every_demo
def test_the_last_line_says_what_to_look_at_next(name: str) -> None:
    last = told(name, "--lang", "en").splitlines()[-1]
    target = re.search(r"python (?:-m demos\.(\w+) --lang en|(demos/\w+\.py))$", last)
    assert target, last
    assert (ROOT / (target[2] or f"demos/{target[1]}.py")).is_file()


@every_demo
def test_nothing_but_numpy_and_the_standard_library(name: str) -> None:
    tree = ast.parse((ROOT / "demos" / f"{name}_demo.py").read_text(encoding="utf-8"))
    found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    found |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {module.split(".")[0] for module in found} <= {*sys.stdlib_module_names, "numpy", "demos"}


@every_demo
def test_no_network(name: str) -> None:
    code = (
        "import runpy, socket, sys\n"
        "def no(*a, **k): raise AssertionError('network')\n"
        "socket.socket = socket.create_connection = socket.getaddrinfo = no\n"
        f"sys.argv = ['demo']; runpy.run_module('demos.{name}_demo', run_name='__main__')\n"
        "assert not {'torch', 'rich', 'glaswerk', 'typer'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


def on_a_terminal(name: str, **environment: str) -> str:
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    clean = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLORTERM")}
    child = subprocess.Popen(
        [sys.executable, "-m", f"demos.{name}_demo"],
        cwd=ROOT,
        env={**clean, "TERM": "xterm", "COLUMNS": "80", "PYTHONIOENCODING": "utf-8", **environment},
        stdout=theirs,
        stdin=subprocess.DEVNULL,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            some = os.read(ours, 4096)
        except OSError:  # how Linux says that the other end has closed
            break
        if not some:
            break
        shown += some
    os.close(ours)
    assert child.wait(timeout=60) == 0
    return shown.decode("utf-8").replace("\r\n", "\n")


@every_demo
def test_a_terminal_gets_the_concept_colours(name: str) -> None:
    full, simple = on_a_terminal(name, COLORTERM="truecolor"), on_a_terminal(name)
    plain = on_a_terminal(name, NO_COLOR="1")
    assert "\033[38;2;" in full and "\033[38;2;" not in simple and "\033[" in simple
    assert "\033" not in plain and "\033" not in on_a_terminal(name, TERM="dumb")
    assert talking.ANSI.sub("", full) == talking.ANSI.sub("", simple) == plain
    assert plain.split() == told(name).split(), "narrower, but the same words"
    assert max(map(width, plain.splitlines())) <= 80


def test_the_colours_are_those_of_the_command_line() -> None:
    from glaswerk.cli.terminal import CONCEPTS

    assert {name: colour for name, (colour, _) in talking.COLOURS.items()} == CONCEPTS


def test_a_reader_who_has_seen_enough() -> None:
    command = [sys.executable, "-m", "demos.softmax_demo"]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None and child.stderr is not None
    child.stdout.close()
    assert (child.stderr.read(), child.wait(timeout=60)) == (b"", 0)
    child.stderr.close()


def test_an_encoding_without_these_characters_is_no_traceback() -> None:
    done = run("self_attention", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "") and "?2 = 1,414" in done.stdout


def test_numbers_and_vectors() -> None:
    german, english = Talk("de"), Talk("en")
    assert [english.number(x) for x in (0.5, 2.0, -0.0, 1 / 3)] == ["0.5", "2", "0", "0.333333"]
    assert [german.number(x, 2) for x in (0.5, -0.001, 1234.5)] == ["0,50", "0,00", "1234,50"]
    assert english.number(-math.inf) == german.number(-math.inf) == "-∞"
    assert (german.vector([0.5, -1]), english.vector([0.5, -1])) == ("[0,5; -1]", "[0.5, -1]")
    assert english.products([1, -0.5], [2, -1]) == "1·2 + (-0.5)·(-1)"
    assert english.number(1.5e20, 3) == "1.500e+20"


def test_markup_width_and_wrapping() -> None:
    assert Talk("en", 16).paint("<query q> < 1 and <token >>") == "\033[94mq\033[0m < 1 and \033[33m>\033[0m"
    assert Talk("en").paint("<bold what becomes <unk>>") == "what becomes <unk>"
    assert width("<token 猫>é\033[1mx\033[0m") == 4
    assert wrap("  one two three", 9) == "  one two\n  three"
    assert wrap("  one two three", 0) == "  one two three"
    assert tied(["--h", "-0.5,1", "--lang", "en", "x"]) == ["--h=-0.5,1", "--lang", "en", "x"]


BAD = [
    ("softmax", ["--h", "0.5"], "--h needs 2 numbers"),
    ("softmax", ["--h", "0.5,1,2"], "--h needs 2 numbers"),
    ("softmax", ["--h", "nan,1"], "--h needs 2 numbers"),
    ("softmax", ["--h", "-1e9,1"], "--h needs 2 numbers"),
    ("softmax", ["--h", "0,5;1,2"], "--h needs 2 numbers"),
    ("softmax", ["--h", ""], "--h needs 2 numbers"),
    ("softmax", ["--w", "1,2;3,4"], "--w needs 3 rows"),
    ("softmax", ["--w", "1,2;3,4;5"], "--w needs 2 numbers"),
    ("softmax", ["--lang", "fr"], "invalid choice"),
    ("perceptron", ["--epochs", "3"], "unrecognized arguments"),
    ("tokenization", [""], "TEXT must be 1 to 200 characters"),
    ("tokenization", ["a" * 201], "TEXT must be 1 to 200 characters"),
    ("tokenization", ["a\033[2Jb"], "without control characters"),
]


@pytest.mark.parametrize(("name", "arguments", "reason"), BAD)
def test_bad_input_is_one_line(name: str, arguments: list[str], reason: str) -> None:
    done = run(name, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert reason in done.stderr and len(done.stderr.splitlines()) == 1


# --- what they compute ------------------------------------------------------------------------------------------------


def test_attention_equals_the_librarys() -> None:
    from glaswerk.model.attention import explicit_attention

    step = self_attention_demo.attention(
        self_attention_demo.X, self_attention_demo.W_Q, self_attention_demo.W_K, self_attention_demo.W_V
    )
    x_TC = torch.tensor(self_attention_demo.X)
    q, k, v = (
        F.linear(x_TC, torch.tensor(getattr(self_attention_demo, name), dtype=torch.float64))[None, None]
        for name in ("W_Q", "W_K", "W_V")
    )
    mask = torch.ones(1, 5, 5, dtype=torch.bool).tril()
    theirs = explicit_attention(q, k, v, mask)[0, 0]
    np.testing.assert_allclose(step.h, theirs.numpy(), atol=1e-12)
    assert np.ptp(step.h) > 1, "equal vectors would prove nothing"
    assert self_attention_demo.context_vector() == pytest.approx(theirs[-1].numpy())
    assert "h = [0,70; 1,51]" in told("self_attention")
    np.testing.assert_allclose(step.weights.sum(1), 1)
    assert (np.triu(step.weights, 1) == 0).all()


def test_the_chain_ends_at_0_44_also_from_the_printed_h() -> None:
    printed = re.findall(r"h = \[([\d.]+), ([\d.]+)\]", told("self_attention", "--lang", "en"))[-1]
    from_printed = told("softmax", "--lang", "en", "--h", ",".join(printed))
    for text in (told("softmax", "--lang", "en"), from_printed):
        assert "P(Frankreich) = 0.44" in text.splitlines()[-3]
    assert "P(Frankreich) = 0,44" in told("softmax")
    assert round(float(softmax_demo.chain()[0]), 2) == 0.44
    assert "L = -ln 0,44 = 0,821" in told("crossentropy")
    assert round(-math.log(0.44), 3) == 0.821


@pytest.mark.parametrize("temperature", softmax_demo.TEMPERATURES)
def test_softmax_equals_the_samplers(temperature: float) -> None:
    from glaswerk.generate.sampling import SamplingOptions, candidates

    z = softmax_demo.logits(self_attention_demo.context_vector(), softmax_demo.W_OUT, softmax_demo.B)
    theirs = candidates(torch.tensor(z)[None], SamplingOptions(temperature=temperature)).softmax(-1)[0]
    np.testing.assert_allclose(softmax_demo.softmax(z, temperature), theirs.numpy(), atol=1e-6)


def test_h_and_w_are_recomputed() -> None:
    h, w = [-0.5, 1.2], [[1.0, 1.0], [2.0, -2.0], [-3.0, 0.5]]
    z = torch.tensor(w) @ torch.tensor(h) + torch.tensor(softmax_demo.B, dtype=torch.float32)
    p = z.softmax(0)
    text = told("softmax", "--lang", "en", "--h", "-0.5,1.2", "--w", "1,1;2,-2;-3,0.5")
    for word, share in zip(softmax_demo.WORDS, p.tolist(), strict=True):
        assert f"P({word}) = {share:.2f}" in text
    assert f"Argmax takes the largest P: {softmax_demo.WORDS[int(p.argmax())]}" in text
    assert "h = [-0.5, 1.2]" in text and "P(Frankreich) = 0.44" not in text


def test_losses_equal_torchs() -> None:
    z = torch.tensor(softmax_demo.logits(self_attention_demo.context_vector(), softmax_demo.W_OUT, softmax_demo.B))
    p = softmax_demo.chain()
    for truth in range(3):
        theirs = float(F.cross_entropy(z[None], torch.tensor([truth])))
        assert crossentropy_demo.cross_entropy(p, truth) == pytest.approx(theirs)
        assert f"{theirs:.3f}" in told("crossentropy", "--lang", "en")
    nats = crossentropy_demo.cross_entropy(p, 0)
    assert crossentropy_demo.perplexity(nats) == pytest.approx(1 / p[0]) == pytest.approx(2 ** math.log2(1 / p[0]))
    assert crossentropy_demo.bits(nats) == pytest.approx(-math.log2(p[0]))


def test_entropies_equal_torchs() -> None:
    for shares, bits in ((crossentropy_demo.COIN, 1.0), (crossentropy_demo.DIE, 2.585), (softmax_demo.chain(), None)):
        theirs = float(torch.distributions.Categorical(torch.tensor(shares)).entropy()) / math.log(2)
        assert crossentropy_demo.entropy(shares) == pytest.approx(theirs)
        assert bits is None or round(theirs, 3) == bits
    assert "2,585" in told("crossentropy")


def test_the_ten_steps_equal_torchs() -> None:
    demo = gradient_descent_demo
    x, y = torch.tensor(demo.TWO_X), torch.tensor(demo.TWO_Y)
    w, b = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (demo.START_W, demo.START_B))
    optimizer = torch.optim.SGD([w, b], lr=demo.RATE)
    path = demo.descend(demo.TWO_X, demo.TWO_Y, demo.START_W, demo.START_B, demo.RATE, demo.STEPS)
    assert len(path) == 11
    for step in path:
        optimizer.zero_grad()
        loss = 0.5 * F.mse_loss(w * x + b, y)
        loss.backward()
        assert w.grad is not None and b.grad is not None
        ours, theirs = tuple(step), (w.item(), b.item(), loss.item(), w.grad.item(), b.grad.item())
        assert ours == pytest.approx(theirs)
        optimizer.step()
    assert (path[0].w, path[0].b) == (4.5, 0.4)
    assert (round(path[-1].w, 2), round(path[-1].b, 2)) == (3.0, 2.0)
    assert "Gewicht 4,5 → 3, Bias 0,4 → 2" in told("gradient_descent")


def test_sgd_and_least_squares_find_the_line() -> None:
    demo = gradient_descent_demo
    slope, bias = demo.least_squares(demo.SIX_X, demo.SIX_Y)
    assert [slope, bias] == pytest.approx(np.polyfit(demo.SIX_X, demo.SIX_Y, 1).tolist())
    assert slope * 6 + bias == pytest.approx(13)
    assert (demo.SGD_RATE, demo.EPOCHS) == (0.05, 300)
    path = demo.sgd(demo.SIX_X, demo.SIX_Y, demo.SGD_RATE, demo.EPOCHS)
    w, b = (torch.zeros((), dtype=torch.float64, requires_grad=True) for _ in range(2))
    optimizer = torch.optim.SGD([w, b], lr=demo.SGD_RATE)
    dice = np.random.default_rng(0)
    for ours in path[1:21]:
        for at in dice.permutation(6):
            optimizer.zero_grad()
            (0.5 * (w * demo.SIX_X[at] + b - demo.SIX_Y[at]) ** 2).backward()
            optimizer.step()
        assert ours == pytest.approx((w.item(), b.item()))
    assert path[-1] == pytest.approx((2, 1), abs=1e-6)
    assert "= 13." in told("gradient_descent")


@pytest.mark.parametrize("task", ["AND", "OR"])
def test_the_perceptron_learns_and_and_or(task: str) -> None:
    looks = perceptron_demo.learn(perceptron_demo.TASKS[task])
    last = looks[-1]
    rule = {"AND": lambda x: x[0] and x[1], "OR": lambda x: x[0] or x[1]}[task]
    for x in product((0, 1), repeat=2):
        assert (last.w[0] * x[0] + last.w[1] * x[1] + last.b > 0) == bool(rule(x))
    assert perceptron_demo.mistakes(looks)[-1] == 0 and last.epoch <= 6
    w, b = np.zeros(2, int), 0
    for look in looks:  # each correction by the rule as it is told
        assert look.output == int(w @ look.x + b > 0)
        w, b = w + (look.y - look.output) * look.x, b + look.y - look.output
        assert (look.w == w).all() and look.b == b


def test_the_perceptron_cannot_learn_xor() -> None:
    looks = perceptron_demo.learn(perceptron_demo.TASKS["XOR"], epochs=500)
    assert min(perceptron_demo.mistakes(looks)) > 0
    first, again = perceptron_demo.circle(looks) or (0, 0)
    assert 0 < first < again
    ends = {look.epoch: (*look.w, look.b) for look in looks}
    assert ends[first] == ends[again]
    for line in product(np.arange(-3, 3.5, 0.5), repeat=3):  # and no other line does it either
        fires = [int(line[0] * x[0] + line[1] * x[1] + line[2] > 0) for x in perceptron_demo.INPUTS]
        assert fires != perceptron_demo.TASKS["XOR"].tolist()
    assert perceptron_demo.circle(perceptron_demo.learn(perceptron_demo.TASKS["AND"])) is None


TEXTS = [tokenization_demo.TEXT, tokenization_demo.CORPUS, "that hat, that cat!  Oh 🙂 über", "the", "ththe atat"]


def test_bytes_equal_the_librarys() -> None:
    from glaswerk.tokenizer import ByteTokenizer

    for word, ids in (("cat", [99, 97, 116]), ("car", [99, 97, 114]), ("kitten", [107, 105, 116, 116, 101, 110])):
        assert ByteTokenizer(()).encode(word) == ids
        assert f"{word} {ids}" in re.sub(" +", " ", told("tokenization"))


def test_bpe_equals_the_librarys() -> None:
    from glaswerk.tokenizer import train_bpe

    learned = tokenization_demo.learn_bpe(tokenization_demo.CORPUS, tokenization_demo.MERGES)
    theirs = train_bpe([tokenization_demo.CORPUS], 256 + tokenization_demo.MERGES, "gpt2", special=())
    assert [(*pair, 256 + at) for at, (pair, _) in enumerate(learned)] == theirs.merges
    assert tokenization_demo.vocabulary(learned) == theirs.tokens
    for text in TEXTS:
        pieces = tokenization_demo.cut(text)
        assert "".join(pieces) == text
        ours = [number for piece in pieces for number in tokenization_demo.encode_stages(piece, learned)[-1]]
        assert ours == theirs.encode(text)
    assert str(theirs.encode(tokenization_demo.TEXT)) in told("tokenization")


def test_wordpiece_equals_tokenizers() -> None:
    from tokenizers.models import WordPiece

    pieces = tokenization_demo.PIECES
    theirs = WordPiece({piece: at for at, piece in enumerate(["[UNK]", *sorted(pieces)])}, unk_token="[UNK]")
    for word in ("unbelievable", "believable", "believes", "unbeable", "x", "unx", "beings", "un"):
        ours = [piece for piece, _ in tokenization_demo.wordpiece(word, pieces)]
        assert ours == [token.value for token in theirs.tokenize(word)], word
    assert [piece for piece, _ in tokenization_demo.wordpiece("unbelievable", pieces)] == ["un", "##believ", "##able"]


def test_a_text_of_ones_own() -> None:
    text = told("tokenization", "über <bold x> 🙂", "--lang", "en")
    assert "ü b e r · < b o l d · x > · 🙂" in text and "[195, 188, 98," in text
    assert "<unk>" in text and "C3" not in text.split("4. BPE")[0]
