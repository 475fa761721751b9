"""Writing 128 tokens after a prompt of 32, SmolLM2-135M, batch 1, greedy: tokens per second, ours at 4 and at 8 bits
against llama.cpp's better of Q4_1 (the file as it is) and Q4_0 (written from it by llama.cpp's own quantizer).

The figure of ours is the better of the two, both are reported. llama.cpp runs through its C interface with its own
greedy sampler, with or without flash attention, whichever is faster. Beside the speed stands the share of the memory-
read bandwidth measured in the same run: the weights' bytes per token, without keys and values.
"""

from __future__ import annotations

from typing import Any

import torch

from benchmarks import smollm2
from benchmarks.measure import interleaved, machine, medians_of, say, spread
from glaswerk import generate
from glaswerk.generate import SamplingOptions
from glaswerk.opened import OpenedModel

PROMPT, TOKENS, ROUNDS = 32, 128, 7


def run() -> dict[str, Any]:
    """Check ours, let llama.cpp choose, take turns."""
    smollm2.quiet()
    torch.set_num_threads(2)
    ids = smollm2.windows()
    prompt = ids[0, :PROMPT].tolist()
    fp32 = smollm2.at_once(smollm2.opened("fp32").model, ids)
    models = {f"ours, {bits} bits": smollm2.opened(f"int{bits}") for bits in (4, 8)}
    quality = {}
    for name, opened in models.items():
        found = smollm2.one_by_one(opened.model, ids).against(fp32)
        quality[name] = smollm2.checked(name, found)
        say(
            f"{name}: {found['top1_agreement']:.1%} of fp32's choices, {found['perplexity_ratio']:.4f} x its perplexity"
        )
    llamas = {}
    for kind in ("Q4_1", "Q4_0"):
        file = smollm2.converted(kind)
        _, flash = smollm2.best_flash(file, lambda llama: llama.decode(prompt, TOKENS))
        llamas[f"llama.cpp {kind}"] = llama = smollm2.Llama(file, flash)
        quality[f"llama.cpp {kind}"] = llama.choices(ids[:2]).against(fp32)
    contestants = {name: (lambda opened=opened: ours(opened, prompt)) for name, opened in models.items()}
    contestants |= {name: (lambda llama=llama: llama.decode(prompt, TOKENS)) for name, llama in llamas.items()}
    for call in contestants.values():
        call()
    figures = interleaved(contestants, ROUNDS)
    medians = medians_of(figures)
    best, better = (max(names, key=lambda name: medians[name]) for names in (models, llamas))
    here = machine()
    return {
        "ours": medians[best],
        "peer": medians[better],
        "peer_name": better,
        "unit": "tokens/s",
        "ratio": medians[best] / medians[better],
        "ours_name": best,
        "all": medians,
        "share_of_bandwidth": {
            name: medians[name] * smollm2.weight_bytes(opened.model) / (here["read_gbs"] * 1e9)
            for name, opened in models.items()
        },
        "weight_megabytes": {name: smollm2.weight_bytes(opened.model) / 1e6 for name, opened in models.items()},
        "quality": quality,
        "spread": {name: spread(values) for name, values in figures.items()},
        "machine": here,
    }


def ours(opened: OpenedModel, prompt: list[int], tokens: int = TOKENS) -> float:
    """Tokens per second after the first; no token ends the text."""
    options = SamplingOptions(max_tokens=tokens)
    made = generate.batch(opened.model, opened.tokenizer, [prompt], options, end_ids=())[0]
    assert len(made.ids) == tokens
    return made.tokens_per_second
