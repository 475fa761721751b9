"""Weights on disk: any model file or folder into a decoder, and Hugging Face model folders written.

A folder is ``config.json`` + ``model.safetensors`` (or shards listed in ``model.safetensors.index.json``).
Loading and saving follow one table (``layout.py``). Everything is checked against the headers before memory is
set aside. Pickles (``pytorch_model.bin``) are never opened.

Left out: what is special to GGUF files (``gguf.py``); the tokenizer's own files (``glaswerk/tokenizer``).
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from glaswerk.errors import GlaswerkError
from glaswerk.formats import strict_json
from glaswerk.formats.safetensors import SafetensorsFile
from glaswerk.home import explain, make_folder, replacing, write_json, write_text
from glaswerk.model.config import ModelConfig
from glaswerk.model.decoder import Decoder
from glaswerk.model.layout import Part, layout
from glaswerk.model.mlp import Linear
from glaswerk.model.quantize import QuantizedLinear

#: the largest config.json and index that are read
LARGEST_CONFIG, LARGEST_INDEX = 1_000_000, 100_000_000
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
CONFIG = "config.json"
#: tensors that some files hold although they follow from the configuration
DERIVED = (".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq")
#: what safetensors calls the dtypes that weights may have
FLOATS = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


class SavesItself(Protocol):
    """What :func:`save_model` needs of a tokenizer."""

    special: dict[str, int]

    @property
    def end_id(self) -> int: ...

    def save(self, folder: Path) -> None: ...


# ---------------------------------------------------------------------------------------------- loading
def load_config(folder: Path) -> ModelConfig:
    """The configuration of a model folder; errors name the folder and the key."""
    values = strict_json.read(folder / CONFIG, LARGEST_CONFIG)
    try:
        return ModelConfig.from_hf(values)
    except GlaswerkError as error:
        raise GlaswerkError(f"{folder / CONFIG}: {str(error).removeprefix('config.json: ')}") from error


class Source(Protocol):
    """Where weights come from: a folder or a GGUF file."""

    config: ModelConfig

    def check(self, table: dict[str, list[Part]]) -> None:
        """Raise :class:`GlaswerkError` unless every tensor is there with its shape, and none is left over."""

    def assemble(self, parts: list[Part], shape: torch.Size, dtype: torch.dtype) -> Tensor:
        """One parameter from its parts."""

    def blocks(self, parts: list[Part]) -> tuple[str, Tensor] | None:
        """The parts as they are, where all are in one and the same block format: its name, and the rows' bytes."""

    def quantized(self, parts: list[Part]) -> bool:
        """Whether a part is not stored as plain floating-point numbers."""


def open_source(path: Path | str) -> Source:
    """A folder's or GGUF file's configuration and weights, nothing of them read yet."""
    path = Path(path)
    if path.is_file():
        from glaswerk.model.gguf import GGUFSource

        return GGUFSource(path)
    return FolderSource(path)


def load_model(
    path: Path | Source, dtype: torch.dtype = torch.float32, bits: int | None = None, *, keep_blocks: bool = False
) -> Decoder:
    """The model in the folder or GGUF file ``path`` (or opened already), weights in ``dtype``, in evaluation mode.

    ``bits`` (8 or 4) quantizes matrices while they are read: those of the blocks to so many bits, embedding and
    head to 8. ``keep_blocks``: what a GGUF file holds in blocks stays in blocks; formats without a product of their
    own become Q8_0. Either way no block is unpacked and packed again where it already is of the wanted kind.

    Memory stays near the weights kept: the file is mapped, copied tensor by tensor and let go. Raises
    :class:`GlaswerkError` that names the file and tensor where something is missing, cut short or of another
    shape.
    """
    source = open_source(path) if isinstance(path, (str, Path)) else path
    table = layout(source.config)
    source.check(table)
    with torch.device("meta"):
        model = Decoder(source.config)
    for name, parts in table.items():
        owner_name, _, attribute = name.rpartition(".")
        owner = model.get_submodule(owner_name)
        matrix = attribute == "weight" and isinstance(owner, Linear)
        wanted = bits if matrix and name.startswith("blocks.") else bits and 8
        if matrix or name == "embedding":
            bias = owner.bias if isinstance(owner, Linear) else None
            packed = pack(source, parts, getattr(owner, attribute).shape, dtype, wanted, keep_blocks, bias)
            if packed is not None and matrix:
                parent, _, child = owner_name.rpartition(".")
                setattr(model.get_submodule(parent), child, packed)
                continue
            if packed is not None:
                model.set_embedding(packed)
                continue
        value = source.assemble(parts, getattr(owner, attribute).shape, dtype)
        setattr(owner, attribute, nn.Parameter(value, requires_grad=dtype.is_floating_point))
    return model.eval()


