"""Configurations and weight files that are broken, foreign or malicious: one clear line that names what is wrong."""

from __future__ import annotations

import json
import os
import random
import re
import struct
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from glaswerk.errors import GlaswerkError
from glaswerk.formats.gguf import GGUFFile
from glaswerk.formats.safetensors import SafetensorsFile
from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.weights import load_model, save_model, view
from glaswerk.opened import load as load_opened
from glaswerk.tokenizer import train_bpe


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = Decoder(ModelConfig.modern(vocabulary_size=50, width=32, layers=2, heads=2, context=32))
    save_model(tmp_path / "model", model, card="# a card\n")
    return tmp_path / "model"


def change(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model_type", "gemma2"),
        ("model_type", ["qwen3"]),
        ("auto_map", {"AutoModelForCausalLM": "evil.Model"}),
        ("hidden_act", "gelu"),
        ("rope_scaling", {"rope_type": "yarn", "factor": 4.0}),
        ("rope_scaling", {"type": "linear", "factor": 2.0}),
        ("rope_parameters", {"rope_type": "dynamic", "rope_theta": 10000.0}),
        ("rope_scaling", "twice"),
        ("final_logit_softcapping", 30.0),
        ("attn_logit_softcapping", 50.0),
        ("use_sliding_window", True),
        ("layer_types", ["full_attention", "sliding_attention"]),
        ("num_experts", 8),
        ("partial_rotary_factor", 0.5),
        ("residual_multiplier", 0.22),
        ("quantization_config", {"bits": 4}),
        ("hidden_size", -1),
        ("hidden_size", 1e9),
        ("hidden_size", True),
        ("hidden_size", "32"),
        ("num_hidden_layers", 10**9),
        ("vocab_size", 10**12),
        ("num_attention_heads", 0),
        ("num_key_value_heads", 3),
        ("head_dim", 0),
        ("rms_norm_eps", float("nan")),
        ("rope_theta", "big"),
        ("tie_word_embeddings", "yes"),
        ("intermediate_size", None),
        ("intermediate_size", 2**63),
        ("intermediate_size", 10**300),
        ("vocab_size", -(10**300)),
        ("vocab_size", 32.0),
        ("vocab_size", [32]),
        ("num_hidden_layers", 0),
        ("num_hidden_layers", {"a": 1}),
        ("num_attention_heads", 3),
        ("num_attention_heads", 2**31),
        ("head_dim", 15),
        ("head_dim", 2**20),
        ("max_position_embeddings", 2**40),
        ("max_position_embeddings", "long"),
        ("rms_norm_eps", 0.0),
        ("rms_norm_eps", -1e-6),
        ("rms_norm_eps", float("inf")),
        ("rms_norm_eps", 1e20),
        ("rope_theta", 1e-45),
        ("rope_theta", 1e29),
        ("rope_theta", float("-inf")),
        ("rope_theta", 10**300),
        ("rope_scaling", {"rope_type": "llama3", "factor": 1e-45, "low_freq_factor": 1.0, "high_freq_factor": 4.0}),
        ("rope_scaling", {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 4.0, "high_freq_factor": 4.0}),
        ("rope_scaling", {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}),
        ("rope_scaling", {"rope_type": [], "factor": float("nan")}),
    ],
)
def test_a_config_that_asks_for_something_else_is_refused_by_key(folder: Path, key: str, value: Any) -> None:
    change(folder, **{key: value})
    with pytest.raises(GlaswerkError) as refused:
        load_model(folder)
    said = str(refused.value)
    assert "\n" not in said and len(said) < 400
    assert str(folder / "config.json") in said and key in said


