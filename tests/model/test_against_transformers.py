"""Logits and weight files against transformers, both directions, on random two-layer models of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.weights import load_model, save_model

transformers = pytest.importorskip("transformers")

SMALL: dict[str, Any] = {
    "vocab_size": 131,
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 80,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}


def theirs(kind: str) -> Any:
    """A transformers model of a kind with random weights, none of them zero or one (biases and norms neither)."""
    if kind.startswith("gpt2"):
        config = transformers.GPT2Config(
            vocab_size=131,
            n_embd=48,
            n_layer=2,
            n_head=4,
            n_positions=64,
            bos_token_id=0,
            eos_token_id=0,
            tie_word_embeddings=kind == "gpt2",
        )
    elif kind == "llama":
        config = transformers.LlamaConfig(
            **SMALL, tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 777.0}
        )
    elif kind == "llama-untied-biased":
        config = transformers.LlamaConfig(
            **SMALL, tie_word_embeddings=False, attention_bias=True, mlp_bias=True, head_dim=16
        )
    elif kind == "llama3":
        config = transformers.LlamaConfig(**SMALL, tie_word_embeddings=True, rope_parameters=LLAMA3)
    elif kind == "qwen2":
        config = transformers.Qwen2Config(**SMALL, tie_word_embeddings=False)
    else:
        config = transformers.Qwen3Config(**SMALL, head_dim=20, tie_word_embeddings=True)
    torch.manual_seed(3)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.15)
    return model


KINDS = ["gpt2", "gpt2-untied", "llama", "llama-untied-biased", "llama3", "qwen2", "qwen3"]


def same(ours: Tensor, other: Tensor) -> None:
    assert ours.shape == other.shape
    assert (ours - other).abs().max() <= 1e-4 * max(1.0, float(other.abs().max()))
    assert torch.equal(ours.argmax(-1), other.argmax(-1))


@pytest.fixture
def ids() -> Tensor:
    return torch.randint(0, 131, (2, 40), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_their_folder_opens_with_equal_logits(kind: str, ids: Tensor, tmp_path: Path) -> None:
    model = theirs(kind)
    model.save_pretrained(tmp_path)
    ours = load_model(tmp_path)
    expected = model(ids).logits
    same(ours(ids), expected)
    ours.attention_path = "fused"
    same(ours(ids), expected)
    assert ours.parameters_count()["total"] == sum(p.numel() for p in ours.parameters())
    assert ours.parameters_count()["total"] == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_there_and_back_gives_equal_logits_and_bits(kind: str, ids: Tensor, tmp_path: Path) -> None:
    model = theirs(kind)
    model.save_pretrained(tmp_path / "theirs")
    save_model(tmp_path / "ours", load_model(tmp_path / "theirs"))
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours", attn_implementation="eager")
    assert type(again) is type(model)
    assert torch.equal(again(ids).logits, model(ids).logits)
    with (
        safe_open(tmp_path / "theirs/model.safetensors", "pt") as a,
        safe_open(tmp_path / "ours/model.safetensors", "pt") as b,
    ):
        assert set(a.keys()) == set(b.keys())
        assert all(torch.equal(a.get_tensor(name), b.get_tensor(name)) for name in a.keys())  # noqa: SIM118


@pytest.mark.parametrize("shape", ["modern", "classic"])
@torch.no_grad()
def test_our_shapes_open_in_transformers(shape: str, ids: Tensor, tmp_path: Path) -> None:
    make = ModelConfig.modern if shape == "modern" else ModelConfig.classic
    ours = Decoder(make(vocabulary_size=131, width=64, layers=2, heads=4, context=64)).eval()
    for parameter in ours.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.1)
    save_model(tmp_path, ours)
    other, report = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert type(other).__name__ == ("Qwen3ForCausalLM" if shape == "modern" else "GPT2LMHeadModel")
    assert not report["missing_keys"] and not report["unexpected_keys"] and not report["mismatched_keys"]
    same(ours(ids), other(ids).logits)
    assert load_model(tmp_path).config == ours.config


@torch.no_grad()
def test_shards_and_bare_names_open(ids: Tensor, tmp_path: Path) -> None:
    model = theirs("qwen3")
    model.save_pretrained(tmp_path / "shards", max_shard_size="40KB")
    assert (tmp_path / "shards/model.safetensors.index.json").is_file()
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 2
    same(load_model(tmp_path / "shards")(ids), model(ids).logits)
    gpt2 = theirs("gpt2")
    gpt2.transformer.save_pretrained(tmp_path / "bare")  # the names of the original GPT-2 files: no outer prefix
    same(load_model(tmp_path / "bare")(ids), gpt2(ids).logits)


@torch.no_grad()
def test_bf16_weights_stay_bf16(ids: Tensor, tmp_path: Path) -> None:
    model = theirs("llama").to(torch.bfloat16)
    model.save_pretrained(tmp_path)
    ours = load_model(tmp_path, torch.bfloat16)
    assert ours.embedding.dtype == torch.bfloat16
    assert (ours(ids).float() - model(ids).logits.float()).abs().max() < 0.05 * model(ids).logits.abs().max()
    widened = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    same(load_model(tmp_path)(ids), widened(ids).logits)
