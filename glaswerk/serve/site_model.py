"""The files with which a model runs in a reader's browser: weights, tokenizer, and what is said about its steps.

``glaswerk/web/forward`` reads them. The weights are written as exactly as ``MOST_BYTES`` allows: as they are, else
rounded to bf16, else matrices rounded to 8 bits with one scale a row. :func:`for_browser` returns the model with the
same rounded numbers, so that what is computed ahead and what the browser computes agree. Left out: multiplying in 8
bits (the page expands the numbers), and tokenizers that cut text in other ways than by one expression; :func:`refusal`
says so.

Shapes: N outputs, K inputs.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

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
#: in which numbers weights are written, the most exact first, with their bytes
NUMBERS = {"float32": 4, "bfloat16": 2, "int8": 1}
#: how large a file of more exact numbers may become: fp32 up to 4 M parameters, bf16 up to 8 M
MOST_BYTES = 16_000_000


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
    written = numbers(opened)
    for parameter in plain.parameters():
        if written == "bfloat16":
            parameter.data = parameter.data.bfloat16().float()
        elif written == "int8" and parameter.dim() == 2:
            q_NK, scale_N = in_8_bits(parameter.data)
            parameter.data = q_NK * scale_N[:, None]
    return OpenedModel(plain, opened.tokenizer, opened.origin, opened.speech)


def numbers(opened: OpenedModel) -> str:
    """In which of ``NUMBERS`` the browser's weights are."""
    total = opened.model.parameters_count()["total"]
    return next((name for name, size in NUMBERS.items() if size * total <= MOST_BYTES), "int8")


def in_8_bits(weight_NK: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers from -127 to 127 and a scale for each row. Done again with what it stands for, it gives the same: a
    scale has only 17 digits of the 24 that fp32 has, so 127 times it is exact."""
    scale_N = weight_NK.abs().amax(1) / 127
    scale_N = scale_N.view(torch.int32).bitwise_and(-128).view(torch.float32)
    steps_NK = (weight_NK / scale_N.clamp(min=torch.finfo(torch.float32).tiny)[:, None]).round()
    return steps_NK.clamp(-127, 127).to(torch.int8), scale_N


def write_model(opened: OpenedModel, folder: Path) -> None:
    """``weights.safetensors``, ``tokenizer.json`` and ``about.json`` of a model from :func:`for_browser`."""
    written = numbers(opened)
    tensors: dict[str, Tensor] = {}
    for name, value in opened.model.named_parameters():
        if written == "int8" and value.dim() == 2:
            tensors[name], tensors[f"{name}.scale"] = in_8_bits(value.detach())
        else:
            tensors[name] = value.detach().to(torch.bfloat16 if written == "bfloat16" else torch.float32).contiguous()
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
        "precision": precision(numbers(opened)),
        "ends": sorted(opened.end_ids),
        "most_tokens": MOST_TOKENS,
        "most_characters": MOST_CHARACTERS,
        "named": NAMED,
        "step": STEP,
        "candidates": CANDIDATES,
        "steps": steps,
    }
