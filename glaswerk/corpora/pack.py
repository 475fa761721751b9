"""Clean documents to tokens on disk: one flat array per split, each document followed by the end token.

``train.bin`` and ``val.bin`` hold the tokens (uint16 where the vocabulary fits, else uint32,
little-endian), ``train.idx`` and ``val.idx`` where each document starts (uint64), ``index.json``, written
last, what they are.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from glaswerk.corpora.build import clear_leftovers, rows
from glaswerk.corpora.crew import cores
from glaswerk.corpora.document import Document
from glaswerk.errors import GlaswerkError
from glaswerk.home import read_json, replacing, write_json
from glaswerk.progress import Progress

SPLITS = ("train", "val")
#: ids of each text, or all ids and how many each text has
Encoded = list[list[int]] | tuple[np.ndarray, np.ndarray]
#: characters encoded at a time
_BATCH = 2_000_000


def pack(
    folder: Path,
    encode_batch: Callable[[list[str]], Encoded],
    vocabulary_size: int,
    end_id: int,
    workers: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Encode ``folder/documents.jsonl``, each text under its title, into arrays beside it; returns ``index.json``.

    ``encode_batch`` turns texts into lists of ids below ``vocabulary_size``, or, faster, into one array of all ids
    and one of each text's number of them; it is called from ``workers`` threads (the fast encoders leave Python's
    lock). Raises :class:`GlaswerkError` for ids outside the vocabulary.
    """
    progress = progress or Progress()
    dtype = np.dtype("<u2" if vocabulary_size <= 1 << 16 else "<u4")
    if not 0 <= end_id < vocabulary_size:
        raise GlaswerkError(
            f"the end token {end_id} is outside the vocabulary of {vocabulary_size}: the tokenizer is damaged"
        )
    clear_leftovers(folder)
    size = (folder / "documents.jsonl").stat().st_size if (folder / "documents.jsonl").exists() else 0
    progress.start("tokenize", total=size / 1e6, unit="MB")
    facts = {name: {"tokens": 0, "documents": 0, "characters": 0, "bytes": 0} for name in SPLITS}
    hashes = {name: hashlib.sha256() for name in SPLITS}
    starts: dict[str, list[np.ndarray]] = {name: [] for name in SPLITS}

    def encode(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """All tokens of some texts, each followed by the end token, and the length of each."""
        encoded = encode_batch(texts)
        if isinstance(encoded, tuple):
            ids, counts = encoded
        else:
            counts = np.array([len(one) for one in encoded], dtype=np.int64)
            ids = np.fromiter(chain.from_iterable(encoded), dtype=np.int64, count=int(counts.sum()))
        lengths = counts.astype(np.int64) + 1
        flat = np.empty(int(lengths.sum()), dtype=np.int64)
        ends = np.cumsum(lengths) - 1
        inner = np.ones(len(flat), dtype=bool)
        inner[ends] = False
        flat[inner], flat[ends] = ids, end_id
        if len(flat) and not 0 <= int(flat.min()) <= int(flat.max()) < vocabulary_size:
            raise GlaswerkError(f"the tokenizer gave ids outside its vocabulary of {vocabulary_size}: it is damaged")
        return flat.astype(dtype), lengths

    with ExitStack() as stack:
        out: dict[str, BinaryIO] = {}
        for name in SPLITS:
            part = stack.enter_context(replacing(folder / f"{name}.bin"))
            out[name] = stack.enter_context(open(part, "wb"))
        threads = stack.enter_context(ThreadPoolExecutor(workers or cores(), thread_name_prefix="encode"))
        for name, texts, future in _encoded(_batches(folder), encode, threads, workers or cores()):
            tokens, lengths = future.result()
            fact = facts[name]
            starts[name].append((fact["tokens"] + np.cumsum(lengths) - lengths).astype("<u8"))
            data = tokens.tobytes()
            out[name].write(data)
            hashes[name].update(data)
            characters, coded = sum(map(len, texts)), sum(len(text.encode("utf-8")) for text in texts)
            fact["tokens"] += len(tokens)
            fact["documents"] += len(texts)
            fact["characters"] += characters
            fact["bytes"] += coded
            progress.advance(coded / 1e6)
    for name in SPLITS:
        with replacing(folder / f"{name}.idx") as part:
            part.write_bytes(b"".join(chunk.tobytes() for chunk in starts[name]))
    index: dict[str, Any] = {
        "dtype": "uint16" if dtype.itemsize == 2 else "uint32",
        "end_id": end_id,
        "vocabulary_size": vocabulary_size,
        **{name: {**facts[name], "sha256": hashes[name].hexdigest()} for name in SPLITS},
    }
    write_json(folder / "index.json", index)
    total = facts["train"]["tokens"] + facts["val"]["tokens"]
    coded = facts["train"]["bytes"] + facts["val"]["bytes"]
    progress.done(
        f"{total:,} tokens, {coded / max(total, 1):.2f} bytes each; {facts['val']['tokens']:,} for validation"
    )
    return index


class Packed:
    """A packed corpus, opened: ``.train`` and ``.val`` are memory maps of ids, ``.info`` is ``index.json``.

    Raises :class:`GlaswerkError` where a file is missing or shorter than the index says.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.info: dict[str, Any] = read_json(self.folder / "index.json")
        self.train = self._open("train")
        self.val = self._open("val")

    def document_starts(self, split: str) -> np.ndarray:
        """``(N,)`` uint64: where each document of ``split`` begins in its array."""
        path = self.folder / f"{split}.idx"
        if not path.exists() or path.stat().st_size != 8 * self.info[split]["documents"]:
            raise GlaswerkError(f"{path} is missing or damaged; delete the folder and build the corpus again")
        return np.fromfile(path, dtype="<u8")

    def _open(self, split: str) -> np.ndarray:
        path = self.folder / f"{split}.bin"
        try:
            dtype, tokens = np.dtype(self.info["dtype"]).newbyteorder("<"), int(self.info[split]["tokens"])
        except (KeyError, TypeError, ValueError) as error:
            raise GlaswerkError(f"{self.folder / 'index.json'} is damaged; build the corpus again") from error
        if not path.exists() or path.stat().st_size != tokens * dtype.itemsize:
            raise GlaswerkError(f"{path} is missing or truncated; delete the folder and build the corpus again")
        if tokens == 0:
            return np.zeros(0, dtype=dtype)
        return np.memmap(path, dtype=dtype, mode="r")


def _batches(folder: Path) -> Iterator[tuple[str, list[str]]]:
    texts: dict[str, list[str]] = {name: [] for name in SPLITS}
    sizes = dict.fromkeys(SPLITS, 0)
    for row in rows(folder):
        name = row["split"]
        text = Document(row["text"], row["title"]).headed
        texts[name].append(text)
        sizes[name] += len(text)
        if sizes[name] >= _BATCH:
            yield name, texts[name]
            texts[name], sizes[name] = [], 0
    for name in SPLITS:
        if texts[name]:
            yield name, texts[name]


def _encoded(
    batches: Iterator[tuple[str, list[str]]],
    encode: Callable[[list[str]], tuple[np.ndarray, np.ndarray]],
    threads: ThreadPoolExecutor,
    workers: int,
) -> Iterator[tuple[str, list[str], Future[tuple[np.ndarray, np.ndarray]]]]:
    """Batches in order with their encoding under way, a few at a time."""
    waiting: deque[tuple[str, list[str], Future[tuple[np.ndarray, np.ndarray]]]] = deque()
    for name, texts in batches:
        waiting.append((name, texts, threads.submit(encode, texts)))
        while len(waiting) > workers:
            yield waiting.popleft()
    yield from waiting
