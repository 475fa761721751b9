"""What is minimised. An objective is a function of the model and a batch; the loop knows nothing else of it.

Shapes: B batch, T time, C width, V vocabulary, N = B*T.
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from glaswerk.model.decoder import Decoder
from glaswerk.train.data import IGNORE

#: (model, *batch) -> mean loss in nats, a scalar
Objective = Callable[..., Tensor]


def next_token_loss(model: Decoder, ids_BT: Tensor, targets_BT: Tensor) -> Tensor:
    """Mean cross-entropy in nats of the next token over the targets that are not ``IGNORE``, fp32 scalar."""
    logits_BTV = model.head(model.hidden(ids_BT))
    return F.cross_entropy(logits_BTV.flatten(0, 1).float(), targets_BT.flatten(), ignore_index=IGNORE)
