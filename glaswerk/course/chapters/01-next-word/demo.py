"""What chapter 1 computes: n-gram counts beside the open model, the price of a text in bits, what of a text is by
heart, and what a chat program puts around a question.

The counts are of the open run's own training text where there is one, else of a pulled corpus in the model's tokens.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from glaswerk import pull
from glaswerk.corpora import Packed
from glaswerk.corpora.catalogue import CORPORA
from glaswerk.course.demo import demo
from glaswerk.errors import GlaswerkError, NotHere
from glaswerk.run import Run
from glaswerk.tokenizer.chip import chip

if TYPE_CHECKING:
    from glaswerk.opened import OpenedModel
    from glaswerk.tokenizer import Tokenizer

#: which pulled corpus is counted where the model brings none: the first that is there
PULLED = ("wikipedia-en", "shakespeare", "bible-en", "pairs-de-en", "wiktionary-de", "wordnet-en")
#: characters of it that are counted, and of those encoded at a time; tokens of a run's own text
MOST_CHARACTERS, AT_A_TIME, MOST_TOKENS = 2_000_000, 250_000, 20_000_000
#: the longest n-gram, followers named, tokens written, tokens of a passage shown and asked for
LONGEST, NAMED, WRITTEN, SHOWN, ASKED = 5, 6, 40, 24, 24
#: how long a stretch must be to count as copied
COPIED = 5


# ---------------------------------------------------------------------------------------------- the corpus
@dataclass(frozen=True, eq=False)
class Counted:
    """A text as one row of token ids. ``own``: the model learned from it."""

    name: str
    own: bool
    ids: np.ndarray

    def followers(self, context: Sequence[int]) -> np.ndarray:
        """What follows ``context`` in the text: one id for each place where it stands."""
        places = self.places(context)
        return self.ids[places[places < len(self.ids)]]

    def places(self, context: Sequence[int]) -> np.ndarray:
        """Where each occurrence of ``context`` ends (the place behind its last token)."""
        size = len(self.ids) - len(context) + 1
        if size < 1:
            return np.zeros(0, dtype=np.int64)
        fits = np.arange(size) if not context else np.flatnonzero(self.ids[:size] == context[0])
        for offset, number in enumerate(context[1:], 1):
            fits = fits[self.ids[fits + offset] == number]
        return fits + len(context)


def counted(model: OpenedModel) -> Counted:
    """The text that is counted for this model. Raises :class:`GlaswerkError` where there is none."""
    run = model.origin.run
    if run is not None and (run / "corpus" / "index.json").is_file():
        train = Packed(run / "corpus").train
        if len(train) >= 1000:
            return own_text(str(run), len(train))
    for name in PULLED:
        if pull.is_pulled(name):
            return pulled_text(name, model.tokenizer)
    raise NotHere(
        "there is no text to count: fetch one with `glaswerk pull wikipedia-en`, then reload this page",
        "Es gibt keinen Text zum Zählen. Hol einen mit `glaswerk pull wikipedia-en` und lade diese Seite neu.",
    )


@lru_cache(maxsize=2)
def own_text(run: str, _tokens: int) -> Counted:
    """The training text of a run, as its model read it."""
    opened = Run(run)
    return Counted(opened.name, True, np.array(Packed(opened.corpus).train[:MOST_TOKENS], dtype=np.int32))


@lru_cache(maxsize=2)
def pulled_text(name: str, tokenizer: Tokenizer) -> Counted:
    """The beginning of a pulled corpus in the tokens of a model."""
    parts: list[np.ndarray] = []
    waiting, size, total = [], 0, 0
    for document in CORPORA[name](pull.path(name)):
        waiting.append(document.headed)
        size += len(waiting[-1])
        if size >= AT_A_TIME:
            parts.append(np.array(tokenizer.encode("\n\n".join(waiting)), dtype=np.int32))
            total, waiting, size = total + size, [], 0
        if total >= MOST_CHARACTERS:
            break
    parts.append(np.array(tokenizer.encode("\n\n".join(waiting)), dtype=np.int32))
    return Counted(name, False, np.concatenate(parts))


def about(text: Counted) -> dict[str, Any]:
    """What a figure says about it."""
    return {"corpus": text.name, "own": text.own, "corpus_tokens": len(text.ids)}


# ---------------------------------------------------------------------------------------------- the model
def ids_of(model: OpenedModel, text: str, room: int = 0) -> list[int]:
    """The ids of a text; one clear line where it is empty or leaves no ``room`` in the context."""
    if not text:
        raise GlaswerkError(
            "the text is empty: type at least one character", "Der Text ist leer. Gib mindestens ein Zeichen ein."
        )
    ids = model.prompt_ids(text)
    if len(ids) + room > model.model.config.context:
        raise GlaswerkError(
            f"the text has {len(ids):,} tokens and the context of {model.origin.name} is "
            f"{model.model.config.context:,}: shorten it",
            f"Der Text hat {len(ids)} Tokens, und in den Kontext von {model.origin.name} passen "
            f"{model.model.config.context}. Kürze ihn.",
        )
    return ids


@torch.inference_mode()
def shares(model: OpenedModel, ids: Sequence[int]) -> torch.Tensor:
    """The probabilities of the next token at each place, ``[T, V]``."""
    known = model.tokenizer.vocabulary_size
    return model.model(torch.tensor([list(ids)]))[0, :, :known].float().softmax(-1)


def named(model: OpenedModel, number: int) -> str:
    """A token as it stands on its chip."""
    return chip(model.tokenizer.token_bytes(int(number)))


def chips(model: OpenedModel, ids: Sequence[int]) -> list[str]:
    """Tokens as they stand on their chips."""
    return [named(model, number) for number in ids]


# ---------------------------------------------------------------------------------------------- counting
@demo(prompt=400)
def ngrams(model: OpenedModel, prompt: str = "Hello") -> dict[str, Any]:
    """What follows the last 0 to 4 tokens of ``prompt`` in the corpus, and what the model expects after all of it."""
    ids = ids_of(model, prompt)
    text = counted(model)
    rows = []
    for length in range(min(LONGEST, len(ids) + 1)):
        context = ids[len(ids) - length :]
        followers = Counter(text.followers(context).tolist())
        total = sum(followers.values())
        rows.append(
            {
                "n": length + 1,
                "context": chips(model, context),
                "seen": total,
                "different": len(followers),
                "top": [
                    {"token": named(model, number), "count": count, "share": count / total}
                    for number, count in followers.most_common(NAMED)
                ],
            }
        )
    likely = shares(model, ids)[-1].topk(NAMED)
    return {
        "model": model.origin.name,
        "prompt": prompt,
        **about(text),
        "rows": rows,
        "top": [
            {"token": named(model, number), "share": share}
            for number, share in zip(likely.indices.tolist(), likely.values.tolist(), strict=True)
        ],
    }


def spoken(text: Counted, n: int, generator: np.random.Generator, start: Sequence[int]) -> list[int]:
    """A text by counts: each token drawn from what followed the last ``n`` - 1 in the corpus; where these never stood
    together, fewer of them."""
    ids = list(start)
    for _ in range(WRITTEN):
        for length in range(min(n - 1, len(ids)), -1, -1):
            followers = text.followers(ids[len(ids) - length :])
            if len(followers):
                ids.append(int(followers[generator.integers(len(followers))]))
                break
    return ids[len(start) :]


@demo(prompt=400, seed=(0, 1_000_000))
def babble(model: OpenedModel, prompt: str = "Hello", seed: int = 1) -> dict[str, Any]:
    """Continuations of ``prompt`` by counts of 1 to 5 tokens and by the model; of each, how much is copied."""
    ids = ids_of(model, prompt, room=WRITTEN)
    text = counted(model)
    made = model.generate(prompt, max_tokens=WRITTEN, temperature=0.8, top_p=0.95, seed=seed)
    lines: list[tuple[int, list[int]]] = [
        (n, spoken(text, n, np.random.default_rng(seed), ids)) for n in (1, 2, 3, LONGEST)
    ]
    return {
        "model": model.origin.name,
        "prompt": prompt,
        **about(text),
        "length": COPIED,
        "lines": [
            {"n": n, "tokens": chips(model, line), "copied": copied(text, line)} for n, line in [*lines, (0, made.ids)]
        ],
    }


def copied(text: Counted, ids: Sequence[int]) -> list[bool]:
    """Which tokens lie in a stretch of at least ``COPIED`` that stands in the corpus word for word."""
    found = [False] * len(ids)
    for start in range(len(ids) - COPIED + 1):
        if len(text.places(ids[start : start + COPIED])):
            found[start : start + COPIED] = [True] * COPIED
    return found


# ---------------------------------------------------------------------------------------------- compression
@demo(text=600)
def bits(model: OpenedModel, text: str = "Hello") -> dict[str, Any]:
    """What a text costs when the model's probabilities are the code: minus the binary logarithm of each token's, beside
    its bytes and what zlib makes of them. The first token is charged as if all were equally likely."""
    ids = ids_of(model, text)
    chances = shares(model, ids)[:-1].gather(-1, torch.tensor(ids[1:], dtype=torch.long)[:, None])[:, 0].tolist()
    first = math.log2(model.tokenizer.vocabulary_size)
    costs = [first, *(-math.log2(max(chance, 1e-30)) for chance in chances)]
    size = len(text.encode())
    return {
        "model": model.origin.name,
        "prompt": text,
        "tokens": [
            {"token": name, "bits": cost, "probability": 2.0**-cost}
            for name, cost in zip(chips(model, ids), costs, strict=True)
        ],
        "bytes": size,
        "model_bits": sum(costs),
        "zlib_bits": 8 * len(zlib.compress(text.encode(), 9)),
        "even_bits": first * len(ids),
    }


@demo(place=(0, 999))
def recall(model: OpenedModel, place: int = 0) -> dict[str, Any]:
    """A passage of the corpus: the model reads its beginning and goes on greedily. How much comes back as it was?"""
    text = counted(model)
    shown = min(SHOWN, model.model.config.context // 2)
    asked = min(ASKED, model.model.config.context - shown)
    start = place * max(1, (len(text.ids) - shown - asked) // 1000)
    passage = text.ids[start : start + shown + asked].tolist()
    begun, true = passage[:shown], passage[shown:]
    # as ids, so that no token is cut anew
    made = continued(model, begun, len(true))
    right = [one == other for one, other in zip(made, true, strict=True)]
    return {
        "model": model.origin.name,
        **about(text),
        "begun": chips(model, begun),
        "true": chips(model, true),
        "made": chips(model, made),
        "right": right,
        "by_heart": right.index(False) if False in right else len(right),
    }


def continued(model: OpenedModel, ids: Sequence[int], tokens: int) -> list[int]:
    """``tokens`` likeliest tokens one after the other."""
    from glaswerk.generate import SamplingOptions, complete

    options = SamplingOptions(max_tokens=tokens)
    # nothing ends the text: as many tokens as the passage has
    return complete(model.model, model.tokenizer, ids, options, end_ids=()).ids


@demo()
def size(model: OpenedModel) -> dict[str, Any]:
    """The weights' bytes at 16 bits each, beside the bytes of the text that is counted."""
    text = counted(model)
    total = model.model.parameters_count()["total"]
    lengths = np.array([len(model.tokenizer.token_bytes(number)) for number in range(model.tokenizer.vocabulary_size)])
    return {
        "model": model.origin.name,
        **about(text),
        "parameters": total,
        "weight_bytes": 2 * total,
        "corpus_bytes": int(lengths[text.ids].sum()),
    }


