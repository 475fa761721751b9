"""A chapter as it lies on disk: chapter.toml, prose, quiz, exercises. Checked when it is read, so that a mistake
in a chapter is one line that names file and place.

Left out: turning prose into HTML (``render.py``), calling demo functions (``demo.py``).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from glaswerk.course import LANGUAGES
from glaswerk.course.outline import Entry, entry
from glaswerk.errors import GlaswerkError

Both = dict[str, str]


@dataclass(frozen=True)
class Question:
    """A quiz card: one right answer among ``options``. Texts are Markdown as in the prose, see ``render.py``."""

    id: str
    q: Both
    options: list[Both]
    answer: int
    why: Both


@dataclass(frozen=True)
class Exercise:
    """``kind`` is "open" (with a model ``answer``), "code" (with a ``stub`` and a ``check``, files of the folder
    ``exercises/``) or "discuss"."""

    id: str
    kind: str
    q: Both
    answer: Both | None = None
    stub: Path | None = None
    check: Path | None = None


@dataclass(frozen=True)
class Chapter:
    """A written chapter. ``prompts`` are traced ahead, so that the figures show something without a model."""

    entry: Entry
    minutes: int
    prompts: list[str]
    prose: Both
    quiz: list[Question]
    exercises: list[Exercise]


def load_chapter(name: str) -> Chapter:
    """A chapter by slug or number. Raises :class:`GlaswerkError` for one that is not written or has a mistake."""
    found = entry(name)
    if not found.written:
        raise GlaswerkError(f"chapter {found.name} is not written yet; the list of chapters says which are")
    newest = max(path.stat().st_mtime_ns for path in found.folder.rglob("*") if path.suffix != ".pyc")
    return _load(found.name, newest)


@lru_cache(maxsize=64)
def _load(name: str, _newest: int) -> Chapter:
    found = entry(name)
    folder = found.folder
    facts = read_toml(folder / "chapter.toml")
    prose = {language: read_text(folder / f"{language}.md") for language in LANGUAGES}
    return Chapter(
        found,
        minutes=need(facts, "minutes", int, folder / "chapter.toml"),
        prompts=need(facts, "prompts", list, folder / "chapter.toml"),
        prose=prose,
        quiz=read_quiz(folder / "quiz.toml"),
        exercises=read_exercises(folder / "exercises" / "exercises.toml"),
    )


def read_quiz(path: Path) -> list[Question]:
    """``[[question]]`` tables: id, q.en/.de, options (a list of {en, de}), answer (place of the right one, from 0),
    why.en/.de."""
    found = []
    for item in need(read_toml(path), "question", list, path):
        name = need(item, "id", str, path)
        options = [both(option, f"{name}.options", path) for option in need(item, "options", list, path)]
        answer = need(item, "answer", int, path)
        if not 0 <= answer < len(options):
            raise GlaswerkError(f"{path}: {name}: answer {answer} is no place in its {len(options)} options")
        found.append(
            Question(name, both(item.get("q"), name, path), options, answer, both(item.get("why"), name, path))
        )
    unique([question.id for question in found], path)
    return found


def read_exercises(path: Path) -> list[Exercise]:
    """``[[open]]`` (id, q, answer), ``[[code]]`` (id, q, and the files ``ID.py`` and ``check_ID.py`` beside it) and
    ``[discuss]`` (q)."""
    facts = read_toml(path)
    found = []
    for item in facts.get("open", []):
        name = need(item, "id", str, path)
        found.append(
            Exercise(name, "open", both(item.get("q"), name, path), answer=both(item.get("answer"), name, path))
        )
    for item in facts.get("code", []):
        name = need(item, "id", str, path)
        stub, check = path.parent / f"{name}.py", path.parent / f"check_{name}.py"
        for file in (stub, check):
            if not file.is_file():
                raise GlaswerkError(f"{path}: {name}: {file.name} is missing beside it")
        found.append(Exercise(name, "code", both(item.get("q"), name, path), stub=stub, check=check))
    discuss = need(facts, "discuss", dict, path)
    found.append(Exercise("discuss", "discuss", both(discuss.get("q"), "discuss", path)))
    unique([exercise.id for exercise in found], path)
    return found


def shape(markdown: str) -> list[str]:
    """What both languages of a chapter must share, in order: heading levels, fences with their first line, and
    display formulas."""
    found, inside = [], ""
    for line in markdown.splitlines():
        fence = re.match(r"(`{3,}|~{3,})(.*)", line)
        if fence and not inside:
            inside = fence[1]
            found.append(" ".join(fence[2].split()))
        elif inside and line.strip() == inside:
            inside = ""
        elif not inside and (heading := re.match(r"(#{1,6}) ", line)):
            found.append(heading[1])
        elif not inside and line.strip().startswith("$$"):
            found.append("$$")
    return found


# ---------------------------------------------------------------------------------------------- reading
def read_text(path: Path) -> str:
    """A text file of a chapter."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        raise GlaswerkError(f"{path} is missing: a chapter has it in every language") from None


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file of a chapter; a mistake is one line that names the file."""
    try:
        return tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise GlaswerkError(f"{path}: {error}") from None


def need(facts: Mapping[str, Any], key: str, kind: type, path: Path) -> Any:
    """``facts[key]``, which must be there and of the kind."""
    if not isinstance(facts.get(key), kind):
        raise GlaswerkError(f"{path}: {key} is missing or not of the kind {kind.__name__}")
    return facts[key]


def both(value: Any, name: str, path: Path) -> Both:
    """A text in both languages; a plain string (a number, a formula) is the same in both."""
    if isinstance(value, str):
        return dict.fromkeys(LANGUAGES, value)
    if (
        isinstance(value, dict)
        and set(value) == set(LANGUAGES)
        and all(isinstance(text, str) for text in value.values())
    ):
        return {language: value[language].strip() for language in LANGUAGES}
    raise GlaswerkError(f"{path}: {name}: a text needs exactly en and de")


def unique(names: list[str], path: Path) -> None:
    """Ids are unique in a file and are usable in URLs."""
    for name in names:
        if names.count(name) > 1 or not re.fullmatch(r"[a-z0-9_-]+", name):
            raise GlaswerkError(f"{path}: the id {name!r} is used twice or has characters beyond a-z, 0-9, - and _")
