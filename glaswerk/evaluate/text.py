"""A text as a measure: bits per byte and perplexity, with an interval over its windows.

The text is read in windows that do not overlap, each as long as the model's context (at most 512 tokens). Left out:
sliding windows, which give every token a long context and cost many times as much.
"""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np

from glaswerk.corpora import Packed
from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.likelihood import Asked, likelihoods
from glaswerk.evaluate.metrics.intervals import bootstrap
from glaswerk.evaluate.scoring import Measure, Score
from glaswerk.home import explain
from glaswerk.opened import OpenedModel
from glaswerk.progress import Progress
from glaswerk.run import Run

#: tokens of a window, and windows at even distances in a long text
WINDOW, WINDOWS = 512, 200


def held_out(opened: OpenedModel, progress: Progress | None = None, limit: int | None = None) -> Score:
    """The part of its run's corpus that the model never saw. Raises :class:`GlaswerkError` for a model of no run."""
    if opened.origin.run is None:
        raise GlaswerkError("held-out is a run's own text: name a run or one of its stages, or give a text file")
    packed = Packed(Run(opened.origin.run).corpus)
    if len(packed.val) < 2:
        raise GlaswerkError(f"the corpus of {opened.origin.run} is too small to hold anything out")
    return text_score(opened, np.asarray(packed.val), "held-out", progress, limit)


def text_file(opened: OpenedModel, file: Path, progress: Progress | None = None, limit: int | None = None) -> Score:
    """A UTF-8 text file. Raises :class:`GlaswerkError` where it cannot be read or holds no text."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise GlaswerkError(f"cannot read {file}: not UTF-8 text; save it as UTF-8") from error
    except OSError as error:
        raise explain(error, file, "read") from error
    if not text.strip():
        raise GlaswerkError(f"{file} holds no text")
    ids = [opened.tokenizer.end_id, *opened.tokenizer.encode(text)]
    return text_score(opened, np.asarray(ids), file.stem, progress, limit)


def text_score(
    opened: OpenedModel, ids: np.ndarray, name: str, progress: Progress | None = None, limit: int | None = None
) -> Score:
    """Bits per byte and perplexity per token of a text's ids; the first id is only read. End-of-document marks are paid
    for and stand for no byte. ``limit``: so many windows."""
    show, began = progress or Progress(), time.perf_counter()
    size = min(WINDOW, opened.model.config.context)
    starts = range(0, len(ids) - 1, size)
    most = min(limit or WINDOWS, WINDOWS)
    chosen = [starts[place * len(starts) // most] for place in range(most)] if len(starts) > most else list(starts)
    show.start(name, total=len(chosen), unit="windows")
    special = set(opened.tokenizer.special.values())
    windows = [ids[start : start + size + 1].tolist() for start in chosen]
    read = likelihoods(opened.model, [Asked(window, 1) for window in windows], lambda _: show.advance(1))
    rows = []
    for window, likelihood in zip(windows, read, strict=True):
        said = [number for number in window[1:] if number not in special]
        rows.append((-likelihood.total, len(opened.tokenizer.decode_bytes(said)), len(window) - 1))
    table = np.array(rows, dtype=np.float64)

    def bits(drawn: np.ndarray) -> np.ndarray:
        nats, size_bytes, _ = drawn.sum(-2).T
        return nats / math.log(2) / np.maximum(1, size_bytes)

    def perplexity(drawn: np.ndarray) -> np.ndarray:
        nats, _, tokens = drawn.sum(-2).T
        return np.exp(nats / tokens)

    measures = []
    for metric, figure in (("bits per byte", bits), ("perplexity", perplexity)):
        picked = np.random.default_rng(0).integers(len(table), size=(500, len(table)))
        spread = float(np.std(figure(table[picked]), ddof=1)) if len(table) > 1 else math.nan
        measures.append(Measure(metric, float(figure(table)), spread, *bootstrap(table, figure)))
    seconds = time.perf_counter() - began
    windows_said = "1 window" if len(chosen) == 1 else f"{len(chosen)} windows"
    show.done(f"{measures[0].value:.3f} bits per byte over {windows_said} of {size} tokens")
    mean_bytes = max(1.0, table[:, 1].mean())
    grades = (table[:, 0] / math.log(2) / mean_bytes).tolist()
    return Score(name, "likelihood", 0, math.log2(256), measures, chosen, grades, seconds=seconds)
