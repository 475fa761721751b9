"""Causal self-attention with grouped queries (Vaswani et al. 2017; Ainslie et al. 2023), biases and QK-norm
by feature.

Three ways to compute the same thing. *Explicit*: scores, mask, softmax, mix as plain batched products; every
step can be tapped, and on a CPU with short sequences it is much faster than the next, backward above all.
*Fused*: PyTorch's ``scaled_dot_product_attention``, which never holds the T x T scores; for long sequences. *Causal*:
our own operation in C++ (``native/causal.py``), the fastest; for training on a CPU in bf16. (One new token in each of
many rows has an operation of its own too, ``native/rows.py``.)

Shapes: B batch, T time (queries), S time (keys), C width, H query heads, G key/value heads, R = H / G queries
that share a key, D head width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glaswerk.model.cache import Cache
from glaswerk.model.config import ModelConfig
from glaswerk.model.mlp import Linear
from glaswerk.model.native import between, causal, many, ops, rows
from glaswerk.model.norm import RMSNorm
from glaswerk.model.position import rotate
from glaswerk.model.taps import Taps, tap

#: up to this many keys per query the explicit way is taken
EXPLICIT_UP_TO = 512


class Attention(nn.Module):
    """One layer's attention. ``qkv`` is one matrix: query rows, then key rows, then value rows."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.heads, self.groups, self.head_width = config.heads, config.kv_heads, config.head_width
        self.dropout = config.dropout
        rows = (config.heads + 2 * config.kv_heads) * config.head_width
        self.qkv = Linear(config.width, rows, config.attention_bias)
        self.output = Linear(config.heads * config.head_width, config.width, config.output_bias)
        self.q_norm = RMSNorm(config.head_width, config.norm_eps) if config.qk_norm else None
        self.k_norm = RMSNorm(config.head_width, config.norm_eps) if config.qk_norm else None

    def forward(
        self,
        x_BTC: Tensor,
        mask_BTS: Tensor | None,
        turn: tuple[Tensor, Tensor] | None,
        cache: Cache | None = None,
        taps: Taps | None = None,
        name: str = "",
        path: str = "auto",
    ) -> Tensor:
        """``mask`` is True where a query may look (``[1 or B, T, S]``; None: everywhere), ``turn`` the rotary
        cosine and sine (None: positions were learned)."""
        B, T, _ = x_BTC.shape
        H, G, D = self.heads, self.groups, self.head_width
        qkv_BTE = self.qkv(x_BTC)
        if many.ready() and cache is not None:
            norms: tuple[Tensor | None, Tensor | None] = (None, None)
            if self.q_norm is not None and self.k_norm is not None:
                norms = self.q_norm.weight, self.k_norm.weight
            eps = self.q_norm.eps if self.q_norm else 0.0
            if cache.in_place:
                return self.output(cache.attend(self.layer, qkv_BTE, *norms, eps))
            keys, values = cache.layers[self.layer]
            return self.output(many.attend(qkv_BTE, keys, values, *norms, *(turn or (None, None)), cache.length, eps))
        qkv_BTnD = qkv_BTE.view(B, T, H + 2 * G, D)
        if path == "causal" and turn is not None and self.q_norm is None and between.ready(qkv_BTE):
            qkv_BTnD = between.rotated(qkv_BTnD, *turn, H + G)
            return self.output(causal.causal_attention(qkv_BTnD, G).view(B, T, H * D))
        q_BHTD, k_BGSD, v_BGSD = qkv_BTnD.transpose(1, 2).split((H, G, G), 1)
        q_BHTD = tap(taps, name + "q", q_BHTD)
        k_BGSD = tap(taps, name + "k", k_BGSD)
        v_BGSD = tap(taps, name + "v", v_BGSD)
        if self.q_norm is not None and self.k_norm is not None:
            q_BHTD = tap(taps, name + "q_normed", self.q_norm(q_BHTD))
            k_BGSD = tap(taps, name + "k_normed", self.k_norm(k_BGSD))
        if turn is not None:
            q_BHTD = tap(taps, name + "q_rotated", rotate(q_BHTD, *turn))
            k_BGSD = tap(taps, name + "k_rotated", rotate(k_BGSD, *turn))
        if path == "causal":
            if self.q_norm is not None or turn is not None:
                qkv_BTnD = torch.cat([part.transpose(1, 2) for part in (q_BHTD, k_BGSD, v_BGSD)], 2)
            return self.output(causal.causal_attention(qkv_BTnD, G).view(B, T, H * D))
        if cache is not None and mask_BTS is None and ops.ready(q_BHTD):
            heads_BHTD = ops.attend(q_BHTD, k_BGSD, v_BGSD, *cache.layers[self.layer], cache.position, D**-0.5)
            return self.output(heads_BHTD.reshape(B, T, H * D))
        if cache is not None:
            k_BGSD, v_BGSD = cache.append(self.layer, k_BGSD, v_BGSD)
        dropout = self.dropout if self.training else 0.0
        explicit = (
            taps is not None or path == "explicit" or (path == "auto" and (T == 1 or k_BGSD.shape[2] <= EXPLICIT_UP_TO))
        )
        if cache is not None and taps is None and rows.ready(q_BHTD, k_BGSD):
            heads_BHTD = rows.attend(q_BHTD, k_BGSD, v_BGSD, mask_BTS, cache.first_B, cache.alike)
        elif explicit:
            heads_BHTD = explicit_attention(q_BHTD, k_BGSD, v_BGSD, mask_BTS, dropout, taps, name)
        else:
            heads_BHTD = fused_attention(q_BHTD, k_BGSD, v_BGSD, mask_BTS, dropout)
        heads_BHTD = tap(taps, name + "heads", heads_BHTD)
        return tap(taps, name + "output", self.output(heads_BHTD.transpose(1, 2).reshape(B, T, H * D)))


