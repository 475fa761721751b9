"""A chapter as a Jupyter notebook, from the same files as its page: prose, figures as cells that compute the same
numbers, the source that ran, quiz and exercises.

A figure's cell calls the demo functions that its widget calls, with the arguments it starts from; a figure that reads
the trace becomes a cell that reads the trace. Left out: sliders (one changes a number and runs the cell again).
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from glaswerk.course import LANGUAGES, demo
from glaswerk.course.chapter import Chapter, Exercise, load_chapter
from glaswerk.course.glossary import CONCEPTS, glossary
from glaswerk.course.outline import OUTLINE, entry
from glaswerk.course.render import Renderer, source_of
from glaswerk.home import make_folder, write_text

WIDGETS = Path(__file__).resolve().parent.parent / "web" / "widgets"
Cell = dict[str, Any]
#: kind of a demo ("demo/CHAPTER/NAME") -> the arguments that figures start from
Starts = Mapping[str, list[dict[str, Any]]]

WORDS: dict[str, dict[str, str]] = {
    "chapter": {"en": "Chapter", "de": "Kapitel"},
    "minutes": {"en": "minutes", "de": "Minuten"},
    "setup": {
        "en": "The first cell installs Glaswerk where it is missing, and opens a model: it computes the numbers below.",
        "de": "Die erste Zelle installiert Glaswerk, wo es fehlt, und öffnet ein Modell: Es rechnet alle Zahlen aus.",
    },
    "figure": {"en": "Figure", "de": "Abbildung"},
    "change": {
        "en": "change a number or a text and run the cell again",
        "de": "ändere eine Zahl oder einen Text und führe die Zelle noch einmal aus",
    },
    "by_hand": {
        "en": "it is played with by hand, in `glaswerk lab`.",
        "de": "Sie ist zum Anfassen, in `glaswerk lab`.",
    },
    "quiz": {"en": "Quiz", "de": "Quiz"},
    "answer": {"en": "Answer", "de": "Antwort"},
    "exercises": {"en": "Exercises", "de": "Übungen"},
    "open": {"en": "To answer in your own words", "de": "Mit eigenen Worten"},
    "code": {"en": "To program", "de": "Zum Programmieren"},
    "discuss": {"en": "To discuss", "de": "Zum Diskutieren"},
    "model_answer": {"en": "A model answer", "de": "Eine Musterantwort"},
}


def write_notebooks(folder: Path, model: str, starts: Starts) -> list[Path]:
    """Every written chapter in both languages: ``folder/04-attention.en.ipynb``. ``model`` is what the notebooks open:
    a pulled name, or a folder beside them."""
    make_folder(folder)
    written = []
    for found in OUTLINE:
        for language in LANGUAGES if found.written else ():
            path = folder / f"{found.name}.{language}.ipynb"
            made = notebook(load_chapter(found.name), language, model, starts)
            write_text(path, json.dumps(made, ensure_ascii=False, indent=1) + "\n")
            written.append(path)
    return written


def notebook(chapter: Chapter, language: str, model: str, starts: Starts) -> dict[str, Any]:
    """The notebook as JSON (nbformat 4.5)."""
    w = {key: value[language] for key, value in WORDS.items()}
    prose = Prose(chapter, language)
    title = (
        f"# {chapter.entry.title[language]}\n\n{w['chapter']} {chapter.entry.number} · {chapter.minutes} {w['minutes']}"
    )
    cells = [markdown(f"{title}\n\n{w['setup']}"), code(setup(chapter.entry.name, model))]
    for kind, text in blocks(chapter.prose[language]):
        name, _, rest = kind.partition(" ")
        if name == "widget":
            made = figure(chapter, rest.strip(), tomllib.loads(text), starts, w)
            cells.append(code(made) if made else markdown(f"*{w['figure']} {rest.strip()}: {w['by_hand']}*"))
        elif name == "source":
            file, first, found = source_of(rest.strip())
            cells.append(markdown(f"`{file}:{first}`\n\n```python\n{found.rstrip()}\n```"))
        elif kind:
            cells.append(markdown(f"```{kind}\n{text}```"))
        elif text.strip():
            cells.append(markdown(prose(text)))
    cells.append(markdown(f"## {w['quiz']}\n\n" + "\n\n".join(quiz(chapter, prose, language, w))))
    cells.append(markdown(f"## {w['exercises']}"))
    for exercise in chapter.exercises:
        cells += task(chapter, exercise, prose, language, w)
    for place, cell in enumerate(cells):  # an id that the same contents keep
        digest = hashlib.sha256(f"{place}{cell['source']}".encode()).hexdigest()
        cell["id"] = digest[:12]
    return {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


# ---------------------------------------------------------------------------------------------- cells
def markdown(text: str) -> Cell:
    """A cell of text."""
    return {"cell_type": "markdown", "metadata": {}, "source": text.strip() + "\n"}


def code(text: str) -> Cell:
    """A cell to run."""
    return {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": [], "source": text.strip() + "\n"}


def setup(chapter: str, model: str) -> str:
    """The first cell."""
    return f"""
