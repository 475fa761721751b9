"""What stands behind the life of a prompt: a number of the trace is its row of weights times what went in; the stack's
last reading is the model's own; two models part where they differ, and a model does not part from itself."""

from __future__ import annotations

import pytest
import torch

from glaswerk.errors import GlaswerkError
from glaswerk.lens import Trace, trace
from glaswerk.lens.compare import compare
from glaswerk.lens.rows import row
from glaswerk.lens.stack import stack
from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.quantize import quantize
from glaswerk.tokenizer import ByteTokenizer

TOKENIZER = ByteTokenizer()
V = TOKENIZER.vocabulary_size
PROMPT = "The cat sät"
SHAPES = {
    "gpt2": ModelConfig.classic(vocabulary_size=V + 3, width=48, layers=2, heads=4, context=40),
    "qwen3": ModelConfig.modern(vocabulary_size=V, width=64, layers=2, heads=4, kv_heads=2, context=40, tied=False),
    "int8": ModelConfig.modern(vocabulary_size=V, width=64, layers=2, heads=4, kv_heads=2, context=40),
}


def decoder(shape: str, seed: int = 1) -> Decoder:
    model = Decoder(SHAPES[shape]).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.15)
    if shape == "int8":
        quantize(model, 8)
    return model


@pytest.fixture(params=list(SHAPES))
def pair(request: pytest.FixtureRequest) -> tuple[Decoder, Trace]:
    model = decoder(request.param)
    return model, trace(model, TOKENIZER, PROMPT)


def test_a_row_of_weights_makes_the_traced_number(pair: tuple[Decoder, Trace]) -> None:
    model, t = pair
    D = model.config.head_width
    block = "blocks.1."
    cases = [(f"attention.{name}", "attention_norm", 2 * D - 3) for name in "qkv"]
    cases += [("mlp.pre", "mlp_norm", 5), ("mlp.output", "mlp.post", 7), ("attention.output", "heads", 9)]
    if model.config.activation == "swiglu":
        cases.append(("mlp.up", "mlp_norm", 11))
    for name, source, place in cases:
        found = row(model, block + name, place)
        inputs_TC = t[block + source][0] if source != "heads" else t[block + "attention.heads"][0].transpose(0, 1)
        made_T = inputs_TC.reshape(len(t.ids), -1) @ found["weights"] + (found["bias"] or 0)
        value = t[block + name][0]
        wanted_T = value[place // D, :, place % D] if value.dim() == 3 else value[:, place]
        torch.testing.assert_close(made_T, wanted_T, rtol=0, atol=1e-5 * float(value.abs().max()), msg=name)
    found = row(model, "logits", 65)
    made_T = t["norm"][0] @ found["weights"]
    torch.testing.assert_close(made_T, t["logits"][0, :, 65], rtol=0, atol=1e-5 * float(t["logits"].abs().max()))


def test_a_norm_says_its_gain(pair: tuple[Decoder, Trace]) -> None:
    model, t = pair
    x_TC = t["blocks.0.residual"][0]
    found = row(model, "blocks.1.attention_norm", 6)
    centred_TC = x_TC - x_TC.mean(-1, keepdim=True) if model.config.norm == "layer" else x_TC
    scale_T = (centred_TC.square().mean(-1) + found["eps"]).rsqrt()
    made_T = centred_TC[:, 6] * scale_T * found["gain"] + (found["bias"] or 0)
    torch.testing.assert_close(made_T, t["blocks.1.attention_norm"][0, :, 6], rtol=1e-4, atol=1e-5)


def test_what_has_no_row_is_said_in_a_line() -> None:
    model = decoder("qwen3")
    for step, place in [("blocks.0.attention.scores", 0), ("blocks.9.attention.q", 0), ("logits", V), ("nonsense", 0)]:
        with pytest.raises(GlaswerkError):
            row(model, step, place)


def test_the_stack_reads_at_the_end_what_the_model_says(pair: tuple[Decoder, Trace]) -> None:
    model, t = pair
    found = stack(model, t, len(t.ids) - 1)
    assert len(found["layers"]) == model.config.layers
    last, said = found["layers"][-1]["top"], t.top(1)[0]
    assert (last["id"], last["token"]) == (said["id"], said["token"])
    assert last["probability"] == pytest.approx(said["probability"], rel=1e-4)
    assert found["layers"][0]["mlp"] == pytest.approx(t["blocks.0.mlp.output"][0].norm(dim=-1).tolist(), rel=1e-5)


def test_two_models_part_and_one_does_not_part_from_itself() -> None:
    first, second = (trace(decoder("qwen3", seed), TOKENIZER, PROMPT) for seed in (1, 2))
    same = compare(first, first)
    assert same["same_tokens"] and all(place["moved"] == 0 for place in same["places"])
    assert all(share == 0 for row_ in same["layers"] for share in row_)
    parted = compare(first, second)
    p, q = first["probabilities"][0, 3, :V], second["probabilities"][0, 3, :V]
    assert parted["places"][3]["moved"] == pytest.approx(float(torch.maximum(p - q, torch.zeros(())).sum()), abs=1e-5)
    a, b = first["blocks.0.residual"][0, 2], second["blocks.0.residual"][0, 2]
    assert parted["layers"][1][2] == pytest.approx(float((a - b).norm() / a.norm()), rel=1e-5)
    other_shape = compare(first, trace(decoder("gpt2"), TOKENIZER, PROMPT))
    assert other_shape["same_tokens"] and other_shape["layers"] is None
