"""Encoding: megabytes of real text per second, against tiktoken and `tokenizers`, ids identical before
timing.

The main figure is the GPT-2 vocabulary, the whole corpus as one text, one thread, a Python list of ids out,
which is the call both have in common. Beside it: our own vocabulary of 4,096, the corpus as a batch of
documents on all cores, arrays instead of lists, and our encoder with tiktoken as its engine.
"""

from __future__ import annotations

import gc
import json
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.bpe_train import CORPUS, real_texts
from benchmarks.measure import interleaved, peer, spread
from glaswerk import pull
from glaswerk.errors import GlaswerkError
from glaswerk.tokenizer import FastBPE, load, train_bpe
from glaswerk.tokenizer.fast import tiktoken_engine
from glaswerk.tokenizer.patterns import GPT2, GPT4, QUICK

ROUNDS = 9


def run() -> dict[str, Any]:
    """MB/s; the ratio is our median over tiktoken's."""
    pull.path("gpt2")
    texts = real_texts()
    whole = "\n\n".join(texts)
    tiktoken, tokenizers = peer("tiktoken"), peer("tokenizers")
    gpt2 = load("gpt2")
    own = train_bpe(texts, 4096)
    assert isinstance(gpt2, FastBPE)
    contestants: dict[str, Callable[[], Any]] = {}
    expected: dict[str, Any] = {}
    for name, ours in (("gpt2", gpt2), ("own 4k", own)):
        pattern = QUICK[GPT2 if name == "gpt2" else GPT4]  # tiktoken's own wording, its fastest
        theirs = tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=ours.ids, special_tokens={})
        slow = tokenizers.Tokenizer.from_str(as_text(ours))
        engine = tiktoken_engine(ours)
        if engine is None:
            raise GlaswerkError("tiktoken cannot be used as our engine: the installed version differs")
        one, many = theirs.encode_ordinary(whole), theirs.encode_ordinary_batch(texts)

        def plain(texts: list[str], slow: Any = slow) -> list[list[int]]:
            return [found.ids for found in slow.encode_batch_fast(texts, add_special_tokens=False)]

        def one_by_one(encode: Callable[[str], list[int]], texts: list[str]) -> list[list[int]]:
            """tiktoken's best on short texts: on its threads they wait for Python's lock."""
            return [encode(text) for text in texts]

        cores = os.cpu_count() or 1
        contestants |= {
            f"{name}, text: glaswerk": partial(ours.encode, whole),
            f"{name}, text: glaswerk on tiktoken": partial(engine.encode, whole),
            f"{name}, text: tiktoken": partial(theirs.encode_ordinary, whole),
            f"{name}, batch: glaswerk": partial(ours.encode_batch, texts),
            f"{name}, batch: glaswerk on tiktoken": partial(engine.encode_batch, texts),
            f"{name}, batch: tiktoken": partial(one_by_one, theirs.encode_ordinary, texts),
            f"{name}, batch: tiktoken's own": partial(theirs.encode_ordinary_batch, texts, num_threads=cores),
            f"{name}, batch: tokenizers": partial(plain, texts),
            f"{name}, arrays: glaswerk": partial(ours.encode_arrays, texts),
        }
        for key in contestants:
            if key.startswith(f"{name}, text"):
                expected[key] = one
            elif key.startswith(f"{name}, batch"):
                expected[key] = many
    for key, ids in expected.items():
        if contestants[key]() != ids:
            raise GlaswerkError(f"{key} gives other ids than tiktoken: nothing is timed")
    megabytes = len(whole.encode()) / 1e6

    def timed(call: Callable[[], Any]) -> Callable[[], float]:
        def once() -> float:
            gc.collect()
            began = time.perf_counter()
            made = call()
            rate = megabytes / (time.perf_counter() - began)
            del made
            return rate

        return once

    figures = interleaved({name: timed(call) for name, call in contestants.items()}, ROUNDS)
    spreads = {name: spread(values) for name, values in figures.items()}
    medians = {name: found["median"] for name, found in spreads.items()}
    return {
        "name": "encode",
        "ours": medians["gpt2, text: glaswerk"],
        "peer": medians["gpt2, text: tiktoken"],
        "peer_name": "tiktoken",
        "unit": "MB/s",
        "ratio": medians["gpt2, text: glaswerk"] / medians["gpt2, text: tiktoken"],
        "ratios": {
            f"{name}, {kind}": medians[f"{name}, {kind}: glaswerk"] / medians[f"{name}, {kind}: tiktoken"]
            for name in ("gpt2", "own 4k")
            for kind in ("text", "batch")
        },
        "engine": gpt2.engine.name,
        "medians": medians,
        "spread": spreads,
        "megabytes": megabytes,
        "corpus": CORPUS,
    }


def as_text(tokenizer: FastBPE) -> str:
    """The tokenizer.json of a tokenizer, as text."""
    return json.dumps(tokenizer.as_json())
