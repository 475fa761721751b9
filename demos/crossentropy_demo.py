"""The loss of a guess: cross-entropy, -ln of the probability that the true word had (Shannon 1948).

    python -m demos.crossentropy_demo              auf Deutsch
    python -m demos.crossentropy_demo --lang en    in English

The probabilities are those that softmax_demo ends with. Left out: the mean over all the words of a text, which
is what training makes smaller (tiny_gpt.py does it).
"""

from __future__ import annotations

import argparse
import math

import numpy as np

from demos.softmax_demo import WORDS, chain
from demos.talking import Parser, Talk, start

COIN = np.full(2, 1 / 2)
DIE = np.full(6, 1 / 6)


def cross_entropy(p: np.ndarray, truth: int) -> float:
    """In nats: 0 where the truth had probability 1, and the larger the smaller its probability was."""
    return -math.log(p[truth])


def bits(nats: float) -> float:
    """One bit is the surprise of one toss of a coin: ln 2 nats."""
    return nats / math.log(2)


def perplexity(nats: float) -> float:
    """Among how many equally likely words would guessing be this hard?"""
    return math.exp(nats)


def entropy(p: np.ndarray) -> float:
    """The mean surprise of what truly falls with probabilities p, in bits."""
    return float(-(p * np.log2(p)).sum())


def tell(talk: Talk, options: argparse.Namespace) -> None:
    n = talk.number
    p = chain()
    loss = cross_entropy(p, 0)
    words = [f"<token {word}>" for word in WORDS]

    talk.title("Kreuzentropie: wie falsch lag die Vorhersage?", "Cross-entropy: how wrong was the prediction?")
    talk.say(
        "Nach „Paris ist die Hauptstadt von“ hat das Modell die Wahrscheinlichkeit so verteilt:",
        "After “Paris ist die Hauptstadt von” the model shared out the probability like this:",
    )
    talk.table({"": words, "<logit P>": p}, digits=2)

    talk.title("1. Der Verlust (Loss) L = -ln P(wahres Wort)", "1. The loss L = -ln P(true word)")
    talk.say(
        f"Im Text folgt {words[0]}. Nur sein P zählt (ln ist der natürliche Logarithmus, zur Basis e):",
        f"The text goes on with {words[0]}. Only its P counts (ln is the natural logarithm, to base e):",
    )
    talk.say(f"  <loss L> = -ln <logit {n(p[0], 2)}> = <loss {n(loss, 3)}>")

    talk.title("2. Und wenn ein anderes Wort gefolgt wäre?", "2. And if another word had followed?")
    talk.say(
        "Je kleiner das P des wahren Wortes war, desto größer der Verlust.",
        "The smaller the P of the true word was, the larger the loss.",
    )
    losses = [cross_entropy(p, truth) for truth in range(len(WORDS))]
    talk.table({"wahr wäre|if true": words, "<logit P>": p, "<loss L>": losses}, digits=3)
    sure, blind = cross_entropy(np.array([1.0, 0, 0]), 0), cross_entropy(np.full(len(WORDS), 1 / len(WORDS)), 0)
    talk.say(
        f"Zum Vergleich: völlig sicher und richtig {n(sure, 3)}; blind geraten ln {len(WORDS)} = {n(blind, 3)}.",
        f"For comparison: quite sure and right {n(sure, 3)}; guessing blindly ln {len(WORDS)} = {n(blind, 3)}.",
    )

    talk.title("3. Dasselbe in zwei anderen Maßen", "3. The same in two other measures")
    talk.say(
        f"  Perplexität e^L = {n(perplexity(loss), 2)}: so schwer wie Raten unter so vielen gleich guten Wörtern.\n"
        f"  Bits L / ln 2   = {n(bits(loss), 3)}: so überraschend wie so viele Münzwürfe.",
        f"  Perplexity e^L = {n(perplexity(loss), 2)}: as hard as guessing among so many words of equal chance.\n"
        f"  Bits L / ln 2  = {n(bits(loss), 3)}: as surprising as so many tosses of a coin.",
    )
    talk.say(
        f"  Beide sagen dasselbe: 2^{n(bits(loss), 3)} = {n(2 ** bits(loss), 2)}.",
        f"  Both say the same: 2^{n(bits(loss), 3)} = {n(2 ** bits(loss), 2)}.",
    )

    talk.title("4. Was sich nicht vorhersagen lässt: Entropie", "4. What cannot be predicted: entropy")
    talk.say(
        "H = Summe von -P · log2 P über alles, was fallen kann, in Bit.\n"
        "log2 ist der Logarithmus zur Basis 2. Niedriger als H kommt im Mittel keine Vorhersage.",
        "H = the sum of -P · log2 P over all that can fall, in bits.\n"
        "log2 is the logarithm to base 2. On average no prediction gets below H.",
    )
    cases = (COIN, DIE)
    talk.table(
        {
            "": talk.choose("Münze,Würfel", "coin,die").split(","),
            "Seiten|sides": map(len, cases),
            "P": [n(case[0], 3) for case in cases],
            "-log2 P": [n(-math.log2(case[0]), 3) for case in cases],
            "<loss H>": [n(entropy(case), 3) for case in cases],
        }
    )
    talk.next("Wie man den Verlust kleiner macht", "How to make the loss smaller", "gradient_descent_demo")


if __name__ == "__main__":
    start(tell, Parser(__doc__))
