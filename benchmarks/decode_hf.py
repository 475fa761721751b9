"""Writing 64 tokens after a prompt of 32, SmolLM2-135M, batch 1, greedy: tokens per second, ours at 4 and at 8 bits
against transformers in bf16 with the same weights, with its static cache, plain or with the step compiled (the better).
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks import smollm2
from benchmarks.decode import PROMPT, ours
from benchmarks.huggingface import Writer
from benchmarks.measure import interleaved, machine, medians_of, peer, say, spread
from glaswerk.model.weights import save_model

TOKENS, ROUNDS = 64, 4


def run() -> dict[str, Any]:
    """Check both, choose transformers' better way, take turns."""
    transformers = peer("transformers")
    torch.set_num_threads(2)
    ids = smollm2.windows()
    prompt = ids[0, :PROMPT].tolist()
    plain = smollm2.opened("fp32")
    fp32 = smollm2.at_once(plain.model, ids)
    models = {f"ours, {bits} bits": smollm2.opened(f"int{bits}") for bits in (4, 8)}
    quality = {}
    for name, opened in models.items():
        quality[name] = smollm2.checked(name, smollm2.one_by_one(opened.model, ids[:4]).against(fp32))
    with tempfile.TemporaryDirectory() as folder:  # plain matrices: transformers' own packed ones want fp32
        save_model(Path(folder), plain.model, plain.tokenizer)
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()
    with torch.inference_mode():
        choices = smollm2.Choices((model(row[None]).logits[0] for row in ids), ids)
    quality["transformers"] = smollm2.checked("transformers in bf16", choices.against(fp32))
    writers = {"transformers bf16, static cache": Writer(model, "static cache")}
    began = time.perf_counter()
    try:
        compiled = Writer(model, "static cache, compiled")
        compiled.write(prompt, TOKENS)
        writers["transformers bf16, static cache, compiled"] = compiled
        say(f"compiled in {time.perf_counter() - began:.0f} s")
    except Exception as error:  # whatever the compiler cannot do is not a way to run it
        say(f"transformers' step does not compile: {type(error).__name__}")
    contestants = {name: (lambda opened=opened: ours(opened, prompt, TOKENS)) for name, opened in models.items()}
    contestants |= {name: (lambda writer=writer: writer.rate(prompt, TOKENS)) for name, writer in writers.items()}
    for call in contestants.values():
        call()
    figures = interleaved(contestants, ROUNDS)
    medians = medians_of(figures)
    best, better = (max(names, key=lambda name: medians[name]) for names in (models, writers))
    return {
        "ours": medians[best],
        "peer": medians[better],
        "peer_name": better,
        "unit": "tokens/s",
        "ratio": medians[best] / medians[better],
        "ours_name": best,
        "all": medians,
        "quality": quality,
        "spread": {name: spread(values) for name, values in figures.items()},
        "machine": machine(),
    }
