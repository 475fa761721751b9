"""Words as points: what is near, what is parallel, and a flat map. For vectors from anywhere: GloVe (pulled), word2vec
(``word2vec.py``), the embedding table of a language model.

Left out: where the vectors come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from glaswerk import pull
from glaswerk.errors import GlaswerkError
from glaswerk.formats.parquet import read_texts


class WordVectors:
    """``matrix[i]`` is the vector of ``words[i]``; the words are in order of how frequent they are."""

    def __init__(self, words: Sequence[str], matrix: np.ndarray) -> None:
        if len(words) != len(matrix):
            raise GlaswerkError(f"{len(words):,} words and {len(matrix):,} vectors do not belong together")
        self.words = list(words)
        self.matrix = np.asarray(matrix, np.float32)
        self.places = {word: place for place, word in enumerate(self.words)}

    @cached_property
    def unit(self) -> np.ndarray:
        """The vectors, each divided by its length: their dot products are cosines."""
        lengths = np.linalg.norm(self.matrix, axis=1, keepdims=True)
        return self.matrix / np.maximum(lengths, 1e-12)

    def __contains__(self, word: str) -> bool:
        return word in self.places

    def __getitem__(self, word: str) -> np.ndarray:
        """A word's vector. Raises :class:`GlaswerkError` for a word that has none."""
        if word not in self.places:
            raise GlaswerkError(f"{word!r} has no vector here: try another word")
        return self.matrix[self.places[word]]

    def cosine(self, one: str, other: str) -> float:
        """How much two words point in one direction: 1 the same, 0 at right angles, -1 opposite."""
        return cosine(self[one], self[other])

    def nearest(self, vector: np.ndarray, count: int = 10, without: Sequence[str] = ()) -> list[tuple[str, float]]:
        """The words that point most in a vector's direction, with their cosines."""
        cosines = self.unit @ (vector / max(float(np.linalg.norm(vector)), 1e-12))
        for word in without:
            if word in self.places:
                cosines[self.places[word]] = -np.inf
        best = np.argsort(-cosines, kind="stable")[: min(count, len(self.words) - len(set(without)))]
        return [(self.words[place], float(cosines[place])) for place in best]

    def analogy(self, a: str, b: str, c: str, count: int = 5, inputs: bool = False) -> list[tuple[str, float]]:
        """a is to b as c is to what? The words nearest to b - a + c, all of length 1 before (Mikolov et al. 2013).
        ``inputs``: the three given words may be the answer; usually they are forbidden, which is half of the trick."""
        for word in (a, b, c):
            self[word]
        unit_a, unit_b, unit_c = (self.unit[self.places[word]] for word in (a, b, c))
        return self.nearest(unit_b - unit_a + unit_c, count, () if inputs else (a, b, c))


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    """The dot product of two vectors divided by both lengths."""
    return float(one @ other / max(float(np.linalg.norm(one) * np.linalg.norm(other)), 1e-12))


def pca(vectors: np.ndarray, axes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Principal components: the vectors as seen along the ``axes`` directions in which they differ most, and the share
    of all their differences that each direction holds. The sign of a direction is free: its largest entry is positive.
    """
    centred = np.asarray(vectors, np.float64)
    centred = centred - centred.mean(0)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    directions = directions[:axes]
    signs = np.sign(directions[np.arange(len(directions)), np.abs(directions).argmax(1)])
    total = max(float((sizes**2).sum()), 1e-12)
    return centred @ (directions * signs[:, None]).T, sizes[:axes] ** 2 / total


def load_glove(most: int = 100_000) -> WordVectors:
    """The ``most`` frequent words of the pulled GloVe vectors (Pennington, Socher and Manning 2014). Raises
    :class:`GlaswerkError` where they are not pulled or damaged."""
    folder = pull.path("glove")
    file = folder / "glove_6B_50d_emb.npy"
    words = read_texts(folder / "glove_6B_index.parquet")
    try:
        matrix = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise GlaswerkError(f"{file} cannot be read ({error}); pull glove again") from None
    if matrix.ndim != 2 or len(matrix) != len(words):
        raise GlaswerkError(f"{file} and its index do not belong together; pull glove again")
    return WordVectors(words[:most], np.array(matrix[:most]))
