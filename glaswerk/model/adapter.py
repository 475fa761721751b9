"""Adapters on disk in PEFT's format, both ways: ``adapter_config.json`` and ``adapter_model.safetensors``.

PEFT loads what is written here, and what PEFT wrote for a plain LoRA is loaded here. The file also says, where PEFT
does not look, which weights it was trained beside (:func:`fingerprint`), so that an adapter on another base of the same
shape is refused instead of talking nonsense. Left out: other methods than LoRA, which are refused by name.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from glaswerk.errors import GlaswerkError
from glaswerk.formats import strict_json
from glaswerk.formats.safetensors import SafetensorsFile
from glaswerk.home import make_folder, replacing, write_json
from glaswerk.model import lora
from glaswerk.model.decoder import Decoder
from glaswerk.model.layout import layout
from glaswerk.model.mlp import Linear
from glaswerk.model.quantize import QuantizedLinear
from glaswerk.model.weights import FLOATS, Source, view

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
LARGEST_CONFIG = 1_000_000
#: what PEFT puts before a Hugging Face name
OUTER = "base_model.model."
#: settings of PEFT's that change what is computed and that we do not compute -> the values that mean "not used"
UNUSED: dict[str, tuple[Any, ...]] = {
    "use_dora": (False, None),
    "use_qalora": (False, None),
    "bias": ("none", None),
    "lora_bias": (False, None),
    "modules_to_save": (None, []),
    "layer_replication": (None, []),
    "trainable_token_indices": (None, [], {}),
    "target_parameters": (None, []),
    "alora_invocation_tokens": (None, []),
    "arrow_config": (None,),
}


def fingerprint(model: Decoder) -> str:
    """Names a base by some of its numbers, rounded to bf16, so that its dtype does not matter: the first rows of the
    embedding and the first row of every matrix in the blocks. Adapters on it do not change it."""
    table = model.embedding
    ids = torch.arange(min(16, table.shape[0]), device=table.device)
    rows = [table.rows(ids) if isinstance(table, QuantizedLinear) else table[ids]]
    for module in dict.fromkeys(piece.module for piece in lora.pieces(model.config)):
        layer = model.get_submodule(module)
        base = layer.base if isinstance(layer, lora.LoRALinear) else layer
        if isinstance(base, QuantizedLinear):
            rows.append(base.rows(ids[:1]))
        elif isinstance(base, Linear):
            rows.append(base.weight[:1])
        else:
            raise GlaswerkError("load or make the adapter before the base is quantized: its numbers are then gone")
    return digest_of(rows)


def fingerprint_of(source: Source) -> str:
    """The same for weights on disk: a model that was quantized while it was read cannot tell any more."""
    table = layout(source.config)
    source.check(table)
    matrices = dict.fromkeys(f"{piece.module}.weight" for piece in lora.pieces(source.config))
    rows = []
    for name, count in {"embedding": 16, **dict.fromkeys(matrices, 1)}.items():
        first = table[name][0]
        shape = torch.Size(first.shape[::-1] if first.transposed else first.shape)
        rows.append(source.assemble([first], shape, torch.float32)[:count].clone())
    return digest_of(rows)


def digest_of(rows: Iterable[Tensor]) -> str:
    """A name for some rows of numbers."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(row.detach().to("cpu", torch.bfloat16).contiguous().view(torch.int16).numpy().tobytes())
    return digest.hexdigest()[:32]


# ---------------------------------------------------------------------------------------------- writing
def save(folder: Path, model: Decoder, name: str = "default", base: str = "", known: str = "") -> None:
    """Write an adapter as PEFT does. ``base`` is what it belongs to, as a model's name or path; ``known`` its
    fingerprint, where the base is quantized meanwhile and cannot say it any more.

    Raises :class:`GlaswerkError` where there is no such adapter, or the folder cannot be written.
    """
    pairs = lora.pairs(model, name)
    if not pairs:
        raise GlaswerkError(f"there is no adapter {name!r}: there are {', '.join(lora.adapters(model)) or 'none'}")
    tensors: dict[str, Tensor] = {}
    for pair in pairs:
        tensors[f"{OUTER}{pair.piece.name}.lora_A.weight"] = pair.a.detach().cpu().contiguous()
        tensors[f"{OUTER}{pair.piece.name}.lora_B.weight"] = pair.b.detach().cpu().contiguous()
    rank, scale = pairs[0].rank, pairs[0].scale
    if any((pair.rank, pair.scale) != (rank, scale) for pair in pairs):
        patterns: dict[str, Any] = {
            "rank_pattern": {pair.piece.name: pair.rank for pair in pairs},
            "alpha_pattern": {pair.piece.name: pair.scale * pair.rank for pair in pairs},
        }
    else:
        patterns = {"rank_pattern": {}, "alpha_pattern": {}}
    make_folder(folder)
    said = {"format": "pt", "glaswerk_base": known or fingerprint(model)}
    with replacing(folder / WEIGHTS) as part:
        save_file(tensors, os.fspath(part), metadata=said)
    write_json(
        folder / CONFIG,
        {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": base,
            "r": rank,
            "lora_alpha": scale * rank,
            "target_modules": targets(model, pairs),
            "lora_dropout": 0.0,
            "bias": "none",
            "fan_in_fan_out": model.config.family() == "gpt2",
            "inference_mode": True,
            "use_rslora": False,
            "use_dora": False,
            "modules_to_save": None,
            **patterns,
        },
    )


