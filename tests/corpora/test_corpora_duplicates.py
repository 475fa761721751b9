"""Duplicates and the split, against slow and obvious oracles."""

from __future__ import annotations

import random
import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glaswerk.corpora import build, documents
from glaswerk.corpora.duplicates import LEADERS, candidate_pairs, exact_copies, near_copies
from glaswerk.corpora.shingles import SHINGLE, THRESHOLD, Words, band_keys, jaccard, minhashes, shingle_sets, shingles
from glaswerk.corpora.split import validation_mask


def obvious_words(text: str) -> list[str]:
    """Words as the oracle sees them: runs of letters and digits of ASCII-only text, lower case."""
    return re.findall(r"[a-z0-9]+", text.lower())


def obvious_shingles(text: str) -> set[tuple[str, ...]]:
    words = obvious_words(text)
    if len(words) < SHINGLE:
        return {tuple(words)} if words else set()
    return {tuple(words[at : at + SHINGLE]) for at in range(len(words) - SHINGLE + 1)}


def obvious_jaccard(first: str, second: str) -> float:
    a, b = obvious_shingles(first), obvious_shingles(second)
    return len(a & b) / len(a | b) if a | b else 0.0


def planted(seed: int, originals: int, words: int) -> list[str]:
    """Random documents, each followed by copies with more and more words changed."""
    rng = random.Random(seed)
    vocabulary = [f"w{n}" for n in range(3000)]
    texts = []
    for _ in range(originals):
        text = rng.choices(vocabulary, k=words)
        texts.append(" ".join(text))
        for changes in range(0, max(2, words // 12), max(1, words // 60)):
            copy = list(text)
            for at in rng.sample(range(words), changes):
                copy[at] = rng.choice(vocabulary)
            texts.append((", " if changes % 2 else " ").join(copy).capitalize())
    return texts


@given(st.lists(st.text(alphabet=st.sampled_from("aB9 .\n"), max_size=40), min_size=1, max_size=6))
@settings(max_examples=200, deadline=None)
def test_words_and_shingles_are_the_obvious_ones(texts: list[str]) -> None:
    found = Words.of([text.encode() for text in texts])
    assert found.counts.tolist() == [len(obvious_words(text)) for text in texts]
    names = [word for text in texts for word in obvious_words(text)]
    assert (
        len(set(zip(names, found.hashes.tolist(), strict=True))) == len(set(names)) == len(set(found.hashes.tolist()))
    )
    for text, made in zip(texts, shingle_sets(texts), strict=True):
        assert len(made) == len(obvious_shingles(text))
    assert found.symbols.tolist() == [text.count(".") for text in texts]


@given(st.text(max_size=80), st.text(max_size=80))
@settings(max_examples=200, deadline=None)
def test_any_text_has_words_that_do_not_depend_on_its_neighbours(first: str, second: str) -> None:
    one, two = first.encode("utf-8", "replace"), second.encode("utf-8", "replace")
    together = Words.of([one, two])
    alone = [Words.of([one]), Words.of([two])]
    assert together.hashes.tolist() == [h for words in alone for h in words.hashes.tolist()]
    assert together.counts.tolist() == [int(words.counts[0]) for words in alone]
    assert int(shingles(together)[1].sum()) == len(shingles(together)[0])


def test_scripts_without_spaces_have_a_word_per_character() -> None:
    assert Words.of(["吾輩は猫である。".encode(), "größer als Bäume".encode()]).counts.tolist() == [8, 3]


def test_jaccard_is_exact() -> None:
    texts = planted(3, 4, 60)
    sets = shingle_sets(texts)
    for (a, one), (b, two) in combinations(enumerate(texts), 2):
        assert jaccard(sets[a], sets[b]) == pytest.approx(obvious_jaccard(one, two), abs=1e-12)


def test_minhash_estimates_jaccard_without_bias_and_as_closely_as_theory_says() -> None:
    texts = planted(11, 40, 120)
    values = minhashes(Words.of([text.encode() for text in texts]))
    errors, variances = [], []
    for first in range(0, len(texts), 7):
        for second in range(first + 1, min(first + 6, len(texts))):
            true = obvious_jaccard(texts[first], texts[second])
            errors.append(float((values[:, first] == values[:, second]).mean()) - true)
            variances.append(true * (1 - true) / len(values))
    assert abs(np.mean(errors)) < 0.015
    assert np.sqrt(np.mean(np.square(errors))) < 1.25 * np.sqrt(np.mean(variances))


def test_minhash_estimates_what_rensa_estimates() -> None:
    rensa = pytest.importorskip("rensa")
    texts = planted(12, 20, 100)
    values = minhashes(Words.of([text.encode() for text in texts]))
    theirs = []
    for text in texts:
        made = rensa.RMinHash(num_perm=len(values), seed=1)
        made.update([" ".join(shingle) for shingle in obvious_shingles(text)])
        theirs.append(made)
    pairs = [(a, a + 1) for a in range(len(texts) - 1)]
    ours = [float((values[:, a] == values[:, b]).mean()) for a, b in pairs]
    assert np.abs(np.array(ours) - [theirs[a].jaccard(theirs[b]) for a, b in pairs]).max() < 0.2
    assert np.corrcoef(ours, [theirs[a].jaccard(theirs[b]) for a, b in pairs])[0, 1] > 0.98


@pytest.mark.parametrize(("originals", "words"), [(60, 200), (150, 30), (60, 80)])
def test_minhash_finds_what_exact_jaccard_finds(originals: int, words: int) -> None:
    """Recall of pairs at or above the threshold, against every pair compared exactly: at least 0.98."""
    texts = planted(words, originals, words)
    bands = band_keys(Words.of([text.encode() for text in texts]))
    sets = [obvious_shingles(text) for text in texts]
    true = {
        (a, b)
        for a, b in combinations(range(len(texts)), 2)
        if sets[a] & sets[b] and len(sets[a] & sets[b]) >= THRESHOLD * len(sets[a] | sets[b])
    }
    alive = np.ones(len(texts), dtype=bool)
    found = {tuple(pair) for band in range(bands.shape[1]) for pair in candidate_pairs(bands[:, band], alive).tolist()}
    assert len(true) > 100
    assert len(true & found) / len(true) >= 0.98
    copies = near_copies(bands, alive, texts.__getitem__)
    stay = set(range(len(texts))) - set(copies)
    leaked = [pair for pair in true if pair[0] in stay and pair[1] in stay]
    assert len(leaked) / len(true) <= 0.02
    for later, (earlier, similarity) in copies.items():
        assert earlier < later and similarity >= THRESHOLD
        assert similarity == pytest.approx(obvious_jaccard(texts[earlier], texts[later]))


def test_no_document_is_dropped_that_only_shares_a_key() -> None:
    texts = ["one two three four five six", "seven eight nine ten eleven twelve", "entirely other words in this one"]
    bands = np.full((3, 20), 7, dtype=np.uint64)
    assert near_copies(bands, np.ones(3, dtype=bool), texts.__getitem__) == {}


def test_a_crowd_with_one_key_gives_a_linear_number_of_pairs() -> None:
    pairs = candidate_pairs(np.full(5_000, 3, dtype=np.uint64), np.ones(5_000, dtype=bool))
    assert len(pairs) < 5_000 * 2 * LEADERS and {tuple(p) for p in pairs.tolist()} >= {(0, 4_999), (4_998, 4_999)}
    assert (pairs[:, 0] < pairs[:, 1]).all()


@given(st.lists(st.integers(0, 6), max_size=30))
def test_exact_copies_point_to_the_first(values: list[int]) -> None:
    found = exact_copies(np.array(values, dtype=np.uint64)).tolist()
    assert found == [values.index(value) for value in values]


def test_no_document_nor_a_near_duplicate_is_on_both_sides(tmp_path: Path) -> None:
    texts = planted(5, 120, 50)
    random.Random(0).shuffle(texts)
    source = tmp_path / "a.jsonl"
    source.write_text("".join(f'{{"text": "{text}"}}\n' for text in [*texts, *texts[:50]]), encoding="utf-8")
    report = build([str(source)], tmp_path / "out", val_fraction=0.3)
    train = [obvious_shingles(d.text) for d in documents(tmp_path / "out", "train")]
    val = [obvious_shingles(d.text) for d in documents(tmp_path / "out", "val")]
    assert len(train) + len(val) == report.documents and len(val) > 20
    assert report.dropped["exact duplicate"].documents >= 50 and report.dropped["near duplicate"].documents > 100
    leaks = sum(any(len(v & t) >= THRESHOLD * len(v | t) for t in train) for v in val)
    assert leaks <= 0.02 * len(val)


@given(
    st.lists(
        st.tuples(st.integers(0, 2**64 - 1), st.integers(1, 20_000)), min_size=2, max_size=60, unique_by=lambda p: p[0]
    ),
    st.floats(0.01, 0.5),
    st.integers(0, 3),
)
@settings(max_examples=200, deadline=None)
def test_both_sides_have_a_document(pairs: list[tuple[int, int]], fraction: float, seed: int) -> None:
    hashes = np.array([pair[0] for pair in pairs], dtype=np.uint64)
    characters = np.array([pair[1] for pair in pairs], dtype=np.int64)
    mask = validation_mask(hashes, characters, fraction, seed)
    assert 0 < mask.sum() < len(mask)
    assert (mask == validation_mask(hashes, characters, fraction, seed)).all()


def test_a_document_keeps_its_side_when_others_come() -> None:
    rng = np.random.default_rng(0)
    hashes, characters = rng.integers(0, 2**64, 20_000, dtype=np.uint64), np.full(20_000, 500)
    whole, part = validation_mask(hashes, characters), validation_mask(hashes[:5_000], characters[:5_000])
    assert 0.045 < whole[:5_000].mean() < 0.055
    assert (whole[:5_000] <= part).all()  # larger corpora may only move documents to training
    assert (part == whole[:5_000]).mean() > 0.97


def test_validation_is_bounded_in_a_huge_corpus() -> None:
    rng = np.random.default_rng(0)
    characters = np.full(100_000, 5_000)
    mask = validation_mask(rng.integers(0, 2**64, 100_000, dtype=np.uint64), characters)
    assert 3_500_000 < characters[mask].sum() < 4_500_000
