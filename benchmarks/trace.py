"""How long a trace of 32 tokens through SmolLM2 takes, as the lab asks for it: every step recorded and summed up,
written as JSON; the model is open already. Against a fixed bound of 1.5 s.
"""

from __future__ import annotations

import json
import time
from typing import Any

from benchmarks.measure import spread

BOUND = 1.5
ROUNDS = 7
TOKENS = 32
TEXT = "The trophy didn't fit in the suitcase because it was too big. " * 4


def run() -> dict[str, Any]:
    """Median of 7 rounds after one to warm up, and the size of the JSON."""
    import glaswerk as gw

    opened = gw.load("smollm2")
    ids = opened.tokenizer.encode(TEXT)[:TOKENS]
    seconds, size = [], 0
    for turn in range(ROUNDS + 1):
        began = time.perf_counter()
        size = len(json.dumps(opened.trace(ids).json(), ensure_ascii=False).encode())
        if turn:
            seconds.append(time.perf_counter() - began)
    figures = spread(seconds)
    return {
        "ours": figures["median"],
        "peer": BOUND,
        "peer_name": "fixed bound",
        "unit": "s",
        "ratio": BOUND / figures["median"],
        "spread": figures,
        "tokens": len(ids),
        "json_bytes": size,
    }
