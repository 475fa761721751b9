"""What the fuzzer opens, format by format: small valid files, how they are broken, and what is done with them.

Each target opens a file as a user would and *uses* it: weights are unpacked and run, texts encoded, templates
rendered. Small models, so that thousands of files a minute pass.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.fuzz import mutate

TEXT = "Hello there, it's 123 o'clock.\n\n  aaaa aaaa naïve 日本語 😀 <|im_end|> <s></s> ▁x\u0000"
MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hi <|im_end|> {{ 7*7 }}"},
    {"role": "assistant", "content": "Hello."},
]


@dataclass(frozen=True)
class Target:
    """``seeds(folder)``: valid files as bytes; ``use(folder, data)`` opens and uses one, and raises as it likes."""

    seeds: Callable[[Path], list[bytes]]
    aware: Callable[[bytes, random.Random], bytes]
    use: Callable[[Path, bytes], None]


# ---------------------------------------------------------------------------------------------- GGUF
def gguf_seeds(folder: Path) -> list[bytes]:
    """All kinds of metadata and of tensors; a larger alignment; no tensors at all."""
    import numpy as np

    from glaswerk.formats.blocks import KINDS, row_bytes
    from glaswerk.formats.gguf import NewTensor, write_gguf

    rng = np.random.default_rng(0)

    def tensor(kind: str, *shape: int) -> NewTensor:
        raw = rng.integers(0, 256, (int(np.prod(shape[:-1])), row_bytes(kind, shape[-1])), np.uint8)
        return NewTensor(f"blk.0.{kind}.weight", kind, shape, lambda: raw)

    lists = {
        "tokenizer.ggml.tokens": ["<unk>", "a", "Ġb", "日", "x" * 50],
        "tokenizer.ggml.scores": np.arange(5, dtype="<f4"),
        "tokenizer.ggml.token_type": np.ones(5, "<i4"),
        "tokenizer.ggml.merges": ["a b", "Ġ a"],
        "flags": np.array([True, False]),
    }
    plain = {
        "general.architecture": "llama",
        "llama.block_count": 1,
        "big": 2**40,
        "small": -5,
        "eps": 1e-5,
        "yes": True,
    }
    made = []
    for metadata, tensors in (
        ({**plain, **lists}, [tensor(kind, 2, 256) for kind in KINDS]),
        ({**plain, "general.alignment": 32}, [tensor("Q8_0", 2, 3, 32)]),
        (lists, []),
    ):
        write_gguf(folder / "seed.gguf", metadata, tensors)
        made.append((folder / "seed.gguf").read_bytes())
    return made


def use_gguf(folder: Path, data: bytes) -> None:
    """Read every value, every text and every weight."""
    from glaswerk.formats.blocks import dequantize
    from glaswerk.formats.gguf import GGUFFile

    file = folder / "x.gguf"
    file.write_bytes(data)
    opened = GGUFFile(file)
    for value in opened.metadata.values():
        if not isinstance(value, str):
            list(value) if hasattr(value, "__len__") else float(value)
    for name, tensor in opened.tensors.items():
        assert dequantize(tensor.kind, opened.raw(name)).size == math.prod(tensor.shape)
        opened.release(name)


# ---------------------------------------------------------------------------------------------- whole models in GGUF
def opened_seeds(folder: Path) -> list[bytes]:
    """Three architectures with a byte-level tokenizer, one of them with its angles slowed; one with scores."""
    import numpy as np
    import torch

    from glaswerk.formats.gguf import write_gguf
    from glaswerk.model import Decoder, ModelConfig
    from glaswerk.model.gguf import to_metadata, to_tensors
    from glaswerk.tokenizer import gguf, train_bpe
    from glaswerk.tokenizer.chat import CHATML
    from glaswerk.tokenizer.speech import Speech

    torch.manual_seed(0)
    tokenizer = train_bpe(["the dog and the fox", TEXT] * 3, 275, "gpt4")
    size = tokenizer.vocabulary_size
    shape: dict[str, Any] = {"vocabulary_size": size + 5, "width": 64, "layers": 2, "heads": 2, "context": 64}
    byte_level = gguf.to_metadata(Speech(tokenizer, None, None, frozenset()), shape["vocabulary_size"])
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{value:02X}>" for value in range(256)), "▁", "a", "▁a", "t", "h", "th"]
    pieces += [f"[PAD{number}]" for number in range(shape["vocabulary_size"] - len(pieces))]
    scores = {
        gguf.KEY + "model": "llama",
        gguf.KEY + "tokens": pieces,
        gguf.KEY + "token_type": np.array([2, 3, 3, *[6] * 256, *[1] * 6, *[5] * (len(pieces) - 265)], np.int32),
        gguf.KEY + "scores": -np.arange(len(pieces), dtype=np.float32),
        gguf.KEY + "bos_token_id": 1,
        gguf.KEY + "eos_token_id": 2,
        gguf.KEY + "unknown_token_id": 0,
        "tokenizer.chat_template": CHATML.replace("<|im_start|>", "<s>").replace("<|im_end|>", "</s>"),
    }
    llama3 = ModelConfig.modern(**shape, qk_norm=False, rope_llama3=(8.0, 1.0, 4.0, 64), tied=False, kv_heads=1)
    made = []
    for config, kind, words in (
        (ModelConfig.modern(**shape), "Q8_0", byte_level),
        (ModelConfig.classic(**shape), "F16", byte_level),
        (llama3, "Q4_0", scores),
        (ModelConfig.modern(**shape, qk_norm=False, attention_bias=True), "Q8_0", byte_level),
    ):
        model = Decoder(config)
        write_gguf(folder / "seed.gguf", {**to_metadata(config, kind), **words}, to_tensors(model, kind))
        made.append((folder / "seed.gguf").read_bytes())
    return made


def use_opened(folder: Path, data: bytes) -> None:
    """What ``glaswerk chat FILE`` does: configuration, weights, tokenizer and template of one file; then it reads."""
    import torch

    from glaswerk.opened import load
    from glaswerk.tokenizer import split, template

    split.PATTERN_SECONDS = template.SECONDS = 0.5
    (folder / "x.gguf").write_bytes(data)
    opened = load(folder / "x.gguf")
    ids = opened.prompt_ids(TEXT)
    if opened.has_chat:
        ids += opened.chat_ids(MESSAGES)
    assert all(0 <= number < opened.model.config.vocabulary_size for number in ids)
    with torch.inference_mode():
        opened.model(torch.tensor([ids[: min(4, opened.model.config.context)]]))
    opened.tokenizer.decode(sorted(opened.end_ids))


# ---------------------------------------------------------------------------------------------- model folders
@cache
def model_folder(folder: Path, kind: str) -> Path:
    """A model of two layers, saved once in each process."""
    import torch

    from glaswerk.model import Decoder, ModelConfig
    from glaswerk.model.weights import save_model

    torch.manual_seed(0)
    make = ModelConfig.classic if kind == "gpt2" else ModelConfig.modern
    features = {"qk_norm": False} if kind == "llama" else {}
    save_model(folder / kind, Decoder(make(vocabulary_size=40, width=32, layers=2, heads=2, context=32, **features)))
    return folder / kind


def safetensors_seeds(folder: Path) -> list[bytes]:
    """The weights of three shapes."""
    return [(model_folder(folder, kind) / "model.safetensors").read_bytes() for kind in ("qwen3", "gpt2", "llama")]


def use_safetensors(folder: Path, data: bytes) -> None:
    """Open the model that the weights are said to belong to, and run it."""
    kind = "gpt2" if b"wpe" in data else "qwen3" if b"q_norm" in data else "llama"
    (folder / kind / "model.safetensors").write_bytes(data)
    _run(folder / kind)


def config_seeds(folder: Path) -> list[bytes]:
    """Our own configurations, and one as Llama 3.1 writes it."""
    ours = [(model_folder(folder, kind) / "config.json").read_bytes() for kind in ("qwen3", "gpt2", "llama")]
    llama = {**json.loads(ours[2]), "rope_scaling": {
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }}  # fmt: skip
    return [*ours, json.dumps(llama).encode()]


def use_config(folder: Path, data: bytes) -> None:
    """Open the weights of the shape that it began as."""
    kind = "gpt2" if b"n_embd" in data else "llama" if b"mlp_bias" in data else "qwen3"
    (folder / kind / "config.json").write_bytes(data)
    _run(folder / kind)


def _run(folder: Path) -> None:
    import torch

    from glaswerk.model.weights import load_model

    model = load_model(folder)
    with torch.inference_mode():
        model(torch.zeros((1, min(4, model.config.context)), dtype=torch.long))


# ---------------------------------------------------------------------------------------------- tokenizers
def tokenizer_seeds(folder: Path) -> list[bytes]:
    """Byte-level in three forms, SentencePiece's form, and our lower rungs."""
    from glaswerk.tokenizer import train_bpe
    from glaswerk.tokenizer.characters import CharacterTokenizer
    from glaswerk.tokenizer.words import WordTokenizer

    texts = ["the dog and the fox", TEXT] * 3
    made = [train_bpe(texts, 275, pattern).as_json() for pattern in ("gpt2", "gpt4")]
    nfc = json.loads(json.dumps(made[0]))
    nfc["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "NFC"}]}
    nfc["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "Digits", "individual_digits": True},
            {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
        ],
    }
    nfc["model"]["merges"] = [" ".join(pair) for pair in nfc["model"]["merges"]]
    pieces = [
        "<unk>",
        "<s>",
        "</s>",
        *(f"<0x{value:02X}>" for value in range(256)),
        *"▁abcdefhinorstx",
        "▁t",
        "he",
        "▁the",
    ]
    sentencepiece = {
        "version": "1.0",
        "added_tokens": [{"id": number, "content": pieces[number], "special": True} for number in range(3)],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "pre_tokenizer": None,
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {
            "type": "BPE", "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True,
            "vocab": {piece: number for number, piece in enumerate(pieces)},
            "merges": ["▁ t", "h e", "▁t he"],
        },
    }  # fmt: skip
    lower = [CharacterTokenizer.train(texts, ("<|endoftext|>",)).as_json(), WordTokenizer.train(texts, 40).as_json()]
    return [json.dumps(one).encode() for one in (*made, nfc, sentencepiece, *lower)]


def use_tokenizer(folder: Path, data: bytes) -> None:
    """Load it, encode, decode, save."""
    from glaswerk.tokenizer import load, split

    split.PATTERN_SECONDS = 0.5
    file = folder / "tokenizer.json"
    file.write_bytes(data)
    tokenizer = load(file)
    for special in (False, True):
        ids = tokenizer.encode(TEXT, special=special)
        assert all(0 <= number < tokenizer.vocabulary_size for number in ids)
        tokenizer.decode(ids)
    tokenizer.encode_batch(["aaaa" * 50, ""])


# ---------------------------------------------------------------------------------------------- templates
def template_seeds(folder: Path) -> list[bytes]:
    """Ours, and one with the features that strangers' templates use."""
    from glaswerk.tokenizer.chat import CHATML

    long = (
        "{%- if tools %}{{ tools | tojson(indent=4) }}{% endif -%}{% set ns = namespace(last=-1) %}"
        "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}{{ bos_token }}{% endif %}"
        "{% set ns.last = loop.index0 %}{{ '<|im_start|>' ~ message.role ~ '\n' ~ message['content'].strip() }}"
        "{% if message.content is string and '</think>' in message.content %}"
        "{{ message.content.split('</think>')[-1].lstrip('\n') }}{% endif %}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    tokens = {"bos_token": "<|endoftext|>", "eos_token": {"content": "<|im_end|>"}, "tokenizer_class": "x"}
    named = [{"name": "default", "template": CHATML}, {"name": "tool_use", "template": long}]
    return [json.dumps({**tokens, "chat_template": one}).encode() for one in (CHATML, long, named)]


@cache
def small_tokenizer() -> Any:
    """Bytes and the three special tokens."""
    from glaswerk.tokenizer import train_bpe

    return train_bpe(["a b c"], 262)


def use_template(folder: Path, data: bytes) -> None:
    """Render a conversation, as ids; and what else stands in that file."""
    from glaswerk.tokenizer import jinja
    from glaswerk.tokenizer.speech import Speech

    jinja.SECONDS = 0.5
    (folder / "tokenizer_config.json").write_bytes(data)
    speech = Speech.of_folder(folder, small_tokenizer())
    speech.text(TEXT)
    if speech.has_chat:
        speech.conversation(MESSAGES)


TARGETS = {
    "gguf": Target(gguf_seeds, mutate.gguf_aware, use_gguf),
    "opened": Target(opened_seeds, mutate.gguf_both, use_opened),
    "safetensors": Target(safetensors_seeds, mutate.safetensors_aware, use_safetensors),
    "config": Target(config_seeds, mutate.json_aware, use_config),
    "tokenizer": Target(tokenizer_seeds, mutate.json_aware, use_tokenizer),
    "template": Target(template_seeds, mutate.template_aware, use_template),
}
