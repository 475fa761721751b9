"""A text becomes numbers in five ways: characters, bytes, words, byte-pair encoding, WordPiece.

    python -m demos.tokenization_demo                              auf Deutsch
    python -m demos.tokenization_demo --lang en "cats that sat"    in English, with a text of your own

BPE: Sennrich, Haddow and Birch 2016, on bytes: Radford et al. 2019. WordPiece: Schuster and Nakajima 2012.
Left out: vocabularies of a useful size and all speed; glaswerk/tokenizer has both.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from unicodedata import category

from demos.talking import Parser, Talk, start

TEXT = "the cat at the café"
CORPUS = "the cat sat on the mat and the other cat sat on the hat that the cat had"
MERGES = 10
PETS = [b"cat", b"car", b"kitten"]
WORD = re.compile(r"\w+|[^\w\s]")
PIECES = {"un", "be", "believe", "##be", "##believ", "##able", "##a", "##ing", "##s"}

Pair = tuple[int, int]


def cut(text: str) -> list[str]:
    """Words with the space before them, punctuation, other spaces: no BPE token reaches across such a cut."""
    return re.findall(r" ?\w+| ?[^\w\s]+|\s+", text)


def merge(ids: list[int], pair: Pair, new: int) -> list[int]:
    """Write ``new`` wherever the pair stands."""
    out: list[int] = []
    for number in ids:
        if out and (out[-1], number) == pair:
            out[-1] = new
        else:
            out.append(number)
    return out


def learn_bpe(corpus: str, merges: int) -> list[tuple[Pair, int]]:
    """Join the most frequent pair of neighbours, again and again: each pair and its count. Its id is 256, 257, ..."""
    pieces = [list(piece.encode()) for piece in cut(corpus)]
    learned: list[tuple[Pair, int]] = []
    for new in range(256, 256 + merges):
        counts = Counter(pair for ids in pieces for pair in pairwise(ids))
        # of equals the older tokens; among the bytes the space counts as the youngest, as in GPT-2's order
        pair = max(counts, key=lambda pair: (counts[pair], [-255.5 if one == 32 else -one for one in pair]))
        learned.append((pair, counts[pair]))
        pieces = [merge(ids, pair, new) for ids in pieces]
    return learned


def vocabulary(learned: list[tuple[Pair, int]]) -> list[bytes]:
    """The bytes of each id."""
    tokens = [bytes([value]) for value in range(256)]
    for (left, right), _ in learned:
        tokens.append(tokens[left] + tokens[right])
    return tokens


def encode_stages(piece: str, learned: list[tuple[Pair, int]]) -> list[list[int]]:
    """The bytes of a piece, and what each merge that fits makes of them, in the order in which they were learned."""
    stages = [list(piece.encode())]
    for new, (pair, _) in enumerate(learned, 256):
        ids = merge(stages[-1], pair, new)
        if ids != stages[-1]:
            stages.append(ids)
    return stages


def wordpiece(word: str, pieces: set[str]) -> list[tuple[str, list[str]]]:
    """From the left the longest piece that is known, each with what was tried in vain. ## means: inside a word."""
    found, begin = [], 0
    while begin < len(word):
        tries = [("##" if begin else "") + word[begin:end] for end in range(len(word), begin, -1)]
        hit = next((at for at, piece in enumerate(tries) if piece in pieces), None)
        if hit is None:
            return [("[UNK]", tries)]
        found.append((tries[hit], tries[:hit]))
        begin += len(tries[hit]) - (2 if begin else 0)
    return found


def chip(token: bytes) -> str:
    """A token to look at: a space as ·, bytes that are no character (or none to be seen) as hex."""
    shown = token.decode(errors="ignore").replace(" ", "·")
    readable = shown.isprintable() and len(shown.encode()) >= len(token)
    return f"<token {shown if readable else token.hex(' ').upper()}>"


def chips(tokens: Iterable[bytes]) -> str:
    return " ".join(map(chip, tokens))


