"""Learning BPE merges: count the pieces of the texts once, then merge the most frequent pair, again and
again.

The corpus is never counted a second time. A merge of (a, b) touches only the places where a b stands, so each
place where a pair stands is kept (as one sorted NumPy array per pair), and each merge corrects the counts of
just the neighbours it changes. Counts are 64-bit.

**Ties.** Of two pairs with equal counts the one whose left token is older wins, then the one whose right
token is older. The 256 bytes are oldest, in the order of GPT-2's visible stand-ins (printable ones first),
merged tokens follow by age. That is the rule of Hugging Face `tokenizers`, so the merges are the same.

Left out: cutting texts into pieces over several processes (``counting.py``).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping

import numpy as np

from glaswerk.errors import GlaswerkError
from glaswerk.progress import Progress
from glaswerk.tokenizer.counting import count_pieces
from glaswerk.tokenizer.fast import FastBPE
from glaswerk.tokenizer.interface import SPECIAL, number_special
from glaswerk.tokenizer.patterns import PATTERNS
from glaswerk.tokenizer.split import Split
from glaswerk.tokenizer.visible import BYTE_ORDER

#: ids of places that are no token: the gap between two pieces, and what a merge has swallowed
GAP, GONE = -1, -2
SHIFT = 32  # a pair (left, right) is one number: left * 2**32 + right


def train_bpe(
    texts: Iterable[str],
    vocabulary_size: int,
    pattern: str = "gpt4",
    progress: Progress | None = None,
    *,
    special: Iterable[str] = SPECIAL,
    minimum: int = 2,
) -> FastBPE:
    """Learn a byte-level BPE: ids 0-255 are the bytes, then the merges, then the special tokens.

    Args:
        texts: any number of texts; they are read once.
        vocabulary_size: how many ids there are in all. Fewer where no pair occurs ``minimum`` times any more.
        pattern: where texts are cut, a name of :data:`glaswerk.tokenizer.patterns.PATTERNS`.
        minimum: a pair seen less often is no longer merged.

    Raises:
        GlaswerkError: unknown pattern, or a vocabulary too small for the bytes and the special tokens.
    """
    progress = progress or Progress()
    special = tuple(special)
    if pattern not in PATTERNS:
        raise GlaswerkError(f"there is no pattern {pattern!r}; choose one of {', '.join(PATTERNS)}")
    wanted = vocabulary_size - 256 - len(special)
    if wanted < 0:
        raise GlaswerkError(
            f"a vocabulary of {vocabulary_size} is too small: 256 bytes and {len(special)} special tokens "
            f"need {256 + len(special)}"
        )
    counts = count_pieces(texts, PATTERNS[pattern])
    progress.start("tokenizer", total=wanted, unit="merges")
    merges = learn_merges(counts, wanted, minimum=minimum, progress=progress)
    tokens = [bytes([value]) for value in range(256)]
    for left, right, _ in merges:
        tokens.append(tokens[left] + tokens[right])
    names = number_special(len(tokens), special)
    progress.done(f"{len(tokens) + len(names):,} tokens from {sum(counts.values()):,} pieces")
    return FastBPE(tokens, merges, Split.by_pattern(PATTERNS[pattern]), names)


def learn_merges(
    counts: Mapping[str, int], wanted: int, *, minimum: int = 2, progress: Progress | None = None
) -> list[tuple[int, int, int]]:
    """At most ``wanted`` merges as (left, right, merged) ids, from pieces and how often each occurs.

    Ids 0-255 are byte values; the n-th merge makes id 256 + n.
    """
    places = Places(counts, max(minimum, 1))
    heap = [(-count, pair) for pair, count in places.pair_counts.items()]
    heapq.heapify(heap)
    merges: list[tuple[int, int]] = []
    while len(merges) < wanted and heap:
        count, pair = heapq.heappop(heap)
        now = places.pair_counts.get(pair, 0)
        if now != -count:  # the count has fallen since: look again when it is this pair's turn
            if now >= minimum:
                heapq.heappush(heap, (-now, pair))
            continue
        if now < minimum:
            break
        for born in places.merge(pair, 256 + len(merges)):
            heapq.heappush(heap, (-places.pair_counts[born], born))
        merges.append((pair >> SHIFT, pair & (1 << SHIFT) - 1))
        if progress is not None and len(merges) % 64 == 0:
            progress.advance(64)
    value = [*BYTE_ORDER, *range(256, 256 + len(merges))]  # from the order of age back to byte values
    return [(value[left], value[right], 256 + n) for n, (left, right) in enumerate(merges)]


class Places:
    """All distinct pieces in one long array of ids, with a gap between pieces, and where each pair stands.

    ``pair_counts[pair]``: how often the pair stands in the corpus (a piece that occurs n times counts n
    times). ``where[pair]``: the places of its left token, ascending; some may be out of date, which
    :meth:`merge` notices.
    """

    def __init__(self, counts: Mapping[str, int], minimum: int = 1) -> None:
        self.minimum = minimum
        pieces = [piece.encode() for piece in counts]
        lengths = np.fromiter(map(len, pieces), np.int64, len(pieces))
        age = np.empty(256, np.int64)
        age[list(BYTE_ORDER)] = np.arange(256)
        starts = np.cumsum(lengths + 1) - lengths  # place 0 is a gap, and so is each place after a piece
        self.ids = np.full(int((lengths + 1).sum()) + 1, GAP, np.int64)
        inside = np.repeat(starts - np.cumsum(lengths) + lengths, lengths) + np.arange(int(lengths.sum()))
        self.ids[inside] = age[np.frombuffer(b"".join(pieces), np.uint8)]
        self.weight = np.zeros(len(self.ids), np.int64)
        self.weight[inside] = np.repeat(np.fromiter(counts.values(), np.int64, len(pieces)), lengths)
        self.following = np.arange(1, len(self.ids) + 1)
        self.before = np.arange(-1, len(self.ids) - 1)
        self.pair_counts: dict[int, int] = {}
        self.where: dict[int, np.ndarray] = {}
        lefts = np.flatnonzero((self.ids[:-1] >= 0) & (self.ids[1:] >= 0))
        self._add((self.ids[lefts] << SHIFT) | self.ids[lefts + 1], lefts)

    def merge(self, pair: int, new: int) -> list[int]:
        """Put ``new`` wherever ``pair`` stands; returns the pairs that came into being (all of them hold
        ``new``).
        """
        ids, following, before = self.ids, self.following, self.before
        left_id, right_id = pair >> SHIFT, pair & (1 << SHIFT) - 1
        left = self.where.pop(pair)
        left = left[ids[left] == left_id]
        right = following[left]
        valid = ids[right] == right_id
        left, right = left[valid], right[valid]
        if left_id == right_id:
            left, right = _every_other(left, right)
        del self.pair_counts[pair]

        outer_left, outer_right = before[left], following[right]
        old_left = ids[outer_left]
        ids[left] = new
        ids[right] = GONE
        following[left] = outer_right
        before[outer_right] = left
        now_left, now_right = ids[before[left]], ids[outer_right]
        weight = self.weight[left]

        # x a b y -> x new y: (x, a) and (b, y) are gone. Where y has just become `new` itself, its (b, a) is
        # counted there.
        lost_left, lost_right = old_left >= 0, (now_right >= 0) & (now_right != new)
        self._subtract((old_left[lost_left] << SHIFT) | left_id, weight[lost_left])
        self._subtract((right_id << SHIFT) | now_right[lost_right], weight[lost_right])
        # (x, new) and (new, y) are born; (new, new) is counted once, from its left half
        born_left, born_right = (now_left >= 0) & (now_left != new), now_right >= 0
        return [
            *self._add((now_left[born_left] << SHIFT) | new, before[left[born_left]]),
            *self._add((new << SHIFT) | now_right[born_right], left[born_right]),
        ]

    def _add(self, pairs: np.ndarray, places: np.ndarray) -> list[int]:
        """Enter new pairs with the places (ascending) where each stands; returns them, each once.

        A count never rises again, so a pair that begins below the minimum is not even written down.
        """
        if not len(pairs):
            return []
        order = np.argsort(pairs, kind="stable")
        pairs, places = pairs[order], places[order]
        firsts = np.flatnonzero(np.concatenate(([True], pairs[1:] != pairs[:-1])))
        totals = np.add.reduceat(self.weight[places], firsts)
        ends = np.append(firsts[1:], len(pairs))
        often = totals >= self.minimum
        born = pairs[firsts[often]].tolist()
        self.pair_counts.update(zip(born, totals[often].tolist(), strict=True))
        for pair, start, end in zip(born, firsts[often].tolist(), ends[often].tolist(), strict=True):
            self.where[pair] = places[start:end]
        return born

    def _subtract(self, pairs: np.ndarray, weight: np.ndarray) -> None:
        if not len(pairs):
            return
        order = np.argsort(pairs)
        pairs = pairs[order]
        firsts = np.flatnonzero(np.concatenate(([True], pairs[1:] != pairs[:-1])))
        totals = np.add.reduceat(weight[order], firsts).tolist()
        counts = self.pair_counts
        for pair, total in zip(pairs[firsts].tolist(), totals, strict=True):
            if pair in counts:  # not so for a rare pair, nor for the merged pair beside itself (a a a)
                counts[pair] -= total


def _every_other(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of overlapping places of a pair (a, a), as in a a a a, those that merge: the first, third, ... of each
    run.
    """
    starts_run = np.concatenate(([True], right[:-1] != left[1:])) if len(left) else np.zeros(0, bool)
    number = np.arange(len(left))
    in_run = number - np.maximum.accumulate(np.where(starts_run, number, 0))
    keep = in_run % 2 == 0
    return left[keep], right[keep]
