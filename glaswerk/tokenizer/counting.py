"""How often each piece occurs in a stream of texts: the only pass over the corpus that BPE training makes.

Whole words with their spaces are counted first, and only the distinct ones are cut by the (slower) split
pattern. That is exact because no piece of our patterns continues across a space that follows a non-space:
such a space always begins a new piece, and no pattern looks behind itself. Memory grows with the number of
distinct words, not with the corpus. Large corpora are counted by several processes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain

import regex

from glaswerk.corpora.crew import Crew, cores
from glaswerk.tokenizer.interface import valid_unicode

#: from one cut to the next: a cut lies before every space (U+0020) that follows a non-space
_WORDS = re.compile(r"\s*+\S++(?:[^\S ]\s*+\S++)*+(?:[^\S ]\s*+)?|\s++")

#: below this, starting helpers takes longer than they save (measured on 2 cores: 0.3 s against 15 MB/s)
CHARACTERS_ALONE = 16_000_000
CHARACTERS_PER_BATCH = 4_000_000


def count_pieces(texts: Iterable[str], pattern: str, workers: int | None = None) -> Counter[str]:
    """Piece -> how often it occurs in ``texts``, cut by ``pattern`` (one of ours, see ``patterns.py``).

    ``workers``: helper processes for what comes after the first 16 million characters; None: one per core.
    """
    words: Counter[str] = Counter()
    batches = _batches(texts)
    workers = cores() if workers is None else workers
    alone = CHARACTERS_ALONE
    for batch in batches:
        if alone <= 0 and workers > 1:
            with Crew(workers) as crew:
                for counted in crew.map(count_words, chain([batch], batches)):
                    words.update(counted)
            break
        words.update(count_words(batch))
        alone -= sum(map(len, batch))
    find = regex.compile(pattern).findall
    pieces: Counter[str] = Counter()
    for word, count in words.items():
        for piece in find(word):
            pieces[piece] += count
    return pieces


def count_words(texts: list[str]) -> Counter[str]:
    """Word, with the spaces before it -> how often it occurs."""
    words: Counter[str] = Counter()
    for text in texts:
        words.update(_WORDS.findall(valid_unicode(text)))
    return words


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= CHARACTERS_PER_BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
