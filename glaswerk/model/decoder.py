"""The decoder: ONE forward pass for every model Glaswerk opens or trains, switched by features and never by a
model's name.

tokens -> embeddings (+ learned positions) -> blocks: x += attention(norm(x)); x += mlp(norm(x)) -> norm ->
logits.

Left out: losses and sampling; loading and saving (``weights.py``). Shapes: B batch, T time, S time of the
keys, C width, V vocabulary.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glaswerk.errors import GlaswerkError
from glaswerk.model.attention import Attention
from glaswerk.model.cache import Cache
from glaswerk.model.config import ModelConfig
from glaswerk.model.count import flops_per_token, parameters_count
from glaswerk.model.mlp import MLP, Linear
from glaswerk.model.native import causal, many, ops
from glaswerk.model.norm import make_norm
from glaswerk.model.position import Rotary
from glaswerk.model.quantize import QuantizedLinear
from glaswerk.model.taps import Taps, tap


class Block(nn.Module):
    """One layer: attention and MLP, each reading a normalised copy of the residual stream and adding to
    it."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.name = f"blocks.{layer}."
        self.attention_norm = make_norm(config.norm, config.width, config.norm_eps)
        self.attention = Attention(config, layer)
        self.mlp_norm = make_norm(config.norm, config.width, config.norm_eps)
        self.mlp = MLP(config)
        self.dropout = config.dropout

    def forward(
        self,
        x_BTC: Tensor,
        mask_BTS: Tensor | None,
        turn: tuple[Tensor, Tensor] | None,
        cache: Cache | None,
        taps: Taps | None,
        path: str,
    ) -> Tensor:
        name = self.name
        normed = tap(taps, name + "attention_norm", self.attention_norm(x_BTC))
        change = self.attention(normed, mask_BTS, turn, cache, taps, name + "attention.", path)
        x_BTC = tap(taps, name + "residual_mid", plus(x_BTC, self.drop(change)))
        normed = tap(taps, name + "mlp_norm", self.mlp_norm(x_BTC))
        change = self.mlp(normed, taps, name + "mlp.")
        return tap(taps, name + "residual", plus(x_BTC, self.drop(change)))

    def drop(self, x: Tensor) -> Tensor:
        """Dropout, in training only."""
        return F.dropout(x, self.dropout) if self.training and self.dropout else x


