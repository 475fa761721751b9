"""The lab's pages as HTML: ``page("en/chapters/04-attention/")``.

Every link is relative, so the same HTML works at a server's root and as files under any path. Pages hold prose and
empty figures; the figures' numbers come from ``data.py`` when the page asks for them.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from glaswerk import __version__
from glaswerk.course import LANGUAGES
from glaswerk.course.chapter import load_chapter
from glaswerk.course.glossary import glossary
from glaswerk.course.outline import OUTLINE, entry, neighbours
from glaswerk.course.render import Renderer
from glaswerk.course.review import TARGET
from glaswerk.serve.modules import imported
from glaswerk.serve.words import WORDS

WEB = Path(__file__).resolve().parent.parent / "web"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


# ---------------------------------------------------------------------------------------------- which pages there are
def paths() -> list[str]:
    """Every page that there is, as a path without a slash in front."""
    chapters = [f"chapters/{found.name}/" for found in OUTLINE if found.written]
    return [f"{language}/{rest}" for language in LANGUAGES for rest in [*SIMPLE, *chapters]]


def known(path: str) -> bool:
    """Whether there is such a page."""
    return path in paths()


def page(path: str) -> tuple[str, str]:
    """A page's HTML and its Content-Security-Policy. Raises ``LookupError`` where there is none."""
    if not known(path):
        raise LookupError(path)
    language, _, rest = path.partition("/")
    if rest.startswith("chapters/") and rest != "chapters/":
        return chapter(path, language, rest.split("/")[1])
    return SIMPLE[rest](path, language)


# ---------------------------------------------------------------------------------------------- the pages
def home(path: str, language: str) -> tuple[str, str]:
    """What this is, the open model, the chapters."""
    return render("home.html", path, language, WORDS["home_title"], widgets=["model-card", "training"], outline=OUTLINE)


def life(path: str, language: str) -> tuple[str, str]:
    """The flagship: a prompt's way through the model."""
    return render("life.html", path, language, WORDS["life_title"], widgets=["life", "compare"])


def chapters(path: str, language: str) -> tuple[str, str]:
    """The list of chapters."""
    return render("chapters.html", path, language, WORDS["chapters_title"], outline=OUTLINE)


def models(path: str, language: str) -> tuple[str, str]:
    """The open model: its parts."""
    return render("models.html", path, language, WORDS["models_title"], widgets=["model-card", "weights", "training"])


def review(path: str, language: str) -> tuple[str, str]:
    """The quiz cards that are due."""
    share = f"{TARGET:.0%}".replace("%", " %")
    return render("review.html", path, language, WORDS["review_title"], widgets=["review"], share=share)


def words(path: str, language: str) -> tuple[str, str]:
    """The glossary."""
    renderer = Renderer(language, up="../")
    terms = sorted(glossary().values(), key=lambda term: term.word[language].casefold())
    shown = [
        {
            "key": term.key,
            "word": term.word[language],
            "other": term.word["de" if language == "en" else "en"],
            "concept": term.concept,
            "text": Markup(renderer.line(term.text[language])),
            "chapter": entry(term.chapter) if term.chapter else None,
            "see": [(key, glossary()[key].word[language]) for key in term.see],
        }
        for term in terms
    ]
    return render("glossary.html", path, language, WORDS["glossary_title"], terms=shown)


def chapter(path: str, language: str, name: str) -> tuple[str, str]:
    """A chapter: prose, quiz, exercises."""
    loaded = load_chapter(name)
    renderer = Renderer(language)
    prose = Markup(renderer.page(loaded.prose[language], loaded.entry.name))
    quiz = [
        {
            "id": question.id,
            "q": Markup(renderer.line(question.q[language])),
            "options": [Markup(renderer.line(option[language])) for option in question.options],
            "answer": question.answer,
            "why": Markup(renderer.line(question.why[language])),
        }
        for question in loaded.quiz
    ]
    exercises = [
        {
            "id": exercise.id,
            "kind": exercise.kind,
            "q": Markup(renderer.page(exercise.q[language], loaded.entry.name)),
            "answer": Markup(renderer.page(exercise.answer[language], loaded.entry.name)) if exercise.answer else None,
            "stub": Markup(renderer.code(exercise.stub.read_text("utf-8"))) if exercise.stub else None,
            "file": exercise.stub.name if exercise.stub else None,
        }
        for exercise in loaded.exercises
    ]
    before, after = neighbours(name)
    return render(
        "chapter.html",
        path,
        language,
        loaded.entry.title,
        widgets=list(dict.fromkeys(renderer.widgets)),
        chapter=loaded,
        prose=prose,
        quiz=quiz,
        exercises=exercises,
        before=before,
        after=after,
    )


SIMPLE: dict[str, Callable[[str, str], tuple[str, str]]] = {
    "": home,
    "life/": life,
    "chapters/": chapters,
    "models/": models,
    "review/": review,
    "glossary/": words,
}


def missing(path: str) -> tuple[str, str]:
    """The page for an address that is none."""
    language = path.split("/")[0] if path.split("/")[0] in LANGUAGES else "en"
    # what the browser sees as the page's folder is that of the wrong address
    depth = path.count("/")
    return render("missing.html", "x/" * depth, language, WORDS["missing_title"], swap=False)


# ---------------------------------------------------------------------------------------------- putting together
@lru_cache(maxsize=1)
def environment() -> Environment:
    """Jinja2 with everything escaped; a template reads its file again when it changed."""
    folder = Path(__file__).resolve().parent / "templates"
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(
    template: str, path: str, language: str, title: dict[str, str], widgets: list[str] | None = None, **values: Any
) -> tuple[str, str]:
    """A template within the frame that all pages share, and the page's policy: its one inline script, the import map,
    is allowed by its hash."""
    up = "../" * path.count("/")
    names = vendored()
    imports = import_map(names, up)
    scripts = ["shell.js", *(f"widgets/{name}.js" for name in widgets or [] if names)]
    text = (
        environment()
        .get_template(template)
        .render(
            language=language,
            languages=LANGUAGES,
            title=title[language],
            path=path,
            rest=path.partition("/")[2],
            up=up,
            root=f"{up}{language}/",
            importmap=Markup(imports),
            vendored=bool(names),
            scripts=scripts,
            modules=imported(WEB, scripts, names),
            version=__version__,
            glossary={key: term.text[language] for key, term in glossary().items()}
            if template == "chapter.html"
            else {},
            w={key: value[language] for key, value in WORDS.items()},
            swap=values.pop("swap", True),
            **values,
        )
    )
    return text, policy(imports)


def policy(imports: str) -> str:
    """What a page may load; its one inline script, the import map, by its hash."""
    digest = base64.b64encode(hashlib.sha256(imports.encode()).digest()).decode()
    return POLICY.replace("script-src 'self'", f"script-src 'self' 'sha256-{digest}'")


def vendored() -> dict[str, str]:
    """The modules that ours import by name, and their files below ``web/vendor``; empty: they are not there."""
    try:
        names: dict[str, str] = json.loads((WEB / "vendor" / "vendor.json").read_text("utf-8"))["imports"]
    except (OSError, ValueError, KeyError):
        return {}
    return names


def import_map(names: dict[str, str], up: str) -> str:
    """Where the browser finds them, as JSON."""
    places = {name: f"{up}web/vendor/{file}" for name, file in names.items()}
    # a place in an import map needs ./ or ../ in front
    places = {name: place if place.startswith("../") else f"./{place}" for name, place in places.items()}
    return json.dumps({"imports": places}, separators=(",", ":"))
