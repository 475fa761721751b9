"""Chapter 14: a training in parts is a training at once, the open model stays as it is, spectra are those of the
changes, examples in the prompt count as they should, merging is exact, four bits are the library's, exercises."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from glaswerk.course import demo
from glaswerk.course.chapter import load_chapter, shape
from glaswerk.course.demo import load_module
from glaswerk.course.outline import entry
from glaswerk.course.render import Renderer
from glaswerk.errors import GlaswerkError
from glaswerk.found import Origin
from glaswerk.model import Decoder, ModelConfig, lora
from glaswerk.model.mlp import Linear
from glaswerk.model.nf4 import NF4Linear, dequantized_scales, quantize_frozen
from glaswerk.model.quantize import quantize
from glaswerk.opened import OpenedModel
from glaswerk.tokenizer import train_bpe

CHAPTER = "14-specializing"
FOLDER = entry(CHAPTER).folder
SIZE = {"vocabulary_size": 400, "width": 32, "layers": 2, "heads": 4, "context": 256}


def opened(shape: str) -> OpenedModel:
    """A small model with random weights, and a tokenizer of the chapter's own lines."""
    config = ModelConfig.classic(**SIZE) if shape == "classic" else ModelConfig.modern(**SIZE, kv_heads=2, head_width=8)
    decoder = Decoder(config)
    generator = torch.Generator().manual_seed(14)
    for parameter in decoder.parameters():
        parameter.data = 0.2 * torch.randn(parameter.shape, generator=generator)
    if shape == "quantized":
        quantize(decoder.blocks, 4)
    return OpenedModel(
        decoder, train_bpe([(FOLDER / "voices.toml").read_text("utf-8") * 3], 400), Origin(Path("small"))
    )


@pytest.fixture(scope="module", params=["modern", "classic", "quantized"])
def model(request: pytest.FixtureRequest) -> OpenedModel:
    return opened(request.param)


@pytest.fixture(scope="module")
def tune() -> ModuleType:
    return load_module(FOLDER / "tune.py", "tune_of_test_14")


def told(model: OpenedModel | None, name: str, **arguments: object) -> dict:
    return json.loads(demo.call(CHAPTER, name, arguments, model))


def state(model: OpenedModel) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.model.state_dict().items()}


# ---------------------------------------------------------------------------------------------- training
@pytest.mark.parametrize("rank", [2, 0])
def test_a_training_lowers_the_loss_and_leaves_the_open_model_as_it_is(model: OpenedModel, rank: int) -> None:
    before, names = state(model), [name for name, _ in model.model.named_modules()]
    start = told(model, "before", voice="pirate")
    end = told(model, "tuned", voice="pirate", rank=rank)
    assert len(end["steps"]) == start["steps"] == 24
    assert end["losses"]["learned"] < start["losses"]["learned"] - 0.03
    assert [name for name, _ in model.model.named_modules()] == names
    after = model.model.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    # what was measured is the loss of each token of the lines, one line after the other
    total, count = 0.0, 0
    for line in start["held_out"]:
        ids = [model.tokenizer.end_id, *model.tokenizer.encode(line), model.tokenizer.end_id]
        with torch.no_grad():
            logits = model.model(torch.tensor([ids[:-1]]))[0]
        total += float(F.cross_entropy(logits, torch.tensor(ids[1:]), reduction="sum"))
        count += len(ids) - 1
    assert start["losses"]["held_out"] == pytest.approx(total / count, rel=1e-4)


def test_parts_in_any_order_are_one_training(tune: ModuleType) -> None:
    model = opened("modern")
    whole = tune.Training(model, "pirate", 4)
    for _ in range(tune.PARTS):
        whole.part()
    workshop = tune.Workshop()
    third = workshop.losses(model, "pirate", 4, 2)
    assert third == whole.losses[:18] and workshop.losses(model, "pirate", 4, 0) == whole.losses[:6]
    workshop.losses(model, "pirate", 1, 0)  # another training takes its place, and it begins anew
    assert workshop.losses(model, "pirate", 4, 3) == whole.losses
    for name, (a, b) in workshop.learned(model, "pirate", 4).change.items():
        wanted = whole.learned().change[name]
        assert torch.equal(a, wanted[0]) and torch.equal(b, wanted[1])


def test_every_line_is_read_once_before_any_is_read_again(tune: ModuleType) -> None:
    training = tune.Training(opened("modern"), "pirate", 1)
    assert sorted(training.order(0)) == list(range(16)) and training.order(0) != training.order(1)


def test_counts_are_those_of_the_adapter(model: OpenedModel, tune: ModuleType) -> None:
    start = told(model, "before")
    made = tune.twin(model.model)
    lora.attach(made, lora.LoRAConfig(3, 16.0, tune.targets(model.model.config)))
    assert lora.trainable_count(made) == 3 * start["per_rank"]
    whole = sum(module.rows * model.model.config.width for module in lora.layers(made))
    assert whole == start["whole"] and start["total"] == model.model.parameters_count()["total"]


