"""Chapter 6: the same numbers as the demos on the command line, gradients against differences, trainings that do what
the prose says, and a lesson that is one at a time and can be stopped."""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from demos import crossentropy_demo, gradient_descent_demo, perceptron_demo, softmax_demo
from glaswerk.course import LANGUAGES, demo
from glaswerk.course.chapter import load_chapter, shape
from glaswerk.course.demo import load_module
from glaswerk.course.render import Renderer
from glaswerk.errors import GlaswerkError

CHAPTER = "06-learning"


@pytest.fixture(scope="module")
def demos() -> dict[str, demo.Demo]:
    return demo.demos(CHAPTER)


def beside(name: str) -> ModuleType:
    return sys.modules[f"glaswerk_chapter_learning_{name}"]


def test_both_languages_have_the_same_shape_and_can_be_shown() -> None:
    chapter = load_chapter(CHAPTER)
    assert shape(chapter.prose["en"]) == shape(chapter.prose["de"])
    for language in LANGUAGES:
        html = Renderer(language).page(chapter.prose[language], CHAPTER)
        assert "{=" not in html and ("0,821" if language == "de" else "0.821") in html


# ---------------------------------------------------------------------------------------------- the demos' numbers
@pytest.mark.parametrize("task", ["AND", "OR", "XOR"])
def test_the_perceptron_is_the_demos(demos: dict[str, demo.Demo], task: str) -> None:
    looks = perceptron_demo.learn(perceptron_demo.TASKS[task])
    found = demos["perceptron"](task)
    theirs = [(look.epoch, [*look.x], look.y, look.output, [*look.w, look.b]) for look in looks]
    ours = [(o["epoch"], [*o["x"]], o["y"], o["output"], [*o["weights"]]) for o in found["looks"]]
    assert ours == theirs
    assert found["mistakes"] == perceptron_demo.mistakes(looks)
    circle = perceptron_demo.circle(looks)
    assert found["circle"] == (None if circle is None else [*circle])
    assert found["learned"] == (task != "XOR")


def test_the_line_is_the_demos(demos: dict[str, demo.Demo]) -> None:
    d = gradient_descent_demo
    theirs = d.descend(d.TWO_X, d.TWO_Y, d.START_W, d.START_B, d.RATE, d.STEPS)
    ours = demos["line"](d.RATE, d.STEPS)["path"]
    assert np.allclose([[*step.values()] for step in ours], [[*step] for step in theirs])
    assert (ours[-1]["w"], ours[-1]["b"]) == (pytest.approx(3, abs=0.01), pytest.approx(2, abs=0.01))
    six = demos["sgd"](d.SGD_RATE, d.EPOCHS)
    assert np.allclose(six["path"], d.sgd(d.SIX_X, d.SIX_Y, d.SGD_RATE, d.EPOCHS))
    assert six["at_six"] == pytest.approx(13) and six["least_squares_at_six"] == pytest.approx(13)


def test_the_loss_is_the_demos(demos: dict[str, demo.Demo]) -> None:
    found, p = demos["surprise"](), softmax_demo.chain()
    assert found["probabilities"].tolist() == pytest.approx(p.tolist(), abs=1e-6)
    for truth in range(3):
        assert found["losses"][truth] == pytest.approx(crossentropy_demo.cross_entropy(p, truth), abs=1e-5)
        assert found["gradients"][truth] == pytest.approx((p - np.eye(3)[truth]).tolist(), abs=1e-6)
    assert round(found["losses"][0], 3) == 0.821 and round(float(p[0]), 2) == 0.44
    numbers = demos["numbers"]()
    assert numbers["die"] == pytest.approx(crossentropy_demo.entropy(crossentropy_demo.DIE))
    assert numbers["perplexity"] == pytest.approx(crossentropy_demo.perplexity(numbers["loss"]))


