"""What chapter 3 computes: spelling against meaning; neighbours, analogies, maps and a bias axis in word vectors of
three origins; averages that lose word order; one word in two sentences, layer by layer in the open model.

The origins: ``glove`` (pulled), ``trained`` (word2vec, trained here on the pulled corpus), and the open model's own
embedding table. One that is not pulled is an error that says so; nothing is fetched from here.
"""

from __future__ import annotations

import math
import re
import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from glaswerk import pull
from glaswerk.corpora.catalogue import CORPORA
from glaswerk.course.demo import demo
from glaswerk.errors import GlaswerkError
from glaswerk.zoo import word2vec
from glaswerk.zoo.vectors import WordVectors, cosine, load_glove, pca

if TYPE_CHECKING:
    from glaswerk.opened import OpenedModel

ORIGINS = ("glove", "trained")
#: what word2vec learns from here, and how
CORPUS = "wikipedia-en"
TRAINING: dict[str, Any] = {"vocabulary": 3_000, "width": 48, "window": 4, "epochs": 1, "rate": 0.1}
WORD = re.compile(r"[^\W\d_]+")
#: a is to b as c is to d, in four kinds
ANALOGIES = {
    "capital": (
        ("france", "paris", "italy", "rome"),
        ("germany", "berlin", "spain", "madrid"),
        ("japan", "tokyo", "china", "beijing"),
        ("england", "london", "russia", "moscow"),
        ("egypt", "cairo", "greece", "athens"),
        ("austria", "vienna", "poland", "warsaw"),
        ("cuba", "havana", "peru", "lima"),
        ("iran", "tehran", "iraq", "baghdad"),
    ),
    "gender": (
        ("man", "king", "woman", "queen"),
        ("man", "uncle", "woman", "aunt"),
        ("boy", "brother", "girl", "sister"),
        ("he", "his", "she", "her"),
        ("father", "son", "mother", "daughter"),
        ("husband", "grandfather", "wife", "grandmother"),
        ("man", "actor", "woman", "actress"),
        ("prince", "king", "princess", "queen"),
    ),
    "verb": (
        ("walk", "walking", "swim", "swimming"),
        ("go", "went", "see", "saw"),
        ("run", "running", "sing", "singing"),
        ("play", "played", "walk", "walked"),
        ("think", "thought", "buy", "bought"),
        ("write", "writing", "read", "reading"),
        ("eat", "ate", "drink", "drank"),
        ("know", "knew", "take", "took"),
    ),
    "form": (
        ("big", "bigger", "small", "smaller"),
        ("good", "better", "bad", "worse"),
        ("car", "cars", "dog", "dogs"),
        ("child", "children", "man", "men"),
        ("fast", "fastest", "slow", "slowest"),
        ("city", "cities", "country", "countries"),
        ("quick", "quickly", "slow", "slowly"),
        ("happy", "unhappy", "known", "unknown"),
    ),
}
JOBS = (
    "nurse receptionist librarian teacher dancer writer artist "
    "lawyer doctor scientist manager engineer carpenter soldier"
)
#: ten animals on three hand-made axes from 0 to 10: how large, how tame, how dangerous
ANIMALS: dict[str, tuple[float, float, float]] = {
    "mouse": (0.5, 3, 0.5),
    "cat": (2, 9, 1),
    "dog": (3.5, 10, 2.5),
    "horse": (7.5, 8.5, 3),
    "cow": (8, 9, 2),
    "wolf": (4, 1, 7.5),
    "lion": (7, 0.5, 9.5),
    "shark": (8.5, 0, 9.5),
    "snake": (2, 1, 8),
    "elephant": (10, 4, 6),
}


# ---------------------------------------------------------------------------------------------- vectors
@lru_cache(maxsize=1)
def corpus() -> list[str]:
    """The texts that word2vec learns from."""
    return [document.text for document in CORPORA[CORPUS](pull.path(CORPUS))]


@lru_cache(maxsize=1)
def glove() -> WordVectors:
    """GloVe's 100,000 most frequent words."""
    return load_glove()


class Course:
    """word2vec on the corpus, trained as far as somebody asks: it goes on where it was."""

    def __init__(self, seed: int) -> None:
        self.steps = word2vec.course(corpus(), **TRAINING, seed=seed)
        self.told: list[word2vec.Trained] = []
        self.busy = threading.Lock()

    def upto(self, part: int) -> word2vec.Trained:
        """As it is after so many tenths."""
        with self.busy:
            while len(self.told) < part and (now := next(self.steps, None)) is not None:
                self.told.append(now)
            return self.told[:part][-1]


@lru_cache(maxsize=2)
def course(seed: int) -> Course:
    """The training that begins with a seed."""
    return Course(seed)


