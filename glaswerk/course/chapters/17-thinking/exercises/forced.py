"""Budget forcing: a model is cut, or made to go on, by what is put into its reply."""

from __future__ import annotations

from collections.abc import Callable

MARKER, WAIT = "Answer:", "Wait"


def forced(
    write: Callable[[list[str]], str], question: list[str], budget: int, waits: int = 0
) -> tuple[list[str], list[str]]:
    """The tokens of thinking, at most ``budget``, and the one token of the answer in a list.

    ``write(tokens)`` gives the next token after question and reply so far; it writes ``MARKER`` where it wants to
    answer. Where it does so and may still be made to wait, ``WAIT`` is put there instead, if the budget has room for
    it; it counts as a token of thinking. ``MARKER`` itself does not, and stands before the answer in any case.
    """
    raise NotImplementedError("write it here")
