"""Checks parameters.py against the library's count."""

from __future__ import annotations

from types import ModuleType

from glaswerk.model.config import ModelConfig
from glaswerk.model.count import parameters_count


def check(module: ModuleType) -> None:
    """Raises AssertionError with a line for the learner."""
    for vocabulary, context, width, layers in ((300, 16, 64, 1), (300, 16, 64, 2), (50_257, 1024, 768, 12)):
        config = ModelConfig.classic(vocabulary_size=vocabulary, width=width, layers=layers, context=context)
        counts = parameters_count(config)
        given = module.parameters(vocabulary, context, width, layers)
        parts = ", ".join(f"{name} {count:,}" for name, count in counts.items() if name != "total" and count)
        assert given == counts["total"], (
            f"parameters({vocabulary}, {context}, {width}, {layers}) is {given:,}, not {counts['total']:,} ({parts})"
        )
