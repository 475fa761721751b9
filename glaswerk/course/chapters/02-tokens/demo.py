"""What chapter 2 computes: texts cut by seven vocabularies, byte-pair encoding merge by merge, WordPiece's search, the
letters inside tokens, and what German costs. By the library's own tokenizers.

A vocabulary that is not pulled is an error of its own, so a figure shows the others and says what is missing.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any

from glaswerk import pull
from glaswerk.corpora.catalogue import CORPORA
from glaswerk.course.demo import demo
from glaswerk.errors import GlaswerkError
from glaswerk.tokenizer import CharacterTokenizer, Tokenizer, WordTokenizer, load, train_bpe
from glaswerk.tokenizer.bpe import merge
from glaswerk.tokenizer.chip import chip
from glaswerk.tokenizer.counting import count_pieces
from glaswerk.tokenizer.patterns import GPT2
from glaswerk.tokenizer.split import Split
from glaswerk.tokenizer.training import learn_merges
from glaswerk.tokenizer.wordpiece import UNKNOWN, WordPiece, longest_match

if TYPE_CHECKING:
    from glaswerk.opened import OpenedModel

Piece = dict[str, Any]

#: what the vocabularies that are learned here learn from, how much of it, and how many tokens words and BPE may have
CORPUS, ARTICLES, LEARNED = "wikipedia-en", 3_000, 8_000
VOCABULARIES = ("characters", "words", "wordpiece", "bpe", "gpt2", "cl100k", "o200k")
#: merges that the figure can step through, and pairs that it shows beside the one that wins
MERGES, RIVALS = 60, 4


# ---------------------------------------------------------------------------------------------- vocabularies
@lru_cache(maxsize=1)
def corpus() -> list[str]:
    """The texts that our own vocabularies learn from; never fetched from here."""
    return [document.text for document in islice(CORPORA[CORPUS](pull.path(CORPUS)), ARTICLES)]


@lru_cache(maxsize=len(VOCABULARIES))
def vocabulary(kind: str) -> Tokenizer | WordPiece:
    """One of VOCABULARIES, learned here or pulled."""
    if kind == "characters":
        return CharacterTokenizer.train(corpus())
    if kind == "words":
        return WordTokenizer.train(corpus(), LEARNED)
    if kind == "bpe":
        return train_bpe(corpus(), LEARNED, special=())
    if kind == "wordpiece":
        return WordPiece.pulled()
    return load(kind)


def pieces(kind: Tokenizer | WordPiece, text: str) -> list[Piece]:
    """A text as tokens: id, what stands on the chip, and whether the text was lost on the way."""
    if isinstance(kind, WordPiece):
        return [{"id": kind.ids[piece], "text": piece, "unknown": piece == UNKNOWN} for piece in kind.cut(text)]
    if isinstance(kind, CharacterTokenizer):  # one without an id would be an error; here it is something to see
        known = kind.ids
        return [{"id": known.get(sign), "text": chip(sign.encode()), "unknown": sign not in known} for sign in text]
    unknown = 0 if isinstance(kind, WordTokenizer) else -1
    return [
        {"id": number, "text": chip(kind.token_bytes(number)), "unknown": number == unknown}
        for number in kind.encode(text)
    ]


def size(kind: Tokenizer | WordPiece) -> int:
    """How many tokens a vocabulary has."""
    return len(kind.pieces) if isinstance(kind, WordPiece) else kind.vocabulary_size


def cut_all(kind: Tokenizer | WordPiece, texts: list[str]) -> dict[str, Any]:
    """Several texts by one vocabulary."""
    if sum(map(len, texts)) > 2_000:
        raise GlaswerkError(
            "the texts are longer than 2,000 characters together: shorten them",
            "Die Texte sind zusammen länger als 2000 Zeichen. Kürze sie.",
        )
    return {"vocabulary": size(kind), "cuts": [pieces(kind, text) for text in texts]}


@demo(kind=VOCABULARIES, texts=1_000)
def cut(kind: str = "gpt2", texts: list[str] = ["Hello"]) -> dict[str, Any]:  # noqa: B006 - never changed
    """Texts cut by a vocabulary that was learned here or pulled."""
    return cut_all(vocabulary(kind), texts)


@demo(texts=1_000)
def cut_open(model: OpenedModel, texts: list[str] = ["Hello"]) -> dict[str, Any]:  # noqa: B006 - never changed
    """Texts cut by the open model's own vocabulary."""
    return {"model": model.origin.name, **cut_all(model.tokenizer, texts)}


# ---------------------------------------------------------------------------------------------- byte-pair encoding
@demo(text=400)
def merges(text: str = "the cat sat on the mat") -> dict[str, Any]:
    """Byte-pair encoding learned from the text itself. Each step: the pair that wins, how often it stands there, the
    next pairs behind it, and the text's tokens after the merge."""
    now = [list(piece.encode()) for piece in Split.by_pattern(GPT2)(text)]
    start = now
    tokens = [bytes([value]) for value in range(256)]
    steps = []
    for left, right, made in learn_merges(count_pieces([text], GPT2), MERGES):
        tokens.append(tokens[left] + tokens[right])
        often = Counter(pair for ids in now for pair in pairwise(ids))
        rivals = [pair for pair, _ in often.most_common(RIVALS + 1) if pair != (left, right)][:RIVALS]
        now = [merge(ids, {(left, right): 0}, [made]) for ids in now]
        steps.append(
            {
                "pair": [left, right],
                "count": often[left, right],
                "rivals": [{"pair": list(pair), "count": often[pair]} for pair in rivals],
                "made": made,
                "ids": now,
            }
        )
    used = {*text.encode(), *range(256, len(tokens))}
    return {
        "text": text,
        "start": start,
        "chips": {number: chip(tokens[number]) for number in sorted(used)},
        "steps": steps,
    }


