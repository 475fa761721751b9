"""In which order the data is seen. The batch is a pure function of the step, so resuming needs only its number.

Shapes: B batch, T time. Left out: making tokens (tokenizer) and memmaps (corpora).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from glaswerk.errors import GlaswerkError

#: a target that is not to be learned
IGNORE = -100


class Windows:
    """Windows of ``time`` tokens from one long array, without replacement: an epoch shows each token once.

    Each epoch starts at another offset, so that the window borders move, and has an order of its own.
    Raises :class:`GlaswerkError` if the array holds less than two windows.
    """

    def __init__(self, tokens: np.ndarray, time: int, batch: int, seed: int = 0):
        if len(tokens) < 2 * time + 1:
            raise GlaswerkError(
                f"{len(tokens)} tokens are too few for windows of {time}: give more text or a shorter context"
            )
        self.tokens, self.time, self.batch_size, self.seed = tokens, time, batch, seed
        # one window less than would fit, so that every offset below `time` has as many
        self.windows = (len(tokens) - 1) // time - 1
        self.epoch = -1
        self.starts = np.empty(0, dtype=np.int64)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets of this step, int64 ``[B, T]`` each; the targets are the inputs one token later."""
        first = step * self.batch_size
        starts = np.array([self.start(first + row) for row in range(self.batch_size)], dtype=np.int64)
        rows = self.tokens[starts[:, None] + np.arange(self.time + 1)].astype(np.int64)
        rows_BT = torch.from_numpy(rows)
        return rows_BT[:, :-1].contiguous(), rows_BT[:, 1:].contiguous()

    def start(self, drawn: int) -> int:
        """Where the window that is drawn as number ``drawn`` since step 0 begins."""
        epoch, within = divmod(drawn, self.windows)
        if epoch != self.epoch:
            order = np.random.Generator(np.random.PCG64([self.seed, epoch]))
            self.starts = order.permutation(self.windows) * self.time + int(order.integers(self.time))
            self.epoch = epoch
        return int(self.starts[within])


class Conversations:
    """Conversations packed into rows of ``time`` tokens: each begins where the last one ended, none is cut unless it
    is longer than a row. Only tokens whose mask is 1 are targets.

    ``conversations`` are (ids, mask) pairs. Several conversations in one row look like several turns of one chat; so
    the model also meets questions that come after others. Raises :class:`GlaswerkError` if there is nothing to learn.
    """

    def __init__(
        self, conversations: Sequence[tuple[Sequence[int], Sequence[int]]], time: int, batch: int, seed: int, pad: int
    ):
        usable = [(ids[: time + 1], mask[: time + 1]) for ids, mask in conversations if any(mask[1 : time + 1])]
        if not usable:
            raise GlaswerkError(
                "there is no conversation with an answer to learn from: give chat data with assistant turns"
            )
        self.conversations, self.time, self.batch_size, self.seed, self.pad = usable, time, batch, seed, pad
        self.epoch = -1
        self.rows: list[list[int]] = []
        self.per_epoch = len(self.pack(0))

    def pack(self, epoch: int) -> list[list[int]]:
        """Which conversations stand in which row, in this epoch: first fit along a random order, few rows open."""
        if epoch == self.epoch:
            return self.rows
        order = np.random.Generator(np.random.PCG64([self.seed, epoch])).permutation(len(self.conversations))
        done: list[list[int]] = []
        still_open: list[tuple[int, list[int]]] = []  # room left, members
        for index in order.tolist():
            length = len(self.conversations[index][0])
            for place, (room, members) in enumerate(still_open):
                if length <= room:
                    members.append(index)
                    still_open[place] = (room - length, members)
                    break
            else:
                still_open.append((self.time + 1 - length, [index]))
                if len(still_open) > 16:
                    fullest = min(range(len(still_open)), key=lambda place: still_open[place][0])
                    done.append(still_open.pop(fullest)[1])
        done += [members for _, members in still_open]
        self.epoch, self.rows = epoch, done
        return done

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Inputs ``[B, T]`` and targets ``[B, T]``, int64; targets that are not to be learned are ``IGNORE``."""
        ids_BT = np.full((self.batch_size, self.time), self.pad, dtype=np.int64)
        targets_BT = np.full((self.batch_size, self.time), IGNORE, dtype=np.int64)
        for row in range(self.batch_size):
            # an epoch is rounded to the rows of the first one: the packing varies by a few rows, the schedule does not
            epoch, within = divmod(step * self.batch_size + row, self.per_epoch)
            rows = self.pack(epoch)
            self.fill(rows[within % len(rows)], ids_BT[row], targets_BT[row])
        return torch.from_numpy(ids_BT), torch.from_numpy(targets_BT)

    def fill(self, members: list[int], ids_T: np.ndarray, targets_T: np.ndarray) -> None:
        """Write one row."""
        at = 0
        for index in members:
            ids, mask = self.conversations[index]
            inputs, learn = np.asarray(ids, dtype=np.int64), np.asarray(mask, dtype=bool)
            count = min(len(inputs), self.time - at)
            ids_T[at : at + count] = inputs[:count]
            shifted = min(len(inputs) - 1, self.time - at)
            targets_T[at : at + shifted] = np.where(learn[1 : shifted + 1], inputs[1 : shifted + 1], IGNORE)
            at += len(inputs)
