"""The corpus of a run: read, clean, drop duplicates, split, and write it down with a report.

Two passes. The first reads and cleans batch by batch (on all cores where there is enough to do) and spools
clean documents to a temporary file, keeping a few numbers of each; the second decides over those numbers
which documents are duplicates and which are for validation, and copies the rest. Equal inputs give equal
files, however many workers.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from glaswerk.corpora.clean import Cleaned, as_rows, clean_batch
from glaswerk.corpora.crew import Crew, cores
from glaswerk.corpora.document import Document
from glaswerk.corpora.duplicates import exact_copies, near_copies
from glaswerk.corpora.report import LENGTH_EDGES, Report
from glaswerk.corpora.shingles import BANDS, THRESHOLD
from glaswerk.corpora.sources import Found, find, read_one
from glaswerk.corpora.split import VALIDATION, validation_mask
from glaswerk.errors import GlaswerkError
from glaswerk.home import explain, make_folder, replacing, write_json
from glaswerk.progress import Progress

#: memory that building holds at most, whatever the size of the files: fixed, and per document. In bytes.
MEMORY_BOUND, BYTES_PER_DOCUMENT = 256_000_000, 200
#: from this many bytes of clean text (UTF-8) a run always trains; less is refused
LEAST_TEXT = 20_000
#: characters per batch; bytes to read from which helper processes are worth starting
BATCH, PARALLEL_FROM = 1_000_000, 12_000_000
#: what building and packing write, and so what a killed one leaves half-written (see home.replacing)
_WRITTEN = ("documents.jsonl", "report.json", "train.bin", "val.bin", "train.idx", "val.idx", "index.json")
#: documents whose language is identified, and characters looked at in each
_LANGUAGE_SAMPLE, _LANGUAGE_SLICE = 200, 300


def build(
    sources: Sequence[str],
    folder: Path,
    *,
    seed: int = 0,
    val_fraction: float = VALIDATION,
    strict: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
    least: int = LEAST_TEXT,
) -> Report:
    """Write ``folder/documents.jsonl`` (text, title, source, topic, split) and ``folder/report.json``.

    ``sources``: files, folders, globs, corpus names; ``workers``: helper processes (None: by cores and
    size, 0 or 1: none); ``least``: bytes of clean text below which :class:`GlaswerkError` says what is
    there and what is missing. Nothing is written when it raises.
    """
    progress = progress or Progress()
    report = Report(strict=strict)
    found = find(sources, report, progress)
    if not found:
        raise GlaswerkError(f"{_named(sources)} holds no files; name a folder with texts, or a corpus (wikipedia-en)")
    make_folder(folder)
    clear_leftovers(folder)
    with ExitStack() as stack:
        try:
            spool = Path(tempfile.mkdtemp(prefix=".build-", dir=folder))
        except OSError as error:
            raise explain(error, folder) from error
        stack.callback(shutil.rmtree, spool, ignore_errors=True)
        try:
            documents = _first_pass(found, spool, report, workers, progress)
            keep = _decide(documents, report, least, sources, progress)
            progress.start("split")
            split = validation_mask(documents.hashes[keep], documents.characters[keep], val_fraction, seed)
            _second_pass(documents, keep, split, folder, report)
        except OSError as error:
            raise explain(error, folder) from error
        documents.close()
    report.settings = {"seed": seed, "val_fraction": val_fraction, "near_duplicate_from": THRESHOLD}
    write_json(folder / "report.json", report.to_json())
    train, val = (report.splits[name]["documents"] for name in ("train", "val"))
    progress.done(f"{train:,} documents to learn from, {val:,} held out")
    return report


def clear_leftovers(folder: Path) -> None:
    """Delete what a build or pack that was killed left in this corpus folder: spools and half-written files."""
    for spool in folder.glob(".build-*"):
        shutil.rmtree(spool, ignore_errors=True)
    for name in _WRITTEN:
        for part in folder.glob(f".{name}.*.part"):
            part.unlink(missing_ok=True)


def documents(folder: Path, split: str | None = None) -> Iterator[Document]:
    """The clean documents of a built corpus, streaming; ``split``: "train", "val" or None for both."""
    for row in rows(folder):
        if split is None or row["split"] == split:
            yield Document(row["text"], row["title"], row["source"], row["topic"])


def rows(folder: Path) -> Iterator[dict[str, str]]:
    """The raw rows of ``documents.jsonl``; raises :class:`GlaswerkError` for a missing or damaged file."""
    path = folder / "documents.jsonl"
    try:
        with open(path, encoding="utf-8", newline="\n") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise GlaswerkError(f"{path}:{number} is damaged; delete the folder and build it again") from error
    except FileNotFoundError as error:
        raise GlaswerkError(f"{path} is missing: there is no corpus in this folder yet") from error


class _Spooled:
    """The first pass's result: clean documents in a file, their numbers in arrays, bands in a second file."""

    def __init__(self, spool: Path) -> None:
        self.lines: BinaryIO = open(spool / "documents", "w+b")  # noqa: SIM115 closed by close()
        self._bands: BinaryIO = open(spool / "bands", "w+b")  # noqa: SIM115
        self._spool = spool
        self._parts: list[tuple[np.ndarray, ...]] = []
        self.characters = self.bytes = self.hashes = self.starts = np.zeros(0, dtype=np.int64)

    def add(self, batch: Cleaned) -> None:
        self.lines.write(batch.lines)
        self._bands.write(batch.bands.tobytes())
        self._parts.append((batch.line_bytes, batch.characters, batch.text_bytes, batch.hashes))

    def finish(self) -> None:
        self.lines.flush()
        self._bands.flush()
        columns = [np.concatenate(column) for column in zip(*self._parts, strict=True)] if self._parts else []
        self._parts.clear()
        if columns:
            line_bytes, self.characters, self.bytes, self.hashes = columns
            self.starts = np.concatenate([[0], np.cumsum(line_bytes)])

    def bands(self) -> np.ndarray:
        return np.memmap(self._spool / "bands", dtype=np.uint64, mode="r").reshape(-1, BANDS)

    def row(self, index: int) -> dict[str, str]:
        self.lines.seek(int(self.starts[index]))
        return json.loads(self.lines.read(int(self.starts[index + 1] - self.starts[index])))

    def close(self) -> None:
        self.lines.close()
        self._bands.close()