# ---------------------------------------------------------------------------------------------- WordPiece
@demo(word=40, known=400)
def longest(word: str = "unbelievable", known: str = "un be ##believ ##able", bert: bool = False) -> dict[str, Any]:
    """WordPiece's search in a word: each piece that was found, after the longer ones that are not known. ``known``:
    pieces with spaces between them; ``bert``: the 30,522 of BERT instead."""
    word = "".join(word.split()).lower()
    have = set(WordPiece.pulled().pieces if bert else known.split())
    found = [{"piece": piece, "tried": tried} for piece, tried in longest_match(word, have)]
    return {"word": word, "size": len(have), "found": found}


# ---------------------------------------------------------------------------------------------- letters
@demo(word=40, letter=1)
def letters(model: OpenedModel, word: str = "strawberry", letter: str = "r") -> dict[str, Any]:
    """A word's tokens with how often a letter stands in each, and what the model makes of the question how often it
    stands in the word: the probabilities of the digits, among each other."""
    word, letter = word.strip(), letter.strip()
    if not word or not letter:
        raise GlaswerkError("type a word and a letter", "Gib ein Wort und einen Buchstaben ein.")
    tokenizer = model.tokenizer
    prompt = f'The letter "{letter}" occurs in the word "{word}" this many times:'
    ids = tokenizer.encode(word)
    return {
        "model": model.origin.name,
        "word": word,
        "letter": letter,
        "prompt": prompt,
        "tokens": [
            {"id": number, "text": chip(tokenizer.token_bytes(number)), "count": within(tokenizer, number, letter)}
            for number in ids
        ],
        "count": word.lower().count(letter.lower()),
        "digits": digits(model, prompt),
    }


def within(tokenizer: Tokenizer, number: int, letter: str) -> int:
    """How often the letter stands in a token."""
    return tokenizer.decode([number]).lower().count(letter.lower())


def digits(model: OpenedModel, prompt: str) -> list[float]:
    """How likely the model finds `` 0`` to `` 9`` after the prompt, as shares of all ten."""
    import torch

    begun = model.tokenizer.encode(prompt)
    scores = []
    known: dict[tuple[int, ...], Any] = {}  # where the space is a token of its own, one forward pass serves all ten
    for digit in range(10):
        ids = model.tokenizer.encode(f"{prompt} {digit}")
        seen = tuple(ids[:-1])
        if seen not in known:
            known[seen] = model.trace(list(seen))["logits"][0].float().log_softmax(-1)
        scores.append(sum(known[seen][place - 1, ids[place]] for place in range(len(begun), len(ids))))
    return [float(share) for share in torch.tensor(scores).softmax(0)]


# ---------------------------------------------------------------------------------------------- the price of German
@lru_cache(maxsize=1)
def sentences() -> list[tuple[str, str]]:
    """German sentences with their English translations, each pair once."""
    found = [document.text.partition("\n") for document in CORPORA["pairs-de-en"](pull.path("pairs-de-en"))]
    return list(dict.fromkeys((german, english) for german, _, english in found))


@demo(kind=VOCABULARIES)
def price(kind: str = "gpt2") -> dict[str, Any]:
    """What the German sentences of the pairs cost in tokens, against the English ones."""
    found = vocabulary(kind)
    return {"vocabulary": size(found), **costs(found)}


@demo()
def price_open(model: OpenedModel) -> dict[str, Any]:
    """The same by the open model's own vocabulary."""
    tokenizer = model.tokenizer
    return {"model": model.origin.name, "vocabulary": tokenizer.vocabulary_size, **costs(tokenizer)}


def costs(kind: Tokenizer | WordPiece) -> dict[str, Any]:
    """The tokens of all pairs in both languages."""
    count = len if isinstance(kind, CharacterTokenizer) else lambda text: len(kind.encode(text))
    german, english = (sum(map(count, side)) for side in zip(*sentences(), strict=True))
    return {"pairs": len(sentences()), "de": german, "en": english, "ratio": german / english}


@demo(place=(0, 100_000))
def pair(place: int = 0) -> dict[str, Any]:
    """One pair of sentences, by its place."""
    found = sentences()
    german, english = found[place % len(found)]
    return {"place": place % len(found), "pairs": len(found), "de": german, "en": english}


# ---------------------------------------------------------------------------------------------- the prose
#: what the merges in the prose are learned from
SENTENCES = {
    "en": "the cat sat on the mat and the other cat sat on the hat that the cat had",
    "de": "der Hund und der Hase und der andere Hund und der andere Hase sind rund um das Haus gerannt",
}


@demo()
def numbers() -> dict[str, float]:
    """The numbers in the prose that need nothing pulled. Those of published vocabularies stand there as text; a test
    computes them again."""
    found: dict[str, float] = {"articles": ARTICLES}
    for language, text in SENTENCES.items():
        steps = merges(text)["steps"]
        found[f"{language}_first"], found[f"{language}_second"] = steps[0]["count"], steps[1]["count"]
        found[f"{language}_merges"] = len(steps)
    return found
