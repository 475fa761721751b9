"""Attention of tokens of many texts whose keys and values lie in pages, read where they lie (``paged.cpp``).

One pass reads tokens side by side, ``[1, N, C]``; a *plan* says where each belongs: for each token its place in its
text, the number of its text, whether it is the text's last one in this pass, and how many blocks of 16 slots at the
beginning of its text are those of the token before; then for each text its pages. All are int64, so that a recorded
program finds them where they were.

A page of keys is ``[G, blocks, D/2, 16, 2]``, one of values ``[G, blocks, 8, D, 2]``, bf16; its slots are a multiple of
16. The plain forms beside the kernels say the same slowly, token by token.

Shapes: N tokens, H query heads, G key/value heads, D head width, P pages, W most pages of a text.
"""

from __future__ import annotations

import torch
from torch import Tensor

from glaswerk.model.native.ops import PLAIN, Call, operation

#: slots of a block
BLOCK = 16


def _sizes(qkv: tuple[int, int], kv_2NGD: Tensor, page: int, width: int) -> tuple[int, ...]:
    (N, heads), (G, D) = qkv, kv_2NGD.shape[2:]
    return N, heads, G, D, page, width, kv_2NGD[0].numel()


def slots(plan: Tensor, tokens: int, width: int, row: int, count: int, page: int) -> tuple[Tensor, Tensor]:
    """The pages in which a text's first ``count`` tokens lie, and their slots there."""
    table_W = plan[4 * tokens :].view(-1, width)[row]
    place_T = torch.arange(count)
    return table_W[place_T // page], place_T % page


def in_pages(kv_2NGD: Tensor, page: int) -> tuple[Tensor, Tensor]:
    """Views of keys ``[P, G, blocks, D/2, 16, 2]`` and values ``[P, G, blocks, 8, D, 2]``."""
    G, D = kv_2NGD.shape[2:]
    keys, values = kv_2NGD.view(2, -1, G, page // BLOCK, BLOCK * D)
    return keys.unflatten(-1, (D // 2, BLOCK, 2)), values.unflatten(-1, (BLOCK // 2, D, 2))


@operation(
    "store_pages(Tensor qkv, Tensor(a!) kv, Tensor? q_norm, Tensor? k_norm, Tensor? cos, Tensor? sin, Tensor plan, "
    "int page, int width, float eps) -> Tensor",
    lambda out, qkv, kv, q_norm, k_norm, cos, sin, plan, page, width, eps: Call(
        "store_pages",
        (out, qkv, kv, q_norm, k_norm, cos, sin, plan),
        _sizes(out.shape[:2], kv, page, width),
        eps,
        shared=True,
    ),
    lambda qkv, kv, *_: torch.empty(
        qkv.shape[1], qkv.shape[2] // kv.shape[3] - 2 * kv.shape[2], kv.shape[3], dtype=torch.bfloat16
    ),
)
def store_pages(
    qkv_1NE: Tensor,
    kv_2NGD: Tensor,
    q_norm_D: Tensor | None,
    k_norm_D: Tensor | None,
    cos_PD: Tensor | None,
    sin_PD: Tensor | None,
    plan: Tensor,
    page: int,
    width: int,
    eps: float,
) -> Tensor:
    """Put the tokens' keys and values into their pages; returns their queries ``[N, H, D]`` in bf16, turned and divided
    by sqrt(D)."""
    (G, D), N = kv_2NGD.shape[2:], qkv_1NE.shape[1]
    q_NHD, k_NGD, v_NGD = qkv_1NE.view(N, -1, D).split((qkv_1NE.shape[2] // D - 2 * G, G, G), 1)
    if q_norm_D is not None and k_norm_D is not None:
        q_NHD, k_NGD = PLAIN["rms_norm"](q_NHD, q_norm_D, eps), PLAIN["rms_norm"](k_NGD, k_norm_D, eps)
    if cos_PD is not None and sin_PD is not None:
        turn = [table[plan[:N]][:, None] for table in (cos_PD, sin_PD)]
        q_NHD, k_NGD = PLAIN["rotary"](q_NHD, *turn), PLAIN["rotary"](k_NGD, *turn)
    keys, values = in_pages(kv_2NGD, page)
    for token, (position, row, last) in enumerate(plan[: 3 * N].view(3, N).T.tolist()):
        in_page, in_slot = (int(part[-1]) for part in slots(plan, N, width, row, position + 1, page))
        block, slot = divmod(in_slot, BLOCK)
        keys[in_page, :, block, :, slot] = k_NGD[token].unflatten(-1, (-1, 2)).to(keys.dtype)
        values[in_page, :, block, slot // 2, :, slot % 2] = v_NGD[token].to(values.dtype)
        for behind in range(slot + 1, BLOCK if last else 0):
            values[in_page, :, block, behind // 2, :, behind % 2] = 0
    return (q_NHD * D**-0.5).bfloat16()


@operation(
    "attend_pages(Tensor queries, Tensor kv, Tensor plan, int page, int width) -> Tensor",
    lambda out, queries, kv, plan, page, width: Call(
        "attend_pages", (out, queries, kv, plan), _sizes(queries.shape[:2], kv, page, width), shared=True
    ),
    lambda queries, *_: torch.empty(1, queries.shape[0], queries.shape[1] * queries.shape[2]),
)
def attend_pages(q_NHD: Tensor, kv_2NGD: Tensor, plan: Tensor, page: int, width: int) -> Tensor:
    """From each token to all of its text up to itself: ``[1, N, H D]``. The kernel rounds the weights to bf16."""
    (N, H, D), G = q_NHD.shape, kv_2NGD.shape[2]
    keys, values = in_pages(kv_2NGD, page)
    out_NHD = torch.empty(N, H, D)
    for token, (position, row) in enumerate(plan[: 2 * N].view(2, N).T.tolist()):
        in_page, in_slot = slots(plan, N, width, row, position + 1, page)
        block, slot = in_slot // BLOCK, in_slot % BLOCK
        k_TGD = keys[in_page, :, block, :, slot].flatten(-2).float()
        v_TGD = values[in_page, :, block, slot // 2, :, slot % 2].float()
        q_GRD = q_NHD[token].view(G, -1, D).float()
        weights_GRT = (q_GRD @ k_TGD.permute(1, 2, 0)).softmax(-1)
        out_NHD[token] = (weights_GRT @ v_TGD.transpose(0, 1)).reshape(H, D)
    return out_NHD.view(1, N, H * D)
