"""Word shingles and MinHash over many documents at once, in NumPy, and the Jaccard similarity they estimate.

A shingle is :data:`SHINGLE` consecutive words, case and punctuation aside. MinHash (Broder 1997) turns the
set of shingles into :data:`HASHES` numbers of which two documents share a fraction close to their Jaccard
similarity; bands of :data:`ROWS` of them (locality-sensitive hashing, Indyk & Motwani 1998) are equal for
similar pairs.

Words are found on UTF-8 bytes, so a million characters take milliseconds: a word is a run of letters and
digits; a character of East Asian and South-East Asian scripts, which write no spaces, is a word of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: words per shingle
SHINGLE = 3
#: rows per band, bands, and their product, the number of MinHash values
ROWS, BANDS = 6, 20
HASHES = ROWS * BANDS
#: similarity from which two documents count as near-duplicates
THRESHOLD = 0.8

_OTHER, _WORD, _SPACE, _CONTINUATION = 0, 1, 2, 3
_CLASS = np.full(256, _OTHER, dtype=np.uint8)
for _byte in b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789":
    _CLASS[_byte] = _WORD
_CLASS[list(b" \t\n\r")] = _SPACE
_CLASS[0x80:0xC0] = _CONTINUATION
_CLASS[0xC0:] = _WORD  # leads of two to four bytes; C2 and E2 (signs, punctuation) are taken out below
_LOWER = np.arange(256, dtype=np.uint8)
_LOWER[65:91] += 32

_BASE = 0x9E3779B97F4A7C15 | 1
_INVERSE = pow(_BASE, -1, 1 << 64)
_SEPARATOR = b"\n"
_random = np.random.default_rng(7)
_PAIRS = _random.integers(1, 1 << 63, size=SHINGLE + ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_FACTORS = _random.integers(0, 1 << 31, size=HASHES, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
_TERMS = _random.integers(0, 1 << 32, size=HASHES, dtype=np.uint32)


def _powers(base: int, count: int) -> np.ndarray:
    """``base**0 .. base**(count-1)`` modulo 2**64."""
    powers = np.ones(count, dtype=np.uint64)
    known = 1
    while known < count:
        step = min(known, count - known)
        powers[known : known + step] = powers[:step] * np.uint64(pow(base, known, 1 << 64))
        known += step
    return powers


def _mix(values: np.ndarray) -> np.ndarray:
    """Scramble 64-bit values (the finaliser of SplitMix64, Steele et al. 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


class _Powers:
    """Powers of the hash base and of its inverse, grown as needed and kept."""

    up = np.ones(1, dtype=np.uint64)
    down = np.ones(1, dtype=np.uint64)

    @classmethod
    def upto(cls, count: int) -> tuple[np.ndarray, np.ndarray]:
        if len(cls.up) < count:
            cls.up, cls.down = _powers(_BASE, count), _powers(_INVERSE, count)
        return cls.up, cls.down


@dataclass
class Words:
    """The words of a batch of N documents: W hashes in order, and how they spread over the documents."""

    hashes: np.ndarray  # (W,) uint64
    counts: np.ndarray  # (N,) words in each document
    symbols: np.ndarray  # (N,) characters that are neither letter, digit nor space

    @staticmethod
    def of(texts: list[bytes]) -> Words:
        """Split UTF-8 texts into words and hash each (a polynomial in its bytes modulo 2**64, scrambled)."""
        nothing = np.zeros(0, dtype=np.uint64)
        if not texts:
            return Words(nothing, np.zeros(0, np.int64), np.zeros(0, np.int64))
        joined = np.frombuffer(_SEPARATOR.join(texts) + _SEPARATOR, dtype=np.uint8)
        lengths = np.array([len(text) for text in texts], dtype=np.int64) + 1
        ends = np.cumsum(lengths)
        kinds = _CLASS[joined]
        word = (kinds == _WORD) | (kinds == _CONTINUATION)
        singles = None
        if kinds.max() == _CONTINUATION or joined.max() >= 0x80:
            for lead, width in ((0xC2, 2), (0xE2, 3)):
                at = np.flatnonzero(joined == lead)
                for offset in range(width):
                    word[np.minimum(at + offset, len(word) - 1)] = False
            singles = np.flatnonzero((joined >= 0xE0) & (joined <= 0xE9) & (joined != 0xE2))
        other = (kinds == _OTHER) | ((joined == 0xC2) | (joined == 0xE2))
        symbols = np.add.reduceat(other, ends - lengths, dtype=np.int64)
        before = np.empty_like(word)
        before[0] = False
        before[1:] = word[:-1]
        start = word & ~before
        if singles is not None and len(singles):
            start[singles] = True
            following = np.minimum(singles + 3, len(start) - 1)
            start[following] |= word[following]
        starts = np.flatnonzero(start)
        if not len(starts):
            return Words(nothing, np.zeros(len(texts), np.int64), symbols)
        up, down = _Powers.upto(len(joined))
        # running sums of byte * base**position over word bytes: the difference of two is one word, shifted
        terms = np.where(word, _LOWER[joined], 0).astype(np.uint64)
        terms += word
        terms *= up[: len(joined)]
        sums = np.cumsum(terms, dtype=np.uint64)
        stops = np.append(starts[1:], len(joined)) - 1
        low = np.where(starts > 0, sums[np.maximum(starts - 1, 0)], np.uint64(0))
        hashes = _mix((sums[stops] - low) * down[starts])
        counts = np.diff(np.searchsorted(starts, np.concatenate(([0], ends))))
        return Words(hashes, counts, symbols)


def shingles(words: Words) -> tuple[np.ndarray, np.ndarray]:
    """All shingle hashes ``(S,)`` and each document's number of them ``(N,)``; a short one has one."""
    counts = np.maximum(words.counts - (SHINGLE - 1), np.minimum(words.counts, 1))
    if not len(words.hashes):
        return words.hashes, counts
    total = len(words.hashes)
    padded = np.concatenate([words.hashes, np.zeros(SHINGLE - 1, dtype=np.uint64)])
    ends = np.cumsum(words.counts)
    room = np.repeat(ends, words.counts) - np.arange(total)  # words from here to the document's end
    mixed = np.zeros(total, dtype=np.uint64)
    for offset in range(SHINGLE):
        inside = room > offset
        mixed += np.where(inside, padded[offset : offset + total], 0).astype(np.uint64) * _PAIRS[offset]
    first = np.arange(total) - np.repeat(ends - words.counts, words.counts)
    keep = (room >= SHINGLE) | (first == 0)
    return _mix(mixed[keep]), counts


def minhashes(words: Words) -> np.ndarray:
    """``(HASHES, N)`` uint32: for each hash function, the smallest value over each document's shingles.

    The functions are ``(a * x + b) mod 2**32`` with odd ``a`` on scrambled ``x``: two SIMD instructions a value,
    and, measured, an error of the size that independent functions would have. No shingles: all values are 2**32 - 1.
    """
    flat, counts = shingles(words)
    values = np.full((HASHES, len(counts)), 0xFFFFFFFF, dtype=np.uint32)
    some = np.flatnonzero(counts)
    if len(some):
        starts = (np.cumsum(counts) - counts)[some]
        hashes = (flat >> np.uint64(32)).astype(np.uint32)
        hashed = np.empty_like(hashes)
        smallest = np.empty(len(some), dtype=np.uint32)
        for index in range(HASHES):
            np.multiply(hashes, _FACTORS[index], out=hashed)
            np.add(hashed, _TERMS[index], out=hashed)
            values[index, some] = np.minimum.reduceat(hashed, starts, out=smallest)
    return values


def band_keys(words: Words) -> np.ndarray:
    """``(N, BANDS)`` uint64: one key per band; documents with an equal key are candidates. 0: no words."""
    rows = minhashes(words).reshape(BANDS, ROWS, len(words.counts))
    keys = np.full((BANDS, len(words.counts)), 1, dtype=np.uint64)
    for row in range(ROWS):
        keys += rows[:, row] * _PAIRS[SHINGLE + row]
    keys = _mix(keys) | np.uint64(1)
    keys[:, words.counts == 0] = 0
    return np.ascontiguousarray(keys.T)


def shingle_sets(texts: list[str]) -> list[np.ndarray]:
    """Each document's distinct shingle hashes, sorted."""
    flat, counts = shingles(Words.of([text.encode("utf-8") for text in texts]))
    ends = np.cumsum(counts).tolist()
    return [_distinct(flat[end - count : end]) for end, count in zip(ends, counts.tolist(), strict=True)]


def _distinct(values: np.ndarray) -> np.ndarray:
    values = np.sort(values)
    fresh = np.empty(len(values), dtype=bool)
    fresh[:1] = True
    np.not_equal(values[1:], values[:-1], out=fresh[1:])
    return values[fresh]


def jaccard(first: np.ndarray, second: np.ndarray) -> float:
    """Size of the common part over size of the union, of two sorted arrays of distinct values."""
    if not len(first) or not len(second):
        return 0.0
    both = np.sort(np.concatenate([first, second]))
    common = int(np.count_nonzero(both[1:] == both[:-1]))
    return common / (len(first) + len(second) - common)
