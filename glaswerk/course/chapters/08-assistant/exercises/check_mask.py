"""Checks mask.py against the library's chat format. A check is one function ``check(module)``; AssertionError says what
is wrong."""

from __future__ import annotations

import re
from types import ModuleType

from glaswerk.tokenizer.chat import render_chat

TALKS = (
    [("user", "hello there"), ("assistant", "good day")],
    [
        ("system", "be kind"),
        ("user", "is the assistant here"),
        ("assistant", "i am"),
        ("user", "and"),
        ("assistant", "no"),
    ],
    [("user", "nobody answers")],
)
MARKS = ("<|im_start|>", "<|im_end|>")


class Words:
    """A tokenizer of words and white space, which is all that the library's chat format asks for."""

    def __init__(self) -> None:
        self.known = list(MARKS)
        self.special = {mark: number for number, mark in enumerate(MARKS)}

    def encode(self, text: str) -> list[int]:
        """Each word, and each space or line end, is a token; new ones get the next number."""
        pieces = re.findall(r"\s|\S+", text)
        self.known += [piece for piece in dict.fromkeys(pieces) if piece not in self.known]
        return [self.known.index(piece) for piece in pieces]


def check(module: ModuleType) -> None:
    """Raises AssertionError with a line for the learner."""
    for talk in TALKS:
        words = Words()
        messages = [{"role": role, "content": text} for role, text in talk]
        ids, wanted = render_chat(words, messages)  # type: ignore[arg-type]
        tokens = [words.known[number] for number in ids]
        got = module.mask(tokens)
        assert len(got) == len(wanted), f"{len(tokens)} tokens need as many numbers, not {len(got)}"
        for place, (mine, right) in enumerate(zip(got, wanted, strict=True)):
            assert int(mine) == right, f"token {place}, {tokens[place]!r} in {''.join(tokens)!r}: {mine}, not {right}"
