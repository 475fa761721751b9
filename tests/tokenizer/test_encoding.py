"""Every engine gives the same ids as the readable encoder, which gives the ids of tiktoken and
`tokenizers`.
"""

from __future__ import annotations

import json
import re
import time

import numpy as np
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from glaswerk.tokenizer import BPETokenizer, FastBPE, load, train_bpe
from glaswerk.tokenizer.bpe import merge, merge_long
from glaswerk.tokenizer.fast import (
    Readable,
    Tiktoken,
    gigatoken_engine,
    has_long_stretch,
    ranks_suffice,
    tiktoken_engine,
)
from glaswerk.tokenizer.gguf import DIGITS
from glaswerk.tokenizer.patterns import GPT2, GPT2_DIGITS, GPT4, GPT4O, QUICK
from glaswerk.tokenizer.split import Split
from tests.tokenizer.conftest import HARD, TEXTS, any_text

STYLES = ("gpt2_style", "gpt4_style")


def engines(tokenizer: FastBPE) -> dict[str, object]:
    found = {"readable": Readable(tokenizer), "tiktoken": tiktoken_engine(tokenizer)}
    fast = gigatoken_engine(tokenizer)
    return found if fast is None else {**found, "gigatoken": fast}


def reference(tokenizer: FastBPE) -> object:
    """`tokenizers` with our tokenizer.json."""
    tokenizers = pytest.importorskip("tokenizers")
    return tokenizers.Tokenizer.from_str(json.dumps(tokenizer.as_json()))


@pytest.mark.parametrize("style", STYLES)
def test_all_engines_and_tokenizers_agree(style: str, request: pytest.FixtureRequest) -> None:
    tokenizer: FastBPE = request.getfixturevalue(style)
    theirs = reference(tokenizer)
    found = engines(tokenizer)
    assert None not in found.values()

    @settings(max_examples=250, deadline=None)
    @given(any_text)
    def agree(text: str) -> None:
        expected = BPETokenizer.encode_plain(tokenizer, text)
        for name, engine in found.items():
            assert engine.encode(text) == expected, name
        # special tokens are always control in `tokenizers`, so their texts are left out of this comparison
        if "<|" not in text:
            assert theirs.encode(text, add_special_tokens=False).ids == expected
        assert tokenizer.encode(text) == expected
        assert tokenizer.decode(expected) == text

    agree()


@pytest.mark.parametrize("style", STYLES)
def test_batches_and_arrays_are_the_single_texts(style: str, request: pytest.FixtureRequest) -> None:
    tokenizer: FastBPE = request.getfixturevalue(style)
    texts = HARD + TEXTS
    single = [BPETokenizer.encode_plain(tokenizer, text) for text in texts]
    for name, engine in engines(tokenizer).items():
        assert engine.encode_batch(texts) == single, name
        ids, lengths = engine.encode_arrays(texts)
        assert ids.dtype == np.uint32 and lengths.tolist() == [len(one) for one in single], name
        assert ids.tolist() == [number for one in single for number in one], name
        assert engine.encode_batch([]) == [] and len(engine.encode_arrays([])[0]) == 0, name
    assert tokenizer.encode_batch(texts) == single
    assert tokenizer.encode_batch(texts, special=True) == [tokenizer.encode(text, special=True) for text in texts]


@settings(max_examples=200, deadline=None)
@given(st.text("ab c", max_size=80), st.integers(0, 60))
def test_the_queue_merges_as_the_obvious_loop_does(text: str, wanted: int) -> None:
    made = train_bpe([text, "abab aab", "ab c abc"], 256 + wanted, special=(), minimum=1)
    ids = list(text.encode())
    from glaswerk.tokenizer import bpe

    long, bpe.LONG_PIECE = bpe.LONG_PIECE, 10**9
    try:
        expected = merge(ids, made.ranks, made.merged)
    finally:
        bpe.LONG_PIECE = long
    assert merge_long(ids, made.ranks, made.merged) == expected


def test_ranks_alone_are_refused_where_merges_mean_something_else() -> None:
    """tiktoken would join b + c = bc in "abc" first; the merges say ab first, and never bc after an a."""
    tokens = [bytes([value]) for value in range(256)] + [b"ab", b"bc", b"abc"]
    split = Split.by_pattern(GPT4)
    usual = FastBPE(tokens, [(97, 98, 256), (98, 99, 257), (256, 99, 258)], split, {})
    assert ranks_suffice(usual)
    swapped = FastBPE(tokens, [(98, 99, 257), (97, 98, 256), (256, 99, 258)], split, {})  # ids fall with rank
    other_way = FastBPE(tokens, [(97, 98, 256), (98, 99, 257), (97, 257, 258)], split, {})  # abc is never made
    missing = FastBPE(tokens, [(97, 98, 256), (98, 99, 257)], split, {})  # abc has no merge
    for odd in (swapped, other_way, missing):
        assert not ranks_suffice(odd) and tiktoken_engine(odd) is None
        assert odd.encode("abc abcabc") == BPETokenizer.encode_plain(odd, "abc abcabc")
    assert Tiktoken(other_way, GPT4).encode("abc") != other_way.encode("abc")


