"""A chain of written steps, checked line by line: which is the first that is wrong?

A line that is only the word "Wait" takes back what stands before it: what counts is the last attempt.

Left out: what a task asks, and how its answer is graded (``tasks/``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from glaswerk.evaluate.task import Task
from glaswerk.generate.thinking import WAIT


@dataclass(frozen=True, slots=True)
class Checked:
    """``lines`` of the chain; ``start``: where its last attempt begins; how many of that one's first lines are
    ``right``; whether all that are expected are there, and whether the answer is right. A right answer after a wrong
    step, and a wrong one after right steps, both happen."""

    lines: list[str]
    start: int
    right: int
    whole: bool
    answered: bool

    @property
    def first_wrong(self) -> int | None:
        """The first line of the last attempt that is not as it should be, from 0; None where there is none."""
        place = self.start + self.right
        return place if place < len(self.lines) else None


def check(task: Task, i: int, thinking: str, answer: str) -> Checked:
    """The written steps of item ``i`` against those of the task's own reply, whose last line is the answer."""
    expected = [line.strip() for line in task.answer(i).splitlines()[:-1]]
    lines = [line.strip() for line in thinking.splitlines() if line.strip()]
    start = max((place + 1 for place, line in enumerate(lines) if line == WAIT), default=0)
    right = agreeing(lines[start:], expected)
    whole = right == len(expected) == len(lines) - start
    return Checked(lines, start, right, whole, task.grade(i, answer) == 1)


def agreeing(written: Sequence[str | int], expected: Sequence[str | int]) -> int:
    """How many first lines, or tokens, are the same."""
    count = 0
    for each, wanted in zip(written, expected, strict=False):
        if each != wanted:
            break
        count += 1
    return count