# ---------------------------------------------------------------------------------------------- gradients
@pytest.mark.parametrize("weights", [(0.5, -1.0, 0.2), (-2.0, 2.0, 0.0), (1.3, 0.1, -0.7)])
def test_gradients_of_the_graph_are_differences(demos: dict[str, demo.Demo], weights: tuple[float, ...]) -> None:
    found = demos["graph"](*weights)
    for place, name in enumerate(("w1", "w2", "b")):
        up, down = [*weights], [*weights]
        up[place] += 1e-5
        down[place] -= 1e-5
        difference = (demos["graph"](*up)["values"]["L"] - demos["graph"](*down)["values"]["L"]) / 2e-5
        assert found["gradients"][name] == pytest.approx(difference, abs=1e-7)
    assert found["gradients"]["s"] == pytest.approx(found["values"]["o"] - 1)
    assert found["after"] < found["values"]["L"]


def test_norm_and_residual_together_carry_the_gradient(demos: dict[str, demo.Demo]) -> None:
    variants = demos["through"](32, 1.0)["variants"]
    ratio = {name: row["first"] / row["last"] for name, row in variants.items()}
    assert ratio["plain"] < 1e-6 and 0.2 < ratio["both"] < 5
    assert variants["residual"]["sizes"][-1] > 1000 > variants["both"]["sizes"][-1]
    assert demos["through"](32, 4.0)["variants"]["plain"]["first"] > 1e3 * ratio["plain"]
    # by hand, for one layer: gelu(W x) as the library does it
    depth = beside("depth")
    matrix = depth.Linear(depth.WIDTH, depth.WIDTH, False)
    torch.nn.init.normal_(matrix.weight, std=0.1)
    x = torch.randn(3, depth.WIDTH)
    wanted = x + torch.nn.functional.gelu(x @ matrix.weight.T, approximate="tanh")
    assert torch.allclose(depth.layers(x, [matrix], False, True)[1], wanted, atol=1e-5)


# ---------------------------------------------------------------------------------------------- trainings
def test_two_layers_learn_xor(demos: dict[str, demo.Demo]) -> None:
    found = demos["xor"]()
    assert [round(value) for value in found["outputs"][-1]] == [0, 1, 1, 0]
    assert found["losses"][0] > 0.5 > 0.1 > found["losses"][-1]
    assert found["maps"].shape == (len(found["steps"]), found["side"] ** 2)


@pytest.mark.parametrize("landscape", ["wells", "ravine"])
def test_every_optimizer_gets_down_at_its_best_rate(demos: dict[str, demo.Demo], landscape: str) -> None:
    found = demos["race"](landscape)
    descent = beside("descent")
    land = descent.LANDSCAPES[landscape]
    lowest = float(land.height(torch.tensor(land.lowest[0])))
    for name, runner in found["runners"].items():
        assert runner["rate"] in descent.RATES and not runner["lost"]
        assert runner["heights"][-1] < lowest + 0.1, name
        # a height is that of its place
        assert runner["heights"][3] == pytest.approx(float(land.height(torch.tensor(runner["places"][3]))), rel=0.01)
    # SGD by hand: its first step goes against the gradient, times the rate
    start = torch.tensor(land.start, requires_grad=True)
    (slope,) = torch.autograd.grad(land.height(start), start)
    wanted = (start.detach() - found["runners"]["sgd"]["rate"] * slope).tolist()
    assert found["runners"]["sgd"]["places"][1] == pytest.approx(wanted, abs=1e-3)


def test_a_wide_network_learns_by_heart_and_helpers_help(demos: dict[str, demo.Demo]) -> None:
    bare, helped, narrow = demos["fit"](64), demos["fit"](64, decay=True), demos["fit"](1)
    assert bare["learned"][-1] < 0.02 < bare["noise"] < bare["held_out"][-1]
    assert bare["held_out"][bare["best"]] < 0.6 * bare["held_out"][-1]  # early stopping
    assert helped["held_out"][-1] < 0.7 * bare["held_out"][-1]
    assert narrow["learned"][-1] > 3 * narrow["noise"]
    assert bare["parameters"] == (64 + 64) + (64 * 64 + 64) + (64 + 1)


def test_a_leak_is_worth_half_its_share(demos: dict[str, demo.Demo]) -> None:
    for share in (0.0, 0.5, 1.0):
        assert demos["leak"](share)["accuracy"] == pytest.approx(0.5 + share / 2, abs=0.05)


