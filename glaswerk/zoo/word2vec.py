"""word2vec (Mikolov et al. 2013), skip-gram with negative samples: one vector per word, learned from which words stand
near it.

Each word has two vectors, one for itself and one for being a neighbour. Training pulls a word towards the neighbours
that it had (a pair from the text) and pushes it from words drawn at random. All words of a batch share their random
words, so that pushing is one matrix product; that, and plain NumPy, is what this leaves out of the original's tricks.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from glaswerk.errors import GlaswerkError
from glaswerk.zoo.vectors import WordVectors

WORD = re.compile(r"[^\W\d_]+")
#: pairs of a step, random words that they share, and for how many of them a pair pays. So small that NumPy multiplies
#: on one thread: on several, such products wait for each other (measured on 2 busy cores: 6 times the processor time)
BATCH, NOISE, NEGATIVES = 256, 16, 5
#: the loss is measured at every so many steps
MEASURED = 20
#: a word with more than this share of the text is left out now and then
FREQUENT = 1e-4


#: so many parts of a training are told of
PARTS = 10


@dataclass(frozen=True)
class Trained:
    """The vectors, the mean loss of each tenth of the training so far, and how many pairs were learned."""

    vectors: WordVectors
    losses: list[float]
    pairs: int


def train(
    texts: Iterable[str],
    *,
    vocabulary: int = 5_000,
    width: int = 48,
    window: int = 5,
    epochs: int = 3,
    rate: float = 0.05,
    seed: int = 0,
) -> Trained:
    """Vectors of ``width`` numbers for the ``vocabulary`` most frequent words. ``window``: how many words to the left
    and right are neighbours."""
    *_, last = course(texts, vocabulary, width, window, epochs, rate, seed)
    return last


def course(
    texts: Iterable[str], vocabulary: int, width: int, window: int, epochs: int, rate: float, seed: int
) -> Iterator[Trained]:
    """:func:`train`, told of after each tenth; it goes on when the next one is asked for."""
    sentences = [WORD.findall(text.lower()) for text in texts]
    counts = Counter(word for sentence in sentences for word in sentence)
    words = sorted(counts, key=lambda word: (-counts[word], word))[:vocabulary]
    if len(words) < 2:
        raise GlaswerkError("word2vec needs a text with at least two different words")
    number = {word: place for place, word in enumerate(words)}
    texts_ids = [np.array([number[word] for word in sentence if word in number], np.int32) for sentence in sentences]
    often = np.array([counts[word] for word in words], np.float64)

    random = np.random.default_rng(seed)
    keep = np.minimum(1.0, np.sqrt(FREQUENT * often.sum() / often))
    noise = often**0.75 / (often**0.75).sum()
    centre = (random.random((len(words), width), np.float32) - 0.5) / width
    near = np.zeros((len(words), width), np.float32)

    losses: list[list[float]] = [[] for _ in range(PARTS)]
    pairs = part = 0
    for epoch in range(epochs):
        one, other = pairs_of(texts_ids, keep, window, random)
        order = random.permutation(len(one))
        for step, begin in enumerate(range(0, len(one), BATCH)):
            chosen = order[begin : begin + BATCH]
            drawn = random.choice(len(words), NOISE, p=noise)
            batch = (one[chosen], other[chosen], drawn)
            share = (epoch + begin / len(one)) / epochs
            for _ in range(part, int(PARTS * share)):
                part += 1
                yield Trained(WordVectors(words, centre.copy()), means(losses), pairs + begin)
            if step % MEASURED == 0:
                losses[part].append(loss(centre, near, *batch))
            learn(centre, near, *batch, rate * max(0.05, 1 - share))
        pairs += len(one)
    yield Trained(WordVectors(words, centre), means(losses), pairs)


def means(losses: list[list[float]]) -> list[float]:
    """The mean of each part in which the loss was measured."""
    return [float(np.mean(part)) for part in losses if part]


def pairs_of(
    texts: list[np.ndarray], keep: np.ndarray, window: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of a word and a neighbour, as two arrays; frequent words are left out at random."""
    ones, others = [], []
    for text in texts:
        kept = text[random.random(len(text)) < keep[text]]
        for distance in range(1, min(window, len(kept) - 1) + 1):
            left, right = kept[:-distance], kept[distance:]
            ones += [left, right]
            others += [right, left]
    empty = np.zeros(0, np.int32)
    return np.concatenate([empty, *ones]), np.concatenate([empty, *others])


def learn(
    centre: np.ndarray, near: np.ndarray, one: np.ndarray, other: np.ndarray, drawn: np.ndarray, rate: float
) -> None:
    """One step, in place: pull each pair together, push the first word of each from the drawn ones. These are the
    gradients of :func:`loss`, by hand."""
    word, neighbour, noise = centre[one], near[other], near[drawn]
    pull = 1 - sigmoid((word * neighbour).sum(1, keepdims=True))
    push = sigmoid(word @ noise.T) * (NEGATIVES / len(drawn))
    add_rows(centre, one, rate * (pull * neighbour - push @ noise))
    add_rows(near, other, rate * pull * word)
    add_rows(near, drawn, -rate * (push.T @ word))


def loss(centre: np.ndarray, near: np.ndarray, one: np.ndarray, other: np.ndarray, drawn: np.ndarray) -> float:
    """``-log s(pair) - NEGATIVES * mean(log s(-drawn))``, the mean over the pairs, with the logistic function s."""
    word, neighbour, noise = centre[one], near[other], near[drawn]
    pulled = np.logaddexp(0, -(word * neighbour).sum(1))
    pushed = np.logaddexp(0, word @ noise.T).mean(1)
    return float((pulled + NEGATIVES * pushed).mean())


def sigmoid(scores: np.ndarray) -> np.ndarray:
    """The logistic function: any number to one between 0 and 1."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * scores)), np.float32)


def add_rows(table: np.ndarray, rows: np.ndarray, changes: np.ndarray) -> None:
    """Add to rows of a table, a row that occurs twice getting both changes: sorted, so that equals lie together."""
    order = np.argsort(rows, kind="stable")
    rows, changes = rows[order], changes[order]
    firsts = np.flatnonzero(np.concatenate(([True], rows[1:] != rows[:-1]))) if len(rows) else np.zeros(0, np.int64)
    table[rows[firsts]] += np.add.reduceat(changes, firsts, axis=0)
