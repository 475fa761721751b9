"""What fewer bits cost: the perplexity of models under every dtype of weights, on text that stays the same.

    python recipes/quantization_cost.py smollm2 runs/wikipedia-en

prints one table: each model as fp32, bf16, int8, int4, and with its file's own blocks where it is a GGUF file; bytes
a weight, perplexity, and by how many per cent that is above fp32. A run is scored on its own validation split, which
it never saw; any other model on leads of Wikipedia (`glaswerk pull wikipedia-en`), every 97th, which a model from
elsewhere may well have read. Texts are read as `glaswerk generate` reads a prompt, in windows of 512 tokens or the
model's context; the first token of a window is given. Left out: speed (benchmarks/decode.py).
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from glaswerk import pull
from glaswerk.home import read_json
from glaswerk.model.cache import Cache
from glaswerk.model.decoder import Decoder
from glaswerk.opened import OpenedModel, load

#: tokens at most; the leads have some ten thousand
WINDOW, TOKENS = 512, 16_384
DTYPES = ("fp32", "bf16", "int8", "int4", "auto")


def text_ids(opened: OpenedModel) -> list[int]:
    """The held-out text as the model's tokens, each document after an end token."""
    if opened.origin.run is not None:
        folder = opened.origin.run / "corpus"
        dtype = np.dtype(read_json(folder / "index.json")["dtype"]).newbyteorder("<")
        return [opened.tokenizer.end_id, *np.fromfile(folder / "val.bin", dtype, TOKENS).tolist()][:TOKENS]
    leads = json.loads((pull.path("wikipedia-en") / "summaries_en-us.json").read_text(encoding="utf-8"))
    ids: list[int] = []
    for lead in list(leads.values())[::97]:
        ids += [opened.tokenizer.end_id, *opened.tokenizer.encode(lead["extract"])]
    return ids[:TOKENS]


def losses(model: Decoder, ids: list[int]) -> Iterator[Tensor]:
    """The loss of every predicted token, window by window."""
    time = min(WINDOW, model.config.context)
    for start in range(0, len(ids) - time + 1, time):
        row = torch.tensor(ids[start : start + time])
        cache = Cache(model.config, 1, time, model.compute_dtype or model.embedding.dtype)
        logits_TV = model.head(model.hidden(row[None], cache=cache))[0]
        yield F.cross_entropy(logits_TV[:-1].float(), row[1:], reduction="none")


def weight_bytes(model: Decoder) -> int:
    """Bytes of everything that was loaded; the rotary tables are computed."""
    tables = {"rotary.cos_PD", "rotary.sin_PD"}
    return sum(
        value.nbytes for name, value in (*model.named_parameters(), *model.named_buffers()) if name not in tables
    )


@torch.inference_mode()
def rows(name: str) -> Iterator[tuple[str, str, float, float, float, int]]:
    """Model, dtype, bytes a weight, perplexity, per cent above fp32, predicted tokens; fp32 comes first."""
    reference, weights, ids = math.nan, 0, []
    for dtype in DTYPES:
        opened = load(name, dtype)
        blocks = opened.origin.folder.is_file()
        if dtype == "auto" and not blocks:
            continue  # the same as fp32
        if dtype == "fp32":
            ids, weights = text_ids(opened), opened.model.parameters_count()["total"]
        loss = torch.cat(list(losses(opened.model, ids)))
        perplexity = float(loss.double().mean().exp())
        reference = perplexity if dtype == "fp32" else reference
        shown = "the file's own blocks" if dtype == "auto" else dtype
        above = 100 * (perplexity / reference - 1)
        yield opened.origin.name, shown, weight_bytes(opened.model) / weights, perplexity, above, loss.numel()


def main() -> None:
    """Print the table as Markdown, a line as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    print("| model | weights | bytes a weight | perplexity | above fp32 | tokens |")
    print("|---|---|---:|---:|---:|---:|")
    for name in parser.parse_args().models:
        for model, dtype, size, perplexity, above, tokens in rows(name):
            shown = "" if dtype == "fp32" else f"{above:+.2f} %"
            print(f"| {model} | {dtype} | {size:.2f} | {perplexity:.3f} | {shown} | {tokens:,} |", flush=True)


if __name__ == "__main__":
    main()
