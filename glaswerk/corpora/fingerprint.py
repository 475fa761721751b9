"""Whether two calls mean the same texts: a digest of names and sizes, without reading the files.

A file that changed but kept its size is not noticed; hashing a corpus of gigabytes at each start would cost minutes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from glaswerk import pull as pulling
from glaswerk.corpora.report import Report
from glaswerk.corpora.sources import find
from glaswerk.progress import Progress


def fingerprint(sources: Sequence[str], progress: Progress | None = None) -> str:
    """Hex digest of what the sources stand for: relative names and sizes of files, package hashes of corpora.

    Pulls corpora that are not here yet, which ``progress`` shows; raises :class:`GlaswerkError` for a source that does
    not exist.
    """
    digest = hashlib.sha256()
    for one in sorted(find(sources, Report(), progress), key=lambda found: found.label):
        identity = pulling.manifest(one.corpus)["sha256"] if one.corpus else one.path.stat().st_size
        digest.update(f"{one.label}\0{identity}\n".encode())
    return digest.hexdigest()[:32]