class Uniform(torch.nn.Module):
    """Gives every token of 7 the same logit but one."""

    def forward(self, ids_BT: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(*ids_BT.shape, 7)
        logits[..., 2] = math.log(4)
        return logits


def test_the_loss_of_a_text_token_by_token(demos: dict[str, demo.Demo]) -> None:
    tokenizer = SimpleNamespace(
        vocabulary_size=7, encode=lambda text: [int(c) for c in text], token_bytes=lambda number: str(number).encode()
    )
    model = SimpleNamespace(tokenizer=tokenizer, model=Uniform(), origin=SimpleNamespace(name="x"))
    found = demos["tokens"](model, "0251")
    assert [row["loss"] for row in found["rows"]] == pytest.approx([math.log(10 / 4), math.log(10), math.log(10)])
    assert [row["token"] for row in found["rows"]] == ["2", "5", "1"] and found["rows"][0]["bet"] == "2"
    assert found["perplexity"] == pytest.approx((2.5 * 10 * 10) ** (1 / 3))
    with pytest.raises(GlaswerkError, match="two tokens"):
        demos["tokens"](model, "1")


# ---------------------------------------------------------------------------------------------- the lesson
@pytest.fixture
def short(demos: dict[str, demo.Demo], monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The lesson's module, with a short and small training."""
    module = beside("lesson")
    for name, value in {"STEPS": 8, "PIECE": 4, "PIECES": 3, "BATCH": 4, "TIME": 32, "ABANDONED": 0.3}.items():
        monkeypatch.setattr(module, name, value)
    if module._current is not None:
        module._current.stop()
    monkeypatch.setattr(module, "_current", None)
    return module


def test_the_lesson_trains_piece_by_piece_and_waits(short: ModuleType) -> None:
    first = short.lesson("en", 1.0, True, 0)
    assert first["step"] == 0 and first["learned"] == pytest.approx(math.log(first["vocabulary"]), rel=0.15)
    lesson = short._current
    with lesson.changed:
        assert lesson.changed.wait_for(lambda: len(lesson.pieces) == 2, 60)
    time.sleep(0.5)
    assert len(lesson.pieces) == 2 and not lesson.over, "one piece ahead, and no further"
    last = short.lesson("en", 1.0, True, 2)
    assert last["step"] == 8 and last["learned"] < first["learned"] and last["sample"]
    lesson.thread.join(20)
    assert lesson.over
    # the same arguments, from the start again: the same training
    short._current = None
    assert short.lesson("en", 1.0, True, 2)["learned"] == pytest.approx(last["learned"], abs=1e-3)


def test_one_lesson_at_a_time(short: ModuleType) -> None:
    short.lesson("en", 1.0, True, 0)
    first = short._current
    short.lesson("de", 1.0, True, 0)  # nobody asked for the first one for a while: it is replaced
    assert first.over and short._current is not first
    short._current.asked = time.monotonic() + 60  # somebody is watching
    with pytest.raises(GlaswerkError, match="another training"):
        short.lesson("en", 1.0, True, 0)
    short._current.stop()


def test_a_lesson_that_diverges_says_so(short: ModuleType) -> None:
    short._current = lesson = short.Lesson("en", 1.0, False)
    lesson.stop()
    lesson.factor, lesson.pieces, lesson.stopping, lesson.wanted = 1e30, [], False, 99
    lesson.run()
    assert lesson.pieces[-1]["diverged"] and lesson.piece(2)["diverged"]


# ---------------------------------------------------------------------------------------------- the exercise
def test_the_exercise_tells_right_from_wrong() -> None:
    exercise = next(e for e in load_chapter(CHAPTER).exercises if e.kind == "code")
    assert exercise.check is not None and exercise.stub is not None
    check = load_module(Path(exercise.check), "check_descend_tested").check
    stub = load_module(Path(exercise.stub), "descend_stub_tested")
    with pytest.raises(NotImplementedError):
        check(stub)

    def right(points: list[tuple[float, float]], w: float, b: float, rate: float) -> tuple[float, float, float]:
        errors = [w * x + b - y for x, y in points]
        count = len(points)
        grad_w = sum(error * x for error, (x, _) in zip(errors, points, strict=True)) / count
        return w - rate * grad_w, b - rate * sum(errors) / count, sum(e * e for e in errors) / count / 2

    check(SimpleNamespace(descend=right))
    with pytest.raises(AssertionError, match="the new w"):
        check(SimpleNamespace(descend=lambda points, w, b, rate: (w, b, 0.0)))