def targets(model: Decoder, pairs: list[lora.Pair]) -> list[str]:
    """The shortest names that mean exactly these matrices: the last word where all of that name are meant, the last
    two where a model uses a word twice (GPT-2's ``c_proj``), else full names."""
    meant = {pair.piece.name for pair in pairs}
    names = {piece.name for piece in lora.pieces(model.config)}
    for count in (1, 2):
        short = {".".join(name.split(".")[-count:]) for name in meant}
        if {name for name in names if any(name.endswith("." + end) for end in short)} == meant:
            return sorted(short)
    return sorted(meant)


# ---------------------------------------------------------------------------------------------- reading
def load(model: Decoder, folder: Path, name: str = "default", known: str = "") -> None:
    """Read an adapter beside ``model``'s matrices and put it in use. ``known``: the base's fingerprint, where it was
    quantized and cannot tell it itself.

    Raises :class:`GlaswerkError` that names the file and the mismatch where it is damaged, is of a kind that is not
    computed here, or was made for another base.
    """
    said = strict_json.read(folder / CONFIG, LARGEST_CONFIG)
    config = checked(said, folder / CONFIG)
    file = SafetensorsFile(folder / WEIGHTS)
    base = said.get("base_model_name_or_path") or "an unnamed model"
    wanted = file.metadata.get("glaswerk_base")
    if wanted is not None and wanted != (known or fingerprint(model)):
        raise GlaswerkError(f"{folder} is an adapter for other weights, those of {base}: open that model and try again")
    places = {piece.name: piece for piece in lora.pieces(model.config)}
    found = matched(file, places, base)
    if name in lora.adapters(model):
        raise GlaswerkError(f"the model has an adapter {name!r} already: choose another name")
    for piece, (a, b) in found.items():
        rank = a.shape[0]
        alpha = float(pattern(config["alpha_pattern"], piece.name, config["lora_alpha"]))
        pair = lora.add_pair(model, name, piece, rank, alpha / (rank**0.5 if config["use_rslora"] else rank))
        pair.a.data.copy_(a)
        pair.b.data.copy_(b)
    lora.use(model, name)


def checked(said: Any, file: Path) -> dict[str, Any]:
    """The settings that are used, with PEFT's defaults. Raises :class:`GlaswerkError` for what is not computed here."""
    if not isinstance(said, dict):
        raise GlaswerkError(f"{file} is no JSON object: the file is damaged; copy it again")
    if said.get("peft_type") != "LORA":
        raise GlaswerkError(f"{file}: the adapter is of the kind {said.get('peft_type')!r}; only LORA can be opened")
    for key, unused in UNUSED.items():
        if key in said and said[key] not in unused:
            raise GlaswerkError(f"{file}: {key} is {str(said[key])[:60]!r}, which is not computed here")
    alpha, patterns = said.get("lora_alpha", 8), said.get("alpha_pattern") or {}
    numbers = [alpha, *(patterns.values() if isinstance(patterns, dict) else ["no"])]
    if not all(type(number) in (int, float) and math.isfinite(number) for number in numbers):
        raise GlaswerkError(f"{file}: lora_alpha and alpha_pattern must be numbers")
    for key in patterns:
        if not re.fullmatch(r"\^?[\w.]+\$?", key):  # PEFT takes any regular expression; a stranger's may never end
            raise GlaswerkError(f"{file}: alpha_pattern {key[:60]!r} is more than a module's name")
    return {"lora_alpha": alpha, "alpha_pattern": patterns, "use_rslora": said.get("use_rslora") is True}


def pattern(patterns: dict[str, Any], name: str, default: Any) -> Any:
    """The value for the first pattern that the module's name ends in, as PEFT looks it up."""
    for key, value in patterns.items():
        end = key.strip("^$")
        if name == end or (name.endswith("." + end) and not key.startswith("^")):
            return value
    return default


def matched(file: SafetensorsFile, places: dict[str, lora.Piece], base: str) -> dict[lora.Piece, tuple[Tensor, Tensor]]:
    """A and B for every piece the file has something for; raises :class:`GlaswerkError` where one does not fit."""
    both: dict[str, dict[str, Tensor]] = {}
    for key, entry in file.entries.items():
        inside = re.fullmatch(re.escape(OUTER) + r"(.+)\.lora_([AB])\.weight", key)
        if inside is None or inside[1] not in places:
            raise GlaswerkError(
                f"{file.path} is an adapter for another base, {base}: this one has no place for {key!r}"
            )
        piece, a = places[inside[1]], inside[2] == "A"
        if entry.dtype not in FLOATS or len(entry.shape) != 2:
            raise GlaswerkError(f"{file.path}: tensor {key!r} is no matrix of floating-point numbers")
        if entry.shape[1 if a else 0] != (piece.columns if a else piece.rows):
            there, here = entry.shape[1 if a else 0], piece.columns if a else piece.rows
            raise GlaswerkError(
                f"{file.path} is an adapter for another base, {base}: {piece.name} has {there:,} "
                f"{'inputs' if a else 'outputs'} there and {here:,} here"
            )
        both.setdefault(piece.name, {})[inside[2]] = view(file, key)
    for name, halves in both.items():
        if halves.keys() != {"A", "B"} or halves["A"].shape[0] != halves["B"].shape[1]:
            raise GlaswerkError(f"{file.path}: A and B of {name} do not belong together; copy the file again")
        if not 1 <= halves["A"].shape[0] <= lora.LARGEST_RANK:
            raise GlaswerkError(f"{file.path}: {name} has the rank {halves['A'].shape[0]}; at most {lora.LARGEST_RANK}")
    if not both:
        raise GlaswerkError(f"{file.path} holds no adapter: copy it again")
    return {places[name]: (halves["A"], halves["B"]) for name, halves in both.items()}