def trained() -> word2vec.Trained:
    """word2vec, trained to the end."""
    return course(0).upto(word2vec.PARTS)


def vectors(origin: str) -> WordVectors:
    """The vectors of one of ORIGINS."""
    return glove() if origin == "glove" else trained().vectors


@lru_cache(maxsize=1)
def of_model(model: OpenedModel) -> WordVectors:
    """The open model's embedding rows of all tokens that are a whole word after a space, in lower case; of a word that
    has several tokens there is none."""
    import torch

    words: dict[str, int] = {}
    tokenizer = model.tokenizer
    for number in range(tokenizer.vocabulary_size):
        text = tokenizer.token_bytes(number).decode(errors="replace")
        if text[:1] == " " and WORD.fullmatch(text[1:]) and text == text.lower():
            words.setdefault(text[1:], number)
    if len(words) < 3:
        raise GlaswerkError(
            "the open model's vocabulary has hardly any whole words: open a model with a larger one",
            "Im Vokabular des offenen Modells stehen kaum ganze Wörter. Öffne ein Modell mit einem größeren.",
        )
    with torch.no_grad():
        rows = model.model.embed(torch.tensor([list(words.values())]))[0].float().cpu().numpy()
    return WordVectors(list(words), rows)


# ---------------------------------------------------------------------------------------------- spelling, ids, meaning
@demo(words=8)
def apart(words: list[str] = ["cat", "car", "kitten", "feline"]) -> dict[str, Any]:  # noqa: B006 - never changed
    """Words as letters and as meanings: their codes, how many letters must change from the first to each, and GloVe's
    cosine with the first (null where GloVe has no such word)."""
    words = cleaned(words)
    known = glove()
    first = words[0]
    return {
        "words": [
            {
                "word": word,
                "codes": list(word.encode()),
                "changes": changes(first, word),
                "cosine": known.cosine(first, word) if first in known and word in known else None,
                "vector": known[word][:6] if word in known else None,
            }
            for word in words
        ],
        "width": known.matrix.shape[1],
    }


def cleaned(words: list[str]) -> list[str]:
    """Lower case, no spaces; at least one word of at most 30 letters."""
    found = [word.strip().lower()[:30] for word in words if word.strip()]
    if not found:
        raise GlaswerkError("type at least one word", "Gib mindestens ein Wort ein.")
    return found


def changes(one: str, other: str) -> int:
    """Levenshtein's distance: how many letters must be changed, added or taken away."""
    row = list(range(len(other) + 1))
    for place, letter in enumerate(one, 1):
        before, row[0] = row[0], place
        for at, wanted in enumerate(other, 1):
            before, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, before + (letter != wanted))
    return row[-1]


# ---------------------------------------------------------------------------------------------- neighbours, analogies
@demo(origin=ORIGINS, word=40)
def neighbours(origin: str = "glove", word: str = "cat") -> dict[str, Any]:
    """The ten words whose vectors point most in a word's direction."""
    return near(vectors(origin), word)


@demo(word=40)
def neighbours_open(model: OpenedModel, word: str = "cat") -> dict[str, Any]:
    """The same in the open model's embedding table."""
    return {"model": model.origin.name, **near(of_model(model), word)}


def near(known: WordVectors, word: str) -> dict[str, Any]:
    """Neighbours with their cosines, and of how many words."""
    word = cleaned([word])[0]
    found = known.nearest(known[word], 10, [word])
    return {"word": word, "of": len(known.words), "width": known.matrix.shape[1], "found": found}


@demo(origin=ORIGINS, a=40, b=40, c=40)
def analogy(
    origin: str = "glove", a: str = "man", b: str = "king", c: str = "woman", inputs: bool = False
) -> dict[str, Any]:
    """a is to b as c is to what? ``inputs``: the given words may be the answer too."""
    return solved(vectors(origin), a, b, c, inputs)


@demo(a=40, b=40, c=40)
def analogy_open(
    model: OpenedModel, a: str = "man", b: str = "king", c: str = "woman", inputs: bool = False
) -> dict[str, Any]:
    """The same in the open model's embedding table."""
    return {"model": model.origin.name, **solved(of_model(model), a, b, c, inputs)}


def solved(known: WordVectors, a: str, b: str, c: str, inputs: bool) -> dict[str, Any]:
    """The five best answers."""
    a, b, c = (cleaned([word])[0] for word in (a, b, c))
    return {"given": [a, b, c], "of": len(known.words), "found": known.analogy(a, b, c, 5, inputs)}


