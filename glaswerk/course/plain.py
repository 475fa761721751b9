"""A chapter's Markdown as plain text, for the terminal: concepts, terms and numbers replaced, simple formulas written
with Unicode. Left out: blocks (headings, fences); questions and exercises are one or a few paragraphs.
"""

from __future__ import annotations

import re

from glaswerk.course.glossary import CONCEPTS, glossary
from glaswerk.course.render import Renderer

#: LaTeX names that questions use, as characters
SIGNS = {
    "cdot": "·", "times": "×", "le": "≤", "ge": "≥", "ne": "≠", "approx": "≈", "to": "→", "ln": "ln", "log": "log",
    "exp": "exp", "sum": "Σ", "infty": "∞", "alpha": "α", "beta": "β", "eta": "η", "theta": "θ", "sigma": "σ",
    "lambda": "λ", "nabla": "∇", "partial": "∂", "ldots": "…", "dots": "…", "quad": "  ", "pm": "±", "in": "∈",
}  # fmt: skip
POWERS = str.maketrans("0123456789+-n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ")
BELOW = str.maketrans("0123456789+-", "₀₁₂₃₄₅₆₇₈₉₊₋")


def plain(text: str, language: str, chapter: str = "") -> str:
    """``text`` without marks. ``chapter`` is where its numbers come from, as in :class:`Renderer`."""
    text = Renderer(language).with_numbers_of(chapter, text)
    pieces = re.split(r"(`[^`\n]+`)", text)
    return "".join(piece[1:-1] if piece.startswith("`") else _unmarked(piece, language) for piece in pieces).strip()


def _unmarked(text: str, language: str) -> str:
    text = re.sub(r"\$\$(.+?)\$\$|\$([^$\n]+)\$", lambda match: formula(match[1] or match[2]), text, flags=re.DOTALL)
    text = re.sub(rf"\{{(?:{'|'.join(CONCEPTS)}):([^{{}}\n]+)\}}", r"\1", text)
    text = re.sub(r"\[\[([a-z0-9-]+)(?:\|([^\]\n]+))?\]\]", lambda match: match[2] or _word(match[1], language), text)
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text)  # a link's words
    return re.sub(r"(\*\*|\*|__|\b_|_\b)(?=\S)(.+?)(?<=\S)\1", r"\2", text)


def _word(key: str, language: str) -> str:
    found = glossary().get(key)
    return found.word[language] if found else key


def formula(latex: str) -> str:
    """A short formula in one line of characters."""
    text = re.sub(r"\\(?:text|mathrm|operatorname|mathbf)\{([^{}]*)\}", r"\1", latex)
    text = re.sub(rf"\\(?:{'|'.join(CONCEPTS)})\{{([^{{}}]*)\}}", r"\1", text)
    text = text.replace("{,}", ",").replace("\\,", " ").replace("\\%", " %").replace("\\_", "_")
    for _ in range(3):  # nested ones from the inside out
        text = re.sub(r"\\sqrt\{([^{}]*)\}", lambda match: "√" + _grouped(match[1]), text)
        text = re.sub(r"\\d?frac\{([^{}]*)\}\{([^{}]*)\}", lambda m: f"{_grouped(m[1])}/{_grouped(m[2])}", text)
        text = re.sub(r"\^(?:\{([^{}\\]*)\}|([^\\\s]))", lambda m: _raised(m[1] or m[2]), text)
        text = re.sub(r"_(?:\{([^{}\\]*)\}|([^\\\s]))", lambda m: _lowered(m[1] or m[2]), text)
    text = re.sub(r"\\([a-zA-Z]+)", lambda match: SIGNS.get(match[1], match[1]), text)
    return re.sub(r"[{}\\]", "", text)


def _grouped(text: str) -> str:
    return text if re.fullmatch(r"[\w.,√]+", text) else f"({text})"


def _raised(text: str) -> str:
    return text.translate(POWERS) if re.fullmatch(r"[0-9+\-n]+", text) else f"^{_grouped(text)}"


def _lowered(text: str) -> str:
    return text.translate(BELOW) if re.fullmatch(r"[0-9+\-]+", text) else f"_{_grouped(text)}"
