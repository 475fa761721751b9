"""The rungs below BPE, and what all rungs share."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings

from glaswerk.errors import GlaswerkError
from glaswerk.tokenizer import (
    SPECIAL,
    ByteTokenizer,
    CharacterTokenizer,
    StreamDecoder,
    Tokenizer,
    WordTokenizer,
    load,
    train_bpe,
)
from tests.tokenizer.conftest import HARD, TEXTS, any_text


def rungs() -> dict[str, Tokenizer]:
    return {
        "characters": CharacterTokenizer.train(TEXTS, SPECIAL),
        "words": WordTokenizer.train(TEXTS, 400, SPECIAL),
        "bytes": ByteTokenizer(),
        "bpe": train_bpe(TEXTS, 400),
    }


@pytest.fixture(scope="module", params=list(rungs()))
def rung(request: pytest.FixtureRequest) -> Tokenizer:
    return rungs()[request.param]


def test_a_known_text_comes_back(rung: Tokenizer) -> None:
    for text in TEXTS:
        assert rung.decode(rung.encode(text)) == text
        assert all(0 <= number < rung.vocabulary_size for number in rung.encode(text))
    assert rung.encode_batch(TEXTS) == [rung.encode(text) for text in TEXTS]


def test_special_tokens_are_control_only_where_asked(rung: Tokenizer) -> None:
    text = "the <|im_start|>dog"
    ids = rung.encode(text, special=True)
    start = rung.special["<|im_start|>"]
    assert ids.count(start) == 1 and rung.decode(ids) == text
    assert rung.special == {name: rung.vocabulary_size - 3 + place for place, name in enumerate(SPECIAL)}
    assert rung.end_id == rung.vocabulary_size - 3
    if not isinstance(rung, CharacterTokenizer):  # there, `<` and `|` may be characters that never occurred
        assert start not in rung.encode(text)


def test_saved_and_loaded_it_is_the_same(rung: Tokenizer, tmp_path) -> None:
    rung.save(tmp_path)
    again = load(tmp_path)
    assert again.vocabulary_size == rung.vocabulary_size and again.special == rung.special
    for text in TEXTS:
        assert again.encode(text) == rung.encode(text)
    assert [again.token_bytes(n) for n in range(again.vocabulary_size)] == [
        rung.token_bytes(n) for n in range(rung.vocabulary_size)
    ]


def test_tokenizers_loads_every_rung(rung: Tokenizer, tmp_path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    rung.save(tmp_path)
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in TEXTS:
        assert theirs.encode(text).ids == rung.encode(text)
        assert theirs.decode(rung.encode(text)) == text
    assert theirs.get_vocab_size() == rung.vocabulary_size


def test_ids_outside_the_vocabulary(rung: Tokenizer) -> None:
    for number in (-1, rung.vocabulary_size, 10**12):
        with pytest.raises(GlaswerkError, match="is no id"):
            rung.decode([number])


def test_an_unknown_character_has_no_id_an_unknown_word_is_lost_bytes_always_work() -> None:
    found = rungs()
    with pytest.raises(GlaswerkError, match="'Ω'"):
        found["characters"].encode("Ω")
    assert found["words"].encode("Zyzzyva") == [0] and found["words"].decode([0]) == "<unk>"
    assert found["bytes"].encode("Ω") == [0xCE, 0xA9]
    assert ByteTokenizer(special=()).vocabulary_size == 256
    with pytest.raises(GlaswerkError, match="ends a document"):
        _ = CharacterTokenizer.train(["abc"]).end_id


def test_words_are_kept_by_count_then_by_code_point() -> None:
    made = WordTokenizer.train(["b a b c a d"], 4)
    assert made.words == ["<unk>", " ", "a", "b"]
    with pytest.raises(GlaswerkError):
        WordTokenizer.train(["a"], 1)


def test_strange_json_of_the_simple_kinds_is_refused(tmp_path) -> None:
    made = WordTokenizer.train(TEXTS, 50)
    document = made.as_json()
    document["pre_tokenizer"] = {"type": "Whitespace"}
    (tmp_path / "tokenizer.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(GlaswerkError, match="WordLevel"):
        load(tmp_path)


@settings(max_examples=200, deadline=None)
@given(any_text)
def test_streaming_never_emits_a_broken_character(text: str) -> None:
    tokenizer = ByteTokenizer()
    decoder = StreamDecoder(tokenizer)
    ids = tokenizer.encode(text)
    pieces = [decoder.push(number) for number in ids]
    assert "".join(pieces) + decoder.flush() == text
    assert "\ufffd" not in "".join(pieces) or "\ufffd" in text


def test_streaming_broken_bytes_equals_decoding_them() -> None:
    tokenizer = ByteTokenizer()
    for ids in ([0xE2, 0x82], [0xFF, 65, 0xE2, 0x82, 65], [0xF0, 0x9F, 0x98, 0x80, 0x80], [65, 0xC3]):
        decoder = StreamDecoder(tokenizer)
        assert "".join(map(decoder.push, ids)) + decoder.flush() == tokenizer.decode(ids)
    assert [decoder.push(number) for number in "é".encode()] == ["", "é"]
    for text in HARD:
        decoder = StreamDecoder(tokenizer)
        assert "".join(map(decoder.push, tokenizer.encode(text))) + decoder.flush() == text
