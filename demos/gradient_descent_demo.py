"""Gradient descent with a pencil: a line finds its points by small steps downhill on the loss (Cauchy 1847).

    python -m demos.gradient_descent_demo              auf Deutsch
    python -m demos.gradient_descent_demo --lang en    in English

A language model learns in this way too, only with millions of weights instead of two. Left out: momentum and
Adam, and backpropagation, which finds the gradient where many layers work one after another.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np

from demos.talking import Parser, Talk, start

TWO_X, TWO_Y = np.array([-1.0, 1]), np.array([-1.0, 5])  # two points on y = 3x + 2
SIX_X = np.arange(6.0)
SIX_Y = 2 * SIX_X + 1  # six points on y = 2x + 1
START_W, START_B, RATE, STEPS = 4.5, 0.4, 0.5, 10
SGD_RATE, EPOCHS = 0.05, 300


class Step(NamedTuple):
    w: float
    b: float
    loss: float
    grad_w: float
    grad_b: float


def loss(x: np.ndarray, y: np.ndarray, w: float, b: float) -> float:
    """Half the mean of the squared errors. The half is there to cancel the 2 that a square leaves in the gradient."""
    return float(0.5 * ((w * x + b - y) ** 2).mean())


def gradient(x: np.ndarray, y: np.ndarray, w: float, b: float) -> tuple[float, float]:
    """How fast the loss grows with w, and with b."""
    error = w * x + b - y
    return float((error * x).mean()), float(error.mean())


def descend(x: np.ndarray, y: np.ndarray, w: float, b: float, rate: float, steps: int) -> list[Step]:
    """Where we stand before the first step and after each."""
    path = []
    for _ in range(steps + 1):
        grad_w, grad_b = gradient(x, y, w, b)
        path.append(Step(w, b, loss(x, y, w, b), grad_w, grad_b))
        w, b = w - rate * grad_w, b - rate * grad_b  # W_new = W_old - η ∇L
    return path


def sgd(x: np.ndarray, y: np.ndarray, rate: float, epochs: int) -> list[tuple[float, float]]:
    """Stochastic: each step looks at one point only. An epoch is all points once, shuffled. (w, b) after each."""
    dice = np.random.default_rng(0)
    w, b, path = 0.0, 0.0, [(0.0, 0.0)]
    for _ in range(epochs):
        for at in dice.permutation(len(x)):
            grad_w, grad_b = gradient(x[[at]], y[[at]], w, b)
            w, b = w - rate * grad_w, b - rate * grad_b
        path.append((w, b))
    return path


def least_squares(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """The best line at one blow, without any steps. For a neural network there is no such formula."""
    w = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
    return float(w), float(y.mean() - w * x.mean())


def tell(talk: Talk, options: argparse.Namespace) -> None:
    n = talk.number
    path = descend(TWO_X, TWO_Y, START_W, START_B, RATE, STEPS)
    first, second, last = path[0], path[1], path[-1]

    talk.title("Gradientenverfahren: bergab in kleinen Schritten", "Gradient descent: downhill in small steps")
    talk.say(
        "Gesucht sind das Gewicht w und der Bias b einer Geraden ŷ = w·x + b, die durch zwei Punkte (x, y) geht.\n"
        f"Wir fangen mit w = {n(START_W)} und b = {n(START_B)} an; e ist der Fehler:",
        "Wanted: the weight w and the bias b of a line ŷ = w·x + b that goes through two points (x, y).\n"
        f"We begin with w = {n(START_W)} and b = {n(START_B)}; e is the error:",
    )
    error = START_W * TWO_X + START_B - TWO_Y
    talk.table({"x": TWO_X, "y": TWO_Y, "ŷ": START_W * TWO_X + START_B, "e = ŷ - y": error})

    talk.title("1. Ein Schritt von Hand", "1. One step by hand")
    talk.say(
        "Der <loss Verlust L> ist der halbe Mittelwert von e². Sein <loss Gradient ∇L> sagt, wie schnell L wächst:\n"
        "für w ist er der Mittelwert von e·x, für b der Mittelwert von e.",
        "The <loss loss L> is half the mean of e². Its <loss gradient ∇L> says how fast L grows:\n"
        "for w it is the mean of e·x, for b the mean of e.",
    )
    pair = talk.products(error, TWO_X)
    talk.say(f"  <loss ∂L/∂w> = ({pair}) / {len(TWO_X)} = {n(first.grad_w)}")
    talk.say(f"  <loss ∂L/∂b> = ({' + '.join(map(talk.factor, error))}) / {len(TWO_X)} = {n(first.grad_b)}")
    talk.say(
        f"Wir gehen gegen den Gradienten, mit der Lernrate η = {n(RATE)}: W_neu = W_alt - η·∇L",
        f"We walk against the gradient, with the learning rate η = {n(RATE)}: W_new = W_old - η·∇L",
    )
    talk.say(f"  w = {n(first.w)} - {n(RATE)}·{talk.factor(first.grad_w)} = {n(second.w)}")
    talk.say(f"  b = {n(first.b)} - {n(RATE)}·{talk.factor(first.grad_b)} = {n(second.b)}")

    talk.title(f"2. {STEPS} Schritte", f"2. {STEPS} steps")
    w, b, losses, grad_w, grad_b = zip(*path, strict=True)
    columns = {"w": w, "b": b, "<loss L>": losses, "<loss ∂L/∂w>": grad_w, "<loss ∂L/∂b>": grad_b}
    talk.table({"Schritt|step": range(len(path)), **columns}, digits=4)
    talk.say(
        f"Gewicht {n(first.w)} → {n(round(last.w, 2))}, Bias {n(first.b)} → {n(round(last.b, 2))}: "
        "Hier halbiert jeder Schritt den Fehler.",
        f"Weight {n(first.w)} → {n(round(last.w, 2))}, bias {n(first.b)} → {n(round(last.b, 2))}: "
        "here each step halves the error.",
    )

    talk.title("3. Die Lernrate entscheidet", "3. The learning rate decides")
    rates = (0.1, RATE, 1, 2, 2.5)
    after = [descend(TWO_X, TWO_Y, START_W, START_B, rate, STEPS)[-1].loss for rate in rates]
    talk.table(
        {"η": rates, f"<loss L> nach {STEPS} Schritten|<loss L> after {STEPS} steps": [n(value, 4) for value in after]}
    )
    talk.say(
        "Zu klein: Es dauert. Zu groß: Der Schritt springt über das Tal, hin und her oder immer weiter hinaus.",
        "Too small: it takes long. Too large: the step jumps across the valley, to and fro or ever further out.",
    )

    talk.title("4. Sechs Punkte, in einem Zug", "4. Six points, at one blow")
    slope, bias = least_squares(SIX_X, SIX_Y)
    talk.say(f"  x = {talk.vector(SIX_X)}\n  y = {talk.vector(SIX_Y)}")
    sums = f"{talk.products([slope], [6])} + {n(bias)} = {n(slope * 6 + bias)}"
    talk.say(
        f"Die kleinsten Quadrate: w = {n(slope)}, b = {n(bias)}. Bei x = 6 also ŷ = {sums}.",
        f"Least squares: w = {n(slope)}, b = {n(bias)}. At x = 6 that is ŷ = {sums}.",
    )

    talk.title("5. Dieselben Punkte mit SGD", "5. The same points with SGD")
    walk = sgd(SIX_X, SIX_Y, SGD_RATE, EPOCHS)
    talk.say(
        f"Stochastisch heißt: Jeder Schritt sieht nur einen Punkt. Alle einmal sind eine Epoche. η = {n(SGD_RATE)}.",
        f"Stochastic means: each step sees one point only. All of them once are an epoch. η = {n(SGD_RATE)}.",
    )
    epochs = (0, 1, 3, 10, 30, 100, EPOCHS)
    ws, bs = zip(*(walk[epoch] for epoch in epochs), strict=True)
    left = [loss(SIX_X, SIX_Y, w, b) for w, b in zip(ws, bs, strict=True)]
    at_six = [w * 6 + b for w, b in zip(ws, bs, strict=True)]
    talk.table({"Epoche|epoch": epochs, "w": ws, "b": bs, "<loss L>": left, "ŷ(6)": at_six}, digits=4)
    talk.next("Ein einzelnes Neuron lernt", "A single neuron learns", "perceptron_demo")


if __name__ == "__main__":
    start(tell, Parser(__doc__))
