"""What chapter 6 computes with a pencil: a perceptron, a line, cross-entropy, backpropagation, what a step costs.

The worked numbers are those of ``demos/perceptron_demo.py``, ``gradient_descent_demo.py`` and
``crossentropy_demo.py`` (a test holds them together). What is trained here in seconds lies in the files beside this
one: ``descent.py``, ``depth.py``, ``fit.py``, ``lesson.py``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from glaswerk.course.demo import demo, load_module
from glaswerk.model.attention import explicit_attention

if TYPE_CHECKING:
    from glaswerk.opened import OpenedModel


def beside(name: str) -> ModuleType:
    """A file of this folder as a module: the folder's name begins with a number, so ``import`` cannot."""
    return load_module(Path(__file__).with_name(f"{name}.py"), f"glaswerk_chapter_learning_{name}")


descent = beside("descent")
race = descent.race
through = beside("depth").through
fit, leak = beside("fit").fit, beside("fit").leak
lesson = beside("lesson").lesson

# ---------------------------------------------------------------------------------------------- the perceptron
INPUTS = ((0, 0), (0, 1), (1, 0), (1, 1))
TASKS = {"AND": (0, 0, 0, 1), "OR": (0, 1, 1, 1), "XOR": (0, 1, 1, 0)}
#: points per side of the map that the two layers of :func:`xor` colour, and how far it reaches
SIDE, LEAST, MOST = 33, -0.5, 1.5


def learn(targets: tuple[int, ...], epochs: int = 10) -> Iterator[tuple[Any, ...]]:
    """Rosenblatt's rule. Yields epoch, input, wanted, put out, and the weights after the correction."""
    w1, w2, b = 0, 0, 0
    for epoch in range(1, epochs + 1):
        mistakes = 0
        for (x1, x2), y in zip(INPUTS, targets, strict=True):
            output = int(w1 * x1 + w2 * x2 + b > 0)
            error = y - output
            w1, w2, b = w1 + error * x1, w2 + error * x2, b + error
            mistakes += abs(error)
            yield epoch, (x1, x2), y, output, (w1, w2, b)
        if mistakes == 0:
            return


@demo(task={*TASKS})
def perceptron(task: str = "AND") -> dict[str, Any]:
    """Every look at an example, until an epoch has no mistake or ten are over; whether it was learned, and from
    which epoch on the weights go round in circles."""
    names = ("epoch", "x", "y", "output", "weights")
    looks = [dict(zip(names, look, strict=True)) for look in learn(TASKS[task])]
    epochs = looks[-1]["epoch"]
    mistakes = [sum(look["y"] != look["output"] for look in looks if look["epoch"] == n + 1) for n in range(epochs)]
    ends = [looks[4 * n + 3]["weights"] for n in range(epochs)]
    again = next((n for n in range(epochs) if mistakes[n] and ends[n] in ends[:n]), None)
    circle = None if again is None else [ends.index(ends[again]) + 1, again + 1]
    return {"task": task, "looks": looks, "mistakes": mistakes, "learned": mistakes[-1] == 0, "circle": circle}


@demo(seed=(0, 100))
def xor(seed: int = 3) -> dict[str, Any]:
    """XOR by two layers: two tanh neurons and one that reads them, 9 numbers, trained by gradient descent. A map of
    its output over the plane at some of the steps."""
    draw = torch.Generator().manual_seed(seed)
    inner, outer = torch.randn(2, 2, generator=draw), torch.randn(2, generator=draw)
    weights = [part.requires_grad_() for part in (inner, torch.zeros(2), outer, torch.zeros(()))]
    x, y = torch.tensor(INPUTS, dtype=torch.float32), torch.tensor(TASKS["XOR"], dtype=torch.float32)
    line = torch.linspace(LEAST, MOST, SIDE)
    plane = torch.cartesian_prod(line, line)

    def output(points: torch.Tensor) -> torch.Tensor:
        w1, b1, w2, b2 = weights
        return torch.tanh(points @ w1.T + b1) @ w2 + b2

    shown = sorted({round(1.35**n) - 1 for n in range(20)})
    steps, maps, losses, outputs = [], [], [], []
    for step in range(shown[-1] + 1):
        z = output(x)
        loss = F.binary_cross_entropy_with_logits(z, y)
        if step in shown:
            with torch.no_grad():
                maps.append((255 * output(plane).sigmoid()).round().to(torch.uint8))
            steps.append(step)
            losses.append(float(loss.detach()))
            outputs.append(z.detach().sigmoid())
        gradients = torch.autograd.grad(loss, weights)
        with torch.no_grad():
            for weight, gradient in zip(weights, gradients, strict=True):
                weight -= gradient
    return {
        "side": SIDE, "least": LEAST, "most": MOST, "steps": steps, "losses": losses,
        "outputs": [[float(value) for value in row] for row in outputs],
        "maps": torch.stack(maps).numpy(),
    }  # fmt: skip


