"""The words of the field, in both languages, with one colour per concept. The entries stand in ``glossary.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from glaswerk.course import LANGUAGES
from glaswerk.errors import GlaswerkError

FILE = Path(__file__).resolve().parent / "glossary.toml"
#: one colour each, everywhere; the colours stand in ``glaswerk/web/style.css``
CONCEPTS = ("token", "position", "residual", "query", "key", "value", "weight", "mlp", "logit", "loss")


@dataclass(frozen=True)
class Term:
    """``word`` is how the field says it, ``text`` the definition (Markdown), ``chapter`` the slug that explains it,
    ``see`` the keys of related terms."""

    key: str
    word: dict[str, str]
    text: dict[str, str]
    chapter: str | None = None
    concept: str | None = None
    see: tuple[str, ...] = ()


def glossary() -> dict[str, Term]:
    """All terms by key. Raises :class:`GlaswerkError` for a mistake in the file."""
    return _read(FILE.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _read(_when: int) -> dict[str, Term]:
    try:
        tables = tomllib.loads(FILE.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise GlaswerkError(f"{FILE.name}: {error}") from None
    terms = {}
    for key, facts in tables.items():
        for field in ("word", "text"):
            if set(facts.get(field, ())) != set(LANGUAGES):
                raise GlaswerkError(f"{FILE.name}: {key}: {field} needs exactly en and de")
        concept = facts.get("concept")
        if concept is not None and concept not in CONCEPTS:
            raise GlaswerkError(f"{FILE.name}: {key}: there is no concept {concept!r}")
        see = tuple(facts.get("see", ()))
        for other in see:
            if other not in tables or other == key:
                raise GlaswerkError(f"{FILE.name}: {key}: see names {other!r}, which is no other term")
        terms[key] = Term(key, facts["word"], facts["text"], facts.get("chapter"), concept, see)
    return terms