import importlib.util
import subprocess
import sys
from pathlib import Path

if importlib.util.find_spec("glaswerk") is None:  # in Colab, or in a new environment
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "glaswerk"], check=True)

import glaswerk as gw
from glaswerk.course.show import demos, explained, heat, show, try_it
from glaswerk.pull import pull

name = {model!r}
if not Path(name).exists() and not (Path("runs") / name).exists():
    name = "smollm2"  # a real small model that can be pulled
    pull(name)
model = gw.load(name)
demo = demos({chapter!r})
print(model)
"""


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """The prose cut at its fences and headings: (first line of the fence, its text), or ("", prose)."""
    inside, kind, lines = "", "", list[str]()
    for line in text.splitlines(keepends=True):
        fence = re.match(r"(`{3,}|~{3,})(.*)", line)
        if fence and not inside:
            yield "", "".join(lines)
            inside, kind, lines = fence[1], fence[2].strip(), []
        elif inside and line.strip() == inside:
            yield kind, "".join(lines)
            inside, lines = "", []
        elif not inside and re.match(r"#{1,6} ", line):
            yield "", "".join(lines)
            lines = [line]
        else:
            lines.append(line)
    yield kind if inside else "", "".join(lines)


def figure(chapter: Chapter, widget: str, options: dict[str, Any], starts: Starts, w: Mapping[str, str]) -> str:
    """A figure as calls of what computes it; empty for one that is played with and computes nothing of the model."""
    script = WIDGETS / f"{widget}.js"
    text = script.read_text("utf-8") if script.is_file() else ""
    head = f"# {w['figure']}: {widget}; {w['change']}\n"
    name = options.get("chapter", chapter.entry.name)
    calls = [call(name, function, options, starts) for function in functions(name, text)]
    if name != chapter.entry.name and calls:
        head += f"demo = demos({name!r})\n"
    prompt = options.get("prompt") or options.get("text") or (chapter.prompts or ["Hello"])[0]
    if not calls and 'ask("tokens"' in text:
        calls = [
            f"show([{{'id': i, 'bytes': model.tokenizer.token_bytes(i)}} for i in model.tokenizer.encode({prompt!r})])"
        ]
    elif not calls and "trace(" in text:
        calls = traced(prompt, int(options.get("layer", 0)), int(options.get("head", 0)))
    elif not calls and 'askOnce("next"' in text:
        calls = [f"show(model.trace({prompt!r}).top(12))"]
    body = "".join(f"with explained():\n    {line}\n" for line in calls)
    if name != chapter.entry.name and calls:
        body += f"demo = demos({chapter.entry.name!r})\n"
    return head + body if body else ""


def functions(chapter: str, script: str) -> list[str]:
    """The demo functions that a widget's script names: in its calls, else anywhere."""
    there = demo.demos(chapter)
    called = re.findall(r'\.demo\(\s*"(\w+)"', script) or re.findall(r'"(\w+)"', script)
    return [name for name in dict.fromkeys(called) if name in there and name != "numbers"]