@demo(origin=ORIGINS)
def score(origin: str = "glove", inputs: bool = False) -> dict[str, Any]:
    """How many of this chapter's analogies the first answer gets right, by kind; those with a word that has no vector
    are left out and counted."""
    return scored(vectors(origin), inputs)


@demo()
def score_open(model: OpenedModel, inputs: bool = False) -> dict[str, Any]:
    """The same in the open model's embedding table."""
    return {"model": model.origin.name, **scored(of_model(model), inputs)}


def scored(known: WordVectors, inputs: bool) -> dict[str, Any]:
    """Right and asked, by kind and in all."""
    kinds: dict[str, dict[str, int]] = {}
    for kind, items in ANALOGIES.items():
        there = [item for item in items if all(word in known for word in item)]
        hits = sum(known.analogy(a, b, c, 1, inputs)[0][0] == d for a, b, c, d in there)
        kinds[kind] = {"right": hits, "asked": len(there), "left_out": len(items) - len(there)}
    right, asked = (sum(kind[key] for kind in kinds.values()) for key in ("right", "asked"))
    return {"kinds": kinds, "right": right, "asked": asked, "share": right / asked if asked else None}


# ---------------------------------------------------------------------------------------------- the map
@demo(origin=ORIGINS, words=600)
def plane(origin: str = "glove", words: str = "") -> dict[str, Any]:
    """Words on a flat map by their two principal components, and the share of the differences that it keeps."""
    return flat(vectors(origin), words)


@demo(words=600)
def plane_open(model: OpenedModel, words: str = "") -> dict[str, Any]:
    """The same by the open model's embedding table."""
    return {"model": model.origin.name, **flat(of_model(model), words)}


def flat(known: WordVectors, words: str) -> dict[str, Any]:
    """The map of those of the words that have a vector; at least three."""
    asked = list(dict.fromkeys(word.lower() for word in WORD.findall(words)))[:60]
    there = [word for word in asked if word in known]
    if len(there) < 3:
        raise GlaswerkError(
            "a map needs at least three words that have a vector",
            "Für eine Karte braucht es mindestens drei Wörter, die einen Vektor haben.",
        )
    places, shares = pca(known.unit[[known.places[word] for word in there]])
    return {
        "words": there,
        "lost": [word for word in asked if word not in known],
        "places": places,
        "shares": shares,
        "width": known.matrix.shape[1],
    }


# ---------------------------------------------------------------------------------------------- animals
@demo(animal=set(ANIMALS), size=(0, 10), tame=(0, 10), dangerous=(0, 10))
def animals(animal: str = "wolf", size: float = 4, tame: float = 1, dangerous: float = 7.5) -> dict[str, Any]:
    """Ten animals on three axes, one of them where the reader puts it: its distance to the others, nearest first."""
    placed = {**ANIMALS, animal: (size, tame, dangerous)}
    others = [(other, math.dist(placed[animal], place)) for other, place in placed.items() if other != animal]
    others.sort(key=lambda each: each[1])
    return {"animal": animal, "placed": {name: list(place) for name, place in placed.items()}, "others": others}


@demo(animal=set(ANIMALS))
def animals_in_texts(animal: str = "wolf") -> dict[str, float]:
    """GloVe's cosines of one of the ten animals with the others, the nearest first."""
    known = glove()
    cosines = {other: known.cosine(animal, other) for other in ANIMALS if other != animal}
    return dict(sorted(cosines.items(), key=lambda each: -each[1]))


# ---------------------------------------------------------------------------------------------- training here
@demo(seed=(0, 99), word=40, part=(1, word2vec.PARTS))
def training(seed: int = 0, word: str = "music", part: int = word2vec.PARTS) -> dict[str, Any]:
    """word2vec, trained now, ``part`` tenths of the way: the loss so far, and a word's neighbours."""
    made = course(seed).upto(part)
    return {
        "part": part,
        "parts": word2vec.PARTS,
        "losses": made.losses,
        "pairs": made.pairs,
        "articles": len(corpus()),
        **{key: TRAINING[key] for key in ("window", "epochs")},
        **near(made.vectors, word),
    }


# ---------------------------------------------------------------------------------------------- averages
@demo(sentences=120)
def averages(sentences: list[str] = ["Dog bites man", "Man bites dog"]) -> dict[str, Any]:  # noqa: B006 - never changed
    """Sentences as the mean of their words' GloVe vectors, and the cosines between these means."""
    known = glove()
    words = [[word for word in WORD.findall(sentence.lower()) if word in known] for sentence in sentences[:6]]
    if not words or not all(words):
        raise GlaswerkError(
            "each sentence needs a word that has a vector",
            "In jedem Satz muss ein Wort stehen, das einen Vektor hat.",
        )
    means = [np.mean([known[word] for word in sentence], axis=0) for sentence in words]
    return {
        "sentences": sentences[:6],
        "words": words,
        "means": [mean[:5] for mean in means],
        "cosines": [[cosine(one, other) for other in means] for one in means],
    }