def test_harmless_extra_keys_are_ignored(folder: Path) -> None:
    change(
        folder, author="me", transformers_version="9.9", _name_or_path="x/y", use_cache=False, unsloth_fixed=True,
        pretraining_tp=1, sliding_window=4096, max_window_layers=2, layer_types=["full_attention"] * 2, note=7,
        initializer_range=0.1, attention_dropout=0.1, rope_scaling={"rope_type": "default"}, num_experts=None,
    )  # fmt: skip
    assert load_model(folder).config.width == 32


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '"x"', "[" * 100_000])
def test_a_config_that_is_no_object(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(GlaswerkError, match=r"config\.json"):
        load_model(folder)


def test_heads_that_do_not_divide_the_width(folder: Path) -> None:
    change(folder, model_type="llama", head_dim=None, num_attention_heads=3, num_key_value_heads=3)
    with pytest.raises(GlaswerkError, match=r"hidden_size \(32\) must be a multiple of num_attention_heads \(3\)"):
        load_model(folder)


def test_a_config_of_many_values_costs_no_memory(folder: Path) -> None:
    """A million bytes of small objects would be two hundred million in Python."""
    for text, word in (('{"a": [' + "{}," * 320_000 + "0]}", "values"), (" " * 1_100_000 + "{}", "MB")):
        (folder / "config.json").write_text(text)
        tracemalloc.start()
        try:
            with pytest.raises(GlaswerkError, match=word):
                load_model(folder)
            assert tracemalloc.get_traced_memory()[1] < 5_000_000
        finally:
            tracemalloc.stop()


def test_a_context_of_millions_costs_nothing_until_it_is_used(folder: Path) -> None:
    """Rotary tables of 16 million rows would be 2 GB for this model; a batch must not make them either."""
    change(folder, max_position_embeddings=2**24)
    model = load_model(folder)
    with torch.inference_mode():
        model(torch.zeros(2, 6, dtype=torch.long), pad=torch.tensor([0, 3]))
        model(torch.zeros(1, 2, dtype=torch.long), positions=torch.tensor([5_000, 5_001]))
    assert model.rotary is not None and 5_002 <= model.rotary.cos_PD.shape[0] < 10_000


@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "tokenizer_config.json"])
@pytest.mark.parametrize("text", ["[" * 100_000, "{", "[]", '{"a": 1, "a": 2}', "\x00", '{"eos_token_id": 1e999'])
def test_a_broken_file_beside_the_weights_is_named(folder: Path, name: str, text: str) -> None:
    train_bpe(["a b c"], 262).save(folder)
    (folder / name).write_text(text)
    with pytest.raises(GlaswerkError) as refused:
        load_opened(folder)
    assert name in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("given", [2**70, -1, "2", [1, "x", None, 2**70, [3]], {"a": 1}, True, 1.0])
def test_ends_that_are_no_ids_are_not_taken(tmp_path: Path, given: Any) -> None:
    tokenizer = train_bpe(["a b c"], 262)
    model = Decoder(ModelConfig.modern(vocabulary_size=262, width=32, layers=1, heads=2, context=32))
    save_model(tmp_path, model, tokenizer)
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": given}))
    change(tmp_path, eos_token_id=given)
    opened = load_opened(tmp_path)
    assert opened.end_ids <= set(range(262)) and tokenizer.end_id in opened.end_ids
    assert len(opened.generate("a", max_tokens=3).ids) <= 3


def test_more_tokens_than_rows_is_refused(folder: Path) -> None:
    train_bpe(["a b c"], 262).save(folder)
    with pytest.raises(GlaswerkError, match="259 tokens and the model 50"):
        load_opened(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.timeout(20)
def test_a_pipe_in_a_files_place_does_not_wait_for_ever(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    os.mkfifo(folder / "a.safetensors")
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"x": "a.safetensors"}}')
    with pytest.raises(GlaswerkError, match="no file"):
        load_model(folder)
    os.mkfifo(folder / "a.gguf")
    with pytest.raises(GlaswerkError, match="no file"):
        GGUFFile(folder / "a.gguf")


def test_missing_cut_foreign_and_misshapen_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    good = weights.read_bytes()
    for cut in (0, 5, 100, len(good) // 2, len(good) - 1):
        weights.write_bytes(good[:cut])
        with pytest.raises(GlaswerkError, match=r"model\.safetensors is damaged"):
            load_model(folder)
    weights.write_bytes(b"PK\x03\x04" + good)
    with pytest.raises(GlaswerkError, match="damaged"):
        load_model(folder)
    weights.write_bytes(good)
    tensors = load_file(weights)
    name = "model.layers.1.mlp.up_proj.weight"
    for broken, what in (
        ({k: v for k, v in tensors.items() if k != name}, "is missing"),
        (
            {**tensors, name: tensors[name][:-1].contiguous()},
            r"has the shape \[95, 32\], config.json asks for \[96, 32\]",
        ),
        ({**tensors, name: tensors[name].to(torch.int32)}, "I32 numbers"),
        ({**tensors, "model.layers.7.extra": torch.ones(1)}, "has no place"),
    ):
        save_file(broken, weights)
        with pytest.raises(GlaswerkError, match=what):
            load_model(folder)
    weights.unlink()
    with pytest.raises(GlaswerkError, match=r"no model\.safetensors"):
        load_model(folder)
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x02.")
    with pytest.raises(GlaswerkError, match="pickle"):
        load_model(folder)


@pytest.mark.parametrize("name", ["../other.safetensors", "/etc/passwd", "a/b.safetensors", "weights.bin", "", ".."])
def test_an_index_cannot_lead_out_of_the_folder(folder: Path, name: str) -> None:
    (folder / "model.safetensors").rename(folder.parent / "other.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": name}}))
    with pytest.raises(GlaswerkError, match=r"index\.json"):
        load_model(folder)


