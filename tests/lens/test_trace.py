"""The trace against itself and against the model: each step follows from those before it, recording changes
nothing, every step says what it is and where it comes from.
"""

from __future__ import annotations

import base64
import copy
import json
import linecache
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

import glaswerk as gw
from glaswerk.errors import GlaswerkError
from glaswerk.lens import Trace, trace
from glaswerk.lens.meanings import MEANINGS
from glaswerk.lens.trace import plain_copy, recording_bytes
from glaswerk.model import Decoder, ModelConfig, lora
from glaswerk.model.position import rotate
from glaswerk.model.quantize import quantize
from glaswerk.tokenizer import ByteTokenizer

TOKENIZER = ByteTokenizer()
V = TOKENIZER.vocabulary_size
PROMPT = "The cat sat on the mät.\n"
#: GPT-2, Llama, Qwen2 and Qwen3 in small; a padded vocabulary; grouped and single keys; an untied head
SHAPES = {
    "gpt2": ModelConfig.classic(vocabulary_size=V + 5, width=48, layers=2, heads=4, context=40),
    "llama": ModelConfig.modern(
        vocabulary_size=V, width=64, layers=3, heads=4, kv_heads=2, head_width=16, context=40, qk_norm=False
    ),
    "qwen2": ModelConfig.modern(
        vocabulary_size=V, width=64, layers=2, heads=4, kv_heads=1, context=40, qk_norm=False, attention_bias=True
    ),
    "qwen3": ModelConfig.modern(
        vocabulary_size=V, width=64, layers=2, heads=4, kv_heads=2, head_width=32, context=40, tied=False
    ),
}


def decoder(family: str) -> Decoder:
    model = Decoder(SHAPES[family]).eval()
    assert model.config.family() == family
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.15)
    return model


@pytest.fixture(params=[*SHAPES, "smollm2"])
def pair(request: pytest.FixtureRequest, pulled: Any) -> tuple[Decoder, Trace]:
    """A model and its trace of PROMPT."""
    if request.param == "smollm2":
        pulled("smollm2")
        opened = gw.load("smollm2")
        return opened.model, opened.trace(PROMPT)
    model = decoder(request.param)
    return model, trace(model, TOKENIZER, PROMPT)


