"""What happened to a corpus on its way: what was read, repaired, dropped and why, with examples.

A ``Report`` is filled while reading and building and becomes ``report.json``. It holds no times and no
absolute paths, so that the same texts give the same report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from glaswerk.errors import GlaswerkError

#: how many examples of one kind are kept
EXAMPLES = 5
#: how many files or lines are named one by one; the rest is only counted
NAMED = 100
#: upper edges of the length histogram, in characters
LENGTH_EDGES = (50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000)


@dataclass
class Dropped:
    """Documents dropped for one reason."""

    documents: int = 0
    characters: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)

    def add(self, documents: int, characters: int, examples: Iterable[dict[str, Any]] = ()) -> None:
        """Count more of them; only the first few examples are kept."""
        self.documents += documents
        self.characters += characters
        self.examples.extend(examples)
        del self.examples[EXAMPLES:]


@dataclass
class Report:
    """Counts and examples; ``to_json`` is what ``report.json`` holds."""

    strict: bool = False
    sources: list[dict[str, Any]] = field(default_factory=list)
    files: int = 0
    bytes_read: int = 0
    skipped: list[dict[str, str]] = field(default_factory=list)
    skipped_count: int = 0
    broken: list[dict[str, Any]] = field(default_factory=list)
    broken_count: int = 0
    decoded: list[dict[str, Any]] = field(default_factory=list)
    decoded_count: int = 0
    repaired: Counter[str] = field(default_factory=Counter)
    documents_read: int = 0
    characters_read: int = 0
    dropped: dict[str, Dropped] = field(default_factory=dict)
    documents: int = 0
    characters: int = 0
    bytes: int = 0
    splits: dict[str, dict[str, int]] = field(default_factory=dict)
    lengths: dict[str, Any] = field(default_factory=dict)
    languages: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    def skip(self, file: str, why: str) -> None:
        """A whole file gives no text."""
        self.skipped_count += 1
        if len(self.skipped) < NAMED:
            self.skipped.append({"file": file, "why": why})

    def broken_line(self, file: str, line: int, why: str, shown: str = "") -> None:
        """One record is unreadable; raises :class:`GlaswerkError` (naming ``shown``) if strict."""
        if self.strict:
            raise GlaswerkError(
                f"{shown or file}:{line}: {why}; mend that line, or leave out --strict to skip such lines"
            )
        self.broken_count += 1
        if len(self.broken) < NAMED:
            self.broken.append({"file": file, "line": line, "why": why})

    def decoding(self, file: str, encoding: str, replaced: int) -> None:
        """A file was not plain UTF-8: what it was read as, and how many bytes stood for no character."""
        self.decoded_count += 1
        if len(self.decoded) < NAMED:
            self.decoded.append({"file": file, "encoding": encoding, "bytes_not_utf8": replaced})

    def drop(self, reason: str, documents: int, characters: int, examples: Iterable[dict[str, Any]] = ()) -> None:
        """Documents were dropped for ``reason``."""
        self.dropped.setdefault(reason, Dropped()).add(documents, characters, examples)

    def dropped_counts(self) -> dict[str, int]:
        """Reason -> number of documents."""
        return {reason: dropped.documents for reason, dropped in self.dropped.items()}

    def to_json(self) -> dict[str, Any]:
        """The content of ``report.json``."""
        return {
            "sources": self.sources,
            "read": {
                "files": self.files,
                "bytes": self.bytes_read,
                "documents": self.documents_read,
                "characters": self.characters_read,
            },
            "documents": self.documents,
            "characters": self.characters,
            "bytes": self.bytes,
            "splits": self.splits,
            "dropped": {
                reason: {"documents": d.documents, "characters": d.characters, "examples": d.examples}
                for reason, d in self.dropped.items()
            },
            "skipped_files": {"count": self.skipped_count, "named": self.skipped},
            "broken_lines": {"count": self.broken_count, "named": self.broken},
            "decoded": {"count": self.decoded_count, "named": self.decoded},
            "repaired": dict(sorted(self.repaired.items())),
            "lengths": self.lengths,
            "languages": self.languages,
            "settings": self.settings,
        }
