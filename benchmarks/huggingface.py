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
    def write(self, prompt: list[int], tokens: int) -> tuple[list[int], list[float]]:
        """The new ids, and when the logits of each were there, in seconds. Another number of tokens makes a static
        cache of another size, for which a compiled step is compiled anew."""
        settings: dict[str, Any] = {"do_sample": False, "eos_token_id": None, "pad_token_id": 0}
        if self.cache:
            settings |= {"cache_implementation": self.cache, "disable_compile": True}
        ids, times = torch.tensor([prompt]), []

        def clock(_: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
            times.append(time.perf_counter())
            return scores

        self.model.forward = self.forward
        try:
            out = self.model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=tokens,
                logits_processor=[clock],
                **settings,
            )
        finally:
            self.model.forward = self.plain
        return out[0, len(prompt) :].tolist(), times

    def rate(self, prompt: list[int], tokens: int) -> float:
        """Tokens per second after the first."""
        made, times = self.write(prompt, tokens)
        assert len(made) == len(times) == tokens
        return (tokens - 1) / (times[-1] - times[0])
