"""Which documents are for training and which for validation, decided by a stable hash of their text alone.

A document keeps its side when others come or go (only a bound on very large corpora can move some from
validation to training), and equal inputs always give equal splits.
"""

from __future__ import annotations

import numpy as np

#: share of the documents that go to validation, and the most characters they may have together
VALIDATION, MOST_CHARACTERS = 0.05, 4_000_000
#: below this share of the wanted characters, more documents are moved to validation
_TOO_LITTLE = 0.5


def validation_mask(
    hashes: np.ndarray, characters: np.ndarray, fraction: float = VALIDATION, seed: int = 0
) -> np.ndarray:
    """``(N,)`` bool: True for validation. ``hashes``: (N,) uint64 of texts; ``characters``: (N,) lengths.

    With two documents or more both sides have at least one; with one it is for training. Documents go to
    validation when their hash is small; where few documents would leave validation nearly empty, the next
    smallest hashes join as long as they fit into twice the wanted share.
    """
    count = len(hashes)
    if count < 2:
        return np.zeros(count, dtype=bool)
    total = int(characters.sum())
    wanted = min(fraction * total, MOST_CHARACTERS)
    place = _scrambled(hashes, seed)
    mask = place < np.uint64(min(int(wanted / max(total, 1) * 2**64), 2**64 - 1))
    have = int(characters[mask].sum())
    order = np.argsort(place, kind="stable")
    if have > 2 * wanted and mask.sum() > 1:
        # few, uneven documents: the smallest hashes first, while they fit
        mask[:] = False
        have = 0
    if have < _TOO_LITTLE * wanted or not mask.any():
        for index in order.tolist():
            if have >= _TOO_LITTLE * wanted:
                break
            if not mask[index] and have + int(characters[index]) <= 2 * wanted:
                mask[index] = True
                have += int(characters[index])
    if not mask.any():
        mask[int(np.argmin(characters))] = True
    if mask.all():
        mask[int(np.argmax(characters))] = False
    return mask


def _scrambled(hashes: np.ndarray, seed: int) -> np.ndarray:
    values = hashes + np.uint64((seed * 0x9E3779B97F4A7C15 + 0xD1B54A32D192ED03) % 2**64)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