# ---------------------------------------------------------------------------------------------- a line
TWO_X, TWO_Y = np.array([-1.0, 1.0]), np.array([-1.0, 5.0])
SIX_X = np.arange(6.0)
SIX_Y = 2 * SIX_X + 1
START = (4.5, 0.4)


def slope(x: np.ndarray, y: np.ndarray, w: float, b: float) -> tuple[float, float, float]:
    """The loss, half the mean of the squared errors, and how fast it grows with w and with b."""
    error = w * x + b - y
    return float(0.5 * (error**2).mean()), float((error * x).mean()), float(error.mean())


@demo(rate=(0.01, 2.5), steps=(1, 60))
def line(rate: float = 0.5, steps: int = 10) -> dict[str, Any]:
    """Gradient descent for a line through two points: where it stands before the first step and after each."""
    w, b = START
    path = []
    for _ in range(steps + 1):
        loss, grad_w, grad_b = slope(TWO_X, TWO_Y, w, b)
        path.append({"w": w, "b": b, "loss": loss, "grad_w": grad_w, "grad_b": grad_b})
        w, b = w - rate * grad_w, b - rate * grad_b
    ws, bs = np.linspace(0, 6, 65), np.linspace(-1, 5, 65)
    field = [[slope(TWO_X, TWO_Y, w, b)[0] for w in ws] for b in bs]
    return {
        "points": [[*pair] for pair in zip(TWO_X.tolist(), TWO_Y.tolist(), strict=True)], "path": path,
        "field": np.array(field), "w": [0, 6], "b": [-1, 5],
    }  # fmt: skip


@demo(rate=(0.001, 0.2), epochs=(1, 300))
def sgd(rate: float = 0.05, epochs: int = 300) -> dict[str, Any]:
    """Six points on y = 2x + 1, one point per step in random order: w and b after each epoch, and least squares."""
    dice = np.random.default_rng(0)
    w, b = 0.0, 0.0
    path = [[w, b]]
    for _ in range(epochs):
        for at in dice.permutation(len(SIX_X)):
            _, grad_w, grad_b = slope(SIX_X[[at]], SIX_Y[[at]], w, b)
            w, b = w - rate * grad_w, b - rate * grad_b
        path.append([w, b])
    best_w, best_b = np.polyfit(SIX_X, SIX_Y, 1)
    return {"path": path, "w": w, "b": b, "at_six": 6 * w + b, "least_squares_at_six": float(6 * best_w + best_b)}


# ---------------------------------------------------------------------------------------------- cross-entropy
# the example of chapter "attention": two numbers per word of "Paris ist die Hauptstadt von", one head's three matrices
X = [[2.0, 0.0], [0.5, 1.0], [0.0, 1.0], [1.0, 0.0], [0.0, 2.0]]
W_Q, W_K, W_V = [[0.0, 1.0], [1.0, 0.0]], [[0.5, -0.5], [0.0, 1.0]], [[0.5, 0.0], [1.0, 0.5]]
# what follows it: three words, each with its row and its head start
WORDS = ("Frankreich", "Deutschland", "Spanien")
W_OUT = [[1.0, 0.5], [-0.5, 1.0], [0.0, 0.5]]
BIAS = [0.0, 0.1, -0.1]


@demo()
def surprise() -> dict[str, Any]:
    """The three words' logits and probabilities, the loss for each as the true one, and the gradient of the logits
    (by autograd: it comes out as P minus 1 for the true word, and P for the others)."""
    x_TC = torch.tensor(X)
    q, k, v = (F.linear(x_TC, torch.tensor(matrix))[None, None] for matrix in (W_Q, W_K, W_V))
    h = explicit_attention(q[:, :, -1:], k, v, None)[0, 0, 0]  # the last word may look at all the others: no mask
    logits = F.linear(h, torch.tensor(W_OUT), torch.tensor(BIAS)).requires_grad_()
    losses = [F.cross_entropy(logits, torch.tensor(truth)) for truth in range(len(WORDS))]
    gradients = [torch.autograd.grad(loss, logits)[0] for loss in losses]
    shares = logits.detach().softmax(-1)
    return {
        "words": WORDS, "logits": logits.detach(), "probabilities": shares,
        "losses": [float(loss.detach()) for loss in losses], "gradients": [gradient.tolist() for gradient in gradients],
    }  # fmt: skip


