"""Counting letters: easy for who sees letters, hard for who sees tokens. Every item has one right number."""

from __future__ import annotations

import numpy as np

from glaswerk.evaluate.task import Messages, Task, pair
from glaswerk.evaluate.tasks.arithmetic import last_number

ASK = {
    "en": "How many times does the letter {letter} occur in the word {word}? Answer with the number only.",
    "de": "Wie oft kommt der Buchstabe {letter} im Wort {word} vor? Antworte nur mit der Zahl.",
}
WORDS = {
    "en": (
        "strawberry banana mississippi committee coffee balloon assessment tomorrow parallel bookkeeper cinnamon "
        "address raspberry butterfly engineer grammar happiness kangaroo libraries mirror necessary occurrence pepper "
        "questionnaire referee success telescope umbrella village whisper excellent yesterday zipper accommodation "
        "beginning chocolate dilemma elephant freedom giraffe"
    ),
    "de": (
        "Erdbeere Banane Kartoffel Wasserfall Schmetterling Bibliothek Donnerstag Einkaufszettel Fahrradkette Gewitter "
        "Himmelsrichtung Interesse Jahreszeiten Kaffeetasse Lesezeichen Mittagessen Nachttisch Ofenrohr Pfannkuchen "
        "Quellwasser Regenbogen Schifffahrt Teekanne Unterschied Vogelnest Wetterbericht Zimmerpflanze Apfelbaum "
        "Brunnenwasser Dachboden Eisenbahn Feuerwehr Gartenzaun Hausaufgabe Kellertreppe Lampenschirm Mondschein "
        "Nebelhorn Papierkorb Treppenhaus"
    ),
}


class Letters(Task):
    """``count`` pairs of a word and a letter that is in it (or, one time in five, is not)."""

    metric, max_tokens = "exact match", 12

    def __init__(self, count: int = 100, *, language: str = "en", seed: int = 0) -> None:
        self.name, self.language = "letters" if language == "en" else f"letters-{language}", language
        rng = np.random.default_rng(seed)
        words = WORDS[language].split()
        pairs: dict[tuple[str, str], None] = {}
        while len(pairs) < min(count, 5 * len(words)):
            word = words[int(rng.integers(len(words)))]
            pool = sorted(set(word.lower())) if rng.random() < 0.8 else list("abcdefghijklmnoprstuvwz")
            pairs[word, pool[int(rng.integers(len(pool)))]] = None
        self.items = [(word, letter, word.lower().count(letter)) for word, letter in pairs]

    def __len__(self) -> int:
        return len(self.items)

    def conversation(self, i: int) -> Messages:
        word, letter, count = self.items[i]
        return pair(ASK[self.language].format(letter=letter, word=word), str(count))

    def grade(self, i: int, reply: str) -> float:
        return float(last_number(reply) == self.items[i][2])


def german() -> Letters:
    """The same in German."""
    return Letters(language="de")