def one(header: Any, data: bytes = b"\0" * 16) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<Q", 2**63) + b"{}",
        one(b"\xff\xfe"),
        one(b"[1]"),
        one(b"[" * 50_000),
        one({"a": 3}),
        one({"a": {"dtype": "F32", "shape": [4]}}),
        one({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 20]}}),
        one({"a": {"dtype": "F32", "shape": [4], "data_offsets": [16, 0]}}),
        one({"a": {"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]}}),
        one({"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 16]}}),
        one({"a": {"dtype": "F32", "shape": [4.0], "data_offsets": [0, 16]}}),
        one({"a": {"dtype": "F33", "shape": [4], "data_offsets": [0, 16]}}),
        one({"a": {"dtype": ["F32"], "shape": [4], "data_offsets": [0, 16]}}),
        one({n: {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]} for n in "ab"}),
        one(
            b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"a":{"dtype":"U8","shape":[16],"data_offsets":[0,16]}}'
        ),
    ],
)
def test_a_hostile_header_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(GlaswerkError) as refused:
        SafetensorsFile(path)
    said = str(refused.value)
    assert "\n" not in said and len(said) < 500 and "x.safetensors" in said
    if b'"dtype"' in content:  # a tensor is wrong, not the whole header: its name and its place
        assert re.search(r"tensor 'a'.*\(described at byte 9\)|tensor 'b'.*at byte|key 'a'", said), said


def test_mutated_files_never_crash(folder: Path) -> None:
    """Either it is refused in one line or it opens; nothing else may happen."""
    weights, draw = folder / "model.safetensors", random.Random(0)
    good = weights.read_bytes()
    refused = 0
    for _ in range(150):
        bad = bytearray(good[: draw.choice([len(good), draw.randrange(len(good))])])
        for _ in range(draw.randint(1, 8)):
            if bad:
                bad[draw.randrange(min(len(bad), draw.choice([8, 600, len(bad)])))] = draw.randrange(256)
        weights.write_bytes(bytes(bad))
        try:
            load_model(folder)
        except GlaswerkError:
            refused += 1
    assert 50 < refused <= 150


def test_an_unaligned_file_is_read_right(tmp_path: Path) -> None:
    path, value = tmp_path / "x.safetensors", torch.randn(4)
    header = json.dumps({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}).encode()
    for padding in range(4):
        path.write_bytes(one(header + b" " * padding, value.numpy().tobytes()))
        assert torch.equal(view(SafetensorsFile(path), "a"), value)


def test_an_interrupted_save_does_not_open_as_a_mixture(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (folder / "card.md").read_text() == "# a card\n"
    other = Decoder(ModelConfig.modern(vocabulary_size=50, width=32, layers=2, heads=2, context=32))

    def power_cut(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("glaswerk.model.weights.write_json", power_cut)
    with pytest.raises(KeyboardInterrupt):
        save_model(folder, other)
    with pytest.raises(GlaswerkError, match=r"config\.json is missing"):
        load_model(folder)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_loading_needs_little_more_than_the_weights(tmp_path: Path, python: Any) -> None:
    config = ModelConfig.modern(vocabulary_size=20_000, width=512, layers=8, heads=8, context=32)
    model = Decoder(config)
    size = 4 * model.parameters_count()["total"]
    save_model(tmp_path, model)
    code = (
        "import sys, torch\n"
        "from pathlib import Path\n"
        "from glaswerk.model.weights import load_model\n"
        "torch.ones(8) @ torch.ones(8)\n"
        "read = lambda key: int(next(l for l in open('/proc/self/status') if l.startswith(key)).split()[1]) * 1024\n"
        "before = read('VmRSS')\n"
        "model = load_model(Path(sys.argv[1]))\n"
        "print(read('VmHWM') - before)\n"
    )
    done = python("-c", code, str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert size > 100e6 and int(done.stdout) < 1.25 * size
