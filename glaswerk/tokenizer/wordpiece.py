"""WordPiece (Schuster and Nakajima 2012), the tokenizer of BERT (Devlin et al. 2019): from the left, always the longest
piece that is known. ``##`` marks a piece that stands inside a word.

Text is cleaned first, as BERT's uncased models have it: lower case, no accents, spaces forgotten. So a text does not
come back from its ids, and this is no :class:`~glaswerk.tokenizer.Tokenizer`. Left out: learning the pieces, and the
marks ``[CLS]`` and ``[SEP]`` around a text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator

from glaswerk import pull
from glaswerk.errors import GlaswerkError

UNKNOWN = "[UNK]"
INSIDE = "##"
#: a longer word is unknown, as in BERT
LONGEST_WORD = 100
#: ranges of Chinese characters: each is a word of its own
CHINESE = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


def longest_match(word: str, known: Collection[str]) -> Iterator[tuple[str, list[str]]]:
    """The pieces of a word, each with the longer ones that were looked for in vain. The last piece is ``[UNK]`` where
    nothing fits."""
    begin = 0
    while begin < len(word):
        mark = INSIDE if begin else ""
        tried: list[str] = []
        for end in range(len(word), begin, -1):
            piece = mark + word[begin:end]
            if piece in known:
                yield piece, tried
                begin = end
                break
            tried.append(piece)
        else:
            yield UNKNOWN, tried
            return


class WordPiece:
    """``pieces[id]`` is the piece of an id."""

    def __init__(self, pieces: list[str]) -> None:
        self.pieces = pieces
        self.ids = {piece: number for number, piece in enumerate(pieces)}

    @classmethod
    def pulled(cls, name: str = "minilm") -> WordPiece:
        """The vocabulary of a pulled model. Raises :class:`GlaswerkError` where it is not pulled or damaged."""
        file = pull.path(name) / "vocab.txt"
        try:
            pieces = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise GlaswerkError(f"{file} cannot be read ({error}); pull {name} again") from None
        if UNKNOWN not in pieces:
            raise GlaswerkError(f"{file} has no {UNKNOWN}; pull {name} again")
        return cls(pieces)

    def cut(self, text: str) -> list[str]:
        """The pieces of a text. A word with a part that nothing fits is ``[UNK]`` as a whole."""
        found = []
        for word in words(text):
            pieces = [piece for piece, _ in longest_match(word, self.ids)] if len(word) <= LONGEST_WORD else [UNKNOWN]
            found += [UNKNOWN] if UNKNOWN in pieces else pieces
        return found

    def encode(self, text: str) -> list[int]:
        """The ids of a text."""
        return [self.ids[piece] for piece in self.cut(text)]


def words(text: str) -> list[str]:
    """Lower case without accents, cut at spaces; each mark of punctuation and each Chinese character by itself."""
    kept = []
    for character in text:
        if character.isspace():
            kept.append(" ")
        elif unicodedata.category(character)[0] != "C" and character != "\ufffd":
            kept.append(f" {character} " if _chinese(character) else character)
    plain = unicodedata.normalize("NFD", "".join(kept))
    plain = "".join(character for character in plain if unicodedata.category(character) != "Mn").lower()
    return "".join(f" {character} " if _punctuation(character) else character for character in plain).split()


def _chinese(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in CHINESE)


def _punctuation(character: str) -> bool:
    ascii_mark = character.isascii() and character.isprintable() and not character.isalnum() and character != " "
    return ascii_mark or unicodedata.category(character)[0] == "P"