# ---------------------------------------------------------------------------------------------- the change
@pytest.mark.parametrize("rank", [2, 0])
def test_singular_values_are_those_of_the_changed_matrices(model: OpenedModel, tune: ModuleType, rank: int) -> None:
    found = told(model, "spectrum", rank=rank)
    module = load_module(FOLDER / "demo.py", "demo_of_test_14")
    learned = module.tune.workshop(model).learned(model, "pirate", rank)
    made = learned.put_on(model.model)
    for row, piece in zip(found["rows"], tune.adapted(model.model.config), strict=True):
        layer, base = made.get_submodule(piece.module), tune.dense(model.model.get_submodule(piece.module)).weight
        now = layer.with_change().weight if rank else layer.weight
        change = (now - base)[piece.begin : piece.begin + piece.rows].double()
        wanted = torch.linalg.svdvals(change)
        values = np.array(row["values"])
        assert np.allclose(values, wanted[: len(values)], atol=2e-3 * float(wanted[0]))
        assert row["squares"] == pytest.approx(float(wanted.square().sum()), rel=1e-3)
        assert not rank or (len(values) == rank and float(wanted[rank]) < 1e-5 * float(wanted[0]))


def test_a_pair_of_narrow_matrices_by_hand() -> None:
    for rank in (1, 2):
        found = told(None, "outer", rank=rank)
        change = np.array(found["b"]) @ np.array(found["a"])
        assert np.allclose(found["change"], change)
        assert np.linalg.matrix_rank(change) == rank == sum(value > 1e-5 for value in found["values"])
        assert found["narrow"] == 9 * rank and found["full"] == 20


def test_merging_is_exact_and_undone_to_the_last_bit(model: OpenedModel) -> None:
    found = told(model, "merged")
    apart = found["apart"]
    assert apart["learned"] > 0.01 and 0 <= apart["merged"] < 1e-4 * found["largest"]
    assert apart["unmerged"] == 0 and apart["base"] == 0


# ---------------------------------------------------------------------------------------------- ways
def test_examples_in_the_prompt_stand_before_each_line(model: OpenedModel) -> None:
    found = told(model, "way", way="prompt")
    lines = told(model, "before")
    encode, end = model.tokenizer.encode, model.tokenizer.end_id
    shown: list[int] = []
    for line in lines["learn"]:
        shown += encode(line + "\n")
        if len(shown) == found["extra"]:
            break
    assert len(shown) == found["extra"] > 0
    total, count = 0.0, 0
    for line in lines["held_out"]:
        ids = [end, *shown, *encode(line), end]
        with torch.no_grad():
            logits = model.model(torch.tensor([ids[:-1]]))[0, len(shown) :]
        total += float(F.cross_entropy(logits, torch.tensor(ids[len(shown) + 1 :]), reduction="sum"))
        count += len(ids) - 1 - len(shown)
    assert found["loss"] == pytest.approx(total / count, rel=1e-4)


def test_the_fine_tuned_way_is_the_fine_tuned_model(model: OpenedModel) -> None:
    plain, lora_ = told(model, "way"), told(model, "way", way="lora")
    assert plain["loss"] == pytest.approx(told(model, "before")["losses"]["held_out"], rel=1e-5)
    assert lora_["loss"] == pytest.approx(told(model, "tuned")["losses"]["held_out"], rel=1e-5)
    assert [one["begin"] for one in plain["texts"]] == [one["begin"] for one in lora_["texts"]]
    assert plain["extra"] == lora_["extra"] == 0


# ---------------------------------------------------------------------------------------------- four bits
def test_nf4_is_the_librarys_and_both_ways_share_their_scales(model: OpenedModel, tune: ModuleType) -> None:
    found = told(model, "packed", layer=1, matrix="mlp.up")
    weight = tune.dense(model.model.get_submodule("blocks.1.mlp.up")).weight
    error = float((NF4Linear(weight).weight() - weight).norm() / weight.norm())
    assert found["nf4"]["error"] == pytest.approx(error, rel=1e-5)
    # oracle for the other: the nearest of sixteen even values by search, times the same scale
    blocks, layer = weight.view(-1, 64), NF4Linear(weight)
    scale = dequantized_scales(layer.scales, layer.scale_of_scales, layer.mean)[:, None]
    even = torch.linspace(-1, 1, 16)
    place = (blocks / blocks.abs().amax(1, keepdim=True))[..., None].sub(even).abs().argmin(-1)
    wanted = float((even[place] * scale - blocks).norm() / blocks.norm())
    assert found["even"]["error"] == pytest.approx(wanted, rel=1e-3)
    used = torch.bincount(place.flatten(), minlength=16) / place.numel()
    assert np.allclose(found["even"]["used"], used, atol=1e-3)
    assert sum(found["histogram"]) == pytest.approx(1) and sum(found["nf4"]["used"]) == pytest.approx(1)
    assert found["stored"] or found["nf4"]["entropy"] > found["even"]["entropy"]
    assert (found["stored"] is None) == isinstance(model.model.get_submodule("blocks.1.mlp.up"), Linear)