def _first_pass(found: list[Found], spool: Path, report: Report, workers: int | None, progress: Progress) -> _Spooled:
    total = sum(one.size() for one in found)
    progress.start("read", total=total / 1e6, unit="MB")
    if workers is None:
        workers = cores() if total > PARALLEL_FROM else 0
    threading.Thread(target=_warm_language_model, daemon=True).start()
    documents = _Spooled(spool)
    batches = _batches(found, report)
    with ExitStack() as stack:
        cleaned: Iterable[Cleaned]
        if workers > 1:
            cleaned = stack.enter_context(Crew(workers)).map(clean_batch, batches)
        else:
            cleaned = map(clean_batch, batches)
        for batch in cleaned:
            documents.add(batch)
            report.documents_read += batch.read
            report.characters_read += batch.read_characters
            report.repaired.update(batch.repaired)
            for reason, (count, characters, examples) in batch.dropped.items():
                report.drop(reason, count, characters, examples)
            progress.advance(batch.read_characters / 1e6)
    documents.finish()
    progress.done(_read_line(report))
    progress.start("clean")
    progress.done(_cleaned_line(report, len(documents.hashes)))
    return documents


def _batches(found: list[Found], report: Report) -> Iterator[list[tuple[str, str, str, str]]]:
    batch: list[Document] = []
    size = 0
    for one in found:
        for document in read_one(one, report):
            batch.append(document)
            size += len(document.text) + 100
            if size >= BATCH:
                yield as_rows(batch)
                batch, size = [], 0
    if batch:
        yield as_rows(batch)


def _decide(documents: _Spooled, report: Report, least: int, sources: Sequence[str], progress: Progress) -> np.ndarray:
    """The indices of the documents that stay."""
    progress.start("dedup")
    cleaned = dict(report.dropped_counts())
    count = len(documents.hashes)
    first = exact_copies(documents.hashes)
    alive = first == np.arange(count)
    copies = np.flatnonzero(~alive)
    if len(copies):
        examples = [_example(documents, at, int(first[at])) for at in copies[:5].tolist()]
        report.drop("exact duplicate", len(copies), int(documents.characters[copies].sum()), examples)
    if count:
        near = near_copies(documents.bands(), alive, lambda index: documents.row(index)["text"])
        if near:
            gone = np.array(sorted(near))
            alive[gone] = False
            examples = [_example(documents, at, *near[at]) for at in gone[:5].tolist()]
            report.drop("near duplicate", len(gone), int(documents.characters[gone].sum()), examples)
    keep = np.flatnonzero(alive)
    have = int(documents.bytes[keep].sum()) if count else 0
    reasons = ", ".join(f"{number:,} {reason}" for reason, number in report.dropped_counts().items())
    if have < max(least, 1):
        raise _too_little(have, len(keep), reasons, report, sources, least)
    report.documents, report.bytes = len(keep), have
    report.characters = int(documents.characters[keep].sum())
    report.lengths = _lengths(documents.characters[keep])
    report.languages = _languages(documents, keep)
    copies_line = [f"{n:,} {reason}s" for reason, n in report.dropped_counts().items() if reason not in cleaned]
    kept = f"{report.documents:,} documents, {report.characters / 1e6:.2f} M characters stay"
    progress.done("; ".join([", ".join(copies_line) or "no duplicates", kept]))
    return keep


