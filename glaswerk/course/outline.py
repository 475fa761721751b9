"""The order of the chapters. The only place where a chapter's number stands; everything else says its slug.

A chapter that is listed here and has no folder yet is shown as to come and cannot be opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from glaswerk.errors import GlaswerkError

CHAPTERS_FOLDER = Path(__file__).resolve().parent / "chapters"


@dataclass(frozen=True)
class Entry:
    """A chapter's place: number, slug and its title in both languages."""

    number: int
    slug: str
    title: dict[str, str]

    @property
    def name(self) -> str:
        """The folder's and the URL's name, ``04-attention``."""
        return f"{self.number:02d}-{self.slug}"

    @property
    def folder(self) -> Path:
        """Where it lies, written or not."""
        return CHAPTERS_FOLDER / self.name

    @property
    def written(self) -> bool:
        """Whether there is something to read."""
        return (self.folder / "chapter.toml").is_file()


#: number, slug, English title, German title; a number that is missing has no title yet
_ORDER = (
    (0, "life", "The life of a prompt", "Das Leben eines Prompts"),
    (1, "next-word", "Predicting one word at a time", "Ein Wort nach dem anderen vorhersagen"),
    (2, "tokens", "From text to tokens", "Vom Text zu Tokens"),
    (3, "meaning", "The space of meaning", "Der Raum der Bedeutung"),
    (4, "attention", "Attention", "Attention"),
    (5, "transformer", "The Transformer, in full", "Der ganze Transformer"),
    (6, "learning", "How it learns", "Wie es lernt"),
    (7, "sampling", "Choosing the next word", "Das nächste Wort wählen"),
    (8, "assistant", "From raw model to assistant", "Vom Rohmodell zum Assistenten"),
    (12, "prompting", "The art of talking to an LLM", "Die Kunst, mit einem LLM zu reden"),
    (13, "hallucination", "Why LLMs make things up", "Warum LLMs Dinge erfinden"),
    (14, "specializing", "Specializing a model", "Ein Modell spezialisieren"),
    (16, "measuring", "How do we know a model is better?", "Woher wissen wir, dass ein Modell besser ist?"),
    (17, "thinking", "Think before you answer", "Erst denken, dann antworten"),
)
OUTLINE = tuple(Entry(number, slug, {"en": en, "de": de}) for number, slug, en, de in _ORDER)


def entry(name: str) -> Entry:
    """A chapter by its slug, its number or both: ``attention``, ``4``, ``04``, ``04-attention``.

    Raises :class:`GlaswerkError` that lists what there is."""
    for found in OUTLINE:
        if name in (found.slug, found.name) or (name.isascii() and name.isdigit() and int(name) == found.number):
            return found
    there = ", ".join(found.name for found in OUTLINE)
    raise GlaswerkError(f"there is no chapter {name!r}; there are {there}")


def neighbours(name: str) -> tuple[Entry | None, Entry | None]:
    """The written chapters before and after."""
    here = entry(name).number
    before = [found for found in OUTLINE if found.written and found.number < here]
    after = [found for found in OUTLINE if found.written and found.number > here]
    return (before[-1] if before else None, after[0] if after else None)
