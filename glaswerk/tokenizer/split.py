"""Normalise and cut: what happens to text before a BPE merges anything inside the pieces.

A :class:`Split` is read from (and kept as) the ``normalizer`` and ``pre_tokenizer`` parts of a Hugging Face
``tokenizer.json``; its steps are those that byte-level BPE models use. Left out: Metaspace
(``metaspace.py``), and anything else, which is refused by name.
"""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable
from typing import Any

import regex

from glaswerk.errors import GlaswerkError
from glaswerk.tokenizer.patterns import GPT2, GPT2_DIGITS, PATTERNS

Step = Callable[[list[str]], list[str]]

#: longer expressions than this are refused: a hostile file must not cost minutes of compiling
PATTERN_LIMIT = 10_000
#: seconds that one of a stranger's expressions may spend on one text
PATTERN_SECONDS = 10.0
#: our own expressions match every character of any text, so that `findall` alone cuts it
_COVERING: frozenset[str | None] = frozenset(PATTERNS.values())


class Split:
    """``split(text) -> pieces``; ``pattern`` is the one expression that cuts the same, where there is one, else
    None."""

    def __init__(self, pre_tokenizer: dict[str, Any], normalizer: dict[str, Any] | None = None) -> None:
        self.pre_tokenizer = pre_tokenizer
        self.normalizer = normalizer
        self.normalise = _normaliser(normalizer)
        self.pattern: str | None = None
        parts = flatten(pre_tokenizer, "pretokenizers")
        self._steps = [step for part in parts for step in _steps(part)]
        if len(self._steps) == 1:
            self.pattern = next((found for part in parts if (found := _expression(part))), None)
        if [_steps_of(part) for part in parts] == [r"\p{N}", GPT2]:
            self.pattern = GPT2_DIGITS
        self._find = regex.compile(self.pattern).findall if self.pattern in _COVERING else None

    @classmethod
    def by_pattern(cls, pattern: str) -> Split:
        """Cut by one expression, then look at bytes: the form of GPT-2, GPT-4 and Llama 3."""
        if pattern == GPT2:
            return cls(byte_level(use_regex=True))
        if pattern == GPT2_DIGITS:
            return cls(DIGITS)
        cut = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
        return cls({"type": "Sequence", "pretokenizers": [cut, byte_level(use_regex=False)]})

    def __call__(self, text: str) -> list[str]:
        """The pieces of ``text``; joined, they give the normalised text back."""
        text = self.normalise(text)
        if self._find is not None:
            return self._find(text)
        pieces = [text] if text else []
        for step in self._steps:
            pieces = step(pieces)
        return pieces


def byte_level(*, use_regex: bool) -> dict[str, Any]:
    """The ``ByteLevel`` pre-tokenizer as JSON; with ``use_regex`` it cuts by the GPT-2 pattern itself."""
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}


#: the cuts of :data:`glaswerk.tokenizer.patterns.GPT2_DIGITS`, as SmolLM2 spells them
DIGITS: dict[str, Any] = {
    "type": "Sequence",
    "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level(use_regex=True)],
}


def flatten(part: Any, key: str) -> list[dict[str, Any]]:
    """The steps of a ``Sequence`` (or the one step), each an object with a ``type``."""
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(kind, str) or not kind.isidentifier() or len(kind) > 40:
        raise GlaswerkError("tokenizer.json: a step of the normalizer or pre_tokenizer is no object with a type")
    if part["type"] != "Sequence":
        return [part]
    inner = part.get(key)
    if not isinstance(inner, list) or len(inner) > 16:
        raise GlaswerkError(f"tokenizer.json: a Sequence needs a list {key} of at most 16 steps")
    if any(isinstance(step, dict) and step.get("type") == "Sequence" for step in inner):
        raise GlaswerkError("tokenizer.json: a Sequence inside a Sequence is not supported")
    return [step for one in inner for step in flatten(one, key)]


