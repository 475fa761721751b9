"""What chapter 14 computes: a model fine-tuned by LoRA and whole, what its changed matrices look like, the same by
examples in the prompt, an adapter merged, and matrices in four bits. Everything on the open model, which stays as it
is.

Beside this file: ``tune.py`` trains, ``bits.py`` packs matrices, ``voices.toml`` has the lines.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch

from glaswerk import generate
from glaswerk.course.demo import demo, load_module
from glaswerk.model import lora
from glaswerk.model.config import ModelConfig
from glaswerk.model.count import parameters_count

if TYPE_CHECKING:
    from glaswerk.opened import OpenedModel


def beside(name: str) -> ModuleType:
    """A file of this folder as a module: the folder's name begins with a number, so ``import`` cannot."""
    return load_module(Path(__file__).with_name(f"{name}.py"), f"glaswerk_chapter_specializing_{name}")


tune, bits = beside("tune"), beside("bits")
packed, packed_loss = bits.packed, bits.packed_loss

#: the rank that figures use where there is no choice
RANK = 8
#: singular values that are drawn
SHOWN = 32
#: tokens that the model goes on for; examples that stand in a prompt, at most
WRITTEN, EXAMPLES = 24, 8

# ---------------------------------------------------------------------------------------------- by hand
# two columns and two rows of small numbers
B = [[1.0, 0.0], [2.0, 1.0], [0.0, -1.0], [-1.0, 1.0]]
A = [[1.0, 0.0, 2.0, -1.0, 1.0], [0.0, 1.0, -1.0, 1.0, 2.0]]


@demo(rank=(1, 2))
def outer(rank: int = 1) -> dict[str, Any]:
    """Columns times rows: the matrix that ``rank`` of each make, its singular values, and what both cost to keep."""
    b, a = torch.tensor(B)[:, :rank], torch.tensor(A)[:rank]
    change = b @ a
    return {
        "rank": rank, "b": b, "a": a, "change": change, "values": torch.linalg.svdvals(change),
        "narrow": b.numel() + a.numel(), "full": change.numel(),
    }  # fmt: skip


# ---------------------------------------------------------------------------------------------- fine-tuning
def measured(opened: OpenedModel, model: Any, voice: str) -> dict[str, float]:
    """A model's loss on lines it learns from, on lines of that voice it never saw, and on plain sentences."""
    parts = {"learned": (voice, "learn"), "held_out": (voice, "held_out"), "plain": ("plain", "held_out")}
    return {
        name: tune.loss_on(model, tune.lines_batch(opened, tune.voice(where)[which]))
        for name, (where, which) in parts.items()
    }


@demo(voice={*tune.VOICES})
def before(model: OpenedModel, voice: str = "pirate") -> dict[str, Any]:
    """The lines, and the open model's loss on them as it is; how many weights there are and how many are adapted."""
    pieces = tune.adapted(model.model.config)
    return {
        "model": model.origin.name, "voice": voice, **tune.voice(voice), "parts": tune.PARTS, "steps": tune.STEPS,
        "losses": measured(model, tune.twin(model.model), voice),
        "total": model.model.parameters_count()["total"],
        "whole": sum(piece.rows * piece.columns for piece in pieces),
        "per_rank": sum(piece.rows + piece.columns for piece in pieces), "matrices": len(pieces),
        "alpha": tune.ALPHA, "rate": tune.RATE, "whole_rate": tune.WHOLE_RATE,
    }  # fmt: skip


@demo(voice={*tune.VOICES}, rank=(0, tune.LARGEST), part=(0, tune.PARTS - 1))
def tuned(model: OpenedModel, voice: str = "pirate", rank: int = RANK, part: int = tune.PARTS - 1) -> dict[str, Any]:
    """A fine-tuning up to the end of ``part``: the loss of each step; with the last part, what it is worth. Rank 0
    means the matrices themselves."""
    workshop = tune.workshop(model)
    steps = workshop.losses(model, voice, rank, part)
    found = {"model": model.origin.name, "voice": voice, "rank": rank, "part": part, "steps": steps}
    if part == tune.PARTS - 1:
        found["losses"] = measured(model, workshop.learned(model, voice, rank).put_on(model.model), voice)
    return found


@demo(voice={*tune.VOICES}, rank=(0, tune.LARGEST))
def spectrum(model: OpenedModel, voice: str = "pirate", rank: int = RANK) -> dict[str, Any]:
    """The singular values of every adapted matrix's change: the largest ones, how many there are, and the sum of all
    their squares."""
    rows: list[dict[str, Any]] = []
    for piece, values in tune.workshop(model).learned(model, voice, rank).values(model.model.config):
        layer = int(piece.module.split(".")[1])
        rows.append({
            "layer": layer, "name": piece.name.rpartition(".")[2], "rows": piece.rows, "columns": piece.columns,
            "values": [float(f"{value:.4g}") for value in values[:SHOWN].tolist()],
            "squares": float(values.square().sum()),
        })  # fmt: skip
    return {"model": model.origin.name, "voice": voice, "rank": rank, "rows": rows, "layers": model.model.config.layers}


# ---------------------------------------------------------------------------------------------- three ways
def examples(model: OpenedModel, voice: str, room: int) -> list[int]:
    """As many learned lines as fit, as the beginning of a prompt."""
    ids: list[int] = []
    for line in tune.voice(voice)["learn"][:EXAMPLES]:
        more = [*ids, *model.tokenizer.encode(line + "\n")]
        if len(more) > room:
            break
        ids = more
    return ids


