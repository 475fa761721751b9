"""ONE scorer for every language model that is compared: mean loss per character over the whole validation
split.

The split is nanoGPT's: the last tenth of the text. Windows do not overlap, each is predicted from its own
beginning on, so the first characters of a window are as hard for everybody. Left out: anything that knows a
model's insides.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from glaswerk.errors import GlaswerkError


def validation_text(data: Path) -> str:
    """The last tenth of a text file, as nanoGPT cuts it."""
    text = data.read_text(encoding="utf-8")
    return text[int(len(text) * 0.9) :]


@torch.no_grad()
def score(logits_of: Callable[[Tensor], Tensor], ids: Tensor, window: int) -> float:
    """Mean cross-entropy in nats per token of ``ids`` (int64 ``[N]``) in windows that do not overlap.

    ``logits_of`` maps ids ``[B, window]`` to logits ``[B, window, V]``; the sum is taken in fp64.
    """
    windows = (len(ids) - 1) // window
    inputs = ids[: windows * window].view(windows, window)
    targets = ids[1 : windows * window + 1].view(windows, window)
    total = torch.zeros((), dtype=torch.float64)
    for inputs_BT, targets_BT in zip(inputs.split(64), targets.split(64), strict=True):
        logits_BTV = logits_of(inputs_BT).float()
        total += F.cross_entropy(logits_BTV.flatten(0, 1), targets_BT.flatten(), reduction="sum").double()
    return float(total / (windows * window))


def score_folder(folder: Path, data: Path, window: int | None = None) -> tuple[float, int]:
    """Score a saved Glaswerk model that reads characters; returns its loss and its number of parameters.

    ``window`` None: the model's own context. Raises :class:`GlaswerkError` if its tokens are not single
    characters, because then a loss per token would not be a loss per character.
    """
    from glaswerk import tokenizer
    from glaswerk.model.weights import load_model

    model = load_model(folder).eval()
    text = validation_text(data)
    ids = torch.tensor(tokenizer.load(folder).encode(text))
    if len(ids) != len(text):
        raise GlaswerkError(f"{folder} has {len(ids):,} tokens for {len(text):,} characters: the loss is per character")
    window = window or model.config.context
    return score(model, ids, window), sum(weight.numel() for weight in model.parameters())
