"""Where each parameter of the decoder stands in the files of others: one table for loading and saving.

:func:`layout` gives the tensors of a Hugging Face folder whose rows a parameter holds; :func:`gguf_name` the name of
the same tensor in a GGUF file. Left out: the reading and writing itself (``weights.py``, ``gguf.py``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from glaswerk.model.config import ModelConfig


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


#: the parts of a Hugging Face name -> what GGUF says
GGUF = {
    "model.embed_tokens": "token_embd",
    "transformer.wte": "token_embd",
    "transformer.wpe": "position_embd",
    "model.norm": "output_norm",
    "transformer.ln_f": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "ln_1": "attn_norm",
    "ln_2": "ffn_norm",
    "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
}
LAYER = re.compile(r"(?:model\.layers|transformer\.h)\.(\d+)\.(.*)")


def gguf_name(name: str) -> str:
    """``model.layers.3.mlp.up_proj.weight`` -> ``blk.3.ffn_up.weight``."""
    stem, _, kind = name.rpartition(".")
    inside = LAYER.fullmatch(stem)
    return f"blk.{inside[1]}.{GGUF[inside[2]]}.{kind}" if inside else f"{GGUF[stem]}.{kind}"
