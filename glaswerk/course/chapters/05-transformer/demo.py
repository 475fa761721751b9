"""What chapter 5 computes: a layer of neurons, the parts of the open model and of its twin in the other style,
positions, masks, and the loss with parts switched off. Everything by the library's own functions.

Beside this file: ``parts.py`` takes a decoder apart, ``switched.py`` switches parts off.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from glaswerk.course.demo import demo, load_module
from glaswerk.model.config import ModelConfig
from glaswerk.model.count import flops_per_token, parameters_count
from glaswerk.model.decoder import attention_mask
from glaswerk.model.mlp import gelu
from glaswerk.model.position import Rotary, frequencies, rotate

if TYPE_CHECKING:
    from glaswerk.opened import OpenedModel


def beside(name: str) -> ModuleType:
    """A file of this folder as a module: the folder's name begins with a number, so ``import`` cannot."""
    return load_module(Path(__file__).with_name(f"{name}.py"), f"glaswerk_chapter_transformer_{name}")


# ---------------------------------------------------------------------------------------------- neurons
#: what chapter 4 ended with, rounded: how much "von" now has to do with a place, and with grammar
H = [0.7, 1.5]
# three neurons: place and grammar together; more place than grammar; more grammar than place
W, B = [[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0]], [-2.0, 0.0, 0.0]
# the five words of chapter 4, for the product that does all of them at once
WORDS = ["Paris", "ist", "die", "Hauptstadt", "von"]
X = [[2.0, 0.0], [0.5, 1.0], [0.0, 1.0], [1.0, 0.0], [0.0, 2.0]]


@demo()
def layer() -> dict[str, Any]:
    """Three neurons on one vector, and on five vectors at once: W x + b, then the activation function."""
    weights, bias = torch.tensor(W), torch.tensor(B)
    z, all_z = F.linear(torch.tensor(H), weights, bias), F.linear(torch.tensor(X), weights, bias)
    bent = {"none": lambda z: z, "relu": F.relu, "gelu": gelu, "silu": F.silu}
    return {
        "x": H,
        "w": W,
        "b": B,
        "words": WORDS,
        "all_x": X,
        "z": z,
        "a": {name: function(z) for name, function in bent.items()},
        "all_a": {name: function(all_z) for name, function in bent.items()},
    }


# ---------------------------------------------------------------------------------------------- parts
@demo()
def parts(model: OpenedModel) -> dict[str, Any]:
    """The open model and its twin in the other style, part by part: weights, parameters, FLOPs, code."""
    took_apart = beside("parts")
    sides = {}
    for name, config in (("open", model.model.config), ("twin", took_apart.twin(model.model.config))):
        rows = took_apart.parts(config)
        sides[name] = {**took_apart.described(config), "parts": rows, "total": parameters_count(config)["total"]}
    names = sorted({row["code"] for side in sides.values() for row in side["parts"]})
    return {"model": model.origin.name, **sides, "code": {name: took_apart.code(name) for name in names}}


# ---------------------------------------------------------------------------------------------- parts off
switched = beside("switched")


@demo(text=600, off=40)
def without(model: OpenedModel, text: str = "", off: list[str] = []) -> dict[str, Any]:  # noqa: B006 (never changed)
    """The loss on a held-out text (or ``text``) with parts off: ``["mlp:3", "norm:all", "head:3.2", "position"]``."""
    return dict(switched.measured(model, text, off))


@demo(part={"attention", "mlp"})
def sweep(model: OpenedModel, part: str = "mlp") -> dict[str, Any]:
    """The loss with one part off in one layer, for each layer."""
    return dict(switched.swept(model, part))


# ---------------------------------------------------------------------------------------------- positions
#: positions and numbers that are drawn
PLACES, NUMBERS = 64, 64
#: where a query stands whose scores are drawn, and how far away its keys
ANCHORS, FAR = (64, 200), 64


def sinusoidal(places: int, width: int) -> torch.Tensor:
    """The first Transformer's positions, ``[places, width]``: sine and cosine of the place, ever slower
    (Vaswani et al. 2017, section 3.5)."""
    angle = torch.arange(places)[:, None] * 10_000.0 ** (-torch.arange(0, width, 2) / width)
    return torch.stack((angle.sin(), angle.cos()), -1).flatten(1)


