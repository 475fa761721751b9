"""LoRA against PEFT: equal numbers from equal adapters, files both ways, merging that is undone to the last bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from glaswerk.errors import GlaswerkError
from glaswerk.formats.gguf import write_gguf
from glaswerk.model import Decoder, ModelConfig, adapter, lora
from glaswerk.model.gguf import to_metadata, to_tensors
from glaswerk.model.lora import LoRAConfig
from glaswerk.model.weights import load_model, open_source, save_model

IDS = torch.randint(0, 97, (2, 12), generator=torch.Generator().manual_seed(1))


def small(shape: str = "modern", seed: int = 0, width: int = 64) -> Decoder:
    """A two-layer decoder with random weights, none zero."""
    made = ModelConfig.modern if shape == "modern" else ModelConfig.classic
    model = Decoder(made(vocabulary_size=97, width=width, layers=2, heads=4, context=32)).eval()
    generator = torch.Generator().manual_seed(seed)
    for value in model.parameters():
        value.data.normal_(0.0, 0.2, generator=generator)
    return model


def stir(model: Decoder, name: str = "default", seed: int = 5) -> None:
    """Give an adapter something to say."""
    generator = torch.Generator().manual_seed(seed)
    for pair in lora.pairs(model, name):
        pair.b.data.normal_(0.0, 0.3, generator=generator)


def adapted(shape: str = "modern", targets: tuple[str, ...] = ("all-linear",), rank: int = 4) -> Decoder:
    model = small(shape)
    lora.attach(model, LoRAConfig(rank, 8.0, targets))
    stir(model)
    return model


@torch.no_grad()
def logits(model: Decoder) -> Tensor:
    return model(IDS)


def folder_of(model: Decoder, folder: Path) -> Path:
    save_model(folder, model)
    return folder


def test_a_new_adapter_changes_nothing_and_alone_is_trained() -> None:
    model = small()
    before = logits(model)
    lora.attach(model, LoRAConfig(4, 8.0, ("q_proj", "v_proj")))
    assert torch.equal(logits(model), before)
    trained = [name for name, value in model.named_parameters() if value.requires_grad]
    assert trained and all(".adapters.default." in name for name in trained)
    groups = model.config.kv_heads * model.config.head_width
    assert lora.trainable_count(model) == 2 * (4 * (64 + 64) + 4 * (64 + groups))


def test_the_change_is_what_the_formula_says() -> None:
    """The slow way: W + alpha / r * B A for each piece, put into a plain model."""
    model, plain = adapted(targets=("q_proj", "v_proj", "up_proj", "o_proj")), small()
    for pair in lora.pairs(model, "default"):
        weight = plain.get_submodule(pair.piece.module).weight.data
        begin = pair.piece.begin
        for row in range(pair.piece.rows):
            weight[begin + row] += 8.0 / 4 * sum(float(pair.b.data[row, r]) * pair.a.data[r] for r in range(4))
    assert (logits(model) - logits(plain)).abs().max() < 1e-4
    assert (logits(model) - logits(small())).abs().max() > 0.1


@pytest.mark.parametrize("shape", ["modern", "classic"])
def test_gradients_are_those_of_the_low_rank_matrices(shape: str) -> None:
    """dA = scale B.T dW and dB = scale dW A.T, where dW is what a plain model's matrix would get."""
    model, plain = adapted(shape), small(shape)
    for pair in lora.pairs(model, "default"):
        begin, rows = pair.piece.begin, pair.piece.rows
        plain.get_submodule(pair.piece.module).weight.data[begin : begin + rows] += pair.change().detach()
    for each in (model, plain):
        each(IDS).logsumexp(-1).mean().backward()
    for pair in lora.pairs(model, "default"):
        begin, rows = pair.piece.begin, pair.piece.rows
        full = plain.get_submodule(pair.piece.module).weight.grad[begin : begin + rows]
        for found, wanted in ((pair.a.grad, 2.0 * pair.b.T @ full), (pair.b.grad, 2.0 * full @ pair.a.T)):
            assert (found - wanted).abs().max() <= 1e-5 + 1e-4 * wanted.abs().max()
    assert all(value.grad is None for name, value in model.named_parameters() if ".adapters." not in name)


def test_merging_can_be_undone_to_the_last_bit() -> None:
    model = adapted()
    before, base = logits(model), {name: value.clone() for name, value in model.state_dict().items()}
    lora.merge(model)
    merged = logits(model)
    assert (merged - before).abs().max() < 1e-4 and not torch.equal(merged, before)
    lora.unmerge(model)
    assert torch.equal(logits(model), before)
    assert all(torch.equal(value, base[name]) for name, value in model.state_dict().items())
    with pytest.raises(GlaswerkError, match="bake"):
        save_model(Path("never"), model)
    lora.bake(model)
    assert torch.equal(logits(model), merged) and not list(lora.layers(model))


