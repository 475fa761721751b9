"""The loss of the open model with parts switched off: one forward pass of the real model, its taps edited.

A part is off when it adds nothing (attention, MLP, a head), lets its input through unchanged (a norm), or when what it
adds stands alone (the residual connection). Left out: training without the part, which would adapt (chapter 6 does that
in small).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from glaswerk.errors import GlaswerkError
from glaswerk.lens.trace import plain_copy
from glaswerk.model.decoder import Decoder
from glaswerk.tokenizer.chip import chip

if TYPE_CHECKING:
    from glaswerk.opened import OpenedModel

#: what can be switched off in one layer, and what in the whole model only
PARTS = ("attention", "mlp", "norm", "residual", "head")
WHOLE = ("position", "mask")
#: tokens that are predicted
MOST = 64
#: tokens in the sweep over all layers, which computes the text once per layer
SWEPT = 24
#: written for this chapter, so no model has read it; used where no run with a validation split is open
OWN_TEXT = (
    "On Tuesday the ferry left the small harbour an hour late, because a goat had walked up the ramp and would not "
    "come down again. The captain tried bread, then salt, then kind words. In the end a girl of seven, who had been "
    "watching from a bench, took off her red hat, and the goat followed the hat back to the shore."
)


def plain(model: OpenedModel) -> Decoder:
    """The open model in fp32."""
    return plain_copy(model.model)[0]


def held_out(model: OpenedModel, text: str) -> tuple[list[int], str]:
    """Token ids that the model was not trained on, and where they are from: "given" (the reader's ``text``), "val" (its
    run's validation split) or "own"."""
    if text.strip():
        return model.tokenizer.encode(text), "given"
    if model.origin.run is not None and (model.origin.run / "corpus" / "index.json").is_file():
        from glaswerk.corpora.pack import Packed

        ids = Packed(model.origin.run / "corpus").val[: MOST + 1].tolist()
        if len(ids) > MOST // 2 and max(ids) < model.tokenizer.vocabulary_size:
            return ids, "val"
    return model.tokenizer.encode(OWN_TEXT), "own"


class Off:
    """Taps that switch parts off: (part, layer or None for all, head). With ``row``, layer -> row of the batch, a
    layer's part is off in that row only."""

    def __init__(self, off: Sequence[tuple[str, int | None, int | None]], row: dict[int, int] | None = None) -> None:
        self.off, self.row = off, row
        self.stream: Tensor | None = None
        self.mid: Tensor | None = None
        self.change: Tensor | None = None

    def __call__(self, name: str, value: Tensor) -> Tensor:
        value = self.switched(name, value)
        if name in ("embeddings", "residual") or name.endswith((".residual", ".residual_mid")):
            self.stream = value
        elif name.endswith(("attention.output", "mlp.output")):
            self.change = value
        return value

    def switched(self, name: str, value: Tensor) -> Tensor:
        """``value``, or what stands there when its part is off."""
        layer, inside = layer_and_name(name)
        for part, where, head in self.off:
            if where is not None and where != layer:
                continue
            if inside == "attention.heads" and part == "head":
                value = value.clone()
                value[:, head] = 0
            elif inside in ("attention.output", "mlp.output") and part == inside.partition(".")[0]:
                value = self.put(value, torch.zeros_like(value), layer)
            elif inside in ("attention_norm", "mlp_norm", "norm") and part == "norm" and self.stream is not None:
                value = self.put(value, self.stream, layer)
            elif inside in ("residual_mid", "residual") and part == "residual" and self.change is not None:
                if layer is not None:  # the first residual of a classic model is embeddings plus positions
                    value = self.put(value, self.change, layer)
            elif part == "position" and inside in ("position", "position.sine"):
                value = torch.zeros_like(value)
            elif (part, inside) in (("position", "position.cosine"), ("mask", "attention.mask")):
                value = torch.ones_like(value)  # turned by nothing; everybody may be seen
        return value

    def put(self, value: Tensor, other: Tensor, layer: int | None) -> Tensor:
        """``other`` in place of ``value``: everywhere, or in the one row of the batch that this layer has."""
        if self.row is None or layer is None:
            return other
        value = value.clone()
        value[self.row[layer]] = other[self.row[layer]]
        return value


def layer_and_name(name: str) -> tuple[int | None, str]:
    """``blocks.3.mlp.output`` -> 3, "mlp.output"."""
    found = re.match(r"blocks\.(\d+)\.(.+)", name)
    return (int(found[1]), found[2]) if found else (None, name)


def read(off: Sequence[str], model: Decoder) -> list[tuple[str, int | None, int | None]]:
    """``"mlp:3"``, ``"norm:all"``, ``"head:3.2"``, ``"position"`` -> part, layer (None: all), head."""
    layers, heads = model.config.layers, model.config.heads
    found: list[tuple[str, int | None, int | None]] = []
    for text in off:
        part, _, rest = text.partition(":")
        match = re.fullmatch(r"(all|\d{1,4})(?:\.(\d{1,4}))?", rest)
        if part in WHOLE and not rest:
            found.append((part, None, None))
            continue
        if part not in PARTS or match is None or (part == "head") != (match[2] is not None):
            raise GlaswerkError(
                f"{text[:40]!r} is no part: write mlp:3 or mlp:all (or attention, norm, residual), head:3.2, position "
                "or mask",
                f"„{text[:40]}“ ist kein Teil. Schreib mlp:3 oder mlp:all (auch mit attention, norm oder residual), "
                "head:3.2, position oder mask.",
            )
        layer = None if match[1] == "all" else int(match[1])
        head = None if match[2] is None else int(match[2])
        if (layer is not None and layer >= layers) or (head is not None and head >= heads):
            raise GlaswerkError(
                f"{text!r} is not there: this model has {layers} layers and {heads} heads, counted from 0",
                f"„{text}“ gibt es nicht. Dieses Modell hat {layers} Schichten und {heads} Köpfe, von 0 an gezählt.",
            )
        found.append((part, layer, head))
    return found


@torch.inference_mode()
def losses(model: Decoder, ids: list[int], taps: Any, rows: int = 1) -> Tensor:
    """How surprised the model is at each token but the first, in nats, ``[rows, T]``."""
    ids_T = torch.tensor(ids, device=model.embedding.device)
    logits_BTV = model(ids_T[None, :-1].expand(rows, -1), taps=taps)
    targets_BT = ids_T[None, 1:].expand(rows, -1)
    return F.cross_entropy(logits_BTV.transpose(1, 2), targets_BT, reduction="none")


def measured(opened: OpenedModel, text: str, off: Sequence[str]) -> dict[str, Any]:
    """The loss on ``text`` (or on a held-out one) as the model is and with those parts off."""
    model = plain(opened)
    parts = read(off, model)
    ids, source = held_out(opened, text)
    ids = ids[: min(MOST, model.config.context) + 1]
    if len(ids) < 3:
        raise GlaswerkError(
            "the text is too short to predict anything: write a sentence",
            "Der Text ist zu kurz, um darin etwas vorherzusagen. Schreib einen Satz.",
        )
    whole = losses(model, ids, None)[0]
    now = losses(model, ids, Off(parts))[0] if parts else whole
    return {
        "model": opened.origin.name,
        "source": source,
        "tokens": [chip(opened.tokenizer.token_bytes(number)) for number in ids],
        "whole": whole.mean(),
        "now": now.mean(),
        "blind": math.log(opened.tokenizer.vocabulary_size),
        "each": {"whole": whole, "now": now},
        "layers": model.config.layers,
        "heads": model.config.heads,
        "off": list(off),
    }


def swept(opened: OpenedModel, part: str) -> dict[str, Any]:
    """The loss with ``part`` off in one layer, for every layer: the text once per layer, side by side in one batch."""
    model = plain(opened)
    ids, _ = held_out(opened, "")
    ids = ids[: min(SWEPT, model.config.context) + 1]
    layers = model.config.layers
    taps = Off([(part, None, None)], {layer: layer for layer in range(layers)})
    found = losses(model, ids, taps, rows=layers + 1).mean(1)  # the last row keeps every part
    return {
        "model": opened.origin.name,
        "part": part,
        "whole": found[-1],
        "each": found[:-1],
        "predicted": len(ids) - 1,
    }