def near(found: Tensor, expected: Tensor) -> None:
    """Equal to 1e-5 of the largest value."""
    assert_close(found, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_a_widened_model_is_kept_until_its_weights_change() -> None:
    model = decoder("qwen3").to(torch.bfloat16)
    first = trace(model, TOKENIZER, PROMPT)
    assert plain_copy(model)[0] is plain_copy(model)[0]
    with torch.no_grad():
        model.embedding.mul_(2.0)
    again = trace(model, TOKENIZER, PROMPT)
    near(again["embeddings"], 2 * first["embeddings"])
    assert again.json()["precision"]["loaded"] == "bfloat16"
    plain = decoder("qwen3")  # fp32 weights are shared, so there is nothing to keep
    assert plain_copy(plain)[0] is not plain_copy(plain)[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_adapter_is_looked_at_as_part_of_its_matrices(dtype: torch.dtype) -> None:
    """Each alone, by name, and those in use, as in the merged model; one after the other, as copies are kept."""
    model = copy.deepcopy(decoder("qwen3")).to(dtype)
    generator = torch.Generator().manual_seed(3)
    for name in ("red", "blue"):
        lora.attach(model, lora.LoRAConfig(3, targets=("q_proj", "o_proj", "down_proj")), name)
        for pair in lora.pairs(model, name):
            pair.b.data.normal_(0.0, 0.1, generator=generator)
    found = {}
    for names in ((), ("red",), ("blue",), ("red", "blue"), ()):
        lora.use(model, *names)
        merged = lora.bake(copy.deepcopy(model).float())
        found[names] = trace(merged, TOKENIZER, PROMPT)
        again = trace(model, TOKENIZER, PROMPT)
        for step in found[names]:
            near(again[step.name].float(), step.value.float())
        assert again.loaded_as == str(dtype).removeprefix("torch.")
    for used in ((), ("blue",)):
        lora.use(model, *used)
        for name in ("red", "blue"):
            told = trace(model, TOKENIZER, PROMPT, adapter=name)
            for step in ("logits", "blocks.1.attention.head_outputs"):
                near(told[step], found[(name,)][step])
    assert (found[("red",)]["logits"] - found[()]["logits"]).abs().max() > 0.01


@torch.no_grad()
def test_every_step_follows_from_those_before_it(pair: tuple[Decoder, Trace]) -> None:
    model, t = plain_copy(pair[0])[0], pair[1]  # in smollm2's file the matrices are quantized
    config = model.config
    near(t["embeddings"], model.embedding[t["tokens"]])
    residual = t["embeddings"]
    if config.positions == "learned":
        near(t["position"], model.position[: len(t.ids)])
        residual = residual + t["position"]
        near(t["residual"], residual)
    for layer, block in enumerate(model.blocks):
        n = f"blocks.{layer}."
        q, k, v = t[n + "attention.q"], t[n + "attention.k"], t[n + "attention.v"]
        near(t[n + "attention_norm"], block.attention_norm(residual))
        if config.qk_norm:
            q, k = block.attention.q_norm(q), block.attention.k_norm(k)
            near(t[n + "attention.q_normed"], q)
            near(t[n + "attention.k_normed"], k)
        if config.positions == "rotary":
            turn = t["position.cosine"], t["position.sine"]
            q, k = rotate(q, *turn), rotate(k, *turn)
            near(t[n + "attention.q_rotated"], q)
            near(t[n + "attention.k_rotated"], k)
        groups = config.heads // config.kv_heads
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
        near(t[n + "attention.scores"], q @ k.mT / config.head_width**0.5)
        allowed = t[n + "attention.mask"]
        assert torch.equal(allowed[0], torch.ones_like(allowed[0]).tril())
        masked = t[n + "attention.scores"].masked_fill(~allowed[:, None], float("-inf"))
        near(t[n + "attention.weights"], masked.softmax(-1))
        near(t[n + "attention.heads"], t[n + "attention.weights"] @ v)
        joined = t[n + "attention.head_outputs"].sum(1)
        bias = block.attention.output.bias
        near(joined if bias is None else joined + bias, t[n + "attention.output"])
        near(t[n + "residual_mid"], residual + t[n + "attention.output"])
        near(t[n + "mlp_norm"], block.mlp_norm(t[n + "residual_mid"]))
        pre = t[n + "mlp.pre"]
        if config.activation == "swiglu":
            near(t[n + "mlp.post"], torch.nn.functional.silu(pre) * t[n + "mlp.up"])
        else:
            near(t[n + "mlp.post"], torch.nn.functional.gelu(pre, approximate="tanh"))
        near(t[n + "residual"], t[n + "residual_mid"] + t[n + "mlp.output"])
        residual = t[n + "residual"]
    near(t["norm"], model.norm(residual))
    head = model.embedding if model.unembedding is None else model.unembedding.weight
    near(t["logits"], t["norm"] @ head.T)
    known = t["logits"][..., : t.tokenizer.vocabulary_size]
    near(t["probabilities"][..., : t.tokenizer.vocabulary_size], known.softmax(-1))
    assert t["probabilities"][..., t.tokenizer.vocabulary_size :].count_nonzero() == 0
    assert torch.equal(t["choice"], known.argmax(-1))


@torch.no_grad()
def test_head_outputs_are_each_head_alone(pair: tuple[Decoder, Trace]) -> None:
    """Against the whole output matrix applied to a row in which all other heads are silent."""
    model, t = pair
    heads = t["blocks.1.attention.heads"]
    output = model.blocks[1].attention.output
    for head in range(model.config.heads):
        alone = torch.zeros_like(heads)
        alone[:, head] = heads[:, head]
        share = output(alone.transpose(1, 2).flatten(2))
        share = share if output.bias is None else share - output.bias
        assert_close(t["blocks.1.attention.head_outputs"][:, head], share, rtol=0, atol=1e-5 * float(share.abs().max()))


@torch.no_grad()
def test_recording_changes_no_bit(pair: tuple[Decoder, Trace]) -> None:
    model, t = pair
    ids = torch.tensor([t.ids])
    assert torch.equal(t["logits"], model(ids, taps=lambda name, value: value))
    assert torch.equal(t["logits"], trace(model, t.tokenizer, t.ids, edit=lambda name, value: value)["logits"])
    near(t["logits"], model(ids))


def test_every_step_says_what_it_is_and_where_it_comes_from(pair: tuple[Decoder, Trace], root: Path) -> None:
    _, t = pair
    derived = {"head_outputs", "probabilities", "choice"}
    for step in t:
        told = step.json()
        assert told["meaning"]["en"] and told["meaning"]["de"] and told["meaning"]["en"] != told["meaning"]["de"]
        assert len(told["axes"]) == len(told["shape"]) == step.value.dim(), step.name
        assert told["layer"] == (int(step.name.split(".")[1]) if step.name.startswith("blocks") else None)
        file, line = step.source.split(":")
        code = linecache.getline(str(root / file), int(line))
        last = step.name.split(".")[-1]
        if last in derived:
            assert f"def {last}(" in code and file == "glaswerk/lens/trace.py"
        else:
            assert "tap(" in code and f'{last}"' in code and file.startswith("glaswerk/model/"), (step.name, code)


def test_the_order_is_that_of_the_computation() -> None:
    names = [step.name for step in trace(decoder("qwen3"), TOKENIZER, "ab")]
    assert names[:4] == ["tokens", "embeddings", "position.cosine", "position.sine"]
    assert names[-4:] == ["norm", "logits", "probabilities", "choice"]
    block = [name.removeprefix("blocks.1.") for name in names if name.startswith("blocks.1.")]
    assert block == [
        "attention_norm",
        *(f"attention.{part}" for part in ("q", "k", "v", "q_normed", "k_normed", "q_rotated", "k_rotated")),
        *(f"attention.{part}" for part in ("scores", "mask", "weights", "heads", "head_outputs", "output")),
        "residual_mid",
        "mlp_norm",
        *(f"mlp.{part}" for part in ("pre", "up", "post", "output")),
        "residual",
    ]
    assert len(set(names)) == len(names)


def test_no_meaning_is_left_over() -> None:
    used = set()
    for family in SHAPES:
        for step in trace(decoder(family), TOKENIZER, "ab"):
            part = step.name.split(".", 2)[2] if step.layer is not None else step.name
            used.add("block.residual" if part == "residual" and step.layer is not None else part)
    assert used == set(MEANINGS)
    assert not [text for known in MEANINGS.values() for text in known[1:] if "!" in text or not text.endswith(".")]


def test_summaries_are_those_of_numpy() -> None:
    for step in trace(decoder("gpt2"), TOKENIZER, "ab"):
        array = step.value.numpy().astype(np.float64)
        told = step.json()["summary"]
        expected = [array.min(), array.mean(), array.max(), np.sqrt((array**2).sum())]
        assert [told[name] for name in ("min", "mean", "max", "norm")] == pytest.approx(expected, rel=1e-6, abs=1e-9)


# ---------------------------------------------------------------------------------------------- JSON
def test_the_json_object_is_whole_and_strict() -> None:
    t = trace(decoder("qwen3"), TOKENIZER, "a \nü", name="town/base")
    told = json.loads(json.dumps(t.json(), allow_nan=False))
    assert told["prompt"] == "a \nü"
    assert told["model"] | {"context": 40} == told["model"]
    asked = ("name", "family", "layers", "heads", "kv_heads", "width", "head_width", "vocabulary")
    assert [told["model"][name] for name in asked] == ["town/base", "qwen3", 2, 4, 2, 64, 32, V]
    assert [(token["text"], token["bytes"]) for token in told["tokens"]] == [
        ("a", "61"),
        ("·", "20"),
        ("⏎", "0a"),
        ("c3", "c3"),
        ("bc", "bc"),
    ]
    assert [step["name"] for step in told["steps"]] == [step.name for step in t]
    assert not any("values" in step for step in told["steps"])
    assert told["precision"] == {"computed": "float32", "loaded": "float32"}


def test_top_is_the_head_of_the_distribution() -> None:
    t = trace(decoder("gpt2"), TOKENIZER, "ab")
    top = t.json()["top"]
    assert len(top) == 10
    expected = t["probabilities"][0, -1].topk(10)
    assert [each["id"] for each in top] == expected.indices.tolist()
    assert [each["probability"] for each in top] == expected.values.tolist()
    assert top[0]["id"] == int(t["choice"][0, -1])


@pytest.mark.parametrize("compact", [False, True])
def test_values_come_back_from_base64(compact: bool) -> None:
    t = trace(decoder("llama"), TOKENIZER, PROMPT)
    told = t.json(only="blocks.2.attention.*, logits,tokens,probabilities", compact=compact)["steps"]
    names = [step["name"] for step in told]
    assert names[0] == "tokens" and names[-2:] == ["logits", "probabilities"]
    assert {name.rsplit(".", 1)[0] for name in names[1:-2]} == {"blocks.2.attention"}
    for step in told:
        value = t[step["name"]].float().numpy()
        raw = base64.b64decode(step["values"])
        if compact and step["name"].split(".")[-1] in ("weights", "mask", "probabilities"):
            assert step["encoding"] == "uint8-255"
            back = np.frombuffer(raw, np.uint8).reshape(step["shape"]) / 255
            assert np.abs(back - value).max() <= 0.5 / 255 + 1e-6
        else:
            assert step["encoding"] == "float32-le"
            assert np.array_equal(np.frombuffer(raw, "<f4").reshape(step["shape"]), value)


def test_numbers_that_json_has_not_are_null() -> None:
    model = decoder("llama")
    with torch.no_grad():
        model.norm.weight.fill_(float("inf"))
    told = json.dumps(trace(model, TOKENIZER, "ab").json(only="norm,blocks.*"), allow_nan=False)
    assert '"max": null' in told


# ---------------------------------------------------------------------------------------------- looking up
def test_steps_by_name() -> None:
    t = trace(decoder("llama"), TOKENIZER, "ab")
    assert "logits" in t and "logit" not in t and len(t) == len(list(t)) == len(t.steps)
    assert t["blocks.1.attention.weights"].shape == (1, 4, 2, 2)
    assert t.step("blocks.1.mlp.pre").layer == 1 and t.step("norm").layer is None
    assert "2 tokens" in repr(t)
    with pytest.raises(GlaswerkError, match=r"no step of the trace matches 'logit'; near it: logits"):
        t["logit"]
    with pytest.raises(GlaswerkError, match=r"blocks\.1\.attention\.weights"):
        t.select("logits,blocks.1.attention.wieghts")
    with pytest.raises(GlaswerkError, match="near it: "):
        t.select("?")


# ---------------------------------------------------------------------------------------------- editing
def test_an_edit_goes_on_and_is_marked() -> None:
    model = decoder("llama")

    def silence(name: str, value: Tensor) -> Tensor:
        if name == "blocks.1.attention.heads":
            value[:, 2] = 0.0  # in place, which must not reach the record of what was there before
        return value

    plain, t = trace(model, TOKENIZER, PROMPT), trace(model, TOKENIZER, PROMPT, edit=silence)
    assert [step.name for step in t if step.edited] == ["blocks.1.attention.heads"]
    assert t["blocks.1.attention.head_outputs"][:, 2].count_nonzero() == 0
    expected = plain["blocks.1.attention.output"] - plain["blocks.1.attention.head_outputs"][:, 2]
    near(t["blocks.1.attention.output"], expected)
    assert not torch.equal(t["logits"], plain["logits"])
    assert torch.equal(t["blocks.0.residual"], plain["blocks.0.residual"])


def test_an_edit_cannot_reach_the_weights() -> None:
    model = decoder("gpt2")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trace(model, TOKENIZER, "ab", edit=lambda name, value: value.zero_())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("wrong", [lambda v: None, lambda v: v[..., :1], lambda v: v.double()])
def test_an_edit_of_another_kind_is_refused(wrong: Any) -> None:
    with pytest.raises(GlaswerkError, match=r"edit must return a tensor \[1, 2, 48\] torch.float32 for norm, not "):
        trace(decoder("gpt2"), TOKENIZER, "ab", edit=lambda name, value: wrong(value) if name == "norm" else value)


# ---------------------------------------------------------------------------------------------- precision
@pytest.mark.parametrize(("bits", "kind"), [(8, "Q8_0"), (4, "Q4_1")])
def test_a_quantized_model_is_traced_with_the_numbers_it_stands_for(bits: int, kind: str) -> None:
    model = decoder("llama")
    quantize(model, bits)
    t = trace(model, TOKENIZER, PROMPT)
    assert t.json()["precision"]["loaded"] == kind and kind in t.json()["precision"]["note"]["de"]
    attention = model.blocks[1].attention
    expected = t["blocks.1.attention_norm"] @ attention.qkv.weight().T
    found = torch.cat([t[f"blocks.1.attention.{part}"].transpose(1, 2).flatten(2) for part in "qkv"], -1)
    near(found, expected)
    near(t["blocks.1.attention.head_outputs"].sum(1), t["blocks.1.attention.output"])
    with torch.no_grad():
        assert_close(t["logits"], model(torch.tensor([t.ids])), rtol=0, atol=1e-3 * float(t["logits"].abs().max()))


def test_a_bf16_model_is_traced_in_fp32_and_left_as_it_is() -> None:
    model = decoder("gpt2").to(torch.bfloat16).train()
    t = trace(model, TOKENIZER, "ab")
    assert t["logits"].dtype == torch.float32 and t.json()["precision"]["loaded"] == "bfloat16"
    assert model.training and {value.dtype for value in model.parameters()} == {torch.bfloat16}


def test_dropout_is_off() -> None:
    model = Decoder(ModelConfig.classic(vocabulary_size=V, width=32, layers=1, context=8, dropout=0.5)).train()
    assert torch.equal(trace(model, TOKENIZER, "abc")["logits"], trace(model, TOKENIZER, "abc")["logits"])


def test_fp32_weights_are_shared_not_copied() -> None:
    model = decoder("llama")
    t = trace(model, TOKENIZER, "ab")
    with torch.no_grad():
        model.blocks[0].attention.output.weight.zero_()
    assert t["blocks.0.attention.head_outputs"].count_nonzero() == 0


# ---------------------------------------------------------------------------------------------- prompts
@pytest.mark.parametrize("prompt", ["🙂👩‍👩‍👧", "مرحبا بالعالم", "שלום", "\u202eabc\x1b[31m", "\ud800", "x"])
def test_any_text_can_be_traced(prompt: str) -> None:
    t = trace(decoder("qwen3"), TOKENIZER, prompt)
    told = t.json()
    assert bytes.fromhex("".join(token["bytes"] for token in told["tokens"])) == TOKENIZER.decode_bytes(t.ids)
    assert all(token["text"].isprintable() for token in told["tokens"])
    json.dumps(told, allow_nan=False).encode()


def test_ids_may_be_given() -> None:
    model = decoder("qwen3")
    by_text, by_ids = trace(model, TOKENIZER, "ab"), trace(model, TOKENIZER, TOKENIZER.encode("ab"))
    assert torch.equal(by_text["logits"], by_ids["logits"]) and by_ids.prompt == "ab"
    with pytest.raises(GlaswerkError, match="is no id of this tokenizer"):
        trace(model, TOKENIZER, [V + 1])


def test_a_single_token_has_nothing_to_mask() -> None:
    t = trace(decoder("qwen3"), TOKENIZER, "a")
    assert "blocks.0.attention.mask" not in t
    assert t["blocks.0.attention.weights"].eq(1).all()


@pytest.mark.parametrize(
    ("prompt", "said"), [("", "the prompt is empty"), ([], "the prompt is empty"), ("a" * 41, "41 tokens")]
)
def test_prompts_that_cannot_be_traced(prompt: Any, said: str) -> None:
    with pytest.raises(GlaswerkError, match=said):
        trace(decoder("qwen3"), TOKENIZER, prompt)


def test_a_recording_that_would_not_fit_is_refused_before_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    model = decoder("qwen3")
    t = trace(model, TOKENIZER, "a" * 40)
    held = sum(step.value.nbytes for step in t if not step.source.startswith("glaswerk/lens"))
    assert held * 0.8 < recording_bytes(model.config, 40) < held * 1.4
    monkeypatch.setattr(sys.modules[trace.__module__], "MOST_BYTES", recording_bytes(model.config, 12))
    assert len(trace(model, TOKENIZER, "a" * 12).ids) == 12
    with pytest.raises(GlaswerkError, match=r"13 tokens would take .* shorten the prompt to at most 12 tokens"):
        trace(model, TOKENIZER, "a" * 13)
