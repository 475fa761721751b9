"""The order of data: every token once per epoch, a pure function of the step, and targets only where they belong."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glaswerk.errors import GlaswerkError
from glaswerk.train import Conversations, Windows
from glaswerk.train.data import IGNORE


def test_an_epoch_shows_each_window_once() -> None:
    windows = Windows(np.arange(1000, dtype=np.uint16), time=10, batch=7, seed=3)
    starts = [windows.start(drawn) for drawn in range(windows.windows)]
    assert len(set(starts)) == windows.windows == 98
    assert len({start % 10 for start in starts}) == 1
    second = [windows.start(windows.windows + drawn) for drawn in range(windows.windows)]
    assert sorted(second) != second and second != starts


def test_targets_are_the_inputs_one_later() -> None:
    windows = Windows(np.arange(1000, dtype=np.uint16), time=10, batch=7)
    ids, targets = windows.batch(4)
    assert ids.shape == targets.shape == (7, 10)
    assert torch.equal(ids + 1, targets)


def test_a_batch_depends_on_its_number_alone() -> None:
    tokens = np.random.default_rng(0).integers(0, 50, 3000).astype(np.uint16)
    forward = Windows(tokens, 16, 4, seed=1)
    straight = [forward.batch(step)[0] for step in range(100)]
    for step in (77, 3, 99, 50):
        assert torch.equal(Windows(tokens, 16, 4, seed=1).batch(step)[0], straight[step])


def test_too_little_text_is_one_clear_line() -> None:
    with pytest.raises(GlaswerkError, match="20 tokens are too few for windows of 10"):
        Windows(np.zeros(20, dtype=np.uint16), 10, 1)


LEARN = [([1, 2, 3, 4], [0, 0, 1, 1]), ([5, 6, 7], [0, 1, 1])]


def test_packed_targets_match_a_hand_made_row() -> None:
    packed = Conversations(LEARN, time=8, batch=1, seed=0, pad=0)
    ids, targets = packed.batch(0)
    order = packed.rows[0]
    if order == [0, 1]:
        expected_ids, expected = [1, 2, 3, 4, 5, 6, 7, 0], [IGNORE, 3, 4, IGNORE, 6, 7, IGNORE, IGNORE]
    else:
        expected_ids, expected = [5, 6, 7, 1, 2, 3, 4, 0], [6, 7, IGNORE, IGNORE, 3, 4, IGNORE, IGNORE]
    assert ids[0].tolist() == expected_ids
    assert targets[0].tolist() == expected


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(2, 30), min_size=1, max_size=40), st.integers(8, 32))
def test_every_target_is_learned_once_per_epoch(lengths: list[int], time: int) -> None:
    """Against the obvious count: all masked tokens but a conversation's first, cut at the row's length."""
    chats = [(list(range(100, 100 + n)), [1] * n) for n in lengths]
    packed = Conversations(chats, time, batch=1, seed=2, pad=0)
    learned = sum(int((packed.batch(step)[1] != IGNORE).sum()) for step in range(packed.per_epoch))
    assert learned == sum(min(n, time + 1) - 1 for n in lengths)


def test_nothing_to_learn_is_one_clear_line() -> None:
    with pytest.raises(GlaswerkError, match="no conversation with an answer"):
        Conversations([([1, 2], [0, 0])], 8, 1, 0, 0)
