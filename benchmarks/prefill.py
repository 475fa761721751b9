"""Reading a prompt of 512 tokens, SmolLM2-135M: tokens per second up to the choice of the first new token, ours at 4
bits against llama.cpp in its best format.

llama.cpp may use each of Q4_1 (the file as it is), Q4_0, Q8_0, BF16 and F16 (written from it by llama.cpp's own
quantizer), with and without flash attention; the best stays in the race, and Q4_1 beside it. Ours reads the file's own
Q4_1 blocks and keeps no second copy of the weights.
"""

from __future__ import annotations

import time
from typing import Any

import torch

from benchmarks import smollm2
from benchmarks.measure import interleaved, machine, medians_of, say, spread
from glaswerk.model.cache import Cache
from glaswerk.model.decoder import Decoder

ROUNDS = 9


def run() -> dict[str, Any]:
    """Check ours, let llama.cpp choose its format, take turns."""
    smollm2.quiet()
    torch.set_num_threads(2)
    ids = smollm2.windows()
    fp32 = smollm2.at_once(smollm2.opened("fp32").model, ids)
    models = {f"ours, {bits} bits": smollm2.opened(f"int{bits}").model for bits in (4, 8)}
    quality = {name: smollm2.at_once(model, ids).against(fp32) for name, model in models.items()}
    for name, found in quality.items():
        smollm2.checked(name, found)
    prompt = ids[0].tolist()
    tries: dict[str, tuple[float, bool]] = {}
    for kind in ("Q4_1", *smollm2.FORMATS):
        tries[kind] = smollm2.best_flash(smollm2.converted(kind), lambda llama: llama.prefill(prompt))
        say(f"llama.cpp {kind}: {tries[kind][0]:,.0f} tokens/s{' with flash attention' if tries[kind][1] else ''}")
    racing = {max(tries, key=lambda kind: tries[kind][0]), "Q4_1"}
    llamas = {f"llama.cpp {kind}": smollm2.Llama(smollm2.converted(kind), tries[kind][1]) for kind in racing}
    for name, llama in llamas.items():
        quality[name] = llama.choices(ids[:2]).against(fp32)
    contestants = {name: (lambda model=model: ours(model, ids[:1])) for name, model in models.items()}
    contestants |= {name: (lambda llama=llama: llama.prefill(prompt)) for name, llama in llamas.items()}
    for call in contestants.values():
        call()
    figures = interleaved(contestants, ROUNDS)
    medians = medians_of(figures)
    best = max(llamas, key=lambda name: medians[name])
    return {
        "ours": medians["ours, 4 bits"],
        "peer": medians[best],
        "peer_name": best,
        "unit": "tokens/s",
        "ratio": medians["ours, 4 bits"] / medians[best],
        "all": medians,
        "tries": {kind: found for kind, (found, _) in tries.items()},
        "quality": quality,
        "spread": {name: spread(values) for name, values in figures.items()},
        "machine": machine(),
    }


@torch.inference_mode()
def ours(model: Decoder, ids_1T: torch.Tensor) -> float:
    """Tokens per second of one prompt, from ids to the chosen token."""
    began = time.perf_counter()
    cache = Cache(model.config, 1, smollm2.WINDOW + 1)
    int(model.head(model.hidden(ids_1T, cache=cache)[:, -1]).argmax())
    return ids_1T.shape[1] / (time.perf_counter() - began)