# ---------------------------------------------------------------------------------------------- one word, two meanings
@demo(word=30, sentences=160)
def contexts(
    model: OpenedModel,
    word: str = "bank",
    sentences: list[str] = [  # noqa: B006 - never changed
        "They walked along the river and sat down on the bank",
        "The river rose and washed over the bank",
        "She opened an account and put the money in the bank",
        "He asked for a loan at the bank",
    ],
) -> dict[str, Any]:
    """A word's vector in several sentences of the open model: the cosines between them after each layer, from the
    embedding, where the word is the same in all, to the last."""
    word = cleaned([word])[0]
    if not 2 <= len(sentences) <= 6:
        raise GlaswerkError("two to six sentences can be compared", "Vergleichen lassen sich zwei bis sechs Sätze.")
    layers: list[list[np.ndarray]] = []
    for sentence in sentences:
        found = sentence.lower().rfind(word)
        if found < 0:
            raise GlaswerkError(
                f"the word {word!r} is not in {sentence!r}", f"Das Wort „{word}“ kommt in „{sentence}“ nicht vor."
            )
        upto = sentence[: found + len(word)]  # what comes after cannot change it: a token sees only those before
        seen = model.trace(upto)
        names = ["embeddings", *(f"blocks.{layer}.residual" for layer in range(model.model.config.layers))]
        layers.append([seen[name][0, -1].float().cpu().numpy() for name in names])
    cosines = [
        [[cosine(one[layer], other[layer]) for other in layers] for one in layers] for layer in range(len(layers[0]))
    ]
    return {"model": model.origin.name, "word": word, "sentences": sentences, "cosines": cosines}


# ---------------------------------------------------------------------------------------------- bias
@demo(origin=ORIGINS, words=400, left=30, right=30)
def leaning(origin: str = "glove", words: str = JOBS, left: str = "she", right: str = "he") -> dict[str, Any]:
    """Where words lean between two others: the cosine with the difference of the two, from -1 (left) to 1 (right)."""
    return leans(vectors(origin), words, left, right)


@demo(words=400, left=30, right=30)
def leaning_open(model: OpenedModel, words: str = JOBS, left: str = "she", right: str = "he") -> dict[str, Any]:
    """The same in the open model's embedding table."""
    return {"model": model.origin.name, **leans(of_model(model), words, left, right)}


def leans(known: WordVectors, words: str, left: str, right: str) -> dict[str, Any]:
    """Each word's cosine with right - left, the leftmost first."""
    left, right = cleaned([left])[0], cleaned([right])[0]
    known[left], known[right]
    axis = known.unit[known.places[right]] - known.unit[known.places[left]]
    asked = list(dict.fromkeys(word.lower() for word in WORD.findall(words)))[:30]
    found = [(word, cosine(known[word], axis)) for word in asked if word in known]
    found.sort(key=lambda each: each[1])
    return {"left": left, "right": right, "found": found, "lost": [word for word in asked if word not in known]}


@demo(sentences=120)
def pronouns(
    model: OpenedModel,
    sentences: list[str] = ["The doctor said that", "The nurse said that"],  # noqa: B006 - never changed
) -> dict[str, Any]:
    """How likely the open model goes on with ``he`` and with ``she``, after each sentence."""
    found = []
    for sentence in sentences[:6]:
        chances = model.trace(sentence)["logits"][0, -1].float().softmax(-1)
        first = {each: model.tokenizer.encode(f"{sentence} {each}") for each in ("he", "she")}
        start = len(model.tokenizer.encode(sentence))
        found.append({"sentence": sentence, **{each: float(chances[ids[start]]) for each, ids in first.items()}})
    return {"model": model.origin.name, "found": found}


# ---------------------------------------------------------------------------------------------- the prose
@demo()
def numbers() -> dict[str, float]:
    """The numbers in the prose that need nothing pulled."""
    boy, man, woman = np.array([1, 2]), np.array([1, 7]), np.array([9, 7])
    return {
        "boy_man": float(np.linalg.norm(boy - man)),
        "man_woman": float(np.linalg.norm(man - woman)),
        "boy_woman": float(np.linalg.norm(boy - woman)),
        "cat_car": changes("cat", "car"),
        "cat_kitten": changes("cat", "kitten"),
        "analogies": sum(map(len, ANALOGIES.values())),
        "window": TRAINING["window"],
        "vocabulary": TRAINING["vocabulary"],
    }
