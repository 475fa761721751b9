"""Texts against texts: exact match, BLEU, chrF, ROUGE; and one text against itself: diversity and repetition.

sacrebleu computes BLEU and chrF, rouge-score computes ROUGE. Left out: meaning; two texts that say the same in other
words score low in all of these.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

from glaswerk.evaluate.metrics.library import library

ARTICLES = re.compile(r"\b(?:a|an|the|der|die|das|ein|eine)\b")


def normal(text: str) -> str:
    """Small letters, no articles (English and German), no punctuation, single spaces: as SQuAD compares answers."""
    kept = "".join(character for character in text.lower() if character not in string.punctuation)
    return " ".join(ARTICLES.sub(" ", kept).split())


def exact_match(said: str, expected: Sequence[str]) -> float:
    """1 if ``said`` is one of the expected answers after :func:`normal`, else 0 (Rajpurkar et al. 2016)."""
    return float(normal(said) in {normal(answer) for answer in expected})


def bleu(said: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Corpus BLEU, 0 to 100 (Papineni et al. 2002; sacrebleu's standard tokenization). ``references``: for each text,
    what it may say; all texts must have equally many."""
    return float(library("sacrebleu", "sacrebleu").corpus_bleu(list(said), _streams(said, references)).score)


def chrf(said: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Corpus chrF, 0 to 100 (Popović 2015): characters instead of words, which serves German compounds."""
    return float(library("sacrebleu", "sacrebleu").corpus_chrf(list(said), _streams(said, references)).score)


def rouge(said: str, expected: str) -> dict[str, float]:
    """F1 of ROUGE-1, ROUGE-2 and ROUGE-L, 0 to 1 (Lin 2004), without stemming. Letters outside ASCII separate words
    in rouge-score's own tokenization, so words are split here."""

    class Words:
        def tokenize(self, text: str) -> list[str]:
            return re.findall(r"\w+", text.lower())

    kinds = ["rouge1", "rouge2", "rougeL"]
    scorer = library("rouge_score.rouge_scorer", "rouge-score").RougeScorer(kinds, tokenizer=Words())
    return {kind: float(found.fmeasure) for kind, found in scorer.score(expected, said).items()}


def _streams(said: Sequence[str], references: Sequence[Sequence[str]]) -> list[list[str]]:
    """sacrebleu wants the first reference of all texts, then the second of all, and so on."""
    if len(said) != len(references) or len({len(row) for row in references}) != 1:
        raise ValueError("each text needs its references, all texts equally many")
    return [list(stream) for stream in zip(*references, strict=True)]


# ---------------------------------------------------------------------------------------------- diversity
def distinct(texts: Sequence[str], n: int) -> float:
    """Distinct-n (Li et al. 2016): the share of different ones among all word n-grams of the texts; 0 without any."""
    grams = [gram for text in texts for gram in ngrams(text, n)]
    return len(set(grams)) / len(grams) if grams else 0.0


def repetition(text: str, n: int = 4) -> float:
    """The share of a text's word n-grams that stood in it before (Welleck et al. 2020, seq-rep-n); 0 without any."""
    grams = ngrams(text, n)
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def ngrams(text: str, n: int) -> list[tuple[str, ...]]:
    """Neighbouring words, ``n`` at a time."""
    words = re.findall(r"\w+", text.lower())
    return [tuple(words[place : place + n]) for place in range(len(words) - n + 1)]