def test_several_adapters_on_one_base() -> None:
    model = small()
    base = logits(model)
    lora.attach(model, LoRAConfig(4, 8.0, ("q_proj", "down_proj")), "one")
    stir(model, "one", 1)
    one = logits(model)
    lora.attach(model, LoRAConfig(2, 8.0, ("down_proj", "up_proj")), "two")
    stir(model, "two", 2)
    two = logits(model)
    assert lora.adapters(model) == ["one", "two"]
    lora.use(model, "one")
    assert torch.equal(logits(model), one)
    lora.use(model)
    assert torch.equal(logits(model), base) and lora.trainable_count(model) == 0
    lora.use(model, "two", "one")
    both = logits(model)
    assert all((both - other).abs().max() > 0.05 for other in (one, two, base))
    lora.merge(model)
    assert (logits(model) - both).abs().max() < 1e-4
    lora.use(model, "two")  # another choice is never answered with the merged matrices of the last one
    assert torch.equal(logits(model), two)
    with pytest.raises(GlaswerkError, match="no adapter 'three': there are one, two"):
        lora.use(model, "three")
    with pytest.raises(GlaswerkError, match="already"):
        lora.attach(model, LoRAConfig(4, 8.0, ("q_proj",)), "one")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("axis", [0, 1])
def test_adapters_made_ready_compute_the_same_bits(axis: int, dtype: torch.dtype) -> None:
    """Two in one batch, each for a part of it, one of them not at every layer; the rest is the base."""
    model = small().to(dtype)
    for seed, targets in enumerate((("all-linear",), ("q_proj", "down_proj"))):
        lora.attach(model, LoRAConfig(4, 8.0, targets), str(seed))
        stir(model, str(seed), seed)
    lora.use(model)
    parts = [lora.Part("1", 0, 1), lora.Part(None, 1, 2), lora.Part("0", 2, 3)]
    x = IDS[:1].repeat(3, 1) if axis == 0 else IDS[:1, :3]
    with torch.no_grad():
        with lora.each_its_own(parts, axis):
            expected = model(x)
        ready = lora.fused_once(model)
        with lora.each_its_own(parts, axis, ready):
            assert torch.equal(model(x), expected)
        assert all(a.dtype == b.dtype == dtype for a, b in ready.values())
        plain = model(x)
    narrow = [each.narrow(axis, 0, 2) for each in (plain, expected)]
    assert (narrow[0] - narrow[1]).abs().max() > 0.05
    if axis == 0:
        assert torch.equal(expected[1], plain[1]) and not torch.equal(expected[0], expected[2])


def test_bad_settings() -> None:
    with pytest.raises(GlaswerkError, match="no matrix 'query' to adapt: there are q_proj, k_proj"):
        lora.attach(small(), LoRAConfig(4, 8.0, ("query",)))
    with pytest.raises(GlaswerkError, match="rank of 0"):
        LoRAConfig(0)
    with pytest.raises(GlaswerkError, match="cannot name an adapter"):
        lora.attach(small(), LoRAConfig(), "a.b")


# ---------------------------------------------------------------------------------------------- PEFT
def theirs(folder: Path) -> Any:
    transformers = pytest.importorskip("transformers")
    return transformers.AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()


TARGETS = [("modern", ("all-linear",)), ("modern", ("q_proj", "v_proj")), ("classic", ("c_attn", "mlp.c_proj"))]