def written(model: OpenedModel, decoder: Any, begin: str, before: list[int]) -> str:
    """What a decoder writes after ``before`` and ``begin``, most likely token by token, to the end of the line."""
    ids = [model.tokenizer.end_id, *before, *model.tokenizer.encode(begin)]
    how = model.how({"max_tokens": WRITTEN, "stop": ["\n"]})
    return generate.batch(decoder, model.tokenizer, [ids], **how)[0].text


@demo(voice={*tune.VOICES}, way={"plain", "prompt", "lora"})
def way(model: OpenedModel, voice: str = "pirate", way: str = "plain") -> dict[str, Any]:
    """The same beginnings continued by the model as it is (``plain``), with examples in the prompt (``prompt``) or
    with an adapter (``lora``); and its loss on the held-out lines that way."""
    lines = tune.voice(voice)
    longest = max(len(model.tokenizer.encode(line)) for line in lines["held_out"]) + 2
    room = max(0, model.model.config.context - max(longest, WRITTEN + 24))
    shown = examples(model, voice, room) if way == "prompt" else []
    decoder = tune.twin(model.model)
    if way == "lora":
        decoder = tune.workshop(model).learned(model, voice, RANK).put_on(model.model)
    return {
        "model": model.origin.name, "voice": voice, "way": way, "rank": RANK, "extra": len(shown),
        "loss": tune.loss_on(decoder, tune.lines_batch(model, lines["held_out"], shown)),
        "texts": [{"begin": begin, "text": written(model, decoder, begin, shown)} for begin in lines["begin"]],
    }  # fmt: skip


# ---------------------------------------------------------------------------------------------- merging
@demo(voice={*tune.VOICES})
def merged(model: OpenedModel, voice: str = "pirate") -> dict[str, Any]:
    """An adapter beside its matrices, merged into them, and taken out again: how far the logits of the held-out lines
    are apart, and what each way keeps and multiplies."""
    config = model.model.config
    ids, _ = tune.lines_batch(model, tune.voice(voice)["held_out"][:3])
    decoder = tune.workshop(model).learned(model, voice, RANK).put_on(model.model)
    with torch.no_grad():
        base = tune.twin(model.model)(ids)
        beside_ = decoder(ids)
        lora.merge(decoder)
        inside = decoder(ids)
        lora.unmerge(decoder)
        back = decoder(ids)
        lora.use(decoder)
        without = decoder(ids)
    pieces = tune.adapted(config)
    adapter = RANK * sum(piece.rows + piece.columns for piece in pieces)

    def apart(logits: torch.Tensor, other: torch.Tensor) -> float:
        return float((logits - other).abs().max())

    return {
        "model": model.origin.name, "voice": voice, "rank": RANK, "largest": float(beside_.abs().max()),
        "apart": {"learned": apart(beside_, base), "merged": apart(inside, beside_), "unmerged": apart(back, beside_),
                  "base": apart(without, base)},
        "same": float((inside.argmax(-1) == beside_.argmax(-1)).float().mean()), "tokens": ids.numel(),
        "adapter": adapter, "total": model.model.parameters_count()["total"],
        "whole": sum(piece.rows * piece.columns for piece in pieces),
        "products": {"beside": 3, "merged": 1},
    }  # fmt: skip


# ---------------------------------------------------------------------------------------------- numbers
#: Llama 2 7B and GPT-3, as their papers give them
LLAMA = ModelConfig.modern(
    vocabulary_size=32_000, width=4096, layers=32, heads=32, kv_heads=32, head_width=128, mlp_width=11_008,
    context=4096, tied=False,
)  # fmt: skip
GIB = 2**30


@demo()
def numbers() -> dict[str, float]:
    """The numbers that stand in the prose and the quiz."""
    one = outer(1)
    total = parameters_count(LLAMA)["total"]
    inside = lora.pieces(LLAMA)
    frozen = sum(piece.rows * piece.columns for piece in inside)
    adapter = 8 * sum(piece.rows + piece.columns for piece in inside)
    square = 4096
    pair = 8 * (square + square)
    # fp32 weights, gradients and AdamW's two averages; a trained number costs four of them
    full, trained = 16 * total, 16 * adapter
    half, four = 2 * total, bits.NF4_BITS / 8 * frozen + 2 * (total - frozen)
    book = bits.book("nf4")
    return {
        "narrow": one["narrow"], "full": one["full"], "square_m": square * square / 1e6, "pair": pair,
        "pair_share": 100 * pair / square**2, "pair_times": square**2 / pair,
        "llama_b": total / 1e9, "adapter_m": adapter / 1e6, "adapter_share": 100 * adapter / total,
        "full_gib": full / GIB, "lora_gib": (half + trained) / GIB, "qlora_gib": (four + trained) / GIB,
        "nf4_bits": bits.NF4_BITS, "innermost": float(book[8]), "next": float(book[15] - book[14]),
        "gpt3_m": 4 * 96 * 2 * 2 * 12_288 / 1e6, "gpt3_times": 175e9 / (4 * 96 * 2 * 2 * 12_288),
        "alpha": tune.ALPHA, "scale8": tune.ALPHA / 8, "learn": len(tune.voice("pirate")["learn"]),
        "held": len(tune.voice("pirate")["held_out"]), "steps": tune.STEPS,
    }  # fmt: skip
