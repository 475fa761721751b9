"""Weights on disk: Hugging Face model folders, both ways.

A folder is ``config.json`` + ``model.safetensors`` (or shards listed in ``model.safetensors.index.json``).
One table, :func:`layout`, says which tensors of the file stand in which rows of which parameter; loading and
saving both follow it. Everything is checked against the headers before memory is set aside. Pickles
(``pytorch_model.bin``) are never opened.

Left out: GGUF; the tokenizer's own files (``glaswerk/tokenizer``).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from glaswerk.errors import GlaswerkError
from glaswerk.home import explain, make_folder, read_json, replacing, write_json, write_text
from glaswerk.model.config import ModelConfig
from glaswerk.model.decoder import Decoder
from glaswerk.model.mlp import Linear
from glaswerk.model.quantize import QuantizedLinear, quantize_linear
from glaswerk.model.safetensors import SafetensorsFile

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
CONFIG = "config.json"
#: tensors that some files hold although they follow from the configuration
DERIVED = (".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq")


class SavesItself(Protocol):
    """What :func:`save_model` needs of a tokenizer."""

    special: dict[str, int]

    @property
    def end_id(self) -> int: ...

    def save(self, folder: Path) -> None: ...


@dataclass(frozen=True, slots=True)
class Part:
    """A tensor of the file: its name and shape there; ``transposed``: GPT-2 keeps its matrices as
    [in, out]."""

    name: str
    shape: tuple[int, ...]
    transposed: bool = False


def layout(config: ModelConfig) -> dict[str, list[Part]]:
    """Parameter name -> the tensors of the file whose rows it holds, in order."""
    return gpt2_layout(config) if config.family() == "gpt2" else llama_layout(config)


def gpt2_layout(config: ModelConfig) -> dict[str, list[Part]]:
    """GPT-2's names: Conv1D matrices, q, k and v fused already."""
    C, M = config.width, config.mlp_width
    table = {
        "embedding": [Part("transformer.wte.weight", (config.vocabulary_size, C))],
        "position": [Part("transformer.wpe.weight", (config.context, C))],
    }
    for layer in range(config.layers):
        ours, theirs = f"blocks.{layer}.", f"transformer.h.{layer}."
        for our, their in (("attention_norm", "ln_1"), ("mlp_norm", "ln_2")):
            for kind in ("weight", "bias"):
                table[f"{ours}{our}.{kind}"] = [Part(f"{theirs}{their}.{kind}", (C,))]
        for our, their, inputs, outputs in (
            ("attention.qkv", "attn.c_attn", C, 3 * C),
            ("attention.output", "attn.c_proj", C, C),
            ("mlp.up", "mlp.c_fc", C, M),
            ("mlp.down", "mlp.c_proj", M, C),
        ):
            table[f"{ours}{our}.weight"] = [Part(f"{theirs}{their}.weight", (inputs, outputs), transposed=True)]
            table[f"{ours}{our}.bias"] = [Part(f"{theirs}{their}.bias", (outputs,))]
    table["norm.weight"] = [Part("transformer.ln_f.weight", (C,))]
    table["norm.bias"] = [Part("transformer.ln_f.bias", (C,))]
    if not config.tied:
        table["unembedding.weight"] = [Part("lm_head.weight", (config.vocabulary_size, C))]
    return table


def llama_layout(config: ModelConfig) -> dict[str, list[Part]]:
    """The names of Llama, Qwen2 and Qwen3: q, k, v and gate, up are matrices of their own."""
    C, D, M = config.width, config.head_width, config.mlp_width
    queries, keys = config.heads * D, config.kv_heads * D
    table = {"embedding": [Part("model.embed_tokens.weight", (config.vocabulary_size, C))]}
    for layer in range(config.layers):
        ours, theirs = f"blocks.{layer}.", f"model.layers.{layer}."

        def matrix(
            our: str,
            parts: list[tuple[str, int]],
            inputs: int,
            bias: bool,
            ours: str = ours,
            theirs: str = theirs,
        ) -> None:
            table[f"{ours}{our}.weight"] = [Part(f"{theirs}{name}.weight", (rows, inputs)) for name, rows in parts]
            if bias:
                table[f"{ours}{our}.bias"] = [Part(f"{theirs}{name}.bias", (rows,)) for name, rows in parts]

        table[f"{ours}attention_norm.weight"] = [Part(f"{theirs}input_layernorm.weight", (C,))]
        table[f"{ours}mlp_norm.weight"] = [Part(f"{theirs}post_attention_layernorm.weight", (C,))]
        qkv = [("self_attn.q_proj", queries), ("self_attn.k_proj", keys), ("self_attn.v_proj", keys)]
        matrix("attention.qkv", qkv, C, config.attention_bias)
        matrix("attention.output", [("self_attn.o_proj", C)], queries, config.output_bias)
        if config.qk_norm:
            table[f"{ours}attention.q_norm.weight"] = [Part(f"{theirs}self_attn.q_norm.weight", (D,))]
            table[f"{ours}attention.k_norm.weight"] = [Part(f"{theirs}self_attn.k_norm.weight", (D,))]
        matrix("mlp.up", [("mlp.gate_proj", M), ("mlp.up_proj", M)], C, config.mlp_bias)
        matrix("mlp.down", [("mlp.down_proj", C)], M, config.mlp_bias)
    table["norm.weight"] = [Part("model.norm.weight", (C,))]
    if not config.tied:
        table["unembedding.weight"] = [Part("lm_head.weight", (config.vocabulary_size, C))]
    return table


