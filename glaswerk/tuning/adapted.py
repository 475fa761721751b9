"""LoRA in a stage: adapters instead of weights, kept beside the merged model in PEFT's format.

Left out: adapters themselves (``model/lora.py``), their files (``model/adapter.py``).
"""

from __future__ import annotations

from pathlib import Path

from glaswerk.model import Decoder, adapter, lora
from glaswerk.model.nf4 import quantize_frozen
from glaswerk.run import ADAPTER

#: AdamW's rate for adapters
ADAPTER_RATE = 1e-3


def attached(model: Decoder, rank: int | None, seed: int, nf4: bool = False) -> str:
    """Freeze the model (in 4 bits if ``nf4``) and give it adapters of this rank at every matrix of its blocks, scaled
    by two, as is usual; no rank, no change. A
    head of its own (a reward model's, a value head) is trained in any case. Returns the base's
    fingerprint, which its 4 bits cannot tell later."""
    if rank is None:
        return ""
    known = adapter.fingerprint(model)
    lora.attach(model, lora.LoRAConfig(rank, 2.0 * rank), seed=seed)
    if nf4:
        quantize_frozen(model)
    for own in ("score", "value"):
        if (head := getattr(model, own, None)) is not None:
            head.requires_grad_(True)
    return known


def baked(stage: Path, model: Decoder, rank: int | None, base: str, known: str) -> Decoder:
    """Write the adapters into the stage's folder, then make them part of the model, which then is like any other."""
    if rank is None:
        return model
    adapter.save(stage / ADAPTER, model, base=base, known=known)
    return lora.bake(model)
