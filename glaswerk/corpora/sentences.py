"""Sentences of a text, and which language it is in: what questions about a corpus are made from.

Left out: languages other than English and German; sentences inside quotations and lists.
"""

from __future__ import annotations

import re

#: an answer is this long at most, in characters: a sentence or two. Longer ones leave time for fewer questions
ANSWER = 200
#: a sentence ends at . ! or ? before a space and a capital, quote or digit; not after an initial or an abbreviation
SENTENCE_END = re.compile(
    r'(?<=[.!?])(?<!\b[A-ZÄÖÜ]\.)(?<!\b[A-Za-z]\.[A-Za-z]\.)(?<!\b(?:St|Dr|Mr|Ms|ca|bc|al|vs|No|cf)\.)\s+(?=["„“(\[]?[A-ZÄÖÜ0-9])'
)
GERMAN = frozenset(
    [
        "der",
        "die",
        "das",
        "und",
        "ist",
        "ein",
        "eine",
        "nicht",
        "von",
        "mit",
        "für",
        "auf",
        "den",
        "dem",
        "wird",
        "auch",
        "sich",
        "als",
    ]
)
ENGLISH = frozenset(
    ["the", "and", "of", "to", "in", "is", "was", "that", "for", "with", "as", "on", "by", "are", "an", "it", "from"]
)


def language(text: str) -> str:
    """``"de"`` or ``"en"``, by which language's commonest words are more frequent at the beginning."""
    beginning = re.findall(r"[a-zäöüß]+", text[:2000].lower())
    return "de" if sum(w in GERMAN for w in beginning) > sum(w in ENGLISH for w in beginning) else "en"


def first_sentences(text: str, limit: int = ANSWER) -> str:
    """As many whole sentences from the start as fit into ``limit`` characters; at least one, cut at a space if it is
    longer. Text without sentences (code, verse) is cut at a line end where there is one."""
    text = text.strip()
    if len(text) <= limit:
        return text
    taken = 0
    for match in SENTENCE_END.finditer(text[: limit + 2]):
        taken = match.start()
    if taken:
        return text[:taken].rstrip()
    cut = max(text.rfind("\n", limit // 4, limit), 0) or text.rfind(" ", 0, limit)
    return text[: cut if cut > 0 else limit].rstrip()
