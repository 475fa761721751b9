"""The losses of learning from preferences, as pure functions of log-probabilities and rewards.

Bradley-Terry (1952): a reward model prefers the chosen answer with probability sigmoid(r_chosen - r_rejected). DPO
(Rafailov et al. 2023): the policy's own log-probabilities, against those of a frozen reference, are the rewards. IPO
(Azar et al. 2023): their difference is drawn to a finite gap instead of being pushed apart without end. Conventions are
TRL's. Left out: where pairs come from (``pairs.py``); the models.

Shapes: P pairs, B rows, T time, N learned tokens.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from glaswerk.model.decoder import Decoder
from glaswerk.train.data import IGNORE


def token_log_probs(model: Decoder, ids_BT: Tensor, places_N: Tensor, targets_N: Tensor) -> Tensor:
    """log p(target) of the token after each place, fp32 ``[N]``; a place is ``row * T + column``. 0 where the target is
    ``IGNORE``.

    The head, a fifth of a small model's work, is computed at these places only.
    """
    return spoken_log_probs(model, hidden_at(model, ids_BT, places_N), targets_N)


def hidden_at(model: Decoder, ids_BT: Tensor, places_N: Tensor) -> Tensor:
    """The last hidden states at these places, ``[N, C]``."""
    return model.hidden(ids_BT).flatten(0, 1).index_select(0, places_N)


def spoken_log_probs(model: Decoder, x_NC: Tensor, targets_N: Tensor) -> Tensor:
    """log p of each target by the hidden state before it, fp32 ``[N]``; 0 where it is ``IGNORE``."""
    return -F.cross_entropy(model.head(x_NC).float(), targets_N, ignore_index=IGNORE, reduction="none")


def answer_loss(model: Decoder, ids_BT: Tensor, places_N: Tensor, targets_N: Tensor) -> Tensor:
    """Mean cross-entropy in nats over the targets that are not ``IGNORE``: ``next_token_loss`` of the same tokens with
    less work."""
    return -token_log_probs(model, ids_BT, places_N, targets_N).sum() / (targets_N != IGNORE).sum()


def answer_log_probs(model: Decoder, ids_BT: Tensor, places_N: Tensor, targets_N: Tensor) -> tuple[Tensor, Tensor]:
    """log p of each row's answer, fp32 ``[B]``, and how many tokens it has."""
    B, T = ids_BT.shape
    rows_N = places_N // T
    zero_B = torch.zeros(B, device=ids_BT.device)
    values_N = token_log_probs(model, ids_BT, places_N, targets_N)
    return zero_B.index_add(0, rows_N, values_N), zero_B.index_add(0, rows_N, (targets_N != IGNORE).float())


def bradley_terry_loss(chosen_P: Tensor, rejected_P: Tensor) -> Tensor:
    """Mean of -log sigmoid(chosen - rejected) over pairs of rewards."""
    return -F.logsigmoid(chosen_P - rejected_P).mean()


def dpo_loss(chosen_P: Tensor, rejected_P: Tensor, beta: float, smoothing: float = 0.0) -> Tensor:
    """DPO over log-ratios log p_policy - log p_reference of whole answers; a scalar.

    ``smoothing`` is the probability that a pair's label is wrong (conservative DPO, Mitchell 2023).
    """
    margin_P = beta * (chosen_P - rejected_P)
    return -((1 - smoothing) * F.logsigmoid(margin_P) + smoothing * F.logsigmoid(-margin_P)).mean()


def ipo_loss(chosen_P: Tensor, rejected_P: Tensor, beta: float) -> Tensor:
    """IPO: the squared distance of the log-ratios' difference from 1 / (2 beta); a scalar. The log-ratios are means
    over an answer's tokens, as in its authors' experiments and in TRL, so that long answers do not weigh more."""
    return (chosen_P - rejected_P - 1 / (2 * beta)).square().mean()


@torch.no_grad()
def preferred(chosen_P: Tensor, rejected_P: Tensor) -> float:
    """The share of pairs whose chosen answer has the higher reward."""
    return float((chosen_P > rejected_P).float().mean())
