"""A needle in a haystack (Kamradt 2023): one sentence with a number, somewhere in text that has nothing to do with it.

Items vary the length of the text and the needle's depth in it, 0 the beginning and 1 the end. The ceiling is 1: the
number stands there. Left out: texts longer than a small model's context.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from glaswerk.evaluate.task import Messages, Task, pair

LENGTHS, DEPTHS, DRAWS = (40, 80, 160), (0.0, 0.25, 0.5, 0.75, 1.0), 4
NEEDLE = "The number of the locker is {number}."
ASK = "{text}\n\nWhat is the number of the locker? Answer with the number only."
WHO = "The gardener|A neighbour|The baker|My aunt|The teacher|A sailor|The painter|Our doctor"
DID = "carried|found|cleaned|sold|painted|lost|repaired|borrowed"
WHAT = "a ladder|the old clock|some bread|a wooden boat|the blue door|two chairs|a letter|the lamp"
WHEN = "in the morning|after lunch|on Sunday|before the rain|last winter|at noon|near the river|in silence"


@dataclass(frozen=True, slots=True)
class Hay:
    """``words`` of text with the needle at ``depth``."""

    words: int
    depth: float
    number: int
    text: str


class Needle(Task):
    """Each length and depth ``DRAWS`` times, with other text and another number."""

    name, metric, max_tokens = "needle", "exact match", 12

    def __init__(self, lengths: tuple[int, ...] = LENGTHS, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.items = [
            haystack(words, depth, rng) for words in lengths for depth in DEPTHS for _ in range(DRAWS)
        ]  # fmt: skip

    def __len__(self) -> int:
        return len(self.items)

    def conversation(self, i: int) -> Messages:
        return pair(ASK.format(text=self.items[i].text), str(self.items[i].number))

    def grade(self, i: int, reply: str) -> float:
        return float(str(self.items[i].number) in re.findall(r"\d+", reply)[:1])


def haystack(words: int, depth: float, rng: np.random.Generator) -> Hay:
    """Sentences up to ``words`` words, and the needle between two of them."""
    sentences: list[str] = []
    while sum(len(sentence.split()) for sentence in sentences) < words:
        sentences.append(" ".join(str(rng.choice(part.split("|"))) for part in (WHO, DID, WHAT, WHEN)) + ".")
    number = int(rng.integers(1000, 10000))
    sentences.insert(round(depth * len(sentences)), NEEDLE.format(number=number))
    return Hay(words, depth, number, " ".join(sentences))
