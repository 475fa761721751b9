"""Byte-pair encoding (Sennrich, Haddow and Birch 2016; on bytes: Radford et al. 2019): merge what often
stands together.

A text is cut into pieces, a piece is a list of bytes, and in each piece the pair of neighbours that was
learnt first (the lowest *rank*) is joined, again and again, until no learnt pair is left. This file is the
definition, written to be read. Left out: learning the merges (``training.py``) and doing all this fast
(``fast.py``).
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, Protocol

from glaswerk.tokenizer.interface import Tokenizer
from glaswerk.tokenizer.split import Split

#: pieces longer than this are merged with a queue, because looking through all pairs again and again is
#: quadratic
LONG_PIECE = 64


class Ranks(Protocol):
    """Which pairs merge: ``ranks.get((left, right))`` is the pair's rank, or None."""

    def get(self, pair: tuple[int, int], /) -> int | None: ...


def merge(ids: list[int], ranks: Ranks, merged: Sequence[int]) -> list[int]:
    """Join neighbours, lowest rank first and leftmost among equals, until no pair has a rank.

    ``merged[rank]`` is the id that a pair of that rank becomes.
    """
    if len(ids) > LONG_PIECE:
        return merge_long(ids, ranks, merged)
    ids = list(ids)
    while len(ids) > 1:
        best, where = None, 0
        for place, pair in enumerate(pairwise(ids)):
            rank = ranks.get(pair)
            if rank is not None and (best is None or rank < best):
                best, where = rank, place
        if best is None:
            break
        ids[where : where + 2] = [merged[best]]
    return ids


def merge_long(ids: list[int], ranks: Ranks, merged: Sequence[int]) -> list[int]:
    """The same as :func:`merge` in O(n log n): a queue of (rank, place), and a linked list instead of
    shifting.
    """
    ids = list(ids)
    count = len(ids)
    following = list(range(1, count + 1))
    before = list(range(-1, count - 1))
    queue: list[tuple[int, int, int, int]] = []

    def offer(left: int) -> None:
        right = following[left] if left >= 0 else count
        if right < count:
            rank = ranks.get((ids[left], ids[right]))
            if rank is not None:
                heapq.heappush(queue, (rank, left, ids[left], ids[right]))

    for place, pair in enumerate(pairwise(ids)):
        rank = ranks.get(pair)
        if rank is not None:
            queue.append((rank, place, *pair))
    heapq.heapify(queue)
    while queue:
        rank, left, left_id, right_id = heapq.heappop(queue)
        right = following[left]
        if right >= count or ids[left] != left_id or ids[right] != right_id:
            continue  # one of the two has become part of another token since
        ids[left], ids[right] = merged[rank], -1
        following[left] = following[right]
        if following[right] < count:
            before[following[right]] = left
        following[right] = count
        offer(before[left])
        offer(left)
    return [number for number in ids if number >= 0]


class BPETokenizer(Tokenizer):
    """Byte-level BPE, the slow and obvious way.

    ``tokens[id]`` are the bytes of an id (None: unused, or a special token); ``merges`` are (left, right,
    merged) ids in the order they were learnt; ``whole_pieces``: a piece that is a token is taken without
    merging (Llama 3, tiktoken).
    """

    #: whether neighbours merge when their joined bytes are a token (tiktoken's form), not by a list of merges
    by_ranks = False

    def __init__(
        self,
        tokens: Sequence[bytes | None],
        merges: Iterable[tuple[int, int, int]],
        split: Split,
        special: Mapping[str, int],
        *,
        whole_pieces: bool = False,
        source: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(special)
        self.tokens = list(tokens)
        self.merges = list(merges)
        self.split = split
        self.whole_pieces = whole_pieces
        self.source = source  # the tokenizer.json it was loaded from, saved again as it was
        self._size = max(len(self.tokens), 1 + max(special.values(), default=-1))

    @property
    def vocabulary_size(self) -> int:
        return self._size

    @cached_property
    def ids(self) -> dict[bytes, int]:
        """Token bytes -> id."""
        return {token: number for number, token in enumerate(self.tokens) if token is not None}

    @cached_property
    def ranks(self) -> Ranks:
        """Pair of ids -> rank, the place in the list of merges."""
        return {(left, right): rank for rank, (left, right, _) in enumerate(self.merges)}

    @cached_property
    def merged(self) -> Sequence[int]:
        """Rank -> the id that the pair becomes."""
        return [whole for _, _, whole in self.merges]

    @cached_property
    def byte_ids(self) -> list[int]:
        """Byte value -> its id, 256 of them; -1 for a byte that the vocabulary lacks."""
        return [self.ids.get(bytes([value]), -1) for value in range(256)]

    @cached_property
    def lacking(self) -> re.Pattern[bytes] | None:
        """What finds a byte that the vocabulary lacks (SmolLM2 has no token for some control characters), or None."""
        lacking = bytes(value for value, number in enumerate(self.byte_ids) if number < 0)
        return re.compile(b"[" + re.escape(lacking) + b"]") if lacking else None

    def encode_piece(self, piece: bytes) -> list[int]:
        """Ids of one piece."""
        if self.whole_pieces and piece in self.ids:
            return [self.ids[piece]]
        ids = [self.byte_ids[value] for value in piece]
        if self.lacking is not None:  # such a byte is left out, as `tokenizers` does
            ids = [number for number in ids if number >= 0]
        return merge(ids, self.ranks, self.merged)

    def encode_plain(self, text: str) -> list[int]:
        known: dict[str, list[int]] = {}  # words come again and again: each is merged once per text
        ids: list[int] = []
        for piece in self.split(text):
            if piece not in known:
                known[piece] = self.encode_piece(piece.encode())
            ids += known[piece]
        return ids

    def plain_bytes(self, number: int) -> bytes:
        token = self.tokens[number]
        if token is None:
            raise LookupError(number)
        return token

    def as_json(self) -> dict[str, Any]:
        from glaswerk.tokenizer.huggingface import bpe_as_json

        return bpe_as_json(self)
