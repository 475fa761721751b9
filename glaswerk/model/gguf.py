"""GGUF files as models: the configuration and the weights of architectures llama, qwen2, qwen3 and gpt2, both ways.

Blocks stay as they lie in the file: rows are put together and put in order, never unpacked, unless plain numbers are
asked for. Two things GGUF keeps differently from Hugging Face folders: GPT-2's matrices are [out, in] as everywhere
else, and the llama architecture interleaves each head's two rotary halves in the rows of q and k, which is undone
here (and done when one is written). A metadata value that asks for a computation we do not have is refused by name.

Left out: the file format (``formats/gguf.py``), its numbers (``formats/blocks.py``), the tokenizer in it
(``tokenizer/gguf.py``).

Shapes: N rows, K weights of a row, D head width.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glaswerk.errors import GlaswerkError
from glaswerk.formats.blocks import KINDS, dequantize, quantize
from glaswerk.formats.gguf import GGUFFile, NewTensor, TensorInfo, place
from glaswerk.model.config import LIMITS, RANGES, ModelConfig, brief
from glaswerk.model.decoder import Decoder
from glaswerk.model.layout import Part, gguf_name, layout
from glaswerk.model.position import frequencies

ARCHITECTURES = ("llama", "qwen2", "qwen3", "gpt2")
#: formats that are plain numbers
PLAIN = ("F32", "F16", "BF16")
#: weights that are unpacked at once
CHUNK = 1 << 20
ROPE_FACTORS = "rope_freqs.weight"

#: metadata (after the architecture's name) that is read here, or that changes nothing that is computed
KNOWN = frozenset(
    """block_count context_length embedding_length feed_forward_length vocab_size attention.head_count
    attention.head_count_kv attention.key_length attention.value_length attention.layer_norm_rms_epsilon
    attention.layer_norm_epsilon rope.freq_base rope.dimension_count rope.scaling.type rope.scaling.factor
    rope.scaling.original_context_length rope.scaling.finetuned tensor_data_layout""".split()  # noqa: SIM905
)
#: metadata -> the feature whose limits hold for it
FEATURES = {
    "embedding_length": "width",
    "block_count": "layers",
    "context_length": "context",
    "feed_forward_length": "mlp_width",
    "attention.head_count": "heads",
    "attention.head_count_kv": "kv_heads",
    **dict.fromkeys(("attention.key_length", "attention.value_length", "rope.dimension_count"), "head_width"),
    **dict.fromkeys(("attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon"), "norm_eps"),
    "rope.freq_base": "rope_theta",
}


class GGUFSource:
    """The model in a GGUF file: ``config``, and its tensors under their Hugging Face names."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = GGUFFile(path)
        self.architecture = architecture(self.file)
        self.config = read_config(self.file)

    def check(self, table: dict[str, list[Part]]) -> None:
        """Raise unless every tensor is there with its shape, and none is left over."""
        left = set(self.file.tensors) - {ROPE_FACTORS}
        for part in (part for parts in table.values() for part in parts):
            name = gguf_name(part.name)
            tensor = self.file.tensors.get(name)
            if tensor is None:
                raise GlaswerkError(f"{self.path}: the tensor {name!r} is missing; the file is not complete")
            shape = part.shape[::-1] if part.transposed else part.shape
            if tensor.shape != shape:
                raise GlaswerkError(
                    f"{self.path}: tensor {name!r} has the shape {list(tensor.shape)}, "
                    f"the file's metadata ask for {list(shape)}"
                )
            left.discard(name)
        if left:
            raise GlaswerkError(
                f"{self.path}: tensor {min(left)!r} has no place in the model that the file's metadata describe"
            )

    def tensors(self, parts: list[Part]) -> list[TensorInfo]:
        """The file's descriptions of the parts."""
        return [self.file.tensors[gguf_name(part.name)] for part in parts]

    def quantized(self, parts: list[Part]) -> bool:
        """Whether a part is not stored as plain numbers."""
        return any(tensor.kind not in PLAIN for tensor in self.tensors(parts))

    def blocks(self, parts: list[Part]) -> tuple[str, Tensor] | None:
        """The parts' bytes, ``[N, bytes of a row]``, and their format, where all have the same; else None."""
        kinds = {tensor.kind for tensor in self.tensors(parts)}
        if len(kinds) != 1:
            return None
        raw = []
        for part in parts:
            name = gguf_name(part.name)
            order = self.order(name, part.shape[0])
            rows = self.file.raw(name)
            raw.append(rows.copy() if order is None else rows[order])
            self.file.release(name)
        return kinds.pop(), torch.from_numpy(raw[0] if len(raw) == 1 else np.concatenate(raw))

    def assemble(self, parts: list[Part], shape: torch.Size, dtype: torch.dtype) -> Tensor:
        """One parameter as plain numbers, from its parts."""
        value = torch.empty(shape, dtype=dtype)
        row = 0
        for part, tensor in zip(parts, self.tensors(parts), strict=True):
            name, raw = gguf_name(part.name), self.file.raw(gguf_name(part.name))
            count = part.shape[-1] if part.transposed else part.shape[0]
            order = self.order(name, count)
            if len(shape) == 1:
                numbers = dequantize(tensor.kind, raw)[0]
                value[row : row + count] = torch.from_numpy(numbers if order is None else numbers[order])
            else:
                step = max(1, CHUNK // shape[1])
                for start in range(0, count, step):
                    rows = slice(start, min(start + step, count))
                    numbers = dequantize(tensor.kind, raw[rows if order is None else order[rows]])
                    value[row + rows.start : row + rows.stop] = torch.from_numpy(numbers)
            row += count
            del raw
            self.file.release(name)
        return value

    def order(self, name: str, rows: int) -> np.ndarray | None:
        """Which row of the file comes where; None: as they are."""
        kind = name.split(".")[-2]
        if self.architecture != "llama" or kind not in ("attn_q", "attn_k"):
            return None
        return half_split(rows, self.config.heads if kind == "attn_q" else self.config.kv_heads)


def half_split(rows: int, heads: int) -> np.ndarray:
    """For each row of q or k in the half-split order, its place among interleaved rows: (0, 2, 4, ..., 1, 3, 5, ...)
    in each head."""
    return np.arange(rows).reshape(heads, -1, 2).swapaxes(1, 2).reshape(-1)


def interleaved(rows: int, heads: int) -> np.ndarray:
    """The other way round: (0, D/2, 1, D/2 + 1, ...) in each head."""
    return np.arange(rows).reshape(heads, 2, -1).swapaxes(1, 2).reshape(-1)


# ---------------------------------------------------------------------------------------------- configuration
def architecture(file: GGUFFile) -> str:
    """What kind of model the file holds. Raises :class:`GlaswerkError` where we do not have it."""
    name = file.metadata.get("general.architecture")
    if not isinstance(name, str) or name not in ARCHITECTURES:
        raise GlaswerkError(
            f"{file.path}: general.architecture {brief(name)} is not supported"
            f"{place(file.metadata, 'general.architecture')}; supported are {', '.join(ARCHITECTURES)}"
        )
    return name


def read_config(file: GGUFFile) -> ModelConfig:
    """The decoder's features from a file's metadata and from which tensors it has.

    Raises :class:`GlaswerkError` that names the value where one is missing, of a wrong type, or asks for a
    computation that this decoder does not have.
    """
    kind = architecture(file)
    try:
        return config_of(kind, Values(kind, file.metadata), file)
    except GlaswerkError as error:
        said = str(error)
        raise (error if said.startswith(str(file.path)) else GlaswerkError(f"{file.path}: {said}")) from error


def config_of(kind: str, read: Values, file: GGUFFile) -> ModelConfig:
    """See :func:`read_config`."""
    read.refuse_unknown()
    embedding = file.tensors.get("token_embd.weight")
    if embedding is None or len(embedding.shape) != 2:
        raise GlaswerkError("the tensor 'token_embd.weight' is missing or no matrix; the file is not complete")
    width, heads = read.whole("embedding_length"), read.whole("attention.head_count")
    shared: dict[str, Any] = {
        "vocabulary_size": embedding.shape[0],
        "width": width,
        "layers": read.whole("block_count"),
        "heads": heads,
        "context": read.whole("context_length"),
        "mlp_width": read.whole("feed_forward_length"),
        "tied": "output.weight" not in file.tensors,
    }
    if kind == "gpt2":
        if read.whole("attention.head_count_kv", heads) != heads:
            raise GlaswerkError("gpt2.attention.head_count_kv differs from attention.head_count")
        return ModelConfig.classic(norm_eps=read.number("attention.layer_norm_epsilon", 1e-5), **shared)
    kv_heads = read.whole("attention.head_count_kv", heads)
    if heads % kv_heads:
        raise GlaswerkError(
            f"{kind}.attention.head_count ({heads}) must be a multiple of {kind}.attention.head_count_kv ({kv_heads})"
            f"{read.place('attention.head_count_kv')}"
        )
    turned = read.whole("rope.dimension_count", width // heads)
    head_width = read.whole("attention.key_length", turned)
    if not head_width == turned == read.whole("attention.value_length", head_width):
        raise GlaswerkError(
            f"{kind}.attention.key_length, .value_length and {kind}.rope.dimension_count differ; "
            "only one width for all is supported"
        )
    scaling = read.values.get(f"{kind}.rope.scaling.type", "none")
    if (
        not isinstance(scaling, str)
        or scaling not in ("none", "linear")
        or (scaling == "linear" and read.number("rope.scaling.factor", 1.0) != 1.0)
    ):
        raise GlaswerkError(
            f"{kind}.rope.scaling = {brief(scaling)} is not supported{read.place('rope.scaling.type')}; "
            "this model cannot be opened"
        )
    has = file.tensors.__contains__
    config = ModelConfig(
        kv_heads=kv_heads,
        head_width=head_width,
        rope_theta=read.number("rope.freq_base", 10_000.0),
        norm_eps=read.number("attention.layer_norm_rms_epsilon", 1e-6),
        attention_bias=has("blk.0.attn_q.bias"),
        output_bias=has("blk.0.attn_output.bias"),
        mlp_bias=has("blk.0.ffn_down.bias"),
        qk_norm=has("blk.0.attn_q_norm.weight"),
        **shared,
    )
    if not has(ROPE_FACTORS):
        return config
    if file.tensors[ROPE_FACTORS].shape != (head_width // 2,):
        raise GlaswerkError(f"tensor {ROPE_FACTORS!r} has the shape {list(file.tensors[ROPE_FACTORS].shape)}")
    factors = dequantize(file.tensors[ROPE_FACTORS].kind, file.raw(ROPE_FACTORS))[0]
    return with_rope_factors(config, factors.astype(np.float64))


class Values:
    """Typed look-ups in a file's metadata; every complaint names its value."""

    def __init__(self, kind: str, values: dict[str, Any]) -> None:
        self.kind, self.values = kind, values

    def whole(self, name: str, default: int | None = None) -> int:
        """A whole number above 0, within the feature's limit; an error where it is missing and there is no default."""
        value = self.values.get(f"{self.kind}.{name}", default)
        if value is None:
            raise GlaswerkError(f"{self.kind}.{name} is missing; the file is not complete")
        most = LIMITS[FEATURES[name]]
        if type(value) is not int or not 1 <= value <= most:
            raise GlaswerkError(
                f"{self.kind}.{name} must be a whole number from 1 to {most}, not {brief(value)}{self.place(name)}"
            )
        return value

    def number(self, name: str, default: float) -> float:
        """A number in the feature's range."""
        value = self.values.get(f"{self.kind}.{name}", default)
        least, most = RANGES.get(FEATURES.get(name, ""), (0.0, 1e6))
        if type(value) not in (int, float) or not least <= value <= most:
            raise GlaswerkError(
                f"{self.kind}.{name} must be a number from {least:g} to {most:g}, not {brief(value)}{self.place(name)}"
            )
        return float(value)

    def place(self, name: str) -> str:
        """Where a value stands in the file, as the end of a sentence."""
        return place(self.values, f"{self.kind}.{name}")

    def refuse_unknown(self) -> None:
        """Raise for a value of this architecture that nobody here knows and that switches something on."""
        for name, value in self.values.items():
            own = name.startswith(f"{self.kind}.") and name.partition(".")[2] not in KNOWN
            if own and not (type(value) in (int, float, bool, str) and not value):
                raise GlaswerkError(
                    f"{name} = {brief(value)} is not supported{place(self.values, name)}; this model cannot be opened"
                )


def with_rope_factors(config: ModelConfig, factors: np.ndarray) -> ModelConfig:
    """``config`` with the slowing of rotary angles that the file's ``factors`` (one a pair) stand for.

    They are what Llama 3.1's rule gave when the file was written (``position.py``): 1 for short waves, one and the
    same factor for long ones, and between them a blend that is a line in 1 / wavelength. The line has two unknowns
    and the rule one more, of which only a ratio counts: its low frequency factor is taken as 1, as everywhere.
    Raises :class:`GlaswerkError` for factors that no such rule gives.
    """
    refusal = GlaswerkError(f"the factors in {ROPE_FACTORS!r} are not those of Llama 3.1; this model cannot be opened")
    if not np.isfinite(factors).all() or (factors < 1 - 1e-4).any():
        raise refusal
    factor = float(factors.max())
    if factor < 1 + 1e-4:
        return config
    plain = frequencies(config).double().numpy()
    waves = plain / (2 * math.pi)  # 1 / wavelength
    blend = (1 / factors - 1 / factor) / (1 - 1 / factor)
    between = (blend > 1e-4) & (blend < 1 - 1e-4)
    if between.sum() < 2:
        raise refusal
    slope, start = np.polyfit(waves[between], blend[between], 1)
    if not (slope > 0 and start < 0):
        raise refusal
    ratio = 1 - 1 / start  # high over low frequency factor
    trained = max(1, round(slope * (ratio - 1)))
    found = replace(config, rope_llama3=(factor, 1.0, float(round(ratio, 4)), trained))
    if not np.allclose(plain / frequencies(found).double().numpy(), factors, rtol=2e-3):
        raise refusal
    return found


def rope_factors(config: ModelConfig) -> np.ndarray | None:
    """What to write as ``rope_freqs.weight``, fp32 ``[D/2]``; None where the angles are plain."""
    if config.rope_llama3 is None:
        return None
    plain = frequencies(replace(config, rope_llama3=None))
    return (plain / frequencies(config)).numpy()


# ---------------------------------------------------------------------------------------------- writing
#: what a matrix becomes -> what embedding and head become, and the number that stands for it in general.file_type
FILE_TYPES = {"F16": ("F16", 1), "Q8_0": ("Q8_0", 7), "Q4_0": ("Q8_0", 2)}


def to_metadata(config: ModelConfig, kind: str) -> dict[str, Any]:
    """What a GGUF file says of a decoder whose matrices are of ``kind``.

    Raises :class:`GlaswerkError` for features that llama.cpp's architectures do not have.
    """
    family = config.family()
    if family == "qwen3" and config.attention_bias:
        raise GlaswerkError("GGUF has no architecture with QK-norm and biases in attention; use --to hf")
    for name, width in (
        ("width", config.width),
        ("heads times head_width", config.heads * config.head_width),
        ("mlp_width", config.mlp_width),
    ):
        if kind != "F16" and width % KINDS[kind].weights:
            raise GlaswerkError(
                f"the model's {name} is {width}, and {kind} has blocks of {KINDS[kind].weights}; use --dtype f16"
            )
    layer = "attention.layer_norm_epsilon" if family == "gpt2" else "attention.layer_norm_rms_epsilon"
    values: dict[str, Any] = {
        "vocab_size": config.vocabulary_size,
        "context_length": config.context,
        "embedding_length": config.width,
        "block_count": config.layers,
        "feed_forward_length": config.mlp_width,
        "attention.head_count": config.heads,
        "attention.head_count_kv": config.kv_heads,
        layer: config.norm_eps,
    }
    if family != "gpt2":
        values |= {
            "attention.key_length": config.head_width,
            "attention.value_length": config.head_width,
            "rope.dimension_count": config.head_width,
            "rope.freq_base": float(config.rope_theta),
        }
    return {
        "general.architecture": family,
        "general.type": "model",
        "general.quantization_version": 2,
        "general.file_type": FILE_TYPES[kind][1],
        **{f"{family}.{name}": value for name, value in values.items()},
    }


def to_tensors(model: Decoder, kind: str) -> list[NewTensor]:
    """The decoder's weights as a GGUF file's tensors: matrices as ``kind``, what is small or delicate as F32."""
    config = model.config
    interleave = config.family() == "llama"
    parameters = dict(model.named_parameters())
    tensors = []
    for name, parts in layout(config).items():
        row = 0
        for part in parts:
            rows, theirs = part.shape[-1] if part.transposed else part.shape[0], gguf_name(part.name)
            value = parameters[name].detach()[row : row + rows]
            row += rows
            outer = name in ("embedding", "unembedding.weight")
            stored = "F32" if value.dim() == 1 or name == "position" else FILE_TYPES[kind][0] if outer else kind
            heads = {"attn_q": config.heads, "attn_k": config.kv_heads}.get(theirs.split(".")[-2])
            order = interleaved(rows, heads) if interleave and heads else None
            tensors.append(NewTensor(theirs, stored, tuple(value.shape), partial(packed, value, stored, theirs, order)))
    factors = rope_factors(config)
    if factors is not None:
        row_of = factors[None].astype(np.float32)
        tensors.append(NewTensor(ROPE_FACTORS, "F32", factors.shape, lambda: quantize("F32", row_of)))
    return tensors


def packed(value: Tensor, kind: str, name: str, order: np.ndarray | None) -> np.ndarray:
    """One tensor's bytes, ``[N, bytes of a row]``. Raises :class:`GlaswerkError` for numbers that do not fit."""
    numbers = value.float().cpu().numpy()
    numbers = numbers if order is None else numbers[order]
    limit = np.finfo(np.float16).max if kind == "F16" else np.finfo(np.float32).max
    if not (np.abs(numbers) <= limit).all():
        raise GlaswerkError(f"the tensor {name!r} holds numbers that {kind} cannot: not finite, or too large")
    return quantize(kind, numbers.reshape(-1, numbers.shape[-1]))