def pack(
    source: Source,
    parts: list[Part],
    shape: torch.Size,
    dtype: torch.dtype,
    bits: int | None,
    keep_blocks: bool,
    bias: Tensor | None,
) -> QuantizedLinear | None:
    """A matrix as blocks, or None where it is to stay plain."""
    kinds = {None: ("Q8_0", "Q4_0", "Q4_1"), 8: ("Q8_0",), 4: ("Q4_0", "Q4_1")}[bits]
    if bits is None and not (keep_blocks and source.quantized(parts)):
        return None
    ready = source.blocks(parts)
    if ready is not None and ready[0] in kinds:
        return QuantizedLinear.from_blocks(*ready, inputs=shape[1], bias=bias)
    return QuantizedLinear.from_weight(source.assemble(parts, shape, torch.float32), bits or 8, bias)


class FolderSource:
    """The safetensors files of a Hugging Face folder as one collection of tensors."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = load_config(folder)
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
            if entry.dtype not in FLOATS:
                raise GlaswerkError(f"{file.path}: tensor {name!r} holds {entry.dtype} numbers, not floating-point")
            used.add(name)
        # a copy of the tied head, and the head of a reward model (``align/reward.py``): not the decoder's
        others = ("score.weight",) if "unembedding.weight" in table else ("score.weight", "lm_head.weight")
        for name in self.where:
            if name not in used and not name.endswith(DERIVED) and name not in others:
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
            tensor = view(file, name)
            tensor = tensor.t() if part.transposed else tensor
            value[row : row + tensor.shape[0]].copy_(tensor)
            row += tensor.shape[0]
            del tensor
            file.release(name)
        return value

    def blocks(self, parts: list[Part]) -> tuple[str, Tensor] | None:
        """None: safetensors files hold plain numbers."""
        return None

    def quantized(self, parts: list[Part]) -> bool:
        """False, likewise."""
        return False


def view(file: SafetensorsFile, name: str) -> Tensor:
    """A tensor over the mapped file: read it before it is released, never write to it."""
    entry = file.entries[name]
    dtype, raw = FLOATS[entry.dtype], file.raw(name)
    # a stranger's file may be unaligned, which torch's kernels do not expect: copy those few
    raw = raw.copy() if entry.start % dtype.itemsize else raw
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns that the map is read-only, which is what we want
        return torch.from_numpy(raw).view(dtype).view(entry.shape)


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a folder. Raises :class:`GlaswerkError` where there are none, with the
    reason."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if (folder / INDEX).is_file():
        index = strict_json.read(folder / INDEX, LARGEST_INDEX)
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
    parameters = dict(model.named_parameters())
    if any(hasattr(module, "adapters") for module in model.modules()):
        raise GlaswerkError("a model with adapters cannot be saved as it is: bake them in, or save them alone")
    if not layout(model.config).keys() <= parameters.keys():
        raise GlaswerkError("a quantized model cannot be saved: load it with dtype fp32 or bf16 and save that")
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
