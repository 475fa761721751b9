"""From files of any common kind to packed tokens: read, clean, drop duplicates, split, pack.

``read`` gives raw documents, ``build`` writes the clean and split corpus of a run, ``documents`` reads that
back, ``pack`` turns it into tokens, ``Packed`` opens those. No torch anywhere below.

Memory: reading and building hold at most :data:`MEMORY_BOUND` bytes beyond the interpreter and its
libraries, plus :data:`BYTES_PER_DOCUMENT` for each document, however large the files are
(``tests/corpora/test_memory.py``).
"""

from __future__ import annotations

from glaswerk.corpora.build import BYTES_PER_DOCUMENT, MEMORY_BOUND, build, documents
from glaswerk.corpora.document import Document
from glaswerk.corpora.fingerprint import fingerprint
from glaswerk.corpora.pack import Packed, pack
from glaswerk.corpora.report import Report
from glaswerk.corpora.sources import read

__all__ = [
    "BYTES_PER_DOCUMENT",
    "MEMORY_BOUND",
    "Document",
    "Packed",
    "Report",
    "build",
    "documents",
    "fingerprint",
    "pack",
    "read",
]
