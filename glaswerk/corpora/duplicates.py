"""Which documents say what an earlier one said: copies by hash, near-copies by MinHash bands, verified.

Works on arrays with one row per document, not on texts; a candidate pair's two texts are fetched to compute
their exact Jaccard similarity, so no document is dropped on an estimate. Among near-duplicates the earliest
stays, and no two that stay were found to be near-duplicates of each other: a split of what stays cannot
leak them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from glaswerk.corpora.shingles import THRESHOLD, jaccard, shingle_sets

#: documents that share a band key are compared with this many of the first ones there
LEADERS = 12
#: candidate pairs whose texts are in memory together
_AT_ONCE = 1000


def exact_copies(hashes: np.ndarray) -> np.ndarray:
    """``(N,)`` int64: the index of the first document with the same hash (its own where it is the first)."""
    if not len(hashes):
        return np.zeros(0, dtype=np.int64)
    order = np.argsort(hashes, kind="stable")
    fresh = np.concatenate([[True], hashes[order][1:] != hashes[order][:-1]])
    leaders = order[np.flatnonzero(fresh)[np.cumsum(fresh) - 1]]
    first = np.empty(len(hashes), dtype=np.int64)
    first[order] = leaders
    return first


def candidate_pairs(keys: np.ndarray, alive: np.ndarray) -> np.ndarray:
    """``(P, 2)`` int64 pairs ``(earlier, later)`` of living documents with an equal key, by the later one.

    ``keys``: (N,) uint64 of one band, 0 for none. Groups up to LEADERS give all their pairs; in a larger
    group each member is paired with the first LEADERS and the LEADERS - 1 before it, so that the number of
    pairs stays linear.
    """
    where = np.flatnonzero(alive & (keys != 0))
    if len(where) < 2:
        return np.zeros((0, 2), dtype=np.int64)
    order = np.argsort(keys[where], kind="stable")
    members = where[order]
    sorted_keys = keys[members]
    starts = np.flatnonzero(np.concatenate([[True], sorted_keys[1:] != sorted_keys[:-1]]))
    sizes = np.diff(np.append(starts, len(members)))
    rank = np.arange(len(members)) - np.repeat(starts, sizes)  # place within the group
    found = []
    for distance in range(1, min(int(sizes.max()), LEADERS)):
        later = np.flatnonzero(rank >= distance)
        found.append(np.stack([members[later - distance], members[later]], axis=1))
    if int(sizes.max()) > LEADERS:
        later = np.flatnonzero(rank >= LEADERS)
        for leader in range(LEADERS):
            found.append(np.stack([members[later - rank[later] + leader], members[later]], axis=1))
    if not found:
        return np.zeros((0, 2), dtype=np.int64)
    pairs = np.unique(np.concatenate(found), axis=0)
    return pairs[np.lexsort((pairs[:, 0], pairs[:, 1]))]


def near_copies(
    bands: np.ndarray, alive: np.ndarray, text: Callable[[int], str], threshold: float = THRESHOLD
) -> dict[int, tuple[int, float]]:
    """Later document -> (the earlier one it resembles, exact Jaccard similarity), of all found.

    ``bands``: (N, BANDS) uint64, may be a memmap, read one band at a time; ``alive``: (N,) bool, which
    documents count; ``text(i)`` fetches one.
    """

    alive = alive.copy()
    copies: dict[int, tuple[int, float]] = {}
    compared: set[tuple[int, int]] = set()
    for band in range(bands.shape[1]):
        pairs = candidate_pairs(np.array(bands[:, band]), alive)
        for start in range(0, len(pairs), _AT_ONCE):
            chunk = pairs[start : start + _AT_ONCE].tolist()
            sets = _Sets(text)
            sets.fetch(
                {index for pair in chunk if pair[1] not in copies and tuple(pair) not in compared for index in pair}
            )
            for earlier, later in chunk:
                while earlier in copies:
                    earlier = copies[earlier][0]  # it is gone; the one it resembles may resemble this one too
                if later in copies or earlier >= later or (earlier, later) in compared:
                    continue
                one, two = sets.of(earlier), sets.of(later)
                # sets of very different sizes cannot be similar enough, whatever is in them
                near = min(len(one), len(two)) >= threshold * max(len(one), len(two))
                similarity = jaccard(one, two) if near else 0.0
                if similarity >= threshold:
                    copies[later] = (earlier, similarity)
                    alive[later] = False
                elif len(compared) < 1_000_000:
                    compared.add((earlier, later))
    return copies


class _Sets:
    """Shingle sets of documents, computed many at a time (one by one costs five times as much)."""

    def __init__(self, text: Callable[[int], str]) -> None:
        self.text = text
        self.known: dict[int, np.ndarray] = {}

    def fetch(self, wanted: set[int]) -> None:
        indices = sorted(wanted)
        for sets_of, sets in _by_size(indices, self.text):
            self.known.update(zip(sets_of, shingle_sets(sets), strict=True))

    def of(self, index: int) -> np.ndarray:
        if index not in self.known:
            self.fetch({index})
        return self.known[index]


def _by_size(indices: list[int], text: Callable[[int], str]) -> Iterator[tuple[list[int], list[str]]]:
    """The documents in groups of about a million characters."""
    group: list[int] = []
    texts: list[str] = []
    size = 0
    for index in indices:
        group.append(index)
        texts.append(text(index))
        size += len(texts[-1])
        if size > 1_000_000:
            yield group, texts
            group, texts, size = [], [], 0
    if group:
        yield group, texts
