"""One task, three uses: its conversations train a model (SFT), its grades score one (evaluation) and reward one (RL).

Because the three share one object, the format that was trained is the format that is measured. Left out: where the
items come from (``tasks/``), how a model is asked (``scoring.py``), how options are compared (``likelihood.py``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

Messages = list[dict[str, str]]
ROLES = ("system", "user", "assistant", "tool")


@dataclass(frozen=True, slots=True)
class Choice:
    """A question that can be answered without writing: which of ``options`` is the likeliest to follow ``context``?

    Options are text as it follows the context, so most begin with a space; ``right`` is the index of the right one.
    ``bare`` stands for the context where only the options' own frequency is measured (Brown et al. 2020).
    """

    context: str
    options: tuple[str, ...]
    right: int
    bare: str = "Answer:"


class Task(ABC):
    """Items numbered from 0. A subclass says how many there are, what is asked and answered, how good a reply is."""

    name: str = "task"
    #: what the mean of the grades is called
    metric: str = "accuracy"
    #: the mean grade of blind guessing
    chance: float = 0.0
    language: str = "en"
    #: room for a reply, in tokens
    max_tokens: int = 64

    @abstractmethod
    def __len__(self) -> int:
        """How many items there are."""

    @abstractmethod
    def conversation(self, i: int) -> Messages:
        """Item ``i`` as a whole conversation: it ends with the assistant's right reply."""

    @abstractmethod
    def grade(self, i: int, reply: str) -> float:
        """How good ``reply`` is for item ``i``, from 0 to 1; the right reply gets 1."""

    def choice(self, i: int) -> Choice | None:
        """The same item as a choice between texts, where it is one."""
        return None

    def preamble(self, i: int) -> str:
        """What stands before the first example, if anything does."""
        return ""

    def group(self, i: int) -> str:
        """Examples of how to answer come from items of the same group, such as a subject."""
        return ""

    def more(self, items: Sequence[int], totals: Sequence[Sequence[float]]) -> dict[str, list[float]]:
        """Further measures of a choice, by name: from the log-likelihoods (nats) of each asked item's options."""
        return {}

    def practice(self) -> Task | None:
        """Other items of the same kind, to learn from; None where all that there are measure."""
        return None

    # ------------------------------------------------------------------ the same for all tasks
    def prompt(self, i: int) -> Messages:
        """The conversation up to where the assistant answers."""
        return self.conversation(i)[:-1]

    def answer(self, i: int) -> str:
        """The right reply."""
        return self.conversation(i)[-1]["content"]

    def shots(self, i: int, count: int) -> list[int]:
        """The first ``count`` other items of the same group: all items of a group see nearly the same examples, so
        that a cache reads them once."""
        found: list[int] = []
        group = self.group(i)
        for j in range(len(self)):
            if len(found) == count:
                break
            if j != i and self.group(j) == group:
                found.append(j)
        return found


def pair(question: str, answer: str) -> Messages:
    """A question and its answer as messages."""
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def chosen(task: Task, limit: int | None) -> Sequence[int]:
    """Which items are asked: all, or ``limit`` of them at even distances, so that every subject has its part."""
    count = len(task)
    if limit is None or limit >= count:
        return range(count)
    return [place * count // limit for place in range(limit)]