# ---------------------------------------------------------------------------------------------- loading
def load_config(folder: Path) -> ModelConfig:
    """The configuration of a model folder; errors name the folder and the key."""
    try:
        return ModelConfig.from_hf(read_json(folder / CONFIG))
    except GlaswerkError as error:
        raise GlaswerkError(str(error).replace("config.json:", f"{folder / CONFIG}:", 1)) from error


def load_model(folder: Path, dtype: torch.dtype = torch.float32, bits: int | None = None) -> Decoder:
    """The model in ``folder``, weights in ``dtype``, in evaluation mode. ``bits`` (8 or 4) quantizes the
    matrices of the blocks while they are read.

    Memory stays near the weights kept: the file is mapped, copied tensor by tensor and let go. Raises
    :class:`GlaswerkError` that names the file and tensor where something is missing, cut short or of another
    shape.
    """
    folder = Path(folder)
    config = load_config(folder)
    source = Source(folder)
    table = layout(config)
    source.check(table)
    with torch.device("meta"):
        model = Decoder(config)
    for name, parts in table.items():
        owner, attribute = model, name
        for step in name.split(".")[:-1]:
            owner, attribute = getattr(owner, step), attribute.partition(".")[2]
        shape = getattr(owner, attribute).shape
        value = source.assemble(parts, shape, dtype)
        setattr(owner, attribute, nn.Parameter(value, requires_grad=dtype.is_floating_point))
        if bits is not None and isinstance(owner, Linear) and name.startswith("blocks.") and attribute == "weight":
            packed = quantize_linear(owner, bits)
            parent = model.get_submodule(name.rpartition(".")[0].rpartition(".")[0])
            setattr(parent, name.split(".")[-2], packed)
    return model.eval()