@demo(prompt=400)
def tokens(model: OpenedModel, prompt: str = "Paris ist die Hauptstadt von Frankreich") -> dict[str, Any]:
    """The open model's loss on each token of a text but the first: minus ln of the probability that it gave it, and
    which token it would have bet on."""
    from glaswerk.errors import GlaswerkError
    from glaswerk.tokenizer.chip import chip

    ids = model.tokenizer.encode(prompt)[:96]
    if len(ids) < 2:
        raise GlaswerkError(
            "the text needs two tokens or more: the first one is never predicted",
            "Der Text muss mindestens zwei Tokens haben: Das erste wird nie vorhergesagt.",
        )
    with torch.no_grad():
        logits_TV = model.model(torch.tensor([ids]))[0, :-1, : model.tokenizer.vocabulary_size].float()
    losses = F.cross_entropy(logits_TV, torch.tensor(ids[1:]), reduction="none")
    bets = logits_TV.softmax(-1).max(-1)

    def shown(number: int) -> str:
        return chip(model.tokenizer.token_bytes(number))

    rows = [
        {"token": shown(number), "loss": float(loss), "bet": shown(int(bet)), "bet_probability": float(share)}
        for number, loss, bet, share in zip(ids[1:], losses, bets.indices, bets.values, strict=True)
    ]
    mean = float(losses.mean())
    return {
        "model": model.origin.name, "prompt": prompt, "first": shown(ids[0]), "rows": rows, "mean": mean,
        "perplexity": math.exp(mean), "blind": math.log(model.tokenizer.vocabulary_size),
        "vocabulary": model.tokenizer.vocabulary_size,
    }  # fmt: skip


# ---------------------------------------------------------------------------------------------- backpropagation
@demo(w1=(-2, 2), w2=(-2, 2), b=(-2, 2), rate=(0.05, 2))
def graph(w1: float = 0.5, w2: float = -1.0, b: float = 0.2, rate: float = 0.5) -> dict[str, Any]:
    """One neuron with two inputs, its loss, and the gradient of every node by autograd; and the loss after one step
    of size ``rate`` against it."""

    def forward(start: dict[str, float]) -> dict[str, torch.Tensor]:
        node = {name: torch.tensor(value, dtype=torch.float64, requires_grad=True) for name, value in start.items()}
        node["p1"] = node["w1"] * node["x1"]
        node["p2"] = node["w2"] * node["x2"]
        node["s"] = node["p1"] + node["p2"] + node["b"]
        node["o"] = torch.sigmoid(node["s"])
        node["L"] = -torch.log(node["o"])  # the right answer is 1
        return node

    start = {"x1": 1.0, "x2": 2.0, "w1": w1, "w2": w2, "b": b}
    nodes = forward(start)
    gradients = dict(zip(nodes, torch.autograd.grad(nodes["L"], list(nodes.values())), strict=True))
    stepped = {name: start[name] - rate * float(gradients[name]) for name in ("w1", "w2", "b")}
    after = forward({**start, **stepped})
    return {
        "values": {name: float(value.detach()) for name, value in nodes.items()},
        "gradients": {name: float(value) for name, value in gradients.items()},
        "stepped": stepped, "after": float(after["L"].detach()), "output_after": float(after["o"].detach()),
    }  # fmt: skip


# ---------------------------------------------------------------------------------------------- two lives
@demo(time=(16, 1024))
def costs(model: OpenedModel, time: int = 256) -> dict[str, Any]:
    """What one token costs the open model in training and in use: operations, and what has to be kept in memory for
    each of its parameters (fp32 training with AdamW)."""
    parameters = model.model.parameters_count()["total"]
    number = 4  # bytes of an fp32 number
    return {
        "model": model.origin.name, "time": time, "parameters": parameters,
        "flops": {"training": model.model.flops_per_token(time), "inference": model.model.flops_per_token(time, False)},
        "bytes": {"weights": number * parameters, "gradients": number * parameters, "adam": 2 * number * parameters},
    }  # fmt: skip


@demo()
def numbers() -> dict[str, float]:
    """The numbers that stand in the prose and the quiz."""
    told, walk, six = surprise(), line()["path"], sgd()
    share, loss = float(told["probabilities"][0]), told["losses"][0]
    one_layer = {task: perceptron(task) for task in TASKS}
    deep = {name: row["first"] / row["last"] for name, row in through()["variants"].items()}
    return {
        "share": share, "loss": loss, "perplexity": math.exp(loss), "bits": loss / math.log(2),
        "blind": math.log(len(WORDS)), "die": math.log2(6), "loss_spain": told["losses"][2],
        "and_epochs": len(one_layer["AND"]["mistakes"]), "or_epochs": len(one_layer["OR"]["mistakes"]),
        "circle_from": one_layer["XOR"]["circle"][0], "circle_to": one_layer["XOR"]["circle"][1],
        "grad_w": walk[0]["grad_w"], "grad_b": walk[0]["grad_b"], "w1": walk[1]["w"], "b1": walk[1]["b"],
        "w10": walk[10]["w"], "b10": walk[10]["b"], "loss0": walk[0]["loss"], "loss10": walk[10]["loss"],
        "six": six["least_squares_at_six"], "six_sgd": six["at_six"],
        "vanish": -math.log10(deep["plain"]), "both_ratio": deep["both"], "rates": len(descent.RATES),
        "missing": 1 - share,
        "leaked": 100 * leak(0.5)["accuracy"], "clean": 100 * leak(0.0)["accuracy"],
    }  # fmt: skip
