"""A recorded decode step gives what the decoder gives, for every kind of model; and it notices what it cannot keep."""

from __future__ import annotations

import copy
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from glaswerk.generate import SamplingOptions, complete, program
from glaswerk.generate.program import Program, Reader, Recorder, Unrecordable
from glaswerk.model import Cache, Decoder, ModelConfig
from glaswerk.model.native import build, many, ops
from glaswerk.model.quantize import QuantizedLinear, quantize
from glaswerk.tokenizer import ByteTokenizer
from tests.fuzz.worker import Memory

if build.library() is None:
    pytest.skip("there is no C++ compiler here, or GLASWERK_COMPILE=0", allow_module_level=True)

TOKENIZER = ByteTokenizer()
V, CONTEXT = TOKENIZER.vocabulary_size, 64
MODERN = ModelConfig.modern(vocabulary_size=V, width=64, layers=2, heads=4, kv_heads=2, head_width=12, context=CONTEXT)
SHAPES = {
    "gpt2": ModelConfig.classic(vocabulary_size=V, width=48, layers=2, heads=4, context=CONTEXT),
    "qwen3": MODERN,
    "llama": replace(MODERN, qk_norm=False, tied=False),
    "qwen2": replace(MODERN, qk_norm=False, attention_bias=True),
}


def decoder(shape: str, **features: Any) -> Decoder:
    model = Decoder(replace(SHAPES[shape], **features)).eval()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model


def tokens(count: int) -> Tensor:
    return torch.randint(0, V, (1, count), generator=torch.Generator().manual_seed(5))


@torch.inference_mode()
def read(model: Decoder, ids: Tensor, prompt: int) -> Tensor:
    """Logits of every place from ``prompt`` on, by a program."""
    reader = Reader(model, ids.shape[1], V)
    rows = [reader.read(ids[:, :prompt]).clone()]
    for place in range(prompt, ids.shape[1]):
        rows.append(reader.read(ids[:, place : place + 1]).clone())
        best = reader.best()
        assert best is not None and best[0] == int(rows[-1].argmax()) and best[1] == rows[-1].max()
    reader.close()
    return torch.cat(rows)


