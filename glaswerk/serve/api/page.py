"""The two pages of a server: the chat (in the browser's language) and the reference. Neither holds anything of anybody,
so neither wants a key; all their files come from this server.
"""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from glaswerk.course import LANGUAGES
from glaswerk.serve import pages
from glaswerk.serve.api.openapi import tables
from glaswerk.serve.modules import imported
from glaswerk.serve.words import WORDS


def language_of(wanted: str) -> str:
    """The first language of an Accept-Language header that we have."""
    named = (part.strip()[:2].lower() for part in wanted[:1000].split(","))
    return next((name for name in named if name in LANGUAGES), "en")


def chat(language: str) -> tuple[str, str]:
    """The chat page and its Content-Security-Policy."""
    names = pages.vendored()
    imports = pages.import_map(names, "")
    text = draw("chat.html", language, title="Glaswerk", importmap=Markup(imports), vendored=bool(names),
                modules=imported(pages.WEB, ["chat/page.js"], names))  # fmt: skip
    return text, pages.policy(imports)


def reference() -> tuple[str, str]:
    """The reference and its policy."""
    return draw("reference.html", "en", title="API reference · Glaswerk", **tables()), pages.POLICY


def draw(template: str, language: str, **values: Any) -> str:
    """A template of this folder."""
    words = {key: value[language] for key, value in WORDS.items()}
    return pages.environment().get_template(f"api/{template}").render(language=language, w=words, **values)
