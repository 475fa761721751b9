"""Sums and products with a known ceiling: every problem has one right answer, and a model that can do them gets 1.

With steps, the right reply writes the way out before the result (Nye et al. 2021; Wei et al. 2022): a sum digit by
digit with its carry, a product by the parts of its second number. Training and test problems never meet.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

import numpy as np

from glaswerk.evaluate.task import Messages, Task, pair

#: of all problems, one in so many is a test problem; and how many there are to learn from
HELD_OUT, PRACTICE = 5, 4000


@dataclass(frozen=True, slots=True)
class Problem:
    """``a + b`` or ``a * b``."""

    a: int
    b: int
    sign: str

    @property
    def result(self) -> int:
        """The right number."""
        return self.a + self.b if self.sign == "+" else self.a * self.b

    def steps(self) -> str:
        """The way to the result, a short line each."""
        return "\n".join(self.sum_steps() if self.sign == "+" else self.product_steps())

    def sum_steps(self) -> list[str]:
        """Ones, tens, hundreds ..., each with what is carried."""
        lines, carry, place = [], 0, 1
        while place <= max(self.a, self.b):
            one, two = self.a // place % 10, self.b // place % 10
            total = one + two + carry
            carried = f" + {carry}" if carry else ""
            lines.append(f"{one} + {two}{carried} = {total}, write {total % 10}, carry {total // 10}")
            carry, place = total // 10, place * 10
        return lines

    def product_steps(self) -> list[str]:
        """``a`` times each digit of ``b``, then the sum."""
        digits = [(int(digit) * 10**place) for place, digit in enumerate(reversed(str(self.b))) if digit != "0"]
        lines = [f"{self.a} * {part} = {self.a * part}" for part in digits]
        if len(digits) > 1:
            lines.append(f"{' + '.join(str(self.a * part) for part in digits)} = {self.result}")
        return lines


class Arithmetic(Task):
    """``count`` different problems of up to ``digits`` digits; two of three are sums, or all (``sums``). ``train``:
    those that may be learned from."""

    metric = "exact match"

    def __init__(
        self, count: int = 200, *, steps: bool = False, digits: int = 2, sums: bool = False, train: bool = False,
        seed: int = 0,
    ) -> None:  # fmt: skip
        self.name, self.steps = f"{'addition' if sums else 'arithmetic'}{'-steps' if steps else ''}", steps
        self.digits, self.sums, self.seed = digits, sums, seed
        self.max_tokens = 128 if steps else 16
        rng = np.random.default_rng([seed, digits])
        found: dict[Problem, None] = {}
        tries = 0
        while len(found) < count and tries < 200 * count:  # few digits hold only so many problems
            a, b = (int(number) for number in rng.integers(10 ** int(rng.integers(1, digits + 1)), size=2))
            problem = Problem(a, b, "*" if rng.random() < 1 / 3 and not sums else "+")
            if held_out(problem) != train:
                found[problem] = None
            tries += 1
        self.problems = list(found)

    def __len__(self) -> int:
        return len(self.problems)

    def conversation(self, i: int) -> Messages:
        problem = self.problems[i]
        asked = f"What is {problem.a} {problem.sign} {problem.b}?"
        if self.steps:
            return pair(f"{asked} Write the steps.", f"{problem.steps()}\nAnswer: {problem.result}")
        return pair(f"{asked} Answer with the number only.", str(problem.result))

    def grade(self, i: int, reply: str) -> float:
        return float(last_number(reply) == self.problems[i].result)

    def practice(self) -> Arithmetic:
        """Problems that no test asks."""
        return Arithmetic(PRACTICE, steps=self.steps, digits=self.digits, sums=self.sums, train=True, seed=self.seed)


def held_out(problem: Problem) -> bool:
    """Whether a problem belongs to the test: by its text, so that no seed or count can move it. ``a`` and ``b`` in
    either order are one problem."""
    low, high = sorted((problem.a, problem.b))
    return zlib.crc32(f"{low}{problem.sign}{high}".encode()) % HELD_OUT == 0


def last_number(reply: str) -> int | float | None:
    """The number that a reply ends with, however it is written (1,234 or $1234.00); None without one."""
    found = re.findall(r"-?\d[\d,]*(?:\.\d+)?", reply)
    if not found:
        return None
    number = float(found[-1].replace(",", ""))
    return int(number) if number.is_integer() else number


def addition() -> Arithmetic:
    """Sums of numbers below a hundred, answered at once."""
    return Arithmetic(sums=True)


def long_addition() -> Arithmetic:
    """Sums of numbers below a thousand, with the steps."""
    return Arithmetic(steps=True, digits=3, sums=True)


def with_steps() -> Arithmetic:
    """The task whose right replies write the steps."""
    return Arithmetic(steps=True)
