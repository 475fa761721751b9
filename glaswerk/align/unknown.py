"""Titles that a corpus does not have: those it kept back, and names made up letter by letter.

A made-up title has the sound of the corpus's own: each letter is drawn by which letters follow the three before it in
real titles (Shannon 1948). Left out: whether a title that no document has is still spoken of somewhere in a text; those
kept back are only taken where no training text says them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from glaswerk.corpora import documents
from glaswerk.run import Run

#: letters that decide the next one
ORDER = 3
END = "\0"


def kept_back(run: Run) -> list[str]:
    """Titles of held-out documents that stand nowhere in the training texts, in the corpus's order."""
    held = [document.title for document in documents(run.corpus, "val") if document.title]
    read = "\n".join(document.headed for document in documents(run.corpus, "train")).lower()
    return [title for title in dict.fromkeys(held) if title.lower() not in read]


def made_up(titles: Iterable[str], count: int, seed: int) -> list[str]:
    """``count`` different names in the manner of ``titles``, none of them among these; fewer where the titles are too
    few to vary."""
    real = {title for title in titles if title}
    follows: dict[str, list[str]] = defaultdict(list)
    for title in sorted(real):
        text = " " * ORDER + title + END
        for at in range(ORDER, len(text)):
            follows[text[at - ORDER : at]].append(text[at])
    rng = np.random.default_rng(seed)
    found: dict[str, None] = {}
    known = {title.lower() for title in real}
    for _ in range(50 * count if real else 0):
        name = " " * ORDER
        while not name.endswith(END) and len(name) < 60:
            choices = follows[name[-ORDER:]]
            name += choices[int(rng.integers(len(choices)))]
        name = name.strip(" " + END)
        if len(name) >= 4 and name.lower() not in known:
            found.setdefault(name)
        if len(found) == count:
            break
    return list(found)