@pytest.mark.parametrize("shape", list(SHAPES))
def test_fp32_is_that_of_the_plain_decoder(shape: str) -> None:
    model, ids = decoder(shape), tokens(40)
    with torch.inference_mode(), ops.plain_only():
        expected = model(ids)[0, 19:]
    for _ in range(2):  # the second time with the program of the first, whose cache holds old keys
        assert (read(model, ids, 20) - expected).abs().max() < 1e-5 * expected.abs().max()
    # and a program that is a copy's own
    assert (read(copy.deepcopy(model), ids, 1)[19:] - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.parametrize("shape", list(SHAPES))
def test_greedy_text_is_that_without_a_program(shape: str) -> None:
    model, options = decoder(shape), SamplingOptions(max_tokens=40)
    prompt = TOKENIZER.encode("Glass is")
    ours = complete(model, TOKENIZER, prompt, options, end_ids=())
    assert model in program.SHELF, "no program was used"
    with ops.plain_only():
        assert complete(model, TOKENIZER, prompt, options, end_ids=()).ids == ours.ids
    assert len(set(ours.ids)) > 4


@pytest.mark.parametrize("shape", list(SHAPES))
def test_bf16_weights_lose_nothing_more(shape: str) -> None:
    """Activations are fp32 there: closer to the fp32 model of the same weights than bf16 activations are."""
    model, ids = decoder(shape).to(torch.bfloat16), tokens(30)
    exact = copy.deepcopy(model).float()
    with torch.inference_mode(), ops.plain_only():
        expected, plain = exact(ids)[0, 1:], model(ids)[0, 1:].float()
    ours = read(model, ids, 1)[1:]
    assert (ours - expected).norm() < 0.5 * (plain - expected).norm()
    assert (ours - expected).norm() < 0.02 * expected.norm()


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("shape", ["llama", "qwen2", "qwen3"])
def test_quantized_weights(shape: str, bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Close to the same matrices expanded: what differs is that vectors are rounded to 16 bits for the products."""
    monkeypatch.setattr(program, "KEPT_AS", torch.float32)  # the rounding of keys and values is the next test's
    model, ids = decoder(shape, head_width=16), tokens(30)
    quantize(model, bits)
    model.set_embedding(QuantizedLinear.from_weight(model.embedding, 8))
    with torch.inference_mode(), ops.plain_only():
        expected = model(ids)[0]
    ours = read(model, ids, 1)
    assert 0 < (ours - expected).norm() < 1e-3 * expected.norm()
    assert torch.equal(ours.argmax(-1), expected.argmax(-1))


def test_keys_and_values_are_rounded_where_weights_are() -> None:
    """And what PyTorch computes on such a cache, where no program can be recorded, is the same."""
    model, ids = decoder("qwen3"), tokens(40)
    with torch.inference_mode():
        assert Reader(model, 40, V).cache.kv_L2BGSD.dtype == torch.float32
        quantize(model, 8)
        reader = Reader(model, 40, V)
        assert reader.cache.kv_L2BGSD.dtype == torch.bfloat16
        reader.recordable = False
        slow = torch.cat([reader.read(ids[:, place : place + 1]).clone() for place in range(40)])
        with ops.plain_only():
            exact = model(ids)[0]
    fast = read(model, ids, 1)
    assert (slow - fast).norm() < 2e-3 * fast.norm() < (fast - exact).norm() < 1e-2 * fast.norm()


@pytest.mark.parametrize("bits", [8, 4])
def test_a_short_prompt_is_read_exactly(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors are rounded to two bytes, as when single tokens are read, not to the one byte of long prompts."""
    model, ids = decoder("qwen3", context=128, head_width=16), tokens(program.EXACT_UP_TO + 1)
    quantize(model, bits)
    with torch.inference_mode(), ops.plain_only():
        short, long = model(ids[:, :-1])[:, -1], model(ids)[:, -1]
    monkeypatch.setattr(program, "KEPT_AS", torch.float32)  # or the rounding of keys and values would hide it
    assert (read(model, ids[:, :-1], program.EXACT_UP_TO) - short).abs().max() < 1e-3 * short.abs().max()
    with torch.inference_mode():
        rounds_more = many.fast(ids)
    if rounds_more:
        assert (read(model, ids, program.EXACT_UP_TO + 1) - long).abs().max() > 1e-3 * long.abs().max()


@pytest.mark.parametrize("bits", [None, 8])
def test_a_long_prompt_is_read_in_pieces(bits: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same vectors as at once; side by side too, where whole pieces of a row may be padding."""
    model = decoder("qwen3", context=256, head_width=16)
    if bits is not None:
        quantize(model, bits)
    ids = torch.randint(0, V, (3, 200), generator=torch.Generator().manual_seed(6))

    def read_in(piece: int, rows: slice, pad: Tensor | None) -> Tensor:
        monkeypatch.setattr(program, "PIECE", piece)
        cache = Cache(model.config, len(ids[rows]), 200)
        x_BC = program.read_prompt(model, ids[rows], cache, pad)
        return torch.cat([x_BC.flatten(), cache.kv_L2BGSD[:, :, :, :, 150:].flatten()])

    with torch.inference_mode():
        for rows, pad in ((slice(0, 1), None), (slice(0, 3), torch.tensor([0, 150, 7]))):
            whole = read_in(1000, rows, pad)
            for piece in (37, 64, 100):
                assert (read_in(piece, rows, pad) - whole).abs().max() < 2e-5 * whole.abs().max()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_longer_prompt_takes_no_more_memory() -> None:
    """Beside the cache, which is set aside before. At once it would be 540 MB: two times 8,192 neurons for each."""
    model = Decoder(ModelConfig.modern(vocabulary_size=V, width=64, layers=1, heads=1, mlp_width=8192, context=4096))
    cache, memory = Cache(model.config, 1, 4096), Memory()
    memory.begin()
    with torch.inference_mode():
        program.read_prompt(model, torch.zeros(1, 4096, dtype=torch.long), cache)
    assert memory.grown() < 150_000_000


def test_a_cache_may_be_cut_back() -> None:
    model, ids = decoder("qwen3"), tokens(30)
    with torch.inference_mode():
        reader = Reader(model, 40, V)
        reader.read(ids[:, :10])
        once = [reader.read(ids[:, place : place + 1]).clone() for place in range(10, 20)]
        reader.cache.length = 12
        again = [reader.read(ids[:, place : place + 1]).clone() for place in range(12, 20)]
    assert all(torch.equal(a, b) for a, b in zip(once[2:], again, strict=True))


def test_changed_weights_are_seen() -> None:
    """In place: a program reads them where they are. Elsewhere: it is thrown away."""
    model, ids = decoder("qwen3"), tokens(20)
    read(model, ids, 1)
    for change in ("in place", "elsewhere"):
        with torch.no_grad():
            if change == "in place":
                model.blocks[0].mlp.down.weight.mul_(2.0)
            else:
                model.blocks[0].mlp.down.weight = torch.nn.Parameter(model.blocks[0].mlp.down.weight * 0.5)
        with torch.inference_mode(), ops.plain_only():
            expected = model(ids)[0]
        assert (read(model, ids, 1) - expected).abs().max() < 1e-5 * expected.abs().max()


def test_changed_code_is_seen() -> None:
    """A hook, or another module around the same weights: the old program no longer computes this model."""
    model, ids = decoder("qwen3"), tokens(20)
    read(model, ids, 1)
    handle = model.blocks[0].mlp.register_forward_hook(lambda module, inputs, output: output * 3)
    with torch.inference_mode(), ops.plain_only():
        expected = model(ids)[0]
    with torch.inference_mode():
        reader = Reader(model, 20, V)
        rows = torch.cat([reader.read(ids[:, place : place + 1]).clone() for place in range(20)])
    assert (rows - expected).abs().max() < 1e-5 * expected.abs().max()
    handle.remove()


def test_weights_live_as_long_as_the_program_that_reads_them() -> None:
    model, ids = decoder("qwen3"), tokens(20)
    expected = read(model, ids, 1)
    with torch.inference_mode():
        reader = Reader(model, 20, V)
        rows = [reader.read(ids[:, place : place + 1]).clone() for place in range(10)]
        model.to(torch.bfloat16)  # in the middle of a text: the old weights are nobody's now but the program's
        rubbish = [torch.full((96, 64), float("nan")) for _ in range(50)]
        rows += [reader.read(ids[:, place : place + 1]).clone() for place in range(10, 20)]
    assert len(rubbish) == 50 and torch.equal(torch.cat(rows), expected)


def test_two_texts_at_once_do_not_mix() -> None:
    model, ids = decoder("llama"), tokens(20)
    alone = read(model, ids, 1)
    with torch.inference_mode():
        readers = [Reader(model, 20, V) for _ in range(2)]
        for place in range(20):
            rows = [reader.read(ids[:, place : place + 1]).clone() for reader in readers]
            assert torch.equal(rows[0], rows[1]) and torch.allclose(rows[0][0], alone[place], atol=1e-4)
        for reader in readers:
            reader.close()


def test_what_cannot_be_kept_is_noticed() -> None:
    model, ids = decoder("qwen3"), tokens(12)
    norm = model.norm

    class Louder(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return norm(x) * 2

    model.norm = Louder()
    with pytest.raises(Unrecordable, match="mul"):
        Program(model, Cache(model.config, 1, 16), 3, V)
    with torch.inference_mode(), ops.plain_only():
        expected = model(ids)[0]
    with torch.inference_mode():  # the text is read without a program
        reader = Reader(model, 12, V)
        rows = torch.cat([reader.read(ids[:, place : place + 1]).clone() for place in range(12)])
    assert reader.program is None
    assert (rows - expected).abs().max() < 1e-5 * expected.abs().max()


def test_the_recorder_lets_views_pass_and_nothing_that_writes() -> None:
    x = torch.ones(2, 3)
    with torch.inference_mode(), Recorder() as recorder:
        x.view(3, 2).transpose(0, 1)[0].unsqueeze(0)
        assert not recorder.calls
        with pytest.raises(Unrecordable):
            x.add_(1)
        with pytest.raises(Unrecordable):
            torch.zeros(2)


def test_a_damaged_model_is_noticed() -> None:
    model: Any = decoder("qwen3")
    with torch.no_grad():
        model.blocks[1].mlp.down.weight[0, 0] = float("nan")
    from glaswerk.errors import GlaswerkError

    with pytest.raises(GlaswerkError, match="finite"):
        complete(model, TOKENIZER, [1, 2], SamplingOptions(max_tokens=4), end_ids=())


def test_recording_imports_no_compiler(python) -> None:
    """A dispatch mode brings all of torch.compile along unless it says otherwise: a second before the second word."""
    done = python(
        "-c",
        "import sys, torch\n"
        "from glaswerk.generate.program import Recorder\n"
        "x = torch.ones(2)\n"
        "with torch.inference_mode(), Recorder():\n"
        "    x.view(2, 1)\n"
        "assert 'torch._dynamo' not in sys.modules and 'sympy' not in sys.modules\n",
    )
    assert done.returncode == 0, done.stderr
