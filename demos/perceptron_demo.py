"""A perceptron: one neuron that learns AND and OR from its mistakes, and cannot learn XOR (Rosenblatt 1958).

    python -m demos.perceptron_demo              auf Deutsch
    python -m demos.perceptron_demo --lang en    in English

Left out: everything that came after, above all the second layer, with which XOR is easy.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np

from demos.talking import Parser, Talk, start

INPUTS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
TASKS = {"AND": np.array([0, 0, 0, 1]), "OR": np.array([0, 1, 1, 1]), "XOR": np.array([0, 1, 1, 0])}
EPOCHS = 10  # at most so many times through the four examples


def neuron(x: np.ndarray, w: np.ndarray, b: int) -> int:
    return int(w @ x + b > 0)  # fires (1) when the weighted sum is above zero


class Look(NamedTuple):
    """One example: what came out, and the weights after the correction."""

    epoch: int
    x: np.ndarray
    y: int
    output: int
    w: np.ndarray
    b: int


def learn(targets: np.ndarray, epochs: int = EPOCHS) -> list[Look]:
    """Until one epoch passes without a mistake, or ``epochs`` are over."""
    w, b, looks = np.zeros(2, int), 0, []
    for epoch in range(1, epochs + 1):
        for x, y in zip(INPUTS, targets, strict=True):
            output = neuron(x, w, b)
            error = int(y) - output  # 1: should have fired; -1: should not have; 0: right
            w, b = w + error * x, b + error  # a mistake shifts the weights towards the answer, by the input
            looks.append(Look(epoch, x, int(y), output, w, b))
        if all(look.y == look.output for look in looks[-len(INPUTS) :]):
            break
    return looks


def mistakes(looks: list[Look]) -> list[int]:
    """How many of the four were wrong, epoch by epoch."""
    epochs = range(1, looks[-1].epoch + 1)
    return [sum(look.y != look.output for look in looks if look.epoch == epoch) for epoch in epochs]


def circle(looks: list[Look]) -> tuple[int, int] | None:
    """Two epochs with mistakes that end with equal weights: from there on the same happens for ever."""
    seen: dict[tuple[int, ...], int] = {}
    for last in looks[len(INPUTS) - 1 :: len(INPUTS)]:  # the last look of each epoch
        weights = (*last.w.tolist(), last.b)
        if weights in seen and mistakes(looks)[last.epoch - 1]:
            return seen[weights], last.epoch
        seen[weights] = last.epoch
    return None


def tell(talk: Talk, options: argparse.Namespace) -> None:
    talk.title("Perzeptron: ein Neuron lernt aus Fehlern", "Perceptron: one neuron learns from its mistakes")
    talk.say(
        "Das <mlp Neuron> rechnet s = w·x + b und gibt 1 aus, wenn s über 0 liegt, sonst 0.\n"
        "Ist die Ausgabe o nicht die richtige y, dann lernt es: w = w + (y - o)·x und b = b + (y - o).\n"
        "Am Anfang sind die Gewichte w und der Bias b 0.",
        "The <mlp neuron> computes s = w·x + b and puts out 1 where s is above 0, otherwise 0.\n"
        "Where its output o is not the right one, y, it learns: w = w + (y - o)·x and b = b + (y - o).\n"
        "At first the weights w and the bias b are 0.",
    )
    for number, (name, targets) in enumerate(TASKS.items(), 1):
        looks = learn(targets)
        wrong = mistakes(looks)
        talk.title(f"{number}. {name}", f"{number}. {name}")
        talk.say(
            f"Die richtige Ausgabe y für {', '.join(map(talk.vector, INPUTS))}: {talk.vector(targets)}",
            f"The right output y for {', '.join(map(talk.vector, INPUTS))}: {talk.vector(targets)}",
        )
        turns = circle(looks)
        end = turns[1] if turns else EPOCHS
        shown = [look for look in looks if look.y != look.output and look.epoch <= end]
        talk.table(
            {
                "Epoche|epoch": [look.epoch for look in shown],
                "x": [look.x for look in shown],
                "y": [look.y for look in shown],
                "o": [look.output for look in shown],
                "y - o": [look.y - look.output for look in shown],
                "<mlp w danach>|<mlp w after>": [look.w for look in shown],
                "<mlp b danach>|<mlp b after>": [look.b for look in shown],
            }
        )
        counts = " ".join(map(str, wrong))
        talk.say(f"  Fehler je Epoche: <loss {counts}>", f"  mistakes per epoch: <loss {counts}>")
        if wrong[-1] == 0:
            talk.say(
                f"Gelernt in {len(wrong)} Epochen: <mlp w> = {talk.vector(looks[-1].w)}, <mlp b> = {looks[-1].b}.",
                f"Learned in {len(wrong)} epochs: <mlp w> = {talk.vector(looks[-1].w)}, <mlp b> = {looks[-1].b}.",
            )
        if turns:
            talk.say(
                f"Nach Epoche {turns[1]} ist alles wie nach Epoche {turns[0]}: Es dreht sich für immer im Kreis.",
                f"After epoch {turns[1]} all is as it was after epoch {turns[0]}: it goes round in circles for ever.",
            )

    talk.title("4. Warum XOR nicht geht", "4. Why XOR cannot be learned")
    talk.say(
        "Ein Neuron zieht eine einzige Gerade: auf der einen Seite 1, auf der anderen 0. Für XOR müsste gelten:",
        "One neuron draws a single straight line: 1 on the one side, 0 on the other. XOR would need:",
    )
    talk.say(
        "  x = [0; 0] → 0:  b ≤ 0                x = [1; 1] → 0:  w1 + w2 + b ≤ 0\n"
        "  x = [1; 0] → 1:  w1 + b > 0           x = [0; 1] → 1:  w2 + b > 0",
        "  x = [0, 0] → 0:  b ≤ 0                x = [1, 1] → 0:  w1 + w2 + b ≤ 0\n"
        "  x = [1, 0] → 1:  w1 + b > 0           x = [0, 1] → 1:  w2 + b > 0",
    )
    talk.say(
        "Die obere Zeile, addiert: w1 + w2 + 2b ≤ 0. Die untere: w1 + w2 + 2b > 0. Das widerspricht sich.\n"
        "Eine zweite Schicht von Neuronen löst es: (x1 OR x2) AND NOT (x1 AND x2).",
        "The upper row, added up: w1 + w2 + 2b ≤ 0. The lower: w1 + w2 + 2b > 0. That cannot both be so.\n"
        "A second layer of neurons solves it: (x1 OR x2) AND NOT (x1 AND x2).",
    )
    talk.say(
        "\nViele Neuronen in vielen Schichten, ein ganzes Sprachmodell: <bold python demos/tiny_gpt.py>",
        "\nMany neurons in many layers, a whole language model: <bold python demos/tiny_gpt.py>",
    )


if __name__ == "__main__":
    start(tell, Parser(__doc__))