class Decoder(nn.Module):
    """A decoder-only transformer.

    ``compute_dtype`` is the dtype of the activations: None means that of the weights; bf16 over fp32 weights
    is mixed precision (each matrix is cast where it is used). ``attention_path`` is ``"auto"``,
    ``"explicit"`` or ``"fused"``.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.compute_dtype: torch.dtype | None = None
        self.attention_path = "auto"
        self.embedding: nn.Parameter | QuantizedLinear
        self.embedding = nn.Parameter(torch.empty(config.vocabulary_size, config.width))
        learned = config.positions == "learned"
        self.position = nn.Parameter(torch.empty(config.context, config.width)) if learned else None
        self.rotary = None if learned else Rotary(config)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.layers))
        self.norm = make_norm(config.norm, config.width, config.norm_eps)
        self.unembedding = None if config.tied else Linear(config.width, config.vocabulary_size, bias=False)
        if not self.embedding.is_meta:
            self.reset_parameters()

    # ------------------------------------------------------------------ forward
    def forward(
        self,
        ids_BT: Tensor,
        *,
        cache: Cache | None = None,
        positions: Tensor | None = None,
        pad: Tensor | None = None,
        taps: Taps | None = None,
    ) -> Tensor:
        """Logits ``[B, T, V]`` for token ids ``[B, T]``; see :meth:`hidden` for the arguments."""
        if taps is not None:
            with ops.plain_only():  # what is recorded is what PyTorch computes
                x_BTC = self.hidden(ids_BT, cache=cache, positions=positions, pad=pad, taps=taps)
                return tap(taps, "logits", self.head(x_BTC))
        return self.head(self.hidden(ids_BT, cache=cache, positions=positions, pad=pad))

    def hidden(
        self,
        ids_BT: Tensor,
        *,
        cache: Cache | None = None,
        positions: Tensor | None = None,
        pad: Tensor | None = None,
        mask: Tensor | None = None,
        taps: Taps | None = None,
    ) -> Tensor:
        """The residual stream after the last norm, ``[B, T, C]``.

        ``cache`` holds what came before and takes what is new. ``pad`` (``[B]``, integers) says how many
        tokens at the left of each row are padding: they get no position and nobody looks at them.
        ``positions`` (``[T]`` or ``[B, T]``) overrides where the tokens stand; by default they follow what is
        in the cache. ``mask`` (bool ``[1 or B, T, S]``, only with ``positions``) is True where a token may
        look, instead of at all before it: several texts with one beginning can lie side by side.
        """
        if taps is not None and ops.at_hand(ids_BT):
            with ops.plain_only():  # what is recorded is what PyTorch computes
                return self.hidden(ids_BT, cache=cache, positions=positions, pad=pad, mask=mask, taps=taps)
        if not many.ready() and cache is not None and self.one_prompt(ids_BT, positions, pad):
            with many.prompt():
                return self.hidden(ids_BT, cache=cache)
        T = ids_BT.shape[1]
        start = 0 if cache is None else cache.length
        longest = start + T - (0 if pad is None else int(pad.min()))
        if mask is not None and positions is not None:
            longest = int(positions.max()) + 1
        in_place = cache is not None and cache.in_place
        if longest > self.config.context and not in_place:  # there texts lie side by side, each of which was measured
            raise GlaswerkError(
                f"{longest} tokens are more than the context of {self.config.context}; shorten the text"
            )
        if cache is not None:
            cache.room(T)
        if positions is None and pad is not None:
            positions = (torch.arange(start, start + T, device=ids_BT.device) - pad[:, None]).clamp_min(0)

        x_BTC = self.embed(tap(taps, "tokens", ids_BT))
        alone = ops.ready(x_BTC) and cache is not None and positions is None
        if self.compute_dtype is not None and not ops.ready(x_BTC):
            x_BTC = x_BTC.to(self.compute_dtype)
        x_BTC = tap(taps, "embeddings", x_BTC)
        turn = None
        if self.rotary is not None and alone and cache is not None:
            turn = self.rotary.at(cache.position, cache.slots)
        elif self.rotary is not None and not in_place:
            turn = self.rotary(start if positions is None else positions, T, x_BTC.dtype)
            if taps is not None:
                turn = (tap(taps, "position.cosine", turn[0]), tap(taps, "position.sine", turn[1]))
        elif self.position is not None:
            if alone and cache is not None:
                rows = ops.row(cache.position, self.position)
            elif positions is None:
                rows = self.position[start : start + T]
            else:
                rows = F.embedding(positions, self.position)
            x_BTC = tap(taps, "residual", x_BTC + tap(taps, "position", rows.to(x_BTC.dtype)))
        if self.training and self.config.dropout:
            x_BTC = F.dropout(x_BTC, self.config.dropout)
        path = self.attention_path
        asked_more = any(part is not None for part in (taps, cache, pad, mask))
        dropping = self.training and self.config.dropout
        if path == "auto" and not asked_more and not dropping and causal.ready(x_BTC, self.config.head_width):
            path = "causal"
        mask_BTS = mask
        if mask is None and path != "causal" and not many.ready():
            mask_BTS = attention_mask(start, T, pad, ids_BT.device)
        for block in self.blocks:
            x_BTC = block(x_BTC, mask_BTS, turn, cache, taps, path)
        if cache is not None:
            cache.length += T
        return tap(taps, "norm", self.norm(x_BTC))

    def one_prompt(self, ids_BT: Tensor, positions: Tensor | None, pad: Tensor | None) -> bool:
        """Whether these are many tokens of one text, computed with matrices that are all quantized, in shapes that the
        operations for many tokens have (``native/many.py``)."""
        if ids_BT.shape[0] != 1 or ids_BT.shape[1] == 1 or positions is not None or pad is not None:
            return False
        return self.in_bytes(ids_BT)

    def in_bytes(self, ids_BT: Tensor) -> bool:
        """Whether all matrices of the blocks are quantized, in shapes that the operations for many tokens have."""
        if not many.fast(ids_BT) or self.config.head_width % 16 or self.config.mlp_width % 16:
            return False
        return all(
            isinstance(getattr(matrix, "base", matrix), QuantizedLinear)
            for block in self.blocks
            if isinstance(block, Block)
            for matrix in (block.attention.qkv, block.attention.output, block.mlp.up, block.mlp.down)
        )

    def embed(self, ids_BT: Tensor) -> Tensor:
        """The vectors of the tokens, ``[B, T, C]``."""
        if isinstance(self.embedding, QuantizedLinear):
            return self.embedding.rows(ids_BT)
        if ids_BT.shape == (1, 1) and ops.at_hand(ids_BT):
            return ops.row(ids_BT, self.embedding)
        return F.embedding(ids_BT, self.embedding)

    def head(self, x_BTC: Tensor) -> Tensor:
        """Logits ``[..., V]`` of hidden vectors ``[..., C]``: a dot product with every token's vector."""
        if self.unembedding is not None:
            return self.unembedding(x_BTC)
        if isinstance(self.embedding, QuantizedLinear):
            return self.embedding(x_BTC)
        if ops.ready(x_BTC):
            return ops.linear(x_BTC, self.embedding, None)
        return F.linear(x_BTC, self.embedding.to(x_BTC.dtype))

    # ------------------------------------------------------------------ weights
    def set_embedding(self, table: nn.Parameter | QuantizedLinear) -> None:
        """Put another embedding in place: where head and embedding are tied, both read it."""
        if table.shape != self.embedding.shape:
            raise GlaswerkError(f"the embedding must be {list(self.embedding.shape)}, not {list(table.shape)}")
        del self.embedding
        self.embedding = table

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw all weights anew; the same generator seed gives the same weights.

        With learned positions as GPT-2 did: everything normal with 0.02, what writes into the residual stream
        scaled by 1/sqrt(2 layers). Otherwise: embeddings normal with 0.02, matrices normal with
        1/sqrt(inputs), and what writes into the residual stream zero, so that each block starts as the
        identity.
        """
        if generator is None:
            generator = torch.Generator(self.embedding.device).manual_seed(torch.initial_seed())
        classic = self.config.positions == "learned"
        for name, parameter in self.named_parameters():
            writes = name.endswith(("attention.output.weight", "mlp.down.weight"))
            if name.endswith(".bias"):
                parameter.zero_()
            elif parameter.dim() == 1:
                parameter.fill_(1.0)
            elif writes and not classic:
                parameter.zero_()
            else:
                std = 0.02
                if classic and writes:
                    std /= (2 * self.config.layers) ** 0.5
                elif not classic and name.startswith("blocks."):
                    std = parameter.shape[1] ** -0.5
                parameter.normal_(0.0, std, generator=generator)

    # ------------------------------------------------------------------ counts
    def parameters_count(self) -> dict[str, int]:
        """Parameters by part; see ``count.py``."""
        return parameters_count(self.config)

    def flops_per_token(self, time: int, training: bool = True) -> float:
        """Floating-point operations per token at sequence length ``time``; see ``count.py``."""
        return flops_per_token(self.config, time, training)


def plus(x_BTC: Tensor, change_BTC: Tensor) -> Tensor:
    """The sum."""
    return many.add(x_BTC, change_BTC) if many.ready() else x_BTC + change_BTC


def attention_mask(start: int, time: int, pad: Tensor | None, device: torch.device) -> Tensor | None:
    """True where query ``t`` may look at key ``s``: ``[1, T, S]``, or ``[B, T, S]`` with padding; None:
    everywhere.

    A padding token may look at itself, or its softmax would divide zero by zero.
    """
    if time == 1 and pad is None:
        return None
    query_T1 = torch.arange(start, start + time, device=device)[:, None]
    key_S = torch.arange(start + time, device=device)
    causal_TS = query_T1 >= key_S
    if pad is None:
        return causal_TS[None]
    return (causal_TS & (key_S >= pad[:, None, None])) | (query_T1 == key_S)
