"""The files with which a model runs in a reader's browser: weights, tokenizer, and what is said about its steps.

``glaswerk/web/forward`` reads them. Up to ``WHOLE`` parameters the weights are written as they are; larger ones are
rounded to bf16, and :func:`for_browser` returns the model with the same rounded numbers, so that what is computed ahead
and what the browser computes agree. Left out: quantized weights, and tokenizers that cut text in other ways than by one
expression; :func:`refusal` says so.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from glaswerk.errors import GlaswerkError
from glaswerk.home import replacing, write_json, write_text
from glaswerk.lens.trace import CANDIDATES, described, plain_copy, precision
from glaswerk.model.weights import save
from glaswerk.opened import OpenedModel
from glaswerk.serve.data import MOST_CHARACTERS, NAMED, STEP
from glaswerk.serve.holder import MOST_TOKENS
from glaswerk.tokenizer.bpe import BPETokenizer
from glaswerk.tokenizer.patterns import PATTERNS

#: a model with more does not run in a page: the reader would wait too long for the file and for each token
MOST_PARAMETERS = 15_000_000
#: up to so many parameters the file holds fp32 numbers (16 MB), above it bf16
WHOLE = 4_000_000


def refusal(opened: OpenedModel) -> str:
    """Why this model cannot run in a browser; empty: it can."""
    total = opened.model.parameters_count()["total"]
    if total > MOST_PARAMETERS:
        return f"it has {total:,} parameters, a page runs up to {MOST_PARAMETERS:,}"
    tokenizer = opened.tokenizer
    if (
        not isinstance(tokenizer, BPETokenizer)
        or tokenizer.by_ranks
        or tokenizer.split.pattern not in PATTERNS.values()
    ):
        return "its tokenizer is not a byte-level BPE of the kinds that Glaswerk trains"
    form = tokenizer.split.normalizer
    if form is not None and form.get("type") not in ("NFC", "NFKC", "NFD", "NFKD"):
        return "its tokenizer changes the text in a way that the page does not know"
    return ""


def for_browser(opened: OpenedModel) -> OpenedModel:
    """The model with the numbers that the browser will have, in fp32. Raises :class:`GlaswerkError` where it cannot
    run there."""
    why = refusal(opened)
    if why:
        raise GlaswerkError(f"{opened.origin.name} cannot run in a browser: {why}")
    plain, _ = plain_copy(opened.model)
    if rounded(opened):
        for parameter in plain.parameters():
            parameter.data = parameter.data.bfloat16().float()
    return OpenedModel(plain, opened.tokenizer, opened.origin, opened.speech)


def rounded(opened: OpenedModel) -> bool:
    """Whether the browser's weights are bf16."""
    return opened.model.parameters_count()["total"] > WHOLE


def write_model(opened: OpenedModel, folder: Path) -> None:
    """``weights.safetensors``, ``tokenizer.json`` and ``about.json`` of a model from :func:`for_browser`."""
    dtype = torch.bfloat16 if rounded(opened) else torch.float32
    tensors = {name: value.detach().to(dtype).contiguous() for name, value in opened.model.named_parameters()}
    with replacing(folder / "weights.safetensors") as part:
        save(tensors, part)
    write_text(folder / "tokenizer.json", json.dumps(opened.tokenizer.as_json(), ensure_ascii=False))
    write_json(folder / "about.json", about(opened))


def about(opened: OpenedModel) -> dict[str, Any]:
    """The model's shape, and the words that belong to its steps. The lines of source are those of a trace made here."""
    config, tokenizer = opened.model.config, opened.tokenizer
    end = tokenizer.end_id if opened.end_ids else 0
    steps = {
        re.sub(r"^blocks\.\d+\.", "block.", told["name"]): {"meaning": told["meaning"], "source": told["source"]}
        for told in (step.json() for step in opened.trace([end, end]))
    }
    return {
        "config": asdict(config),
        "model": described(config, opened.origin.name),
        "precision": precision("bfloat16" if rounded(opened) else "float32"),
        "ends": sorted(opened.end_ids),
        "most_tokens": MOST_TOKENS,
        "most_characters": MOST_CHARACTERS,
        "named": NAMED,
        "step": STEP,
        "candidates": CANDIDATES,
        "steps": steps,
    }
