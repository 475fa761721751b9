"""BPE training against a trainer that recounts everything at every merge, and against `tokenizers`."""

from __future__ import annotations

import itertools
import json
from collections import Counter

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from glaswerk.errors import GlaswerkError
from glaswerk.tokenizer import SPECIAL, train_bpe
from glaswerk.tokenizer.counting import count_pieces
from glaswerk.tokenizer.patterns import PATTERNS
from glaswerk.tokenizer.training import learn_merges
from glaswerk.tokenizer.visible import BYTE_ORDER, from_visible, visible
from tests.tokenizer.conftest import HARD, TEXTS, any_text


def naive_merges(counts: Counter[str], wanted: int, minimum: int) -> list[tuple[bytes, bytes]]:
    """The definition: count all pairs, merge the most frequent everywhere, count all pairs again."""
    words = [([bytes([value]) for value in piece.encode()], count) for piece, count in counts.items()]
    age = {bytes([value]): place for place, value in enumerate(BYTE_ORDER)}
    merges: list[tuple[bytes, bytes]] = []
    while len(merges) < wanted:
        pairs: Counter[tuple[bytes, bytes]] = Counter()
        for parts, count in words:
            for pair in itertools.pairwise(parts):
                pairs[pair] += count
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], age[pair[0]], age[pair[1]]))
        if pairs[best] < minimum:
            break
        merges.append(best)
        age[best[0] + best[1]] = len(age)
        for parts, _ in words:
            place = 0
            while place < len(parts) - 1:
                if (parts[place], parts[place + 1]) == best:
                    parts[place : place + 2] = [best[0] + best[1]]
                place += 1
    return merges


def as_bytes(merges: list[tuple[int, int, int]]) -> list[tuple[bytes, bytes]]:
    tokens = [bytes([value]) for value in range(256)]
    found = []
    for left, right, whole in merges:
        assert whole == len(tokens)
        found.append((tokens[left], tokens[right]))
        tokens.append(tokens[left] + tokens[right])
    return found


@pytest.mark.parametrize("pattern", PATTERNS)
def test_same_merges_as_recounting_everything(pattern: str) -> None:
    counts = count_pieces(TEXTS, PATTERNS[pattern])
    assert as_bytes(learn_merges(counts, 250)) == naive_merges(counts, 250, 2)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.text("ab", min_size=1, max_size=14), st.integers(1, 5), min_size=1, max_size=6),
    st.integers(0, 25),
    st.integers(1, 3),
)
def test_same_merges_on_runs_and_ties(counts: dict[str, int], wanted: int, minimum: int) -> None:
    """Two letters only: overlapping pairs (a a a a), neighbours that both merge, and ties everywhere."""
    found = as_bytes(learn_merges(counts, wanted, minimum=minimum))
    assert found == naive_merges(Counter(counts), wanted, minimum)


def test_counts_are_64_bit() -> None:
    """Counts past 2**32 neither wrap nor lose their last digit."""
    merges = as_bytes(learn_merges({"xy": 2**40 + 1, "ab": 2**40, "cd": 3}, 3))
    assert merges == [(b"x", b"y"), (b"a", b"b"), (b"c", b"d")]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_same_merges_as_tokenizers(pattern: str) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    levels = tokenizers.pre_tokenizers
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
    cut = levels.Split(tokenizers.Regex(PATTERNS[pattern]), "isolated")
    theirs.pre_tokenizer = levels.Sequence([cut, levels.ByteLevel(add_prefix_space=False, use_regex=False)])
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=500, min_frequency=2, show_progress=False, initial_alphabet=levels.ByteLevel.alphabet()
    )
    theirs.train_from_iterator(TEXTS, trainer)
    reference = json.loads(theirs.to_str())["model"]["merges"]
    ours = learn_merges(count_pieces(TEXTS, PATTERNS[pattern]), 244)
    assert [[visible(left), visible(right)] for left, right in as_bytes(ours)] == reference
    assert len(reference) == 244


@settings(max_examples=200, deadline=None)
@given(st.lists(any_text, max_size=4), st.sampled_from(sorted(PATTERNS)))
def test_counting_words_first_counts_the_same_pieces(texts: list[str], pattern: str) -> None:
    direct: Counter[str] = Counter()
    for text in texts:
        direct.update(regex.findall(PATTERNS[pattern], text))
    assert count_pieces(texts, PATTERNS[pattern]) == direct


def test_counting_in_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    from glaswerk.tokenizer import counting

    monkeypatch.setattr(counting, "CHARACTERS_ALONE", 1_000)
    monkeypatch.setattr(counting, "CHARACTERS_PER_BATCH", 500)
    texts = TEXTS * 4 + HARD
    alone = counting.count_pieces(texts, PATTERNS["gpt4"], workers=1)
    assert counting.count_pieces(iter(texts), PATTERNS["gpt4"], workers=2) == alone


def test_every_pattern_keeps_every_character() -> None:
    for pattern in PATTERNS.values():
        for text in HARD + TEXTS:
            assert "".join(regex.findall(pattern, text)) == text


def test_layout_of_the_vocabulary() -> None:
    made = train_bpe(TEXTS, 300)
    assert made.vocabulary_size == 300
    assert made.tokens[:256] == [bytes([value]) for value in range(256)]
    assert made.special == dict(zip(SPECIAL, (297, 298, 299), strict=True))
    assert made.end_id == 297
    assert max(made.encode(TEXTS[0])) < 297


def test_training_is_repeatable_and_does_not_depend_on_the_order_of_texts() -> None:
    assert train_bpe(TEXTS, 400).merges == train_bpe(reversed(TEXTS), 400).merges


def test_a_small_corpus_gives_a_small_vocabulary() -> None:
    made = train_bpe(["ab ab"], 1000)
    assert [(left, right) for left, right, _ in made.merges] == [(97, 98)]
    assert made.vocabulary_size == 256 + 1 + 3
    assert train_bpe([], 1000).vocabulary_size == 259
    assert train_bpe(["", "x"], 1000).encode("xyz") == [120, 121, 122]


def test_lone_surrogates_in_training_texts_do_no_harm() -> None:
    assert train_bpe(["a\ud800b a\ud800b"], 262).encode("a\ud800") == train_bpe(["a\ufffdb a\ufffdb"], 262).encode(
        "a\ufffd"
    )


@pytest.mark.parametrize(("size", "pattern"), [(258, "gpt4"), (0, "gpt4"), (-5, "gpt2"), (4096, "gpt5")])
def test_bad_wishes_are_one_clear_line(size: int, pattern: str) -> None:
    with pytest.raises(GlaswerkError) as caught:
        train_bpe(TEXTS, size, pattern)
    assert "\n" not in str(caught.value)


def test_visible_stand_ins_are_those_of_tokenizers() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    shown = [visible(bytes([value])) for value in range(256)]
    assert sorted(shown) == sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    assert [from_visible(text) for text in shown] == [bytes([value]) for value in range(256)]
    assert visible(b" the\n") == "ĠtheĊ"
    assert from_visible("€") is None
