"""The parts of a decoder in the order of computation: which weights each has, what it costs, which code runs.

Shapes and counts come from a decoder of the same configuration without memory behind it (torch's meta device), so the
twin in the other style, which nobody trained, is counted as truly as the open model. Left out: activations (the trace).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

from glaswerk.course.render import source_of
from glaswerk.model.config import ModelConfig
from glaswerk.model.decoder import Block, Decoder

#: where a part stands
BEFORE, INSIDE, AFTER = "before", "block", "after"


def twin(config: ModelConfig) -> ModelConfig:
    """The same size in the other style: classic (GPT-2) for a modern model, modern (Qwen3) for a classic one."""
    same = {name: getattr(config, name) for name in ("vocabulary_size", "width", "layers", "heads", "context")}
    if config.positions == "learned" or config.width % config.heads:
        return ModelConfig.modern(**same, head_width=config.head_width)
    return ModelConfig.classic(**same)


def parts(config: ModelConfig) -> list[dict[str, Any]]:
    """Each part: ``id``, ``kind`` (which form of it), ``where``, ``weights`` (name and shape), ``parameters`` and
    ``flops`` of one of it, ``per_key`` (more of them for every token that is looked at), ``shape`` in and out, code."""
    with torch.device("meta"):
        model = Decoder(config)
    C, D, H, G, M = config.width, config.head_width, config.heads, config.kv_heads, config.mlp_width
    gated, layered = config.activation == "swiglu", config.norm == "layer"
    norm = "LayerNorm" if layered else "RMSNorm"
    # the code shown is the plain path; a method that only picks a faster one is no explanation
    norm_code = f"glaswerk.model.norm:{norm}"
    rows = [
        part(
            "embedding", "embedding", BEFORE, {"embedding": model.embedding}, 0, [], [C], "model.decoder:Decoder.embed"
        ),
    ]
    if model.position is not None:
        rows.append(
            part(
                "position", "learned", BEFORE, {"position": model.position}, 0, [C], [C], "model.decoder:Decoder.hidden"
            )
        )
    block = model.blocks[0]
    assert isinstance(block, Block)
    attention, mlp = block.attention, block.mlp
    named = {"output": attention.output, "up": mlp.up, "down": mlp.down}
    rows.append(
        part("attention_norm", norm, INSIDE, weights("attention_norm", block.attention_norm), 0, [C], [C], norm_code)
    )
    rows.append(
        part(
            "qkv",
            "qkv",
            INSIDE,
            weights("qkv", attention.qkv),
            1,
            [C],
            [H + 2 * G, D],
            "model.attention:Attention.forward",
        )
    )
    if config.qk_norm:
        both = weights("q_norm", attention.q_norm) | weights("k_norm", attention.k_norm)
        rows.append(part("qk_norm", "RMSNorm", INSIDE, both, 0, [H + G, D], [H + G, D], "glaswerk.model.norm:RMSNorm"))
    if config.positions == "rotary":
        rows.append(part("position", "rotary", INSIDE, {}, 0, [H + G, D], [H + G, D], "model.position:rotate"))
    mix = part("scores", "attention", INSIDE, {}, 0, [H, D], [H, D], "model.attention:explicit_attention")
    rows.append(mix | {"per_key": 4.0 * H * D})  # q·k and weight·v, a multiply and an add each
    rows.append(
        part("output", "output", INSIDE, weights("output", named["output"]), 1, [H, D], [C], "model.mlp:Linear")
    )
    rows.append(part("add_attention", "residual", INSIDE, {}, 0, [C], [C], "model.decoder:Block"))
    rows.append(part("mlp_norm", norm, INSIDE, weights("mlp_norm", block.mlp_norm), 0, [C], [C], norm_code))
    rows.append(
        part(
            "up",
            "gated" if gated else "plain",
            INSIDE,
            weights("up", named["up"]),
            1,
            [C],
            [2, M] if gated else [M],
            "model.mlp:MLP",
        )
    )
    rows.append(
        part(
            "activation",
            config.activation,
            INSIDE,
            {},
            0,
            [2, M] if gated else [M],
            [M],
            f"model.mlp:{config.activation}",
        )
    )
    rows.append(part("down", "down", INSIDE, weights("down", named["down"]), 1, [M], [C], "model.mlp:MLP"))
    rows.append(part("add_mlp", "residual", INSIDE, {}, 0, [C], [C], "model.decoder:Block"))
    rows.append(part("norm", norm, AFTER, weights("norm", model.norm), 0, [C], [C], norm_code))
    head = {} if config.tied else {"unembedding.weight": model.unembedding.weight}  # type: ignore[union-attr]
    V = config.vocabulary_size
    last = part("head", "tied" if config.tied else "own", AFTER, head, 0, [C], [V], "model.decoder:Decoder.head")
    rows.append(last | {"flops": 2.0 * V * C})
    return rows


def weights(name: str, module: Any) -> dict[str, Any]:
    """The module's parameters under the name of the part."""
    return {f"{name}.{path}": parameter for path, parameter in module.named_parameters()}


def part(
    name: str,
    kind: str,
    where: str,
    tensors: dict[str, Any],
    products: int,
    before: list[int],
    after: list[int],
    code: str,
) -> dict[str, Any]:
    """One row; ``products`` says whether each matrix is multiplied once per token (norms and tables are not)."""
    matrices = [tensor.numel() for tensor in tensors.values() if tensor.dim() == 2]
    return {
        "id": name,
        "kind": kind,
        "where": where,
        "weights": [{"name": path, "shape": list(tensor.shape)} for path, tensor in tensors.items()],
        "parameters": sum(tensor.numel() for tensor in tensors.values()),
        "flops": 2.0 * sum(matrices) * products,
        "per_key": 0.0,
        "before": before,
        "after": after,
        "code": code if code.startswith("glaswerk.") else f"glaswerk.{code}",
    }


def described(config: ModelConfig) -> dict[str, Any]:
    """The sizes that a diagram names."""
    names = ("layers", "width", "heads", "kv_heads", "head_width", "mlp_width", "vocabulary_size", "context", "tied")
    found = {name: value for name, value in dataclasses.asdict(config).items() if name in names}
    return found | {"style": "classic" if config.positions == "learned" else "modern"}


def code(name: str) -> dict[str, Any]:
    """The source behind a part, as it is now."""
    file, line, text = source_of(name)
    return {"file": file, "line": line, "text": text}
