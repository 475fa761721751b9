"""Chapter 5: the diagram's counts are the decoder's, switching parts off is what an edited trace does, positions and
masks are the library's, the page's neurons are PyTorch's."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from glaswerk.course import demo
from glaswerk.course.demo import load_module
from glaswerk.course.outline import entry
from glaswerk.errors import GlaswerkError
from glaswerk.found import Origin
from glaswerk.lens.trace import trace
from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.count import flops_per_token, parameters_count
from glaswerk.opened import OpenedModel
from glaswerk.tokenizer import train_bpe

CHAPTER = "05-transformer"
FOLDER = entry(CHAPTER).folder
TEXT = "The cat sat on the mat because it was tired. Paris ist die Hauptstadt von Frankreich."
SIZE = {"vocabulary_size": 300, "width": 32, "layers": 3, "heads": 4, "context": 64}


def opened(config: ModelConfig) -> OpenedModel:
    decoder = Decoder(config)
    generator = torch.Generator().manual_seed(5)
    for parameter in decoder.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
    return OpenedModel(decoder, train_bpe([TEXT * 30], 300), Origin(Path("small")))


@pytest.fixture(scope="module", params=["modern", "classic"])
def model(request: pytest.FixtureRequest) -> OpenedModel:
    if request.param == "classic":
        return opened(ModelConfig.classic(**SIZE))
    return opened(ModelConfig.modern(**SIZE, kv_heads=2, head_width=8))


def told(model: OpenedModel | None, name: str, **arguments: object) -> dict:
    return json.loads(demo.call(CHAPTER, name, arguments, model))


def test_the_diagrams_counts_are_those_of_the_decoder(model: OpenedModel) -> None:
    found = told(model, "parts")
    assert {found["open"]["style"], found["twin"]["style"]} == {"classic", "modern"}
    config = model.model.config
    rows = found["open"]["parts"]
    times = [config.layers if row["where"] == "block" else 1 for row in rows]
    total = parameters_count(config)["total"]
    assert sum(row["parameters"] * n for row, n in zip(rows, times, strict=True)) == total == found["open"]["total"]
    assert total == sum(parameter.numel() for parameter in model.model.parameters())
    flops = sum((row["flops"] + row["per_key"] * 17) * n for row, n in zip(rows, times, strict=True))
    assert flops == pytest.approx(flops_per_token(config, 17, training=False))
    for side in (found["open"], found["twin"]):
        assert side["layers"] == 3 and all(row["code"] in found["code"] for row in side["parts"])
        assert sum(row["parameters"] * (3 if row["where"] == "block" else 1) for row in side["parts"]) == side["total"]
    assert all(piece["text"] for piece in found["code"].values())


@pytest.mark.parametrize(
    "off",
    [
        ["mlp:1"],
        ["attention:all"],
        ["head:2.3"],
        ["residual:1"],
        ["norm:0"],
        ["position"],
        ["mask"],
        ["mlp:0", "mlp:2"],
    ],
    ids="+".join,
)
def test_a_part_that_is_off_is_off(model: OpenedModel, off: list[str]) -> None:
    """Oracle: a trace whose values are edited by hand, with what stood before looked up in the trace itself."""
    found = told(model, "without", text=TEXT, off=off)
    ids = model.tokenizer.encode(TEXT)[:65]
    seen: dict[str, torch.Tensor] = {}

    def edit(name: str, value: torch.Tensor) -> torch.Tensor:
        value = value.clone()
        for each in off:
            part, _, where = each.partition(":")
            layers = range(3) if where == "all" else [int(where.partition(".")[0])] if where else []
            for layer in layers:
                block = f"blocks.{layer}."
                if part in ("mlp", "attention") and name == f"{block}{part}.output":
                    value = torch.zeros_like(value)
                elif part == "head" and name == f"{block}attention.heads":
                    value[:, int(where.partition(".")[2])] = 0
                elif part == "residual" and name in (f"{block}residual", f"{block}residual_mid"):
                    value = seen[block + ("mlp" if name.endswith("residual") else "attention") + ".output"]
                elif part == "norm" and name == f"{block}attention_norm":
                    value = seen["residual" if "residual" in seen else "embeddings"]
                elif part == "norm" and name == f"{block}mlp_norm":
                    value = seen[f"{block}residual_mid"]
            if part == "position" and name in ("position", "position.sine"):
                value = torch.zeros_like(value)
            if (part, name.rpartition(".")[2]) in (("position", "cosine"), ("mask", "mask")):
                value = torch.ones_like(value)
        seen[name] = value
        return value

    for key, edited in (("whole", None), ("now", edit)):
        logits = trace(model.model, model.tokenizer, ids[:-1], edit=edited)["logits"][0]
        wanted = F.cross_entropy(logits, torch.tensor(ids[1:]))
        assert found[key] == pytest.approx(float(wanted), abs=2e-4), key
    assert found["whole"] != pytest.approx(found["now"], abs=1e-6)
    assert found["blind"] == pytest.approx(math.log(300))
    assert len(found["each"]["now"]) == len(found["tokens"]) - 1


def test_the_sweep_is_one_switch_after_the_other(model: OpenedModel) -> None:
    switched = load_module(FOLDER / "switched.py", "switched_of_test")
    ids = model.tokenizer.encode(switched.OWN_TEXT)[: switched.SWEPT + 1]
    text = model.tokenizer.decode(ids)
    if model.tokenizer.encode(text) != ids:
        pytest.skip("this tokenizer cuts the beginning of the text in another way")
    found = told(model, "sweep", part="attention")
    for layer, loss in enumerate(found["each"]):
        one = told(model, "without", text=text, off=[f"attention:{layer}"])
        assert loss == pytest.approx(one["now"], abs=1e-4) and found["whole"] == pytest.approx(one["whole"], abs=1e-4)


@pytest.mark.parametrize(
    "arguments",
    [
        {"off": ["mlp:9"]}, {"off": ["mlp"]}, {"off": ["head:1"]}, {"off": ["head:1.99"]}, {"off": ["mask:1"]},
        {"off": ["mlp:" + "9" * 50]}, {"off": ["mlp:1"] * 41}, {"off": "mlp:1"}, {"text": "a"}, {"text": "x" * 601},
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_line(model: OpenedModel, arguments: dict[str, object]) -> None:
    with pytest.raises(GlaswerkError) as caught:
        told(model, "without", **arguments)
    assert "\n" not in str(caught.value)


def test_positions_are_those_of_paper_model_and_library(model: OpenedModel) -> None:
    found = told(model, "positions")
    waves = np.array(found["sinusoidal"]["rows"]) if isinstance(found["sinusoidal"]["rows"], list) else None
    assert waves is not None and waves.shape == (64, 64)
    for place, pair in ((0, 0), (5, 0), (63, 31)):
        angle = place * 10_000 ** (-2 * pair / 64)
        assert waves[place, 2 * pair : 2 * pair + 2] == pytest.approx([math.sin(angle), math.cos(angle)], abs=1e-5)
    near, far = found["rotary"]["curves"]
    both = min(len(near["scores"]), len(far["scores"]))
    assert np.allclose(near["scores"][:both], far["scores"][:both], atol=1e-4), "only the distance counts"
    assert near["scores"][0] == pytest.approx(1, abs=1e-5)
    classic = model.model.config.positions == "learned"
    assert (found["learned"] is not None) == classic and found["rotary"]["own"] != classic
    if classic:
        assert np.allclose(found["learned"]["rows"], model.model.position.detach()[:64], atol=1e-6)


def test_masks_let_through_what_each_family_may_see() -> None:
    found = {name: np.array(mask["see"]) for name, mask in told(None, "masks")["masks"].items()}
    assert np.array_equal(found["gpt"], np.tril(np.ones((5, 5)))) and np.array_equal(found["gpt"], found["t5_decoder"])
    assert found["bert"].all() and found["t5_encoder"].all() and found["t5_cross"].all()


def test_the_layer_by_hand_goes_on_where_chapter_4_ended(root: Path) -> None:
    given = told(None, "layer")
    before = json.loads(demo.call("04-attention", "chain", {}))
    assert np.allclose(given["x"], np.round(before["h"][-1], 1)) and given["all_x"] == before["x"]
    assert np.allclose(given["z"], np.array(given["w"]) @ given["x"] + given["b"], atol=1e-6)
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: apt-get install nodejs")
    script = (
        f"import {{ bends, layer }} from '{(root / 'glaswerk/web/by-hand.js').as_uri()}';"
        "const {x, all_x, w, b} = JSON.parse(process.argv[1]);"
        "const both = (name) => [name, layer([x], w, b, name).a[0], layer(all_x, w, b, name).a];"
        "console.log(JSON.stringify(Object.keys(bends).map(both)));"
    )
    command = [node, "--input-type=module", "-e", script, json.dumps(given)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for name, one, every in json.loads(done.stdout):
        assert np.allclose(one, given["a"][name], atol=1e-5) and np.allclose(every, given["all_a"][name], atol=1e-5)


def test_published_sizes_have_their_published_counts() -> None:
    found = told(None, "numbers")
    assert round(found["gpt1_m"]) == 117 and round(found["gpt3_b"]) == 175 and found["width"] == 768


ANSWERS = {
    "rms_norm": """
def rms_norm(x, gain, eps):
    scale = (sum(v * v for v in x) / len(x) + eps) ** -0.5
    return [v * scale * g for v, g in zip(x, gain)]
""",
    "parameters": """
def parameters(vocabulary, context, width, layers):
    attention = width * 3 * width + 3 * width + width * width + width
    mlp = width * 4 * width + 4 * width + 4 * width * width + width
    return (vocabulary + context) * width + layers * (attention + mlp + 4 * width) + 2 * width
""",
}
WRONG = {"rms_norm": (" + eps", ""), "parameters": (" + 2 * width\n", "\n")}


@pytest.mark.parametrize("name", ANSWERS)
def test_exercises_accept_a_right_answer_and_refuse_a_wrong_one(name: str, tmp_path: Path) -> None:
    check = load_module(FOLDER / "exercises" / f"check_{name}.py", f"check_{name}")
    right, wrong = tmp_path / "right.py", tmp_path / "wrong.py"
    right.write_text(ANSWERS[name])
    wrong.write_text(ANSWERS[name].replace(*WRONG[name]))
    check.check(load_module(right, "right_answer"))
    with pytest.raises((AssertionError, ZeroDivisionError)):
        check.check(load_module(wrong, "wrong_answer"))
