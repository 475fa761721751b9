"""Strangers' tokenizer.json: the ids that `tokenizers` gives, in every form that is supported; else one clear
line.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from glaswerk.errors import GlaswerkError
from glaswerk.tokenizer import load, train_bpe
from glaswerk.tokenizer.huggingface import from_json
from glaswerk.tokenizer.patterns import GPT2
from tests.tokenizer.conftest import HARD, TEXTS, any_text

tokenizers = pytest.importorskip("tokenizers")
levels = tokenizers.pre_tokenizers
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")


def split(pattern: str) -> Any:
    cut = levels.Split(tokenizers.Regex(pattern), "isolated")
    return levels.Sequence([cut, levels.ByteLevel(add_prefix_space=False, use_regex=False)])


def byte_level(pre_tokenizer: Any, normalizer: Any = None, **model: Any) -> Any:
    made = tokenizers.Tokenizer(tokenizers.models.BPE(**model))
    made.pre_tokenizer = pre_tokenizer
    made.decoder = tokenizers.decoders.ByteLevel()
    if normalizer is not None:
        made.normalizer = normalizer
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=420,
        show_progress=False,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],  # first, as in SmolLM2
        initial_alphabet=levels.ByteLevel.alphabet(),
    )
    made.train_from_iterator(TEXTS, trainer)
    return made


def sentencepiece(metaspace: bool) -> Any:
    made = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    if metaspace:
        made.pre_tokenizer = levels.Metaspace(prepend_scheme="first", split=False)
    else:
        steps = tokenizers.normalizers
        made.normalizer = steps.Sequence([steps.Prepend("▁"), steps.Replace(" ", "▁")])
    parts = tokenizers.decoders
    made.decoder = parts.Sequence([parts.Replace("▁", " "), parts.ByteFallback(), parts.Fuse(), parts.Strip(" ", 1, 0)])
    special = ["<unk>", "<s>", "</s>", *(f"<0x{value:02X}>" for value in range(256))]
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=520, show_progress=False, special_tokens=special)
    made.train_from_iterator([text for text in TEXTS if "日" not in text], trainer)
    document = json.loads(made.to_str())
    document["added_tokens"] = document["added_tokens"][:3]  # byte tokens are none that texts may hold
    return tokenizers.Tokenizer.from_str(json.dumps(document))


FORMS: dict[str, Callable[[], Any]] = {
    "gpt2": lambda: byte_level(levels.ByteLevel(add_prefix_space=False)),
    "prefix space": lambda: byte_level(levels.ByteLevel(add_prefix_space=True)),
    "llama 3": lambda: byte_level(split(LLAMA3), ignore_merges=True),
    "qwen": lambda: byte_level(split(QWEN), tokenizers.normalizers.NFC()),
    "smollm2": lambda: byte_level(
        levels.Sequence([levels.Digits(individual_digits=True), levels.ByteLevel(add_prefix_space=False)])
    ),
    "digits together": lambda: byte_level(
        levels.Sequence([levels.Digits(individual_digits=False), levels.ByteLevel(add_prefix_space=False)])
    ),
    "llama 2": lambda: sentencepiece(metaspace=False),
    "metaspace": lambda: sentencepiece(metaspace=True),
}


@pytest.mark.parametrize("form", FORMS)
def test_same_ids_as_tokenizers(form: str, tmp_path: Path) -> None:
    theirs = FORMS[form]()
    theirs.save(str(tmp_path / "tokenizer.json"))
    ours = load(tmp_path)
    assert ours.vocabulary_size == theirs.get_vocab_size()

    @settings(max_examples=150, deadline=None)
    @given(any_text)
    def agree(text: str) -> None:
        expected = theirs.encode(text, add_special_tokens=False).ids
        assert ours.encode(text, special=True) == expected
        if "<" not in text:
            assert ours.encode(text) == expected
            assert ours.decode(expected) == theirs.decode(expected)

    agree()
    for text in HARD + TEXTS:
        agree.hypothesis.inner_test(text)
    ours.save(tmp_path / "again")
    again = load(tmp_path / "again")
    assert again.encode("".join(TEXTS)) == ours.encode("".join(TEXTS))


@pytest.mark.parametrize("pattern", ["gpt2", "gpt4", "gpt4o"])
def test_ours_saved_gives_the_same_ids_in_transformers(pattern: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    from glaswerk.tokenizer import render_chat

    ours = train_bpe(TEXTS, 420, pattern)
    ours.save(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(str(tmp_path))
    assert theirs.eos_token_id == theirs.pad_token_id == ours.end_id
    for text in HARD + TEXTS:
        assert theirs(text)["input_ids"] == ours.encode(text, special=True)
        assert theirs.decode(ours.encode(text)) == ours.decode(ours.encode(text))
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "\n\n  Who is the fox? \n"},
        {"role": "assistant", "content": " It's quick.\n"},
        {"role": "user", "content": "And the dog?"},
    ]
    for prompt in (False, True):
        expected = theirs.apply_chat_template(messages, add_generation_prompt=prompt, return_dict=False)
        assert render_chat(ours, messages, generation_prompt=prompt)[0] == list(expected)


def test_published_ranks_saved_give_the_same_ids(pulled, tmp_path: Path) -> None:
    pulled("gpt2")
    gpt2 = load("gpt2")
    gpt2.save(tmp_path)
    again = load(tmp_path)
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in TEXTS + [text for text in HARD if "<|" not in text]:
        assert again.encode(text) == gpt2.encode(text) == theirs.encode(text).ids
    assert len(again.merges) == 50_000  # as published


def valid() -> dict[str, Any]:
    return copy.deepcopy(train_bpe(["the dog and the fox"] * 3, 262).as_json())


def changed(path: str, value: Any) -> dict[str, Any]:
    document: Any = valid()
    *way, last = path.split("/")
    inner = document
    for key in way:
        inner = inner[int(key)] if isinstance(inner, list) else inner[key]
    if isinstance(inner, list):
        inner[int(last)] = value
    else:
        inner[last] = value
    return document


BROKEN: dict[str, tuple[Any, str]] = {
    "a list": ([1, 2], "no model"),
    "no model": ({"version": "1.0"}, "no model"),
    "unigram": (changed("model/type", "Unigram"), "Unigram"),
    "wordpiece": (changed("model/type", "WordPiece"), "WordPiece"),
    "vocabulary is a list": (changed("model/vocab", [["a", 1]]), "vocabulary"),
    "no vocabulary": (changed("model/vocab", {}), "vocabulary"),
    "id is a text": (changed("model/vocab/a", "7"), "no id"),
    "id is true": (changed("model/vocab/a", True), "no id"),
    "id is negative": (changed("model/vocab/a", -1), "no id"),
    "id is a fraction": (changed("model/vocab/a", 1.5), "no id"),
    "id is huge": (changed("model/vocab/a", 10**30), "no id"),
    "same id twice": (changed("model/vocab/a", 98), "same id"),
    "a byte is missing": (changed("model/vocab", {"a": 0, "b": 1}), "missing"),
    "token is no bytes": (changed("model/vocab/€", 5000), "byte-level"),
    "merges are a text": (changed("model/merges", "a b"), "merges"),
    "a merge of three": (changed("model/merges/0", ["a", "b", "c"]), "two tokens"),
    "a merge of numbers": (changed("model/merges/0", [1, 2]), "two tokens"),
    "a merge into nothing": (changed("model/merges/0", ["q", "z"]), "needs a token"),
    "a merge twice": (changed("model/merges/1", valid()["model"]["merges"][0]), "twice"),
    "dropout": (changed("model/dropout", 0.1), "dropout"),
    "prefix": (changed("model/continuing_subword_prefix", "##"), "continuing_subword_prefix"),
    "added tokens are a text": (changed("added_tokens", "x"), "added_tokens"),
    "an added token is a text": (changed("added_tokens/0", "x"), "added token"),
    "an added token is empty": (changed("added_tokens/0/content", ""), "empty"),
    "an added token twice": (changed("added_tokens/0/content", "<|im_end|>"), "twice"),
    "an added token takes an id": (changed("added_tokens/0/id", 97), "another token"),
    "an added token strips": (changed("added_tokens/0/lstrip", True), "lstrip"),
    "normalizer": (changed("normalizer", {"type": "Lowercase"}), "Lowercase"),
    "normalizer is a text": (changed("normalizer", "NFC"), "no object"),
    "pre_tokenizer": (changed("pre_tokenizer/pretokenizers/0", {"type": "Whitespace"}), "Whitespace"),
    "pre_tokenizer is a number": (changed("pre_tokenizer", 3), "no object"),
    "nested": (changed("pre_tokenizer/pretokenizers/0", {"type": "Sequence", "pretokenizers": []}), "Sequence"),
    "pattern is broken": (changed("pre_tokenizer/pretokenizers/0/pattern", {"Regex": "(("}), "compile"),
    "pattern is huge": (changed("pre_tokenizer/pretokenizers/0/pattern", {"Regex": "a" * 10**6}), "too long"),
    "pattern is missing": (changed("pre_tokenizer/pretokenizers/0/pattern", None), "pattern"),
    "merged with previous": (changed("pre_tokenizer/pretokenizers/0/behavior", "MergedWithPrevious"), "Merged"),
    "no byte level": (changed("pre_tokenizer", {"type": "Whitespace"}), "byte"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_or_unsupported_files_are_one_clear_line(what: str, tmp_path: Path) -> None:
    document, word = BROKEN[what]
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(GlaswerkError) as caught:
        load(file)
    message = str(caught.value)
    assert word in message and str(file) in message
    assert "\n" not in message and len(message) < 400


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\x80\x81", b"[" * 100_000, b'{"model": NaN', b'{"model": 1, "model": 2}', b'{"a":"\\ud800'],
)
def test_what_is_no_json_is_one_clear_line(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_bytes(content)
    with pytest.raises(GlaswerkError) as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_name_that_is_nothing() -> None:
    with pytest.raises(GlaswerkError, match="no tokenizer at"):
        load("no/such/place")


def test_a_pattern_that_explodes_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    from glaswerk.tokenizer import split as room

    monkeypatch.setattr(room, "PATTERN_SECONDS", 0.2)
    document = changed("pre_tokenizer/pretokenizers/0/pattern", {"Regex": "(?:a+)+b"})
    tokenizer = from_json(document)
    with pytest.raises(GlaswerkError, match="too long"):
        tokenizer.split("a" * 5_000)  # type: ignore[attr-defined]


def test_a_run_folder_can_be_named(tmp_path: Path) -> None:
    train_bpe(TEXTS, 300, "gpt2").save(tmp_path / "tokenizer")
    assert load(tmp_path).split.pattern == GPT2  # type: ignore[attr-defined]


def test_rank_files_are_checked(tmp_path: Path) -> None:
    from glaswerk.tokenizer.published import read_ranks

    file = tmp_path / "x.tiktoken"
    for content in (b"IQ== 0\nIg== 2\n", b"IQ==\n", b"!!! 0\n", b"IQ== x\n", b"IQ== 0 0\n"):
        file.write_bytes(content)
        with pytest.raises(GlaswerkError, match="pull the vocabulary again"):
            read_ranks(file)
    (tmp_path / "y.tiktoken.gz").write_bytes(b"no gzip")
    with pytest.raises(GlaswerkError, match="cannot be read"):
        read_ranks(tmp_path / "y.tiktoken.gz")
