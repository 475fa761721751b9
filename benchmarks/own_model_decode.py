"""Writing 128 tokens with a 10 M-parameter model of our own (modern shape, random weights), batch 1, greedy: tokens per
second against transformers' ``generate`` on the very folder that we saved, at its best of fp32 and bf16 and of three
ways to run.

Before anything is timed, both write the same 64 tokens in fp32. Ours then runs as it is used, at 8 bits; fp32 and 4
bits stand beside it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.bpe_train import real_texts
from benchmarks.decode import ours
from benchmarks.huggingface import WAYS, Writer
from benchmarks.measure import interleaved, machine, medians_of, peer, say, spread
from benchmarks.smollm2 import at_once, one_by_one
from glaswerk import generate
from glaswerk.errors import GlaswerkError
from glaswerk.generate import SamplingOptions
from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.weights import save_model
from glaswerk.opened import OpenedModel, load
from glaswerk.tokenizer import train_bpe

TOKENS, SAME, ROUNDS = 128, 64, 5


def run() -> dict[str, Any]:
    """Make the model, check that both write the same, choose transformers' best, take turns."""
    transformers = peer("transformers")
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = train_bpe(real_texts(), 4096)
        model = made(tokenizer.vocabulary_size)
        save_model(Path(folder), model, tokenizer)
        models = {f"ours, {dtype}": load(Path(folder), dtype) for dtype in ("int8", "int4", "fp32")}
        theirs = {
            name: transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
            for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16))
        }
    prompt = list(range(1, 17))
    same(models["ours, fp32"], theirs["fp32"], prompt)
    ids = torch.randint(model.config.vocabulary_size, (4, 128))
    fp32 = at_once(models["ours, fp32"].model, ids)
    quality = {name: one_by_one(opened.model, ids).against(fp32) for name, opened in models.items()}
    tries: dict[str, tuple[float, Writer]] = {}
    for name, network in theirs.items():
        for way in WAYS:
            writer = Writer(network, way)
            try:
                writer.write(prompt, TOKENS)
                tries[f"transformers {name}, {way}"] = writer.rate(prompt, TOKENS), writer
            except Exception as error:  # whatever the compiler cannot do is not a way to run it
                say(f"transformers {name}, {way}: {type(error).__name__}")
    best = max(tries, key=lambda name: tries[name][0])
    contestants: dict[str, Callable[[], float]] = {
        name: partial(ours, opened, prompt, TOKENS) for name, opened in models.items()
    }
    contestants[best] = partial(tries[best][1].rate, prompt, TOKENS)
    for call in contestants.values():
        call()
    figures = interleaved(contestants, ROUNDS)
    medians = medians_of(figures)
    return {
        "ours": medians["ours, int8"],
        "peer": medians[best],
        "peer_name": best,
        "unit": "tokens/s",
        "ratio": medians["ours, int8"] / medians[best],
        "all": medians,
        "tries": {name: found for name, (found, _) in tries.items()},
        "parameters": model.parameters_count()["total"],
        "same_tokens_in_fp32": SAME,
        "quality": quality,
        "spread": {name: spread(values) for name, values in figures.items()},
        "machine": machine(),
    }


def made(vocabulary_size: int) -> Decoder:
    """About 10 M random parameters in the modern shape; what a block adds is not zero, so that all of it counts."""
    torch.manual_seed(0)
    model = Decoder(ModelConfig.modern(vocabulary_size=vocabulary_size, width=320, layers=7, heads=5, context=512))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(("attention.output.weight", "mlp.down.weight")):
                weight.normal_(0, weight.shape[1] ** -0.5)
    return model.eval()


def same(opened: OpenedModel, network: Any, prompt: list[int]) -> None:
    """Raise unless both write the same greedy tokens in fp32."""
    options = SamplingOptions(max_tokens=SAME)
    mine = generate.batch(opened.model, opened.tokenizer, [prompt], options, end_ids=())[0].ids
    theirs, _ = Writer(network, "plain").write(prompt, SAME)
    if mine != theirs:
        raise GlaswerkError("our model and transformers write different tokens in fp32: nothing is timed")
