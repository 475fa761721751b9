"""Greedy writing with transformers' ``generate``, in each of its ways of running on a CPU: the cache that grows, the
static cache, and the static cache with the step compiled.
"""

from __future__ import annotations

import time
from typing import Any

import torch

#: name -> the cache that ``generate`` is asked for, and whether the forward pass is compiled
WAYS: dict[str, tuple[str | None, bool]] = {
    "plain": (None, False),
    "static cache": ("static", False),
    "static cache, compiled": ("static", True),
}


class Writer:
    """One model in one way; call it for tokens per second after the first."""

    def __init__(self, model: Any, way: str) -> None:
        self.model, (self.cache, compiled) = model, WAYS[way]
        self.plain = model.forward
        self.forward = torch.compile(model.forward, fullgraph=True, dynamic=False) if compiled else model.forward

    @torch.inference_mode()
    def write(self, prompt: list[int], tokens: int) -> tuple[list[int], float]:
        """The new ids, and seconds."""
        settings: dict[str, Any] = {"do_sample": False, "eos_token_id": None, "pad_token_id": 0}
        if self.cache:
            settings |= {"cache_implementation": self.cache, "disable_compile": True}
        ids = torch.tensor([prompt])
        began = time.perf_counter()
        self.model.forward = self.forward
        try:
            out = self.model.generate(
                ids, attention_mask=torch.ones_like(ids), min_new_tokens=tokens, max_new_tokens=tokens, **settings
            )
        finally:
            self.model.forward = self.plain
        return out[0, len(prompt) :].tolist(), time.perf_counter() - began

    def rate(self, prompt: list[int], tokens: int) -> float:
        """Tokens per second without the prompt: what more tokens cost more."""
        _, short = self.write(prompt, 2)
        made, long = self.write(prompt, tokens)
        assert len(made) == tokens
        return (tokens - 2) / (long - short)