class Source:
    """The safetensors files of a folder as one collection of tensors."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = [SafetensorsFile(path) for path in weight_files(folder)]
        self.where = {name: file for file in self.files for name in file}

    def find(self, name: str) -> tuple[SafetensorsFile, str] | None:
        """The file that holds the tensor, and its name there: some models are saved without the outer
        prefix."""
        for candidate in (name, name.partition(".")[2]):
            if candidate in self.where:
                return self.where[candidate], candidate
        return None

    def check(self, table: dict[str, list[Part]]) -> None:
        """Raise unless every tensor is there with its shape, and none is left over."""
        used = set()
        for part in (part for parts in table.values() for part in parts):
            found = self.find(part.name)
            if found is None:
                raise GlaswerkError(
                    f"{self.folder}: the tensor {part.name!r} is missing; "
                    "config.json and the weights do not belong together"
                )
            file, name = found
            entry = file.entries[name]
            if entry.shape != part.shape:
                raise GlaswerkError(
                    f"{file.path}: tensor {name!r} has the shape {list(entry.shape)}, "
                    f"config.json asks for {list(part.shape)}"
                )
            if not entry.dtype.is_floating_point:
                raise GlaswerkError(f"{file.path}: tensor {name!r} holds {entry.dtype}, not floating-point")
            used.add(name)
        tied_copy = () if "unembedding.weight" in table else ("lm_head.weight",)
        for name in self.where:
            if name not in used and not name.endswith(DERIVED) and name not in tied_copy:
                raise GlaswerkError(
                    f"{self.where[name].path}: tensor {name!r} has no place in the model that config.json describes"
                )

    def assemble(self, parts: list[Part], shape: torch.Size, dtype: torch.dtype) -> Tensor:
        """One parameter from its parts."""
        value = torch.empty(shape, dtype=dtype)
        row = 0
        for part in parts:
            found = self.find(part.name)
            assert found is not None  # check() saw it
            file, name = found
            tensor = file.read(name)
            tensor = tensor.t() if part.transposed else tensor
            value[row : row + tensor.shape[0]].copy_(tensor)
            row += tensor.shape[0]
            del tensor
            file.release(name)
        return value


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a folder. Raises :class:`GlaswerkError` where there are none, with the
    reason."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if (folder / INDEX).is_file():
        index = read_json(folder / INDEX)
        names = index.get("weight_map") if isinstance(index, dict) else None
        if not isinstance(names, dict) or not names or {type(name) for name in names.values()} != {str}:
            raise GlaswerkError(f"{folder / INDEX} has no valid weight_map: the file is damaged; copy it again")
        files = sorted(set(names.values()))
        for name in files:
            if name in ("", ".", "..") or "/" in name or "\\" in name or not name.endswith(".safetensors"):
                raise GlaswerkError(
                    f"{folder / INDEX} names {name[:80]!r}, which is not a safetensors file of this folder"
                )
        return [folder / name for name in files]
    if any(folder.glob("*.bin")) or any(folder.glob("*.pt")) or any(folder.glob("*.pth")):
        raise GlaswerkError(
            f"{folder} holds its weights as a pickle (.bin), which can run code and is never opened; "
            "convert it to safetensors first"
        )
    raise GlaswerkError(f"{folder} holds no {WEIGHTS}: it is not a model folder, or not a complete one")


# ---------------------------------------------------------------------------------------------- saving
def to_tensors(model: Decoder, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
    """The model's weights under their Hugging Face names, on the CPU, in ``dtype`` (None: as they are)."""
    if any(isinstance(module, QuantizedLinear) for module in model.modules()):
        raise GlaswerkError("a quantized model cannot be saved: load it with dtype fp32 or bf16 and save that")
    parameters = dict(model.named_parameters())
    tensors: dict[str, Tensor] = {}
    for name, parts in layout(model.config).items():
        value = parameters[name].detach().to("cpu", dtype)
        row = 0
        for part in parts:
            rows = part.shape[-1] if part.transposed else part.shape[0]
            piece = value[row : row + rows]
            tensors[part.name] = (piece.t() if part.transposed else piece).contiguous()
            row += rows
    return tensors


def save_model(
    folder: Path,
    model: Decoder,
    tokenizer: SavesItself | None = None,
    *,
    dtype: torch.dtype | None = None,
    card: str | None = None,
    generation: Mapping[str, Any] | None = None,
) -> None:
    """Write a model folder that transformers, vLLM and Glaswerk open.

    ``card`` becomes ``card.md``, ``generation`` is added to ``generation_config.json``. Each file replaces
    its predecessor whole, and ``config.json`` comes last: a save that was interrupted is a folder without it,
    never a mixture that opens. Raises :class:`GlaswerkError` where the folder cannot be written.
    """
    folder = Path(folder)
    tensors = to_tensors(model, dtype)
    make_folder(folder)
    try:
        (folder / CONFIG).unlink(missing_ok=True)
    except OSError as error:
        raise explain(error, folder / CONFIG) from error
    with replacing(folder / WEIGHTS) as part:
        save(tensors, part)
    if tokenizer is not None:
        tokenizer.save(folder)
    if card is not None:
        write_text(folder / "card.md", card)
    ends = end_ids(tokenizer)
    write_json(folder / "generation_config.json", {**ends, **(generation or {})})
    stored = str(next(iter(tensors.values())).dtype).removeprefix("torch.")
    single = {**ends, "eos_token_id": ends["pad_token_id"]} if ends else {}
    write_json(folder / CONFIG, {**model.config.to_hf(), **single, "dtype": stored, "torch_dtype": stored})


def save(tensors: dict[str, Tensor], path: Path) -> None:
    """safetensors' own writer; its errors (a full disk) as one line."""
    try:
        save_file(tensors, os.fspath(path), metadata={"format": "pt"})
    except Exception as error:
        if isinstance(error, OSError):
            raise
        raise GlaswerkError(
            f"cannot write {path.parent / WEIGHTS}: {error}; free some space or choose another folder"
        ) from error


def end_ids(tokenizer: SavesItself | None) -> dict[str, Any]:
    """Which tokens end a reply, as other tools want to be told."""
    if tokenizer is None:
        return {}
    try:
        ends = [tokenizer.end_id]
    except GlaswerkError:  # a vocabulary without special tokens, such as plain characters
        return {}
    if "<|im_end|>" in tokenizer.special:
        ends.append(tokenizer.special["<|im_end|>"])
    return {"bos_token_id": tokenizer.end_id, "eos_token_id": ends, "pad_token_id": tokenizer.end_id}