def test_the_loss_in_four_bits_is_that_of_a_model_in_nf4(tune: ModuleType) -> None:
    model = opened("modern")
    found = {kind: told(model, "packed_loss", kind=kind)["loss"] for kind in ("exact", "nf4", "even")}
    batch = tune.lines_batch(model, tune.voice("plain")["held_out"])
    made = quantize_frozen(tune.twin(model.model))
    assert found["nf4"] == pytest.approx(tune.loss_on(made, batch), rel=1e-4)
    assert found["exact"] == pytest.approx(tune.loss_on(model.model, batch), rel=1e-6)
    assert len(set(found.values())) == 3


# ---------------------------------------------------------------------------------------------- numbers, bad input
def test_the_numbers_of_the_prose() -> None:
    found = told(None, "numbers")
    assert found["pair"] == 65_536 and found["pair_times"] == 256
    assert found["llama_b"] == pytest.approx(6.738, abs=1e-3), "as Touvron et al. 2023 count it"
    assert found["gpt3_m"] == pytest.approx(18.9, abs=0.05), "table 4 of Hu et al. 2021 has 4.7 million at rank 1"
    assert found["full_gib"] > 5 * found["lora_gib"] > 10 * found["qlora_gib"]
    assert found["nf4_bits"] == pytest.approx(4.127, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("tuned", {"rank": 33}), ("tuned", {"rank": -1}), ("tuned", {"voice": "plain"}), ("tuned", {"part": 4}),
        ("way", {"way": "magic"}), ("packed", {"matrix": "../x"}), ("packed", {"layer": 10_000}),
        ("packed_loss", {"kind": ""}),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_line(name: str, arguments: dict[str, object]) -> None:
    with pytest.raises(GlaswerkError) as caught:
        told(opened("modern"), name, **arguments)
    assert "\n" not in str(caught.value)


def test_a_voice_has_lines_that_are_nowhere_twice(tune: ModuleType) -> None:
    every = [
        line for name in (*tune.VOICES, "plain") for part in ("learn", "held_out") for line in tune.voice(name)[part]
    ]
    assert len(set(every)) == len(every)
    for name in tune.VOICES:
        assert len(tune.voice(name)["learn"]) == 16 and len(tune.voice(name)["held_out"]) == 6


# ---------------------------------------------------------------------------------------------- exercises
def right_adapt(w: list, a: list, b: list, alpha: float, x: list) -> tuple:
    dot = lambda row: sum(v * u for v, u in zip(row, x, strict=True))  # noqa: E731
    rank, inner = len(a), [dot(row) for row in a]
    output = [
        dot(row) + alpha / rank * sum(v * u for v, u in zip(narrow, inner, strict=True))
        for row, narrow in zip(w, b, strict=True)
    ]
    merged = [
        [v + alpha / rank * sum(narrow[k] * a[k][j] for k in range(rank)) for j, v in enumerate(row)]
        for row, narrow in zip(w, b, strict=True)
    ]
    return output, merged


def right_four_bits(block: list, values: list) -> tuple:
    scale = max(abs(weight) for weight in block)
    if scale == 0:
        return 0.0, [0] * len(block), [0.0] * len(block)
    places = [min(range(16), key=lambda at: abs(values[at] - weight / scale)) for weight in block]
    return scale, places, [values[place] * scale for place in places]


def wrong_adapt(w: list, a: list, b: list, alpha: float, x: list) -> tuple:
    return right_adapt(w, a, b, alpha * len(a), x)


def wrong_four_bits(block: list, values: list) -> tuple:
    scale, places, weights = right_four_bits(block, values)
    return scale, [min(15, place + 1) for place in places], weights


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [("adapt", right_adapt, wrong_adapt), ("four_bits", right_four_bits, wrong_four_bits)],
)
def test_exercises_accept_a_right_answer_and_refuse_a_wrong_one(name: str, right: Callable, wrong: Callable) -> None:
    check = load_module(FOLDER / "exercises" / f"check_{name}.py", f"check_{name}_of_test").check
    module = ModuleType("answer")
    setattr(module, name, right)
    check(module)
    setattr(module, name, wrong)
    with pytest.raises(AssertionError):
        check(module)
    with pytest.raises(NotImplementedError):
        check(load_module(FOLDER / "exercises" / f"{name}.py", f"stub_{name}_of_test"))


@pytest.mark.parametrize(("language", "number"), [("en", "65,536"), ("de", "65.536")])
def test_both_languages_have_the_same_shape_and_write_their_numbers(language: str, number: str) -> None:
    chapter = load_chapter(CHAPTER)
    assert shape(chapter.prose["en"]) == shape(chapter.prose["de"])
    html = Renderer(language).page(chapter.prose[language], CHAPTER)
    assert "{=" not in html and number in html