@demo()
def positions(model: OpenedModel) -> dict[str, Any]:
    """The three ways to say where a token stands: sinusoidal, learned (the open model's table, if it has one), rotary
    (with the open model's angles, if it turns its queries)."""
    config = model.model.config
    own = config.positions == "rotary"
    turned = config if own else ModelConfig.modern(vocabulary_size=1, width=64, layers=1, context=512)
    table = Rotary(turned)
    generator = torch.Generator().manual_seed(0)
    vector = F.normalize(torch.randn(turned.head_width, generator=generator), dim=0)

    def at(place: int) -> torch.Tensor:
        return rotate(vector.view(1, 1, 1, -1), *table(place, 1, torch.float32)).flatten()

    reach = min(FAR, turned.context - 1)
    anchors = [min(anchor, turned.context - 1) for anchor in ANCHORS]
    learned = None
    if model.model.position is not None:
        rows = model.model.position.detach().float()[:PLACES]
        learned = {"rows": rows[:, :NUMBERS], "alike": F.cosine_similarity(rows[:, None], rows[None], dim=-1)}
    rows = sinusoidal(PLACES, NUMBERS)
    return {
        "model": model.origin.name,
        "open": config.positions,
        "sinusoidal": {"rows": rows, "alike": F.cosine_similarity(rows[:, None], rows[None], dim=-1)},
        "learned": learned,
        "rotary": {
            "own": own,
            "theta": turned.rope_theta,
            "width": turned.head_width,
            "frequencies": frequencies(turned),
            "curves": [
                {"anchor": anchor, "scores": [at(anchor) @ at(anchor - far) for far in range(min(reach, anchor) + 1)]}
                for anchor in anchors
            ],
        },
    }


# ---------------------------------------------------------------------------------------------- masks
@demo()
def masks() -> dict[str, Any]:
    """Who may see whom: GPT (the library's own mask), BERT (everybody), T5 (an encoder, a decoder, and across)."""
    words = ["Paris", "ist", "die", "Hauptstadt", "von"]
    other = ["Paris", "is", "the", "capital", "of"]
    causal = attention_mask(0, len(words), None, torch.device("cpu"))
    assert causal is not None
    everyone = torch.ones(len(words), len(words), dtype=torch.bool)
    causal = causal[0]
    tables = {"gpt": causal, "bert": everyone, "t5_encoder": everyone, "t5_decoder": causal, "t5_cross": everyone}
    hidden = [word if number != 3 else "[MASK]" for number, word in enumerate(words)]
    return {
        "masks": {
            name: {
                "rows": other if name == "t5_encoder" else hidden if name == "bert" else words,
                "columns": other if name in ("t5_encoder", "t5_cross") else hidden if name == "bert" else words,
                "see": mask.int(),
            }
            for name, mask in tables.items()
        }
    }


# ---------------------------------------------------------------------------------------------- in the text
def published(layers: int, width: int, heads: int, vocabulary: int, context: int) -> ModelConfig:
    """A GPT of a published size."""
    return ModelConfig.classic(vocabulary_size=vocabulary, width=width, layers=layers, heads=heads, context=context)


@demo()
def numbers() -> dict[str, float]:
    """The numbers that stand in the prose and the quiz."""
    gpt1 = published(12, 768, 12, 40_478, 512)
    gpt2 = published(12, 768, 12, 50_257, 1024)
    medium = published(24, 1024, 16, 50_257, 1024)
    gpt3 = published(96, 12_288, 96, 50_257, 2048)
    count = parameters_count(gpt2)
    z = layer()["z"]
    return {
        "gpt1_m": parameters_count(gpt1)["total"] / 1e6,
        "gpt2_m": count["total"] / 1e6,
        "medium_m": parameters_count(medium)["total"] / 1e6,
        "gpt3_b": parameters_count(gpt3)["total"] / 1e9,
        "width": gpt2.heads * gpt2.head_width,
        "mlp_share": 100 * count["mlp"] / (count["mlp"] + count["attention"]),
        "gpt2_mlp_k": gpt2.mlp_width,
        "gpt2_gflops": flops_per_token(gpt2, 1, training=False) / 1e9,
        "z_0": float(z[0]),
        "z_1": float(z[1]),
        "z_2": float(z[2]),
    }
