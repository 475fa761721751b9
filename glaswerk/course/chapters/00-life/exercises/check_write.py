"""Checks write.py with a model of three lines. A check is one function ``check(module)``; AssertionError says what is
wrong."""

from __future__ import annotations

from types import ModuleType

import torch


def check(module: ModuleType) -> None:
    """Raises AssertionError with a line for the learner."""
    table = torch.randn(12, 12, generator=torch.Generator().manual_seed(4))
    table[:, 11] = -9.0  # the end token comes only where it is put below
    seen: list[list[int]] = []

    def step(ids: list[int]) -> list[float]:
        seen.append(list(ids))
        logits = table[ids[-1]] + 0.1 * table[ids[0]]
        if len(ids) == 9:
            logits[11] = 99.0
        return [float(value) for value in logits]

    given = [3, 1]
    wrote = list(module.write(step, given, 5, 11))
    assert given == [3, 1], "the ids that were given must stay as they are: work on a copy"
    assert len(wrote) == 5, f"with count = 5 there must be 5 new ids, not {len(wrote)}"
    ids = [3, 1]
    for number in wrote:
        logits = torch.tensor(step(ids))
        assert number == int(logits.argmax()), f"after {ids} the largest logit is that of {int(logits.argmax())}"
        ids.append(number)
    assert all(ids[:2] == [3, 1] for ids in seen), "the model must get the whole text each time, not only the new part"
    wrote = list(module.write(step, [3, 1], 50, 11))
    assert len(wrote) == 7 and 11 not in wrote, "it must stop at the end token, and not append it"
    assert list(module.write(step, [3, 1], 0, 11)) == [], "with count = 0 nothing is written"
    equal = list(module.write(lambda _: [1.0, 5.0, 5.0], [0], 1, 9))
    assert equal == [1], "of two equal logits take the smaller id"