def _second_pass(documents: _Spooled, keep: np.ndarray, val: np.ndarray, folder: Path, report: Report) -> None:
    mark = np.full(len(documents.hashes), -1, dtype=np.int8)
    mark[keep] = val
    tails = (b', "split": "train"}\n', b', "split": "val"}\n')
    documents.lines.seek(0)
    with replacing(folder / "documents.jsonl") as part, open(part, "wb") as out:
        for at, line in enumerate(documents.lines):
            if mark[at] >= 0:
                out.write(line[:-2])
                out.write(tails[mark[at]])
    for name, chosen in (("train", keep[~val]), ("val", keep[val])):
        report.splits[name] = {
            "documents": len(chosen),
            "characters": int(documents.characters[chosen].sum()),
            "bytes": int(documents.bytes[chosen].sum()),
        }


def _example(documents: _Spooled, index: int, original: int, similarity: float = 1.0) -> dict[str, Any]:
    row, same = documents.row(index), documents.row(original)
    return {
        "source": row["source"],
        "title": row["title"],
        "text": row["text"][:160],
        "resembles": {"source": same["source"], "title": same["title"], "text": same["text"][:160]},
        "jaccard": round(similarity, 3),
    }


def _too_little(
    have: int, count: int, reasons: str, report: Report, sources: Sequence[str], least: int
) -> GlaswerkError:
    skipped = "; ".join(f"{item['file']}: {item['why']}" for item in report.skipped[:3])
    more = f" and {report.skipped_count - 3} more" if report.skipped_count > 3 else ""
    details = [part for part in (reasons and f"dropped: {reasons}", skipped and f"skipped: {skipped}{more}") if part]
    if report.broken_count:
        details.append(f"{report.broken_count} broken lines")
    because = f" ({'; '.join(details)})" if details else ""
    if not have:
        return GlaswerkError(
            f"{_named(sources)} holds no usable text{because}; name other files, or a corpus (wikipedia-en)"
        )
    return GlaswerkError(
        f"{_named(sources)} holds {have / 1000:.1f} kB of clean text in {count} documents{because}, "
        f"and at least {least / 1000:.0f} kB are needed: add {(least - have) / 1000:.1f} kB or more"
    )


def _named(sources: Sequence[str]) -> str:
    return ", ".join(sources[:3]) + (f" and {len(sources) - 3} more" if len(sources) > 3 else "")


def _lengths(characters: np.ndarray) -> dict[str, Any]:
    edges = [0, *LENGTH_EDGES]
    counts = np.histogram(characters, bins=[*edges, np.inf])[0]
    return {
        "unit": "characters",
        "from": edges,
        "documents": counts.tolist(),
        "shortest": int(characters.min()),
        "median": int(np.median(characters)),
        "mean": round(float(characters.mean()), 1),
        "longest": int(characters.max()),
    }


def _warm_language_model() -> None:
    import py3langid

    py3langid.classify("a")


def _languages(documents: _Spooled, keep: np.ndarray) -> dict[str, Any]:
    """Shares of languages by characters, from slices of evenly spread documents."""
    import py3langid

    chosen = keep[np.unique(np.linspace(0, len(keep) - 1, min(len(keep), _LANGUAGE_SAMPLE)).astype(np.int64))]
    characters: Counter[str] = Counter()
    for index in chosen.tolist():
        text = documents.row(index)["text"]
        middle = max(0, len(text) // 2 - _LANGUAGE_SLICE // 2)
        language, _ = py3langid.classify(text[middle : middle + _LANGUAGE_SLICE])
        characters[language] += len(text)
    total = sum(characters.values())
    shares = {language: round(size / total, 4) for language, size in characters.most_common(12)}
    return {"sampled_documents": len(chosen), "shares": shares}


def _read_line(report: Report) -> str:
    """What was read, in one line."""
    parts = [f"{report.documents_read:,} documents, {report.characters_read / 1e6:.2f} M characters"]
    if report.skipped_count:
        parts.append(f"skipped {report.skipped_count:,} files")
    if report.broken_count:
        parts.append(f"{report.broken_count:,} broken lines")
    if report.decoded_count:
        parts.append(f"{report.decoded_count:,} files were not plain UTF-8")
    return "; ".join(parts)


def _cleaned_line(report: Report, left: int) -> str:
    """What cleaning dropped and repaired, in one line."""
    dropped = ", ".join(f"{number:,} {reason}" for reason, number in report.dropped_counts().items())
    repaired = ", ".join(f"{number:,} {what}" for what, number in report.repaired.items() if number)
    parts = [f"dropped {dropped}" if dropped else "nothing dropped"]
    if repaired:
        parts.append(f"repaired: {repaired}")
    return "; ".join([*parts, f"{left:,} documents stay"])
