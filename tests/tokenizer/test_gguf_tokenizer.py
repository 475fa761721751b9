"""Tokenizers from GGUF metadata: ids equal to those of llama.cpp on the same file, and to those of `tokenizers`."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glaswerk.errors import GlaswerkError
from glaswerk.formats.gguf import GGUFFile, write_gguf
from glaswerk.tokenizer import Tokenizer, train_bpe
from glaswerk.tokenizer.gguf import PRE, begin_id, end_ids, load_tokenizer, to_metadata
from glaswerk.tokenizer.speech import Speech

TEXT = (
    "The river runs through the old town in 1492 and 2024, isn't it? We'll see: 100 + 7 = 107.\n\n"
    "Größe, naïve, ÉCOLE, déjà vu; привет, мир! 日本語のテキスト.  def f(x):\n\treturn x ** 2\n"
)
#: what a llama.cpp needs to be told of the model before it reads a vocabulary
MODEL = {
    "general.architecture": "llama", "llama.context_length": 64, "llama.embedding_length": 32, "llama.block_count": 1,
    "llama.feed_forward_length": 32, "llama.attention.head_count": 1, "llama.attention.layer_norm_rms_epsilon": 1e-5,
    "llama.rope.dimension_count": 32,
}  # fmt: skip


def written(path: Path, values: dict[str, Any]) -> GGUFFile:
    write_gguf(path, {**MODEL, **values}, [])
    return GGUFFile(path)


def llama(path: Path) -> Any:
    llama_cpp = pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed (it needs a compiler)")
    return llama_cpp.Llama(str(path), vocab_only=True, n_ctx=64, verbose=False)


def texts(count: int) -> list[str]:
    draw = random.Random(1)
    parts = [
        *"abcDEF  0123456789\n\t\r.,'!?$+=<>^~|äßé€日本и😀\u00a0\u2003²½",
        "'s",
        "'LL",
        " the",
        "\r\n",
        "  \n ",
        "town",
    ]
    return ["", " ", TEXT, *("".join(draw.choices(parts, k=draw.randint(1, 30))) for _ in range(count))]


def byte_level(pre: str) -> dict[str, Any]:
    """Metadata of a BPE trained here, with the name of its cuts exchanged."""
    tokenizer = train_bpe([TEXT * 4], 420, pattern="gpt4" if pre in ("llama-bpe", "qwen2") else "gpt2")
    values = to_metadata(Speech(tokenizer, None, None, frozenset()), tokenizer.vocabulary_size)
    return {**values, "tokenizer.ggml.pre": pre}


@pytest.mark.parametrize("pre", PRE)
def test_every_way_to_cut_gives_the_ids_of_llama_cpp_and_tokenizers(pre: str, tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    file = written(tmp_path / "x.gguf", byte_level(pre))
    ours = load_tokenizer(file.metadata)
    theirs = llama(file.path)
    reference = tokenizers.Tokenizer.from_str(json.dumps({**ours.as_json(), "added_tokens": []}))
    for text in texts(400):
        ids = ours.encode(text)
        assert ids == reference.encode(text).ids, text
        if pre != "qwen2" or text.isascii():  # llama.cpp leaves out Qwen's normalisation
            assert ids == theirs.tokenize(text.encode(), add_bos=False, special=False), text


@pytest.fixture(scope="module")
def smollm2() -> tuple[Tokenizer, Path]:
    from glaswerk import pull

    if not pull.is_pulled("smollm2"):
        pytest.skip("smollm2 is not pulled: run `glaswerk pull smollm2`")
    (path,) = pull.path("smollm2").glob("*.gguf")
    return load_tokenizer(GGUFFile(path).metadata), path


#: what SmolLM2 has no token for, and what never comes in texts anyway
CHARACTERS = st.characters(exclude_categories=["Cs", "Cn"], exclude_characters="\x04\x06\x13\x14\x16\x1d")


@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(text=st.text(CHARACTERS, max_size=60) | st.text("abc 019\n\t'st.,", max_size=60))
def test_any_text_has_the_ids_of_llama_cpp(smollm2: tuple[Tokenizer, Path], text: str) -> None:
    tokenizer, path = smollm2
    if not hasattr(test_any_text_has_the_ids_of_llama_cpp, "theirs"):
        test_any_text_has_the_ids_of_llama_cpp.theirs = llama(path)  # type: ignore[attr-defined]
    theirs = test_any_text_has_the_ids_of_llama_cpp.theirs  # type: ignore[attr-defined]
    assert tokenizer.encode(text) == theirs.tokenize(text.encode(), add_bos=False, special=False)
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_bytes_without_a_token_are_left_out_as_tokenizers_does(smollm2: tuple[Tokenizer, Path]) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    ours, _ = smollm2
    reference = tokenizers.Tokenizer.from_str(json.dumps({**ours.as_json(), "added_tokens": []}))
    for text in ("a\x04b", "\x04", "the\x06 the", "town\x13\x14\x16 of \x1d\n", "ab" * 200 + "\x04" + "cd"):
        assert ours.encode(text) == reference.encode(text).ids
        assert ours.encode_batch([text, "x"]) == [reference.encode(text).ids, ours.encode("x")]
        assert ours.encode_arrays([text])[0].tolist() == ours.encode(text)


# ------------------------------------------------------------------------------------------ sentencepiece
def sentencepiece(prefix: bool = True) -> dict[str, Any]:
    """A vocabulary with scores: bytes, letters, and pieces of words that merges reach."""
    pieces = [f"<0x{value:02X}>" for value in range(256)]
    letters = ["▁", *"abcdefghinorstuvwä"]
    words = [
        "he",
        "in",
        "th",
        "▁th",
        "▁the",
        "ow",
        "tow",
        "▁t",
        "▁tow",
        "town",
        "▁town",
        "er",
        "▁▁",
        "iv",
        "river",
        "ri",
        "ver",
    ]
    tokens = ["<unk>", "<s>", "</s>", *pieces, *letters, *words]
    types = [2, 3, 3, *[6] * 256, *[1] * (len(letters) + len(words))]
    scores = [0.0] * 259 + [-1000.0] * len(letters) + [-float(place) for place in range(len(words))]
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": np.array(types, np.int32),
        "tokenizer.ggml.scores": np.array(scores, np.float32),
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.add_space_prefix": prefix,
    }


@pytest.mark.parametrize("prefix", [True, False])
def test_scores_merge_as_in_llama_cpp(prefix: bool, tmp_path: Path) -> None:
    file = written(tmp_path / "x.gguf", sentencepiece(prefix))
    ours, theirs = load_tokenizer(file.metadata), llama(file.path)
    draw = random.Random(2)
    parts = ["the", "town", " ", "  ", "river", "ow", "t", "ä", "z", "日", "\n", "<s>"]
    for text in ["the town", "", *("".join(draw.choices(parts, k=draw.randint(1, 12))) for _ in range(500))]:
        assert ours.encode(text) == theirs.tokenize(text.encode(), add_bos=False, special=False), text
        assert ours.decode(ours.encode(text)) == text
    assert begin_id(file.metadata) == 1 and end_ids(file.metadata) == {2}


# ------------------------------------------------------------------------------------------ metadata that lie
HOSTILE: list[tuple[str, Any, str]] = [
    ("model", "t5", "'t5' is not supported"),
    ("model", 5, "'5' is not supported"),
    ("model", np.arange(5_000, dtype=np.int32), "is not supported"),
    ("model", ["gpt2", "gpt2"], "'<2 texts>' is not supported"),
    ("pre", np.arange(5_000, dtype=np.int32), "is not supported"),
    ("pre", ["gpt-2"], "'<1 texts>' is not supported"),
    ("pre", "tekken", "'tekken' is not supported"),
    ("tokens", "abc", "tokens is missing"),
    ("tokens", np.arange(5, dtype=np.int32), "tokens is missing"),
    ("tokens", ["a"] * 20, "a text twice"),
    ("tokens", ["Ġ", "b"], "token"),
    ("token_type", np.zeros(3, np.int32), "token_type is missing"),
    ("token_type", np.zeros(420, np.float32), "token_type is missing"),
    ("token_type", np.full(420, 5, np.int32), "no vocabulary"),
    ("merges", ["ab"], "not two tokens"),
    ("merges", ["a b c"], "not two tokens"),
    ("merges", ["a xyzzy"], "needs a token"),
    ("merges", ["Ġ t", "Ġ t"], "there twice"),
]


@pytest.mark.parametrize(("key", "value", "what"), HOSTILE, ids=[f"{n}-{key}" for n, (key, _, _) in enumerate(HOSTILE)])
def test_a_vocabulary_that_lies_is_refused_in_one_line(tmp_path: Path, key: str, value: Any, what: str) -> None:
    file = written(tmp_path / "x.gguf", {**byte_level("gpt-2"), f"tokenizer.ggml.{key}": value})
    with pytest.raises(GlaswerkError, match=what) as refused:
        load_tokenizer(file.metadata)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 300


def test_scores_that_are_missing_or_tokens_that_are_long(tmp_path: Path) -> None:
    values = sentencepiece()
    values["tokenizer.ggml.scores"] = values["tokenizer.ggml.scores"][:5]
    with pytest.raises(GlaswerkError, match="scores"):
        load_tokenizer(written(tmp_path / "x.gguf", values).metadata)
    values = sentencepiece()
    values["tokenizer.ggml.tokens"][-1] = "▁" * 300
    with pytest.raises(GlaswerkError, match="300 characters"):
        load_tokenizer(written(tmp_path / "x.gguf", values).metadata)


def test_ids_and_templates_that_are_nonsense_are_not_taken(tmp_path: Path) -> None:
    values = {
        **byte_level("gpt-2"), "tokenizer.ggml.bos_token_id": 1 << 31, "tokenizer.ggml.eos_token_id": "end",
        "tokenizer.ggml.eot_token_id": 100_000, "tokenizer.ggml.add_bos_token": True, "tokenizer.chat_template": 7,
    }  # fmt: skip
    speech = Speech.of_gguf(written(tmp_path / "x.gguf", values).metadata)
    assert speech.begin is None and speech.template is None
    assert speech.ends == {speech.tokenizer.special[name] for name in ("<|endoftext|>", "<|im_end|>")}
    values["tokenizer.chat_template"] = "{% for"
    speech = Speech.of_gguf(written(tmp_path / "x.gguf", values).metadata)
    assert speech.text("a")  # continuing a text asks for no template
    with pytest.raises(GlaswerkError, match="template is not valid"):
        speech.conversation([{"role": "user", "content": "a"}])
