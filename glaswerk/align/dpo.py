"""Direct preference optimisation: an objective for the one training loop, and the reference's log-probabilities, once.

Rafailov et al. 2023; IPO: Azar et al. 2023; the share of plain likelihood on the chosen answer that keeps both from
becoming unlikely: Pang et al. 2024. Left out: the losses' formulas (``losses.py``); pairs and batches.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from glaswerk.align.batches import Pairs
from glaswerk.align.losses import answer_log_probs, dpo_loss, ipo_loss
from glaswerk.errors import GlaswerkError
from glaswerk.model.decoder import Decoder
from glaswerk.progress import Progress

KINDS = ("dpo", "ipo")


@dataclass(frozen=True)
class Preference:
    """The objective. ``beta``: how dear it is to leave the reference; ``smoothing``: the share of labels thought wrong
    (DPO only); ``likelihood``: the weight of the chosen answer's mean negative log-likelihood."""

    kind: str = "dpo"
    beta: float = 0.1
    smoothing: float = 0.0
    likelihood: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise GlaswerkError(f"there is no preference loss {self.kind!r}: choose {' or '.join(KINDS)}")
        if not 0 < self.beta < math.inf or not 0 <= self.smoothing < 0.5 or self.likelihood < 0:
            raise GlaswerkError("beta must be above 0, smoothing from 0 to below 0.5, likelihood 0 or more")

    def __call__(
        self, model: Decoder, ids_BT: Tensor, places_N: Tensor, targets_N: Tensor, reference_B: Tensor
    ) -> Tensor:
        """The mean loss of a batch of pairs, chosen rows first."""
        policy_B, count_B = answer_log_probs(model, ids_BT, places_N, targets_N)
        ratio_B = policy_B - reference_B
        chosen_P, rejected_P = (ratio_B / count_B if self.kind == "ipo" else ratio_B).chunk(2)
        if self.kind == "ipo":
            loss = ipo_loss(chosen_P, rejected_P, self.beta)
        else:
            loss = dpo_loss(chosen_P, rejected_P, self.beta, self.smoothing)
        if self.likelihood:
            loss = loss - self.likelihood * (policy_B / count_B).chunk(2)[0].mean()
        return loss


@torch.no_grad()
def log_probs(model: Decoder, pairs: Pairs, progress: Progress | None = None) -> Tensor:
    """log p of every chosen and rejected answer, fp32 ``[pairs, 2]``, in the model's ``compute_dtype``."""
    model.eval()
    show = progress or Progress()
    found = []
    for start in range(0, len(pairs.pairs), pairs.size):
        members = range(start, min(start + pairs.size, len(pairs.pairs)))
        batch = [part.to(model.embedding.device) for part in pairs.rows(members)]
        found.append(answer_log_probs(model, *batch)[0].view(2, -1).T.cpu())
        show.advance(len(members))
    return torch.cat(found)


def keep_reference(model: Decoder, pairs: Pairs, progress: Progress | None = None) -> None:
    """Compute what the reference model, which ``model`` is before training, says of all pairs."""
    pairs.reference_P2 = log_probs(model, pairs, progress)