# ---------------------------------------------------------------------------------------------- the product
@demo(question=400, rules=200, seed=(0, 1_000_000))
def product(model: OpenedModel, question: str = "Hello", rules: str = "", seed: int = 1) -> dict[str, Any]:
    """What a chat program sends for one question, token by token, and what the model writes behind it; for a model
    without a chat format, the bare text."""
    if not question.strip():
        raise GlaswerkError(
            "the question is empty: type at least one character", "Die Frage ist leer. Gib mindestens ein Zeichen ein."
        )
    system = [{"role": "system", "content": rules}] if rules.strip() else []
    messages = [*system, {"role": "user", "content": question}]
    ids = model.chat_ids(messages) if model.has_chat else ids_of(model, question)
    room = model.model.config.context - len(ids)
    if room < 1:
        raise GlaswerkError(
            f"with its frame that is {len(ids):,} tokens, more than the context holds: shorten it",
            f"Mit ihrem Rahmen sind das {len(ids)} Tokens, mehr als in den Kontext passen. Kürze die Frage.",
        )
    options = {"max_tokens": min(48, room), "temperature": 0.7, "top_p": 0.95, "seed": seed}
    made = model.chat(messages, **options) if model.has_chat else model.generate(question, **options)
    special = set(model.tokenizer.special.values())
    return {
        "model": model.origin.name,
        "prompt": question,
        "chat": model.has_chat,
        "sent": [{"token": named(model, number), "special": number in special} for number in ids],
        "typed": len(model.tokenizer.encode(question.strip())),
        "reply": made.text,
        "reply_tokens": len(made.ids),
        "stopped": made.finish_reason == "stop",
    }


@demo()
def numbers() -> dict[str, float]:
    """The numbers of the prose and the quiz: how many rows of four tokens there can be, prices in bits."""
    words, context = 50_000, 4
    return {
        "contexts_exponent": math.floor(context * math.log10(words)),
        "half_bits": -math.log2(0.5),
        "quarter_bits": -math.log2(0.25),
        "thousandth_bits": -math.log2(0.001),
    }
