"""Models from GGUF files: against transformers reading the same file, every shape there and back, hostile metadata."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from glaswerk.errors import GlaswerkError
from glaswerk.formats.blocks import KINDS, quantize, row_bytes
from glaswerk.formats.gguf import GGUFFile, NewTensor, write_gguf
from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.gguf import half_split, interleaved, to_metadata, to_tensors
from glaswerk.model.layout import gguf_name, layout
from glaswerk.model.quantize import QuantizedLinear
from glaswerk.model.weights import load_model, save_model

SIZES: dict[str, Any] = {"vocabulary_size": 131, "width": 64, "layers": 2, "heads": 4, "context": 64}
SHAPES: dict[str, ModelConfig] = {
    "gpt2": ModelConfig.classic(**SIZES),
    "gpt2-untied": ModelConfig.classic(**SIZES, tied=False),
    "llama": ModelConfig.modern(**SIZES, kv_heads=2, qk_norm=False, rope_theta=777.0),
    "llama-untied-biased": ModelConfig.modern(
        **SIZES, kv_heads=2, qk_norm=False, tied=False, attention_bias=True, output_bias=True, mlp_bias=True
    ),
    "llama3": ModelConfig.modern(
        **{**SIZES, "head_width": 64}, kv_heads=1, qk_norm=False, rope_theta=5e5, rope_llama3=(8.0, 1.0, 4.0, 8192)
    ),
    "qwen2": ModelConfig.modern(**SIZES, kv_heads=2, qk_norm=False, tied=False, attention_bias=True),
    "qwen3": ModelConfig.modern(**{**SIZES, "head_width": 128}, kv_heads=2),
}


def random_model(config: ModelConfig) -> Decoder:
    """Random weights, none of them zero or one, all of them numbers that fp16 holds."""
    model = Decoder(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.15).copy_(parameter.half())
    return model


def write(path: Path, model: Decoder, kind: str = "F16", **metadata: Any) -> Path:
    write_gguf(path, {**to_metadata(model.config, kind), **metadata}, to_tensors(model, kind))
    return path


def same(ours: Tensor, other: Tensor, tolerance: float = 1e-5) -> None:
    assert ours.shape == other.shape
    assert (ours - other).abs().max() <= tolerance * other.abs().max()


@pytest.fixture
def ids() -> Tensor:
    return torch.randint(0, 131, (2, 40), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", SHAPES)
@torch.no_grad()
def test_there_and_back(shape: str, ids: Tensor, tmp_path: Path) -> None:
    """Through a Hugging Face folder and a GGUF file: the same configuration, the same weights bit by bit."""
    model = random_model(SHAPES[shape])
    save_model(tmp_path / "folder", model)
    path = write(tmp_path / "x.gguf", load_model(tmp_path / "folder"))
    again = load_model(path)
    found, wanted = again.config, model.config
    assert (found.rope_llama3, found.family()) == (wanted.rope_llama3, wanted.family())
    assert found.norm_eps == pytest.approx(wanted.norm_eps) and found.rope_theta == pytest.approx(wanted.rope_theta)
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, dict(again.named_parameters())[name]), name
    same(again(ids), model(ids))
    save_model(tmp_path / "back", again)
    same(load_model(tmp_path / "back")(ids), model(ids))


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if "biased" not in shape])  # transformers drops those
@torch.no_grad()
def test_transformers_reads_what_we_write(shape: str, ids: Tensor, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("gguf")
    model = random_model(replace(SHAPES[shape], context=1024))  # it takes GPT-2's own for granted
    words = [f"t{number}" for number in range(131)]
    write(
        tmp_path / "x.gguf", model,
        **{"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": words, "tokenizer.ggml.merges": ["t 1"]},
    )  # fmt: skip
    other = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="x.gguf", dtype=torch.float32).eval()
    if shape == "llama3":  # it does not read the slowed angles, so give it them
        other = transformers.LlamaForCausalLM(transformers.LlamaConfig(**model.config.to_hf())).eval()
        save_model(tmp_path / "folder", model)
        other = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "folder")
    same(load_model(tmp_path / "x.gguf")(ids), other(ids).logits, 1e-4)


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0"])
@torch.no_grad()
def test_blocks_are_kept_as_they_are(kind: str, ids: Tensor, tmp_path: Path) -> None:
    path = write(tmp_path / "x.gguf", random_model(SHAPES["llama"]), kind)
    plain, kept = load_model(path), load_model(path, keep_blocks=True)
    same(kept(ids), plain(ids))
    packed = {name: module for name, module in kept.named_modules() if isinstance(module, QuantizedLinear)}
    assert len(packed) == 9 and {module.kind for name, module in packed.items() if "blocks" in name} == {kind}
    assert packed["embedding"].kind == "Q8_0"
    asked = load_model(path, bits=8 if kind == "Q8_0" else 4)  # what is asked for is what is there
    for name, module in packed.items():
        other = asked.get_submodule(name)
        assert torch.equal(module.q, other.q) and torch.equal(module.scale, other.scale)
    crossed = load_model(path, bits=4 if kind == "Q8_0" else 8)
    assert 0 < (crossed(ids) - plain(ids)).norm() < 0.5 * plain(ids).norm()


def test_every_number_format_and_mixtures_of_them(tmp_path: Path) -> None:
    """A file with another format in each matrix, q, k and v included; the oracle unpacks them."""
    gguf = pytest.importorskip("gguf")
    config = ModelConfig.modern(
        vocabulary_size=40, width=256, layers=4, heads=4, kv_heads=2, mlp_width=512, context=16, qk_norm=False
    )
    draw = np.random.default_rng(0)
    kinds = [kind for kind in KINDS if kind not in ("F32", "F16", "BF16")]
    tensors, raws = [], {}
    for number, tensor in enumerate(to_tensors(random_model(config), "F16")):
        if len(tensor.shape) == 2:
            kind = kinds[number % len(kinds)]
            raw = draw.integers(0, 256, (tensor.shape[0], row_bytes(kind, tensor.shape[1])), np.uint8)
            blocks = raw.reshape(-1, KINDS[kind].bytes)
            for at in {"Q6_K": [208], "Q4_1": [0, 2], "Q5_1": [0, 2], "Q4_K": [0, 2], "Q5_K": [0, 2]}.get(kind, [0]):
                blocks[:, at : at + 2] = draw.uniform(0.001, 0.01, (len(blocks), 1)).astype(np.float16).view(np.uint8)
            raws[tensor.name] = gguf.quants.dequantize(raw, gguf.GGMLQuantizationType[kind])
            tensors.append(NewTensor(tensor.name, kind, tensor.shape, lambda raw=raw: raw))
        else:
            tensors.append(tensor)
    write_gguf(tmp_path / "x.gguf", to_metadata(config, "F16"), tensors)
    assert {info.kind for info in GGUFFile(tmp_path / "x.gguf").tensors.values()} == {"F32", *kinds}
    model = load_model(tmp_path / "x.gguf")
    for name, parts in layout(config).items():
        parameter, row = dict(model.named_parameters())[name], 0
        for part in parts:
            theirs = gguf_name(part.name)
            if theirs in raws:
                value = raws[theirs]
                for letter, heads in (("attn_q.", 4), ("attn_k.", 2)):
                    if letter in theirs:
                        value = value.reshape(heads, -1, 2, 256).swapaxes(1, 2).reshape(-1, 256)
                np.testing.assert_array_equal(parameter[row : row + len(value)].detach().numpy(), value)
            row += part.shape[0]
    kept = load_model(tmp_path / "x.gguf", keep_blocks=True)
    for name, module in kept.named_modules():
        if isinstance(module, QuantizedLinear):
            value = dict(model.named_parameters())[name if name == "embedding" else name + ".weight"]
            assert (module.weight() - value).norm() < 0.01 * value.norm(), name


def test_the_rows_of_q_and_k_are_put_in_order_and_back() -> None:
    assert half_split(8, 1).tolist() == [0, 2, 4, 6, 1, 3, 5, 7]
    assert interleaved(8, 1).tolist() == [0, 4, 1, 5, 2, 6, 3, 7]
    rows = np.arange(48)
    np.testing.assert_array_equal(rows[interleaved(48, 3)][half_split(48, 3)], rows)


# ------------------------------------------------------------------------------------------ a real model
PROMPTS = [
    "The capital of France is", "Once upon a time, there was", "Water boils at", "def fibonacci(n):",
    "The three primary colours are", "To make a good cup of tea,", "In 1969, the first human", "My favourite book is",
    "The largest planet in the solar system", "Photosynthesis is the process", "A triangle has", "Dear Sir or Madam,",
    "The quick brown fox", "1, 2, 3, 4,", "Die Hauptstadt von Deutschland ist", "The opposite of hot is",
    "She opened the door and", "Gravity is the force that", "The recipe needs two eggs,", "import numpy as np\n",
]  # fmt: skip


@pytest.mark.parametrize(
    ("prompts", "tokens"), [(PROMPTS[:3], 16), pytest.param(PROMPTS, 64, marks=pytest.mark.slow)], ids=["some", "all"]
)
@torch.no_grad()
def test_smollm2_says_what_transformers_says(pulled: Any, prompts: list[str], tokens: int) -> None:
    """The same file in both, fp32: logits within 1e-3 of their largest, greedy text token by token."""
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("gguf")
    import glaswerk as gw

    (path,) = pulled("smollm2").glob("*.gguf")
    other = transformers.AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    opened = gw.load("smollm2", "fp32")
    for prompt in prompts:
        ids = torch.tensor([opened.tokenizer.encode(prompt)])
        same(opened.model(ids), other(ids).logits, 1e-3)
        expected = other.generate(ids, max_new_tokens=tokens, do_sample=False, eos_token_id=[0, 2], pad_token_id=2)
        said = [number for number in expected[0, ids.shape[1] :].tolist() if number not in opened.end_ids]
        assert opened.generate(prompt, max_tokens=tokens).ids == said, prompt


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(("keep_blocks", "kept"), [(True, 98e6), (False, 538e6)])
def test_loading_needs_little_more_than_the_weights(pulled: Any, python: Any, keep_blocks: bool, kept: float) -> None:
    (path,) = pulled("smollm2").glob("*.gguf")
    code = (
        "import sys, torch\n"
        "from pathlib import Path\n"
        "from glaswerk.model.weights import load_model\n"
        "torch.ones(8) @ torch.ones(8)\n"
        "read = lambda key: int(next(l for l in open('/proc/self/status') if l.startswith(key)).split()[1]) * 1024\n"
        "before = read('VmRSS')\n"
        f"model = load_model(Path(sys.argv[1]), keep_blocks={keep_blocks})\n"
        "print(read('VmHWM') - before)\n"
    )
    done = python("-c", code, str(path))
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 1.5 * kept


# ------------------------------------------------------------------------------------------ metadata that lie
HOSTILE: list[tuple[str, Any, str]] = [
    ("general.architecture", "gemma2", "gemma2"),
    ("general.architecture", 3, "general.architecture 3"),
    ("general.architecture", np.array([4, 4], np.int32), "general.architecture array([4, 4], dtype=int32)"),
    ("general.architecture", np.zeros(5_000), "general.architecture"),
    ("general.architecture", ["llama", "llama"], "general.architecture <2 texts>"),
    ("llama.rope.scaling.type", np.array([4, 4], np.int32), "rope.scaling"),
    ("llama.expert_count", np.zeros(5_000), "llama.expert_count"),
    ("general.alignment", np.arange(5_000, dtype=np.int32), "general.alignment"),
    ("llama.embedding_length", 96, "token_embd.weight"),
    ("llama.embedding_length", "64", "llama.embedding_length"),
    ("llama.embedding_length", -5, "llama.embedding_length"),
    ("llama.block_count", 10**6, "llama.block_count must be a whole number from 1 to 1024, not 1000000 (at byte"),
    ("llama.block_count", 3, "'blk.2.attn_norm.weight' is missing"),
    ("llama.block_count", 1, "'blk.1.attn_k.weight' has no place"),
    ("llama.block_count", 2.0, "llama.block_count"),
    ("llama.context_length", 1 << 40, "context"),
    ("llama.attention.head_count", 0, "head_count"),
    ("llama.attention.head_count", np.array([4, 4], np.int32), "head_count"),
    ("llama.attention.head_count_kv", 3, "llama.attention.head_count (4) must be a multiple"),
    ("llama.attention.key_length", 8, "key_length"),
    ("llama.rope.dimension_count", 8, "rope.dimension_count"),
    ("llama.rope.freq_base", float("nan"), "rope.freq_base must be a number from 1 to 1e+12, not nan (at byte"),
    ("llama.rope.freq_base", 1e-30, "rope.freq_base"),
    ("llama.rope.freq_base", float("inf"), "rope.freq_base"),
    ("llama.feed_forward_length", 1 << 62, "llama.feed_forward_length must be"),
    ("llama.attention.head_count", 3, "multiple"),
    ("llama.attention.key_length", 1 << 30, "llama.attention.key_length must be"),
    ("llama.attention.layer_norm_rms_epsilon", 1e20, "epsilon must be"),
    ("llama.rope.scaling.type", "yarn", "rope.scaling"),
    ("llama.rope.scaling.type", 7, "rope.scaling"),
    ("llama.attention.layer_norm_rms_epsilon", 0.0, "epsilon"),
    ("llama.expert_count", 8, "llama.expert_count = 8"),
    ("llama.attention.sliding_window", 4096, "sliding_window"),
    ("llama.logit_scale", 0.5, "logit_scale"),
    ("llama.final_logit_softcapping", 30.0, "softcapping"),
]


@pytest.mark.parametrize(("key", "value", "what"), HOSTILE, ids=[f"{n}-{key}" for n, (key, _, _) in enumerate(HOSTILE)])
def test_metadata_that_ask_for_something_else_are_refused_by_name(
    tmp_path: Path, key: str, value: Any, what: str
) -> None:
    path = write(tmp_path / "x.gguf", random_model(SHAPES["llama"]), **{key: value})
    with pytest.raises(GlaswerkError) as refused:
        load_model(path)
    said = str(refused.value)
    assert what in said and "x.gguf" in said and "\n" not in said and len(said) < 400


def test_missing_values_and_odd_tensors(tmp_path: Path) -> None:
    model = random_model(SHAPES["llama3"])
    metadata, tensors = to_metadata(model.config, "F16"), to_tensors(model, "F16")
    path = tmp_path / "x.gguf"
    for key in ("general.architecture", "llama.embedding_length", "llama.block_count", "llama.attention.head_count"):
        write_gguf(path, {name: value for name, value in metadata.items() if name != key}, tensors)
        with pytest.raises(GlaswerkError, match=key):
            load_model(path)

    def with_factors(values: list[float]) -> list[NewTensor]:
        row = np.array([values], np.float32)
        kept = [tensor for tensor in tensors if tensor.name != "rope_freqs.weight"]
        return [*kept, NewTensor("rope_freqs.weight", "F32", (len(values),), lambda: quantize("F32", row))]

    for odd in ([1.0] * 7, [0.5] * 32, [float("nan")] * 32, [1.0, *range(1, 32)]):
        write_gguf(path, metadata, with_factors(odd))
        with pytest.raises(GlaswerkError, match="rope_freqs"):
            load_model(path)
    write_gguf(path, metadata, with_factors([1.0] * 32))
    assert load_model(path).config.rope_llama3 is None
    write_gguf(path, metadata, [*tensors, NewTensor("extra", "F32", (1,), lambda: quantize("F32", np.ones((1, 1))))])
    with pytest.raises(GlaswerkError, match="'extra' has no place"):
        load_model(path)
