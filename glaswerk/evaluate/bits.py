"""How well a model predicts text it was not trained on, in nats per token and in bits per byte.

Bits per byte do not depend on the tokenizer, so models with different vocabularies can be compared. The end-of-document
tokens are paid for too, although they stand for no byte. Shapes: B batch, T time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from glaswerk.model.decoder import Decoder
from glaswerk.train.data import IGNORE, Conversations
from glaswerk.train.objective import next_token_loss


@dataclass(frozen=True)
class TextScore:
    """``loss`` in nats per token, ``bits_per_byte`` of the text, over ``tokens`` predicted tokens."""

    loss: float
    bits_per_byte: float
    tokens: int


@torch.no_grad()
def score_text(model: Decoder, tokens: np.ndarray, text_bytes: int, time: int, batch: int = 16) -> TextScore:
    """Score a whole token array in windows of ``time`` that do not overlap (each token is predicted once, the first
    of the array not at all). Computes in the model's ``compute_dtype``; leaves the model in evaluation mode."""
    model.eval()
    where = model.embedding.device
    count = len(tokens) - 1
    total = 0.0
    starts = np.arange(0, count, time)
    for first in range(0, len(starts), batch):
        part = starts[first : first + batch]
        ids_BT = np.zeros((len(part), time), dtype=np.int64)
        targets_BT = np.full((len(part), time), IGNORE, dtype=np.int64)
        for row, start in enumerate(part.tolist()):
            piece = np.asarray(tokens[start : start + time + 1], dtype=np.int64)
            ids_BT[row, : len(piece) - 1], targets_BT[row, : len(piece) - 1] = piece[:-1], piece[1:]
        learned = int((targets_BT != IGNORE).sum())
        loss = next_token_loss(model, torch.from_numpy(ids_BT).to(where), torch.from_numpy(targets_BT).to(where))
        total += loss.item() * learned
    return TextScore(total / max(1, count), total / math.log(2) / max(1, text_bytes), count)


@torch.no_grad()
def score_conversations(model: Decoder, conversations: Conversations) -> TextScore:
    """Score one epoch of packed conversations, on assistant tokens only. ``bits_per_byte`` is NaN: their bytes are not
    kept."""
    model.eval()
    where = model.embedding.device
    total, learned = 0.0, 0
    for step in range(-(-conversations.per_epoch // conversations.batch_size)):
        ids_BT, targets_BT = conversations.batch(step)
        count = int((targets_BT != IGNORE).sum())
        if count:
            total += next_token_loss(model, ids_BT.to(where), targets_BT.to(where)).item() * count
            learned += count
    return TextScore(total / max(1, learned), math.nan, learned)
