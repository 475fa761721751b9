"""Checks forced.py on a player of the shell game that writes a step as one token; AssertionError says what is wrong."""

from __future__ import annotations

from types import ModuleType

from glaswerk.evaluate.tasks.cups import Game
from glaswerk.generate.thinking import MARKER, WAIT

GAME = Game("A", ("AB", "BC", "CA", "AB"))


def write(tokens: list[str]) -> str:
    """Steps from the start, or from the last Wait; then the marker; after it the last place that was written."""
    reply = tokens[1:]
    if reply and reply[-1] == MARKER:
        return next((step[-1] for step in reversed(reply[:-1]) if step != WAIT), GAME.ball)
    begun = max((at + 1 for at, token in enumerate(reply) if token == WAIT), default=0)
    steps = GAME.steps().splitlines()
    done = len(reply) - begun
    return steps[done] if done < len(steps) else MARKER


def check(module: ModuleType) -> None:
    """Raises AssertionError with a line for the learner."""
    steps = GAME.steps().splitlines()
    for budget in range(len(steps) + 2):
        thinking, answer = module.forced(write, ["?"], budget)
        wanted = steps[:budget]
        assert list(thinking) == wanted, f"with a budget of {budget} the thinking is {wanted}, not {thinking}"
        place = wanted[-1][-1] if wanted else GAME.ball
        assert list(answer) == [place], f"with a budget of {budget} the answer is [{place!r}], not {answer}"
    for waits, budget in ((1, 20), (2, 20), (1, 6)):
        thinking, answer = module.forced(write, ["?"], budget, waits)
        wanted = (steps + [WAIT, *steps] * waits)[:budget]
        assert list(thinking) == wanted, f"with {waits} Wait and a budget of {budget} the thinking is {wanted}"
        assert list(answer) == [wanted[-1][-1]], f"with {waits} Wait the answer comes after all of it, not {answer}"
    thinking, _ = module.forced(write, ["?"], len(steps), 1)
    assert list(thinking) == steps, "a Wait that the budget has no room for is not put in"