def explicit_attention(
    q_BHTD: Tensor,
    k_BGSD: Tensor,
    v_BGSD: Tensor,
    mask_BTS: Tensor | None,
    dropout: float = 0.0,
    taps: Taps | None = None,
    name: str = "",
) -> Tensor:
    """softmax(q·k / sqrt(D), masked)·v, step by step; returns ``[B, H, T, D]``.

    Queries that share a key are stacked along time, so that no key is copied.
    """
    B, H, T, D = q_BHTD.shape
    G, S = k_BGSD.shape[1], k_BGSD.shape[2]
    q_BGTD = (q_BHTD * D**-0.5).reshape(B, G, (H // G) * T, D)
    scores_BHTS = (q_BGTD @ k_BGSD.transpose(-1, -2)).view(B, H, T, S)
    scores_BHTS = tap(taps, name + "scores", scores_BHTS)
    if mask_BTS is not None:
        mask_BTS = tap(taps, name + "mask", mask_BTS)
        scores_BHTS = torch.where(mask_BTS.unsqueeze(1), scores_BHTS, float("-inf"))
    weights_BHTS = tap(taps, name + "weights", scores_BHTS.softmax(-1))
    if dropout:
        weights_BHTS = F.dropout(weights_BHTS, dropout)
    return (weights_BHTS.view(B, G, (H // G) * T, S) @ v_BGSD).view(B, H, T, D)


def fused_attention(
    q_BHTD: Tensor, k_BGSD: Tensor, v_BGSD: Tensor, mask_BTS: Tensor | None, dropout: float = 0.0
) -> Tensor:
    """The same result from PyTorch's fused kernel; returns ``[B, H, T, D]``."""
    mask = None if mask_BTS is None else mask_BTS.unsqueeze(1)
    grouped = q_BHTD.shape[1] != k_BGSD.shape[1]
    return F.scaled_dot_product_attention(q_BHTD, k_BGSD, v_BGSD, attn_mask=mask, dropout_p=dropout, enable_gqa=grouped)
