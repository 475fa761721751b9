"""Which of two sentences does a model find likelier, the true or the false one?

Pairs of a run's own corpus share all words but one title: the first sentence of a text, and the same words said of
another text's title. Other models get sentences that are often told wrongly (``facts.toml``). Left out: who decides
what is true; here it is the corpus, or the course.
"""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glaswerk.corpora import Document, documents
from glaswerk.corpora.sentences import first_sentences
from glaswerk.evaluate.likelihood import asked, likelihoods
from glaswerk.run import Run
from glaswerk.tokenizer.chip import chip

if TYPE_CHECKING:
    from glaswerk.opened import OpenedModel

#: pairs of a corpus, and the longest sentence of one in characters
PAIRS, LONGEST = 48, 140


@lru_cache(maxsize=2)
def swapped(path: Path) -> list[tuple[str, str]]:
    """True and false sentences of a run's corpus, drawn once and always the same: the title that a first sentence
    begins with is exchanged for another one of the same topic that the same verb follows. Empty where there are too
    few."""
    alike: dict[tuple[str, str], list[Document]] = defaultdict(list)
    for document in documents(Run(path).corpus, "train"):
        text, title = first_sentences(document.text, LONGEST), document.title
        if title and text.startswith(f"{title} ") and text.endswith(".") and len(text) <= LONGEST:
            verb = text.removeprefix(title).split()[0]
            alike[document.topic, verb].append(Document(text, title))
    fitting = [(document, all_) for all_ in alike.values() if len(all_) > 1 for document in all_]
    rng = np.random.default_rng(13)
    pairs = []
    for place in rng.permutation(len(fitting))[:PAIRS].tolist():
        document, all_ = fitting[place]
        others = [other.title for other in all_ if other.title != document.title]
        if others:
            other = others[int(rng.integers(len(others)))]
            pairs.append((document.text, other + document.text.removeprefix(document.title)))
    return pairs if len(pairs) == PAIRS else []


def priced(model: OpenedModel, sentences: list[str]) -> list[dict[str, Any]]:
    """Each sentence after the end of another text: its tokens with their losses (nats), the mean and the sum."""
    texts = [asked(model, "", sentence) for sentence in sentences]
    found = likelihoods(model.model, texts)
    return [
        {
            "tokens": [chip(model.tokenizer.token_bytes(number)) for number in text.ids[text.start :]],
            "losses": [-nats for nats in each.nats],
            "mean": -each.total / len(each.nats),
            "total": -each.total,
        }
        for text, each in zip(texts, found, strict=True)
    ]
