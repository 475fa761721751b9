"""How many parameters a decoder has, and how many floating-point operations a token costs. From the
configuration alone."""

from __future__ import annotations

from glaswerk.model.config import ModelConfig


def parameters_count(config: ModelConfig) -> dict[str, int]:
    """Parameters by part: ``embedding, position, attention, mlp, norm, head`` (0 where tied), and their
    ``total``."""
    C, D = config.width, config.head_width
    rows = (config.heads + 2 * config.kv_heads) * D
    attention = rows * C + C * config.heads * D
    attention += rows * config.attention_bias + C * config.output_bias
    ups = 2 if config.activation == "swiglu" else 1
    mlp = (ups + 1) * C * config.mlp_width + config.mlp_bias * (ups * config.mlp_width + C)
    per_norm = C * (2 if config.norm == "layer" else 1)
    counts = {
        "embedding": config.vocabulary_size * C,
        "position": config.context * C if config.positions == "learned" else 0,
        "attention": config.layers * attention,
        "mlp": config.layers * mlp,
        "norm": (2 * config.layers + 1) * per_norm + config.layers * 2 * D * config.qk_norm,
        "head": 0 if config.tied else config.vocabulary_size * C,
    }
    counts["total"] = sum(counts.values())
    return counts


def flops_per_token(config: ModelConfig, time: int, training: bool = True) -> float:
    """Floating-point operations per token in sequences of ``time`` tokens, a multiply and an add counted as
    two.

    Matrix products only, and attention over all ``time`` keys although half are masked: the usual convention
    (Chowdhery et al. 2022, appendix B). Training costs three times a forward pass.
    """
    C, D = config.width, config.head_width
    ups = 2 if config.activation == "swiglu" else 1
    attention = C * (config.heads + 2 * config.kv_heads) * D + C * config.heads * D
    per_layer = attention + (ups + 1) * C * config.mlp_width + 2 * time * config.heads * D
    forward = 2.0 * (config.layers * per_layer + config.vocabulary_size * C)
    return 3 * forward if training else forward