def tell(talk: Talk, options: argparse.Namespace) -> None:
    text, ids = options.text, talk.ids
    if not 1 <= len(text) <= 200 or any(category(character) in ("Cc", "Cs") for character in text):
        sys.exit("TEXT must be 1 to 200 characters on one line, without control characters")

    characters = [character.encode() for character in text]
    shown = "".join(map(chip, characters))
    talk.title("Vom Text zu Zahlen", "From text to numbers")
    talk.say(
        f"Ein Modell rechnet, also braucht es Zahlen. Der Text (· ist ein Leerzeichen): {shown}",
        f"A model computes, so it needs numbers. The text (· is a space): {shown}",
    )
    talk.title("1. Zeichen: jedes hat seine Nummer in Unicode", "1. Characters: each has its number in Unicode")
    talk.say(f"  {chips(characters)}\n  {ids(map(ord, text))}")

    talk.title("2. Bytes: Zahlen von 0 bis 255, in UTF-8", "2. Bytes: numbers from 0 to 255, in UTF-8")
    talk.say(f"  {ids(text.encode())}")
    talk.say(
        "Englische Buchstaben brauchen ein Byte, ein é zwei, ein Emoji vier. So lässt sich jeder Text schreiben.",
        "English letters take one byte, an é two, an emoji four. Any text can be written in this way.",
    )
    talk.table({"": map(chip, PETS), "Bytes|bytes": map(ids, PETS)})
    talk.say(
        "cat und car sehen fast gleich aus, cat und kitten ganz verschieden. Was ein Wort bedeutet, steht nicht darin.",
        "cat and car look almost alike, cat and kitten quite different. What a word means is not in there.",
    )

    talk.title("3. Wörter: was keine Nummer hat, wird <unk>", "3. Words: what has no number becomes <unk>")
    talk.say(
        f"Nummern haben nur die Wörter dieses kleinen Korpus:\n  {CORPUS}",
        f"Only the words of this small corpus have numbers:\n  {CORPUS}",
    )
    known = {word: number for number, word in enumerate(["<unk>", *dict.fromkeys(WORD.findall(CORPUS))])}
    words = [word if word in known else "<unk>" for word in WORD.findall(text)]
    talk.say(f"  {chips(map(str.encode, words))}\n  {ids(map(known.__getitem__, words))}")

    talk.title("4. BPE: verschmelzen, was oft nebeneinander steht", "4. BPE: merge what often stands side by side")
    talk.say(
        "Im Korpus ist erst jedes Byte ein Token. Dann wird das häufigste Paar zu einem neuen Token, immer wieder:",
        "In the corpus each byte is a token at first. Then the most frequent pair becomes a new token, over and over:",
    )
    learned = learn_bpe(CORPUS, MERGES)
    tokens = vocabulary(learned)
    pairs = [chips(tokens[one] for one in pair) for pair, _ in learned]
    counts = [count for _, count in learned]
    new = range(256, 256 + MERGES)
    talk.table({"id": new, "Paar|pair": pairs, "wie oft|how often": counts, "neu|new": map(chip, tokens[256:])})
    talk.say(
        "Nun der Text: In jedem Stück verschmelzen die Paare, in der Reihenfolge, in der sie gelernt wurden.",
        "Now the text: in each piece the pairs are merged, in the order in which they were learned.",
    )
    encoded = []
    for piece in cut(text):
        stages = encode_stages(piece, learned)
        talk.say("  " + " → ".join(chips(tokens[one] for one in stage) for stage in stages))
        encoded += stages[-1]
    talk.say(f"  {ids(encoded)}")

    talk.title(
        "5. WordPiece: von links das längste bekannte Stück", "5. WordPiece: from the left the longest known piece"
    )
    known_pieces = " ".join(sorted(PIECES))
    talk.say(f"unbelievable; bekannt sind: {known_pieces}", f"unbelievable; known are: {known_pieces}")
    for piece, tries in wordpiece("unbelievable", PIECES):
        tried = " ".join([*tries[:3], "…"] if len(tries) > 3 else tries) or "-"
        talk.say(f"  <token {piece}>   vergeblich: {tried}", f"  <token {piece}>   in vain: {tried}")

    talk.title("6. Wie viele Tokens aus dem Text werden", "6. How many tokens the text becomes")
    kinds = talk.choose("Zeichen,Bytes,Wörter,BPE", "characters,bytes,words,BPE").split(",")
    talk.table({"": kinds, "Token|tokens": map(len, (text, text.encode(), words, encoded))})
    talk.next("Was aus den Tokens wird", "What becomes of the tokens", "self_attention_demo")


if __name__ == "__main__":
    parser = Parser(__doc__)
    parser.add_argument("text", metavar="TEXT", nargs="?", default=TEXT, help="the text to encode")
    start(tell, parser)
