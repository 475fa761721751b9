"""Self-attention with a pencil: what "von" collects from "Paris ist die Hauptstadt von" (Vaswani et al. 2017).

    python -m demos.self_attention_demo              auf Deutsch
    python -m demos.self_attention_demo --lang en    in English

One head, two numbers per word, matrices made by hand so that every step can be checked; a trained model has
learned its numbers. Left out: positions, several heads, the projection after them. softmax_demo goes on with h.
"""

from __future__ import annotations

import argparse
import math
from typing import NamedTuple

import numpy as np

from demos.talking import Parser, Talk, start

WORDS = ["Paris", "ist", "die", "Hauptstadt", "von"]
# one row per word: [how much it has to do with a place, how much it is a word of grammar]
X = np.array([[2, 0], [0.5, 1], [0, 1], [1, 0], [0, 2]])
W_Q = np.array([[0, 1], [1, 0]])  # a word of grammar looks for places, a place looks for grammar
W_K = np.array([[0.5, -0.5], [0, 1]])
W_V = np.array([[0.5, 0], [1, 0.5]])


def softmax(scores: np.ndarray) -> np.ndarray:
    """Shares that add up to one: e to the power of each score, divided by their sum. e^(-∞) is 0."""
    powers = np.exp(scores)
    return powers / powers.sum()


class Attention(NamedTuple):
    """Every step of one head. Rows are the words that look, columns the words that are looked at."""

    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    scores: np.ndarray
    scaled: np.ndarray
    masked: np.ndarray
    weights: np.ndarray
    h: np.ndarray


def attention(x: np.ndarray, w_q: np.ndarray, w_k: np.ndarray, w_v: np.ndarray) -> Attention:
    q, k, v = x @ w_q.T, x @ w_k.T, x @ w_v.T  # for each word: each row of the matrix times the word's x
    scores = q @ k.T  # how well each query fits each key
    scaled = scores / math.sqrt(q.shape[1])
    future = np.triu(np.ones(scores.shape), 1) == 1  # above the diagonal: words that come later
    masked = np.where(future, -np.inf, scaled)
    weights = np.array([softmax(row) for row in masked])
    return Attention(q, k, v, scores, scaled, masked, weights, weights @ v)


def context_vector() -> np.ndarray:
    """h of the last word, "von": what softmax_demo starts from."""
    return attention(X, W_Q, W_K, W_V).h[-1]


def tell(talk: Talk, options: argparse.Namespace) -> None:
    step = attention(X, W_Q, W_K, W_V)
    words = [f"<token {word}>" for word in WORDS]

    def square(values: np.ndarray, digits: int | None = None) -> None:
        talk.table({"": words, **dict(zip(words, values.T, strict=True))}, digits)

    talk.title(
        "Self-Attention: was „von“ sich bei den Wörtern davor holt",
        "Self-attention: what “von” collects from the words before it",
    )
    talk.say(
        "Ein Attention-Kopf rechnet, Schritt für Schritt. Der Satz: Paris ist die Hauptstadt von …\n"
        "Die Zahlen sind von Hand gewählt, damit du mitrechnen kannst. Ein Modell lernt seine im Training.",
        "One attention head, step by step. The sentence: Paris ist die Hauptstadt von … (Paris is the capital of …)\n"
        "The numbers are made by hand, so that you can check them. A model learns its own in training.",
    )

    talk.title("1. Embeddings x: zwei Zahlen je Wort", "1. Embeddings x: two numbers per word")
    talk.table({"": words, "Ort|place": X[:, 0], "Grammatik|grammar": X[:, 1]})

    talk.title("2. Query, Key, Value: drei Matrizen, jede mal x", "2. Query, key, value: three matrices, each times x")
    talk.say(
        "Die <query Query q> sagt, was ein Wort sucht, der <key Key k>, wofür es gefunden wird, "
        "der <value Value v>, was es weitergibt.",
        "The <query query q> says what a word looks for, the <key key k> what it is found by, "
        "the <value value v> what it hands on.",
    )
    talk.table({"<query W_Q>": W_Q, "<key W_K>": W_K, "<value W_V>": W_V})
    talk.say(
        "Jede Zeile der Matrix mal x gibt eine Zahl. W_Q mal das x von „von“:",
        "Each row of the matrix times x gives one number. W_Q times the x of “von”:",
    )
    for row in W_Q:
        talk.say(f"  {talk.products(row, X[-1])} = <query {talk.number(row @ X[-1])}>")
    talk.table({"": words, "<query q>": step.q, "<key k>": step.k, "<value v>": step.v})

    talk.title("3. Scores: jede Query mal jeden Key", "3. Scores: every query times every key")
    fit = f"<query q>·<key k> = {talk.products(step.q[-1], step.k[0])} = {talk.number(step.scores[-1, 0])}"
    talk.say(
        f"„von“ schaut auf „Paris“: {fit}. Eine Zeile je Wort, das schaut:",
        f"“von” looks at “Paris”: {fit}. One row per word that looks:",
    )
    square(step.scores)

    talk.title("4. Durch √d teilen", "4. Divide by √d")
    root = f"√{X.shape[1]} = {talk.number(math.sqrt(X.shape[1]), 3)}"
    talk.say(
        f"d: so viele Zahlen hat eine Query. {root}. Ohne das würden die Scores mit d immer größer.",
        f"d: how many numbers a query has. {root}. Without this, scores would grow with d.",
    )
    square(step.scaled, 2)

    talk.title("5. Kausale Maske: niemand schaut nach vorn", "5. Causal mask: nobody looks ahead")
    talk.say(
        "Was später kommt, bekommt den Score -∞. „von“ steht am Ende und darf alles sehen.",
        "What comes later gets the score -∞. “von” stands at the end and may see everything.",
    )
    square(step.masked, 2)

    talk.title("6. Softmax: aus Scores werden Anteile", "6. Softmax: scores become shares")
    talk.say(
        "Für „von“: e hoch jeden Score s, geteilt durch die Summe. Das sind die <weight Attention-Gewichte a>.",
        "For “von”: e to the power of each score s, over their sum. These are the <weight attention weights a>.",
    )
    s, a = step.masked[-1], step.weights[-1]
    names, powers = [*words, talk.choose("Summe", "sum")], np.exp(s)
    talk.table({"": names, "s": [*s, ""], "e^s": [*powers, powers.sum()], "<weight a>": [*a, a.sum()]}, digits=3)
    talk.say("Ebenso jede andere Zeile:", "The other rows likewise:")
    square(step.weights, 2)

    talk.title(
        "7. Der Kontextvektor h: jeder Value mal seinen Anteil", "7. The context vector h: each value, by its share"
    )
    values, mixed = map(talk.vector, step.v), a[:, None] * step.v
    talk.table({"": words, "<weight a>": a, "<value v>": values, "<weight a>·<value v>": mixed}, digits=3)
    talk.say("Die letzte Spalte, addiert, ist das h von „von“:", "The last column, added up, is the h of “von”:")
    talk.say(f"  <residual h> = {talk.vector(step.h[-1], 2)}")
    talk.next("Wie aus h das nächste Wort wird", "How h becomes the next word", "softmax_demo")


if __name__ == "__main__":
    start(tell, Parser(__doc__))