@pytest.mark.parametrize(("shape", "targets"), TARGETS)
def test_peft_reads_our_adapter_and_computes_the_same(shape: str, targets: tuple[str, ...], tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    base = theirs(folder_of(small(shape), tmp_path / "base"))
    plain = base(IDS).logits
    model = adapted(shape, targets)
    adapter.save(tmp_path / "adapter", model, base="the base")
    other = peft.PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    with torch.no_grad():
        found = other(IDS).logits
    assert (found - logits(model)).abs().max() <= 1e-5 * found.abs().max()
    assert (found - plain).abs().max() > 0.1


@pytest.mark.parametrize("kind", ["plain", "rslora", "patterns", "gpt2"])
def test_we_read_pefts_adapter_and_compute_the_same(kind: str, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    shape = "classic" if kind == "gpt2" else "modern"
    base = theirs(folder_of(small(shape), tmp_path / "base"))
    settings: dict[str, Any] = {"r": 4, "lora_alpha": 12, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}
    if kind == "rslora":
        settings |= {"use_rslora": True, "lora_dropout": 0.1}
    if kind == "patterns":
        settings |= {"rank_pattern": {"down_proj": 2}, "alpha_pattern": {"layers.1.mlp.down_proj": 3, "q_proj": 5}}
    if kind == "gpt2":
        settings |= {"target_modules": ["c_proj"]}
    torch.manual_seed(2)
    other = peft.get_peft_model(base, peft.LoraConfig(**settings)).eval()
    for name, value in other.named_parameters():
        if "lora_B" in name:
            value.data.normal_(0.0, 0.1)
    other.save_pretrained(tmp_path / "adapter")
    model = load_model(tmp_path / "base")
    adapter.load(model, tmp_path / "adapter")
    with torch.no_grad():
        found = other(IDS).logits
    assert (found - logits(model)).abs().max() <= 1e-5 * found.abs().max()
    # and on: what was read is written so that PEFT computes the same from it
    adapter.save(tmp_path / "again", model)
    once_more = peft.PeftModel.from_pretrained(theirs(tmp_path / "base"), tmp_path / "again").eval()
    with torch.no_grad():
        assert (once_more(IDS).logits - found).abs().max() <= 1e-5 * found.abs().max()


# ---------------------------------------------------------------------------------------------- files that do not fit
def saved(tmp_path: Path) -> Path:
    adapter.save(tmp_path / "adapter", adapted(), base="runs/paris/sft")
    return tmp_path / "adapter"


def test_an_adapter_comes_back_as_it_was(tmp_path: Path) -> None:
    model = small()
    adapter.load(model, saved(tmp_path), "mine")
    assert torch.equal(logits(model), logits(adapted()))
    half = load_model(folder_of(small(), tmp_path / "base"), torch.bfloat16)
    adapter.load(half, tmp_path / "adapter")  # the same base in another dtype
    assert (logits(half).float() - logits(model)).abs().max() < 0.05 * logits(model).abs().max()


@pytest.mark.parametrize(
    ("base", "said"),
    [
        (small(seed=1), "adapter for other weights, those of runs/paris/sft"),
        (small(width=96), "adapter for other weights"),
        (small("classic"), "adapter for other weights"),
    ],
)
def test_an_adapter_for_another_base_is_refused(base: Decoder, said: str, tmp_path: Path) -> None:
    folder = saved(tmp_path)
    with pytest.raises(GlaswerkError, match=said):
        adapter.load(base, folder)
    # PEFT's own files do not say which weights they are for: then the shapes decide
    save_file(load_file(folder / adapter.WEIGHTS), folder / adapter.WEIGHTS)
    if base.config == small().config:
        adapter.load(base, folder)
    else:
        with pytest.raises(
            GlaswerkError, match=r"another base, runs/paris/sft: (this one has no place|.*inputs there)"
        ):
            adapter.load(base, folder)
    assert base.config == small().config or not list(lora.layers(base))


@pytest.mark.parametrize("shape", ["modern", "classic"])
@pytest.mark.parametrize("gguf", [False, True])
def test_a_quantized_base_knows_its_adapters_by_the_weights_on_disk(shape: str, gguf: bool, tmp_path: Path) -> None:
    """What was rounded while it was read cannot say which weights it was; the file can, and says the same as a model
    that was read as it is."""
    places = [tmp_path / f"{seed}.gguf" if gguf else tmp_path / str(seed) for seed in range(2)]
    for seed, place in enumerate(places):
        model = small(shape, seed)
        if gguf:
            write_gguf(place, to_metadata(model.config, "F16"), to_tensors(model, "F16"))
        else:
            save_model(place, model)
    known = adapter.fingerprint_of(open_source(places[0]))
    plain, rounded = load_model(places[0]), load_model(places[0], bits=8)
    assert known == adapter.fingerprint(plain) != adapter.fingerprint(rounded)
    lora.attach(plain, LoRAConfig(4, 8.0))
    stir(plain)
    adapter.save(tmp_path / "adapter", plain)
    with pytest.raises(GlaswerkError, match="other weights"):
        adapter.load(rounded, tmp_path / "adapter", known=adapter.fingerprint_of(open_source(places[1])))
    adapter.load(rounded, tmp_path / "adapter", known=known)
    assert (logits(rounded) - logits(plain)).square().mean().sqrt() < 0.1 * logits(plain).std()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"peft_type": "IA3"}, "of the kind 'IA3'; only LORA"),
        ({"use_dora": True}, "use_dora is 'True', which is not computed here"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"bias": "all"}, "bias is 'all'"),
        ({"lora_alpha": "much"}, "must be numbers"),
        ({"alpha_pattern": {"(a+)+$": 1}}, "more than a module's name"),
    ],
)
def test_what_is_not_computed_here_is_refused_by_name(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    folder = saved(tmp_path)
    file = folder / adapter.CONFIG
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(GlaswerkError) as caught:
        adapter.load(small(), folder)
    assert said in str(caught.value) and str(file) in str(caught.value)


@pytest.mark.parametrize("damage", ["half a pair", "ranks", "a vector", "empty", "whole numbers"])
def test_damaged_adapters(damage: str, tmp_path: Path) -> None:
    folder = saved(tmp_path)
    tensors = load_file(folder / adapter.WEIGHTS)
    first = next(key for key in tensors if key.endswith("q_proj.lora_A.weight"))
    if damage == "half a pair":
        del tensors[first]
    elif damage == "ranks":
        tensors[first] = tensors[first][:2].contiguous()
    elif damage == "a vector":
        tensors[first] = tensors[first].flatten()
    elif damage == "empty":
        tensors = {}
    else:
        tensors[first] = tensors[first].to(torch.int8)
    save_file(tensors, folder / adapter.WEIGHTS)
    model = small()
    with pytest.raises(GlaswerkError, match=r"adapter_model\.safetensors"):
        adapter.load(model, folder)
    assert not list(lora.layers(model))