def call(chapter: str, function: str, options: Mapping[str, Any], starts: Starts) -> str:
    """One call with the arguments that the figure starts from."""
    found = demo.demos(chapter)[function]
    given = {key: value for key, value in options.items() if key in found.defaults}
    recorded = starts.get(f"demo/{chapter}/{function}", [])

    def fits(arguments: Mapping[str, Any]) -> int:
        same = [arguments[key] == value for key, value in given.items() if key in arguments]
        return -1 if not all(same) else len(same)

    best = max(recorded, key=fits, default=None)
    if best is not None and fits(best) >= 0:
        given = {key: value for key, value in {**best, **given}.items() if key in found.defaults}
    try:
        given = demo.checked(found, given)
    except Exception:  # an option of the figure that only shares a name
        given = {}
    words = [*(["model"] if found.needs_model else []), *(f"{key}={value!r}" for key, value in given.items())]
    return f"show(demo.{function}({', '.join(words)}))"


def traced(prompt: str, layer: int, head: int) -> list[str]:
    """A look into the trace: the steps of a block, and one head's weights."""
    return [
        f"trace = model.trace({prompt!r})\n"
        f"    show([step.json() for step in trace.select('blocks.{layer}.*')])\n"
        f"    heat(trace['blocks.{layer}.attention.weights'][0, {head}], [token['text'] for token in trace.tokens])"
    ]


def quiz(chapter: Chapter, prose: Prose, language: str, w: Mapping[str, str]) -> Iterator[str]:
    """The questions, each with its answer folded away."""
    for number, question in enumerate(chapter.quiz, 1):
        options = "\n".join(f"- {chr(97 + at)}) {prose(one[language])}" for at, one in enumerate(question.options))
        right = f"{chr(97 + question.answer)}) {prose(question.why[language])}"
        yield f"**{number}.** {prose(question.q[language])}\n\n{options}\n\n" + folded(w["answer"], right)


def task(chapter: Chapter, exercise: Exercise, prose: Prose, language: str, w: Mapping[str, str]) -> Iterator[Cell]:
    """An exercise: text, and what belongs to its kind."""
    text = f"**{w[exercise.kind]}.** {prose(exercise.q[language])}"
    if exercise.answer is not None:
        text += "\n\n" + folded(w["model_answer"], prose(exercise.answer[language]))
    yield markdown(text)
    if exercise.stub is not None:
        yield code(exercise.stub.read_text("utf-8"))
        yield code(f"try_it({chapter.entry.name!r}, {exercise.id!r}, globals())")


def folded(title: str, text: str) -> str:
    """Text that a click shows."""
    return f"<details><summary>{title}</summary>\n\n{text}\n\n</details>"


class Prose:
    """A chapter's Markdown as plain Markdown: ``prose(text)``."""

    def __init__(self, chapter: Chapter, language: str) -> None:
        self.chapter, self.language = chapter.entry.name, language
        self.renderer = Renderer(language)

    def __call__(self, text: str) -> str:
        """Concepts in bold, terms as words, numbers computed, formulas as Jupyter writes them, links to notebooks."""
        text = self.renderer.with_numbers_of(self.chapter, text)
        parts = re.split(r"(`[^`\n]+`|\$\$.+?\$\$|\$[^$\n]+\$)", text, flags=re.DOTALL)
        return "".join(self._part(part) for part in parts).strip()

    def _part(self, part: str) -> str:
        if part.startswith("`"):
            return part
        if part.startswith("$"):
            return re.sub(rf"\\(?:{'|'.join(CONCEPTS)})(?=\{{)", "", part)
        part = re.sub(rf"\{{(?:{'|'.join(CONCEPTS)}):([^{{}}\n]+)\}}", r"**\1**", part)
        part = re.sub(r"\[\[([a-z0-9-]+)(?:\|([^\]\n]+))?\]\]", lambda match: match[2] or self._word(match[1]), part)
        return re.sub(r"\]\(\.\./(\d\d-[a-z-]+)/?(#[^)]*)?\)", lambda match: self._link(match[1]), part)

    def _word(self, key: str) -> str:
        return glossary()[key].word[self.language]

    def _link(self, name: str) -> str:
        return f"]({entry(name).name}.{self.language}.ipynb)"
