"""Batches for tuning: which places of which rows are learned, in shapes that stay the same from step to step.

Both kinds are pure functions of the step, as the loop wants them. Shapes: B rows, P pairs (B = 2P), T time, N learned.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from glaswerk.align.pairs import Answered
from glaswerk.train.data import IGNORE, Conversations


class Answers:
    """Packed conversations with the places of what is learned: ``(ids [B, T], places [N], targets [N])``, where a place
    is ``row * T + column``. N is the most of any of the ``steps`` batches; fewer are filled up with ``IGNORE``."""

    def __init__(self, conversations: Conversations, steps: int) -> None:
        self.conversations = conversations
        self.most = max(int((conversations.batch(step)[1] != IGNORE).sum()) for step in range(steps))

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """The batch of this step."""
        ids_BT, targets_BT = self.conversations.batch(step)
        places = (targets_BT.flatten() != IGNORE).nonzero()[:, 0]
        places_N = torch.zeros(self.most, dtype=torch.int64)
        targets_N = torch.full((self.most,), IGNORE)
        places_N[: len(places)], targets_N[: len(places)] = places, targets_BT.flatten()[places]
        return ids_BT, places_N, targets_N


class Pairs:
    """Pairs side by side: rows of chosen answers, then those of the rejected ones, filled up at the right.

    ``ids [2P, T], places [N], targets [N], reference [2P]``; what the reference model says is computed once
    (``dpo.reference``) and handed in. Each epoch has an order of its own.
    """

    def __init__(self, pairs: Sequence[Answered], size: int, seed: int, pad: int) -> None:
        self.pairs, self.size, self.seed, self.pad = pairs, min(size, len(pairs)), seed, pad
        both = [each for pair in pairs for each in (pair.chosen, pair.rejected)]
        self.time = -(-(max(len(ids) for ids, _ in both) - 1) // 16) * 16
        self.learned = max(sum(mask) for _, mask in both)
        self.reference_P2 = torch.zeros(len(pairs), 2)

    @property
    def per_epoch(self) -> int:
        """Batches until each pair was seen; the last few of an epoch may miss their turn."""
        return len(self.pairs) // self.size

    def members(self, step: int) -> list[int]:
        """Which pairs this step sees."""
        epoch, within = divmod(step, self.per_epoch)
        order = np.random.Generator(np.random.PCG64([self.seed, epoch])).permutation(len(self.pairs))
        return list(order[within * self.size : (within + 1) * self.size].tolist())

    def batch(self, step: int) -> tuple[Tensor, ...]:
        """The batch of this step."""
        members = self.members(step)
        return (*self.rows(members), self.reference_P2[members].T.flatten())

    def rows(self, members: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Ids, places and targets of some pairs."""
        rows = [self.pairs[i].chosen for i in members] + [self.pairs[i].rejected for i in members]
        ids_BT = torch.full((len(rows), self.time), self.pad)
        places_BN = torch.zeros(len(rows), self.learned, dtype=torch.int64)
        targets_BN = torch.full((len(rows), self.learned), IGNORE)
        for row, (ids, mask) in enumerate(rows):
            ids_BT[row, : len(ids) - 1] = torch.tensor(ids[:-1])
            spoken = [at for at in range(1, len(ids)) if mask[at]]
            places_BN[row] = row * self.time  # a place that is not learned still belongs to its row
            places_BN[row, : len(spoken)] += torch.tensor(spoken) - 1
            targets_BN[row, : len(spoken)] = torch.tensor([ids[at] for at in spoken])
        return ids_BT, places_BN.flatten(), targets_BN.flatten()


class Endings:
    """The same pairs for a reward model: ``ids [2P, T]`` whole, and each row's last place ``[2P]``."""

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """The batch of this step."""
        return self.rows(self.pairs.members(step))

    def rows(self, members: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Ids and last places of some pairs."""
        pairs = self.pairs.pairs
        rows = [pairs[i].chosen[0] for i in members] + [pairs[i].rejected[0] for i in members]
        return ended(rows, self.pairs.time + 1, self.pairs.pad)


def ended(rows: Sequence[Sequence[int]], time: int, pad: int) -> tuple[Tensor, Tensor]:
    """Rows filled up at the right to ``time``, and where each ends."""
    ids_BT = torch.full((len(rows), time), pad)
    for row, ids in enumerate(rows):
        ids_BT[row, : len(ids)] = torch.tensor(ids)
    return ids_BT, torch.tensor([len(ids) - 1 for ids in rows])