@pytest.mark.parametrize("character", ["a", " ", "é"])
def test_a_megabyte_of_one_character_is_quick(character: str, gpt4_style: FastBPE) -> None:
    """What is quadratic takes minutes here; what is not, a second. tiktoken alone overflows its stack on
    spaces.
    """
    text = character * (1_000_000 // len(character.encode()))
    for name, engine in engines(gpt4_style).items():
        if name == "readable":  # tiktoken's engine leaves such pieces to it, so it runs all the same
            continue
        began = time.perf_counter()
        ids = engine.encode(text)
        assert time.perf_counter() - began < 20, f"{name} is quadratic on {character!r}"
        assert b"".join(gpt4_style.token_bytes(number) for number in ids) == text.encode(), name


def test_the_engine_is_the_fastest_that_is_there_and_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    from glaswerk.tokenizer import fast

    class Wrong(Readable):
        name = "wrong"

        def encode(self, text: str) -> list[int]:
            return [*super().encode(text), 0]

    made = [train_bpe(TEXTS, 300) for _ in range(4)]
    assert made[0].engine.name in ("gigatoken", "tiktoken")
    monkeypatch.setattr(fast, "gigatoken_engine", Wrong)
    assert made[1].engine.name == "tiktoken"
    monkeypatch.setattr(fast, "tiktoken_engine", Wrong)
    assert made[2].engine.name == "readable"
    monkeypatch.undo()
    monkeypatch.setattr(fast.importlib.util, "find_spec", lambda name: None)
    assert made[3].engine.name == "tiktoken"
    assert len({tuple(tokenizer.encode("The fox 123 <|im_end|>")) for tokenizer in made}) == 1


def test_long_texts_without_spaces(gpt4_style: FastBPE) -> None:
    """Chinese has no spaces: still tiktoken's way, but for the pieces that really are long."""
    for text in ("中文文本，日本語。" * 1_000, "中文" * 4_000 + "，" + "b" * 5_000 + " end"):
        engine = tiktoken_engine(gpt4_style)
        assert engine is not None and has_long_stretch(text)
        assert engine.encode(text) == Readable(gpt4_style).encode(text)


def test_long_stretches_are_noticed() -> None:
    assert not has_long_stretch("word " * 10_000) and not has_long_stretch("x" * 100)
    for character in ("x", " ", "\n", "語"):
        assert has_long_stretch("word " * 3_000 + character * 10_000 + " word" * 3_000)


def test_lone_surrogates_become_replacement_characters(gpt4_style: FastBPE) -> None:
    assert gpt4_style.encode("a\ud800b") == gpt4_style.encode("a\ufffdb")
    assert gpt4_style.encode_batch(["\udfff"]) == [gpt4_style.encode("\ufffd")]
    assert gpt4_style.encode("\ud83d\ude00") == gpt4_style.encode("😀")  # two halves make one


PUBLISHED = {"gpt2": GPT2, "cl100k": GPT4, "o200k": GPT4O}


def publish(name: str) -> object:
    """tiktoken's own encoding from the pulled ranks, with the pattern its package publishes."""
    tiktoken = pytest.importorskip("tiktoken")
    tokenizer = load(name)
    return tiktoken.Encoding(
        name, pat_str=QUICK.get(PUBLISHED[name], PUBLISHED[name]), mergeable_ranks=tokenizer.ids, special_tokens={}
    )


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_vocabularies_give_tiktokens_ids(name: str, pulled) -> None:
    pulled(name)
    tokenizer = load(name)
    theirs = publish(name)

    @settings(max_examples=150, deadline=None)
    @given(any_text)
    def agree(text: str) -> None:
        expected = theirs.encode_ordinary(text)
        assert tokenizer.encode(text) == expected
        assert Readable(tokenizer).encode(text) == expected
        assert tokenizer.decode(expected) == text

    agree()
    for text in TEXTS:
        assert tokenizer.encode(text) == theirs.encode_ordinary(text)


def test_patterns_are_those_that_tiktoken_publishes() -> None:
    public = pytest.importorskip("tiktoken_ext.openai_public")
    assert public.r50k_pat_str == QUICK[GPT2]


@settings(max_examples=500, deadline=None)
@given(st.text("ab'sd 1٣½\n\t\u00a0.-é日", max_size=14))
def test_single_digits_and_then_gpt2_are_one_expression(text: str) -> None:
    """SmolLM2's cuts in one go, in both wordings, against the two steps that its files name."""
    wanted = [piece for part in re.split(r"(\d|½)", text) for piece in regex.findall(GPT2, part)]
    split = Split(DIGITS)
    assert split.pattern == GPT2_DIGITS and split(text) == wanted
    assert regex.findall(QUICK[GPT2_DIGITS], text) == wanted


def test_known_ids(pulled) -> None:
    pulled("gpt2")
    gpt2 = load("gpt2")
    assert gpt2.encode("Hello") == [15496] and gpt2.encode(" Hello") == [18435]
    assert gpt2.vocabulary_size == 50257 and gpt2.end_id == 50256
    assert gpt2.encode("<|endoftext|>", special=True) == [50256]
    assert len(gpt2.encode("<|endoftext|>")) == 7
    assert [len(gpt2.encode(text)) for text in ("10000", "ten thousand")] == [1, 2]


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_every_character_there_is(name: str, pulled) -> None:
    """All code points, in contexts where their class decides the cut, in every engine."""
    pulled(name)
    tokenizer, theirs = load(name), publish(name)
    found = list(engines(tokenizer).items())
    contexts = ("a%sa ", "%s%s ", " %s1", "'%s", "1%s\n", "A%sa", " \n%s ", "\t%s", "!%s!")
    for start in range(0, 0x110000, 0x100):
        points = [chr(point) for point in range(start, start + 0x100) if not 0xD800 <= point < 0xE000]
        for context in contexts:
            text = "".join(context.replace("%s", point) for point in points)
            expected = theirs.encode_ordinary(text)
            for kind, engine in found:
                assert engine.encode(text) == expected, (kind, hex(start), context)
