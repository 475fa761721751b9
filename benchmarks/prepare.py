"""From raw text to packed tokens: read, clean, drop duplicates, split, tokenize, pack, in MB of clean text per second.

The corpus is all pulled prose and both dictionaries at once (about 37 MB, 268,000 documents: the many tiny ones are
the hard part), the vocabulary 4,096 tokens trained on a part of it, which is not timed. There is no peer that does the
same work; the target is fixed. Checked before timing: every document of the first round comes back from its tokens.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.measure import interleaved, say, spread
from glaswerk import corpora, pull, tokenizer
from glaswerk.errors import GlaswerkError

CORPORA = ("wikipedia-en", "shakespeare", "bible-en", "pairs-de-en", "wordnet-en", "wiktionary-de")
VOCABULARY = 4096
#: MB/s to reach
TARGET = 3.0
ROUNDS = 3


def run() -> dict[str, Any]:
    """Measure ROUNDS whole preparations; raises :class:`GlaswerkError` where a corpus is not pulled."""
    for name in CORPORA:
        pull.path(name)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        report = corpora.build(CORPORA, folder / "first")
        sample = (document.text for document in islice(corpora.documents(folder / "first"), 0, None, 20))
        trained = tokenizer.train_bpe(sample, VOCABULARY)
        index = _pack(folder / "first", trained)
        _check(folder / "first", trained)
        megabytes = report.bytes / 1e6
        parts: list[tuple[float, float]] = []
        processor: list[float] = []

        def whole() -> float:
            shutil.rmtree(folder / "run", ignore_errors=True)
            before, began = sum(os.times()[:4]), time.perf_counter()
            corpora.build(CORPORA, folder / "run")
            built = time.perf_counter()
            _pack(folder / "run", trained)
            done = time.perf_counter()
            parts.append((built - began, done - built))
            processor.append(sum(os.times()[:4]) - before)
            return megabytes / (done - began)

        figures = spread(interleaved({"prepare": whole}, ROUNDS)["prepare"])
    middle = sorted(parts, key=sum)[len(parts) // 2]
    return {
        "name": "prepare",
        "ours": figures["median"],
        "peer": TARGET,
        "peer_name": "the fixed target",
        "unit": "MB/s",
        "ratio": figures["median"] / TARGET,
        "spread": figures,
        "megabytes": megabytes,
        "documents": report.documents,
        "dropped": report.dropped_counts(),
        "tokens": index["train"]["tokens"] + index["val"]["tokens"],
        "processor_seconds": min(processor),  # of all processes; tells a slow program from a busy machine
        "seconds": {"read, clean, dedup, split": middle[0], "tokenize, pack": middle[1]},
    }


def _pack(folder: Path, trained: Any) -> dict[str, Any]:
    return corpora.pack(folder, trained.encode_arrays, trained.vocabulary_size, trained.end_id)


def _check(folder: Path, trained: Any) -> None:
    """Every document is in the tokens, and nothing else."""
    packed = corpora.Packed(folder)
    for split in ("train", "val"):
        tokens = getattr(packed, split)
        starts = [*packed.document_starts(split).tolist(), len(tokens)]
        for number, document in enumerate(corpora.documents(folder, split)):
            ids = tokens[starts[number] : starts[number + 1]].tolist()
            if ids[-1] != trained.end_id or trained.decode(ids[:-1]) != document.headed:
                raise GlaswerkError(f"{split} document {number} does not come back from its tokens")
        if number + 2 != len(starts):
            raise GlaswerkError(f"{split} has {len(starts) - 1} packed documents and {number + 1} in the corpus")
    say("checked: every document comes back from its tokens")
