"""The shell game: a ball lies under one of three cups, pairs of cups change places, where is the ball?

To say it at once, a model must follow every change inside one pass; with steps it writes after each change where the
ball is (state tracking: Merrill & Sabharwal 2024; written steps: Nye et al. 2021). Every item has one right letter and
a chain that can be checked line by line. Training and test games never meet.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

import numpy as np

from glaswerk.evaluate.task import Messages, Task, pair

#: the places of the cups
PLACES = "ABC"
#: of all games, one in so many is a test game; and how many there are to learn from
HELD_OUT, PRACTICE = 5, 4000
ASK = {
    "en": ("A ball is under cup {ball}. Swap {swaps}. Where is the ball?", "Write the steps.",
           "Answer with the letter only."),
    "de": ("Ein Ball liegt unter Becher {ball}. Tausche {swaps}. Wo ist der Ball?", "Schreibe die Schritte.",
           "Antworte nur mit dem Buchstaben."),
}  # fmt: skip
#: what stands before the result
MARKER = {"en": "Answer:", "de": "Antwort:"}


@dataclass(frozen=True, slots=True)
class Game:
    """Where the ball lies at first, and which two places change, in order."""

    ball: str
    swaps: tuple[str, ...]

    @property
    def places(self) -> list[str]:
        """Where the ball is after each change."""
        found, ball = [], self.ball
        for swap in self.swaps:
            first, second = swap[0], swap[1]
            ball = second if ball == first else first if ball == second else ball
            found.append(ball)
        return found

    @property
    def result(self) -> str:
        """Where it is in the end."""
        return self.places[-1]

    def steps(self) -> str:
        """The way there, a short line for each change: where the ball is, what changes, where it is then."""
        befores = [self.ball, *self.places]
        lines = zip(befores, self.swaps, self.places, strict=False)
        return "\n".join(f"{before} {swap[0]}{swap[1]}: {place}" for before, swap, place in lines)


class Cups(Task):
    """``count`` different games of ``least`` to ``most`` changes. ``train``: those that may be learned from."""

    metric, chance = "exact match", 1 / 3

    def __init__(
        self, count: int = 200, *, steps: bool = False, least: int = 4, most: int = 8, language: str = "en",
        train: bool = False, seed: int = 0,
    ) -> None:  # fmt: skip
        self.name = f"cups{'-steps' if steps else ''}{'' if language == 'en' else f'-{language}'}"
        self.steps, self.least, self.most, self.language, self.seed = steps, least, most, language, seed
        self.max_tokens = 128 if steps else 8
        rng = np.random.default_rng([seed, least, most])
        found: dict[Game, None] = {}
        pairs = ("AB", "AC", "BC", "BA", "CA", "CB")
        tries = 0
        while len(found) < count and tries < 200 * count:  # few changes make only so many games
            length = int(rng.integers(least, most + 1))
            game = Game(PLACES[int(rng.integers(3))], tuple(pairs[i] for i in rng.integers(6, size=length).tolist()))
            if held_out(game) != train:
                found[game] = None
            tries += 1
        self.games = list(found)

    def __len__(self) -> int:
        return len(self.games)

    def conversation(self, i: int) -> Messages:
        game = self.games[i]
        asked, written, at_once = ASK[self.language]
        swaps = ", ".join(f"{swap[0]} {swap[1]}" for swap in game.swaps)
        asked = asked.format(ball=game.ball, swaps=swaps)
        if self.steps:
            return pair(f"{asked} {written}", f"{game.steps()}\n{MARKER[self.language]} {game.result}")
        return pair(f"{asked} {at_once}", game.result)

    def grade(self, i: int, reply: str) -> float:
        return float(last_place(reply) == self.games[i].result)

    def practice(self) -> Cups:
        """Games that no test asks."""
        return Cups(
            PRACTICE, steps=self.steps, least=self.least, most=self.most, language=self.language, train=True,
            seed=self.seed,
        )  # fmt: skip


def held_out(game: Game) -> bool:
    """Whether a game belongs to the test: by itself, so that no seed or count can move it. A swap's letters in either
    order are one swap."""
    moves = "".join("".join(sorted(swap)) for swap in game.swaps)
    return zlib.crc32(f"{game.ball}{moves}".encode()) % HELD_OUT == 0


def last_place(reply: str) -> str | None:
    """The place that a reply ends with; None without one. A model that goes on with the next game ("A ball ...") has
    named no cup by that."""
    found = re.findall(r"\b[ABC]\b(?! ball)", reply)
    return found[-1] if found else None


def with_steps() -> Cups:
    """The task whose right replies write the steps."""
    return Cups(steps=True)


def german() -> Cups:
    """The same in German, answered at once."""
    return Cups(language="de")