def _normaliser(part: dict[str, Any] | None) -> Callable[[str], str]:
    if part is None:
        return lambda text: text
    forms = []
    for step in flatten(part, "normalizers"):
        if step["type"] not in ("NFC", "NFKC", "NFD", "NFKD"):
            raise GlaswerkError(f"tokenizer.json: the normalizer {step['type']} is not supported")
        forms.append(step["type"])

    def normalise(text: str) -> str:
        for form in forms:
            text = unicodedata.normalize(form, text)
        return text

    return normalise


def _expression(part: dict[str, Any]) -> str | None:
    """The expression that a step cuts by, if it keeps everything between the cuts."""
    if part["type"] == "ByteLevel":
        return GPT2 if part.get("use_regex", True) else None
    return _regex_of(part) if part["type"] == "Split" and part.get("behavior") == "Isolated" else None


def _steps_of(part: dict[str, Any]) -> str | None:
    """The expression of single digits too, which :func:`_expression` has not."""
    if part["type"] == "Digits":
        return r"\p{N}" if part.get("individual_digits", False) is True else None
    return _expression(part) if part.get("add_prefix_space", True) is False else None


def _steps(part: dict[str, Any]) -> list[Step]:
    kind = part["type"]
    if kind == "ByteLevel":
        steps: list[Step] = [_prefix_space] if part.get("add_prefix_space", True) else []
        return [*steps, _cutter(GPT2)] if part.get("use_regex", True) else steps
    if kind == "Split":
        if part.get("behavior") != "Isolated":
            if part.get("behavior") != "Removed" or part.get("invert") is not True:
                raise GlaswerkError(
                    f"tokenizer.json: Split with behavior {str(part.get('behavior'))[:40]!r} is not supported"
                )
        elif part.get("invert", False) is not False:
            raise GlaswerkError("tokenizer.json: an inverted, isolating Split is not supported")
        return [_cutter(_regex_of(part), keep_rest=part["behavior"] == "Isolated")]
    if kind == "Digits":
        return [_cutter(r"\p{N}" if part.get("individual_digits", False) is True else r"\p{N}+")]
    raise GlaswerkError(f"tokenizer.json: the pre_tokenizer {kind} is not supported for a byte-level BPE")


def _regex_of(part: dict[str, Any]) -> str:
    given = part.get("pattern")
    if isinstance(given, dict) and isinstance(given.get("Regex"), str):
        return str(given["Regex"])
    if isinstance(given, dict) and isinstance(given.get("String"), str):
        return str(regex.escape(given["String"]))
    raise GlaswerkError("tokenizer.json: a Split needs a pattern with a Regex or a String")


def _prefix_space(pieces: list[str]) -> list[str]:
    return [piece if piece.startswith(" ") else " " + piece for piece in pieces]


def _cutter(pattern: str, keep_rest: bool = True) -> Step:
    """Cut each piece into the matches of ``pattern`` and what lies between them (dropped unless
    ``keep_rest``).
    """
    if len(pattern) > PATTERN_LIMIT:
        raise GlaswerkError(f"tokenizer.json: a Split pattern of {len(pattern):,} characters is too long")
    try:
        finder = regex.compile(pattern)
    except (regex.error, RecursionError, OverflowError, ValueError) as error:
        raise GlaswerkError(f"tokenizer.json: the Split pattern {pattern[:60]!r} does not compile: {error}") from error

    def cut(pieces: list[str]) -> list[str]:
        out: list[str] = []
        until = time.monotonic() + PATTERN_SECONDS
        for piece in pieces:
            end = 0
            try:
                for match in finder.finditer(piece, timeout=max(until - time.monotonic(), 0.001)):
                    if match.start() > end and keep_rest:
                        out.append(piece[end : match.start()])
                    if match.end() > match.start():
                        out.append(match.group())
                        end = match.end()
            except TimeoutError as error:
                raise GlaswerkError(f"the tokenizer's pattern {pattern[:60]!r} takes too long on this text") from error
            if end < len(piece) and keep_rest:
                out.append(piece[end:])
        return out

    return cut
