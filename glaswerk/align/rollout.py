"""Rollouts: several sampled replies to each prompt, with what the policy thought of each of its tokens.

Our own engine writes them, many side by side, at temperature 1 and with nothing cut off the distribution, so that the
log-probabilities are those that were drawn from. (Ids that the tokenizer has no text for are never drawn; their share
of the probability counts all the same.) The log-probabilities come from one forward pass of the finished replies; they
are drawn, and computed again, in the dtype of training. A prompt is read once for all its replies, both times. In bf16
such a pass and a step's own, which has other shapes, are as far apart as each is from fp32: in the mean 0.004 nats a
token in a model of 10 M parameters, 0.04 in SmolLM2-135M. An end token is a token like any other: it was drawn, and it
is learned. A reply without one was cut. Left out: what rewards are for (``advantages.py``, ``policy_losses.py``).

Shapes: B replies (G to each prompt, side by side), T time, N sampled tokens of the longest reply.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from glaswerk.align.losses import spoken_log_probs
from glaswerk.align.reward import Judge
from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.task import Messages, Task
from glaswerk.generate import SamplingOptions
from glaswerk.generate.decoding import Row, end_set, read_prompts, steps
from glaswerk.generate.sampling import draw
from glaswerk.model.decoder import Decoder, attention_mask
from glaswerk.model.mixed import cast_once
from glaswerk.model.native import between
from glaswerk.tokenizer.interface import Tokenizer
from glaswerk.train.data import IGNORE

#: replies that go through a forward pass side by side
TOGETHER = 32
#: replies that are drawn side by side, and bytes of their keys and values: at most
DRAWN, MEMORY = 256, 1 << 29


@dataclass(frozen=True)
class Rollouts:
    """``ids_BT`` is prompt and reply but for the last token, filled up at the right; at ``columns_BN`` the model says
    what follows, which is ``targets_BN`` (``IGNORE`` behind a reply's last token) with ``log_probs_BN`` (0 there)."""

    group: int
    ids_BT: Tensor
    columns_BN: Tensor
    targets_BN: Tensor
    log_probs_BN: Tensor
    #: whether a reply came to its end; else it was cut
    ended: list[bool]
    replies: list[str]

    @property
    def mask_BN(self) -> Tensor:
        """True at sampled tokens."""
        return self.targets_BN != IGNORE

    def rows(self, members: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """``(ids, places [n * N], targets [n * N])`` of some replies, as ``token_log_probs`` takes them."""
        return rows_of(self.ids_BT, self.columns_BN, self.targets_BN, members)


def roll_out(
    model: Decoder,
    tokenizer: Tokenizer,
    prompts: Sequence[Sequence[int]],
    group: int,
    *,
    max_tokens: int,
    seed: int,
    end_ids: Collection[int] | None = None,
) -> Rollouts:
    """``group`` replies to each prompt (token ids), of at most ``max_tokens`` tokens and what the context leaves. Reply
    ``g`` to prompt ``p`` is drawn with ``seed + p * group + g``. ``end_ids`` end a reply (default: the tokenizer's).
    Raises :class:`GlaswerkError` where a prompt is empty or leaves no room.
    """
    if group < 1 or not prompts:
        raise GlaswerkError("rollouts need at least one prompt and one reply to each")
    drawn = sampled(model, tokenizer, [ids for ids in prompts for _ in range(group)], max_tokens, seed, end_ids)
    longest = max(len(one.tokens) for one in drawn)
    # whole lengths of 16 keep the shapes of one round from those of the next few apart
    time = -(-max(len(one.prompt) + len(one.tokens) - 1 for one in drawn) // 16) * 16
    time = min(time, model.config.context)
    ids_BT = torch.full((len(drawn), time), tokenizer.end_id)
    columns_BN = torch.zeros(len(drawn), longest, dtype=torch.int64)
    targets_BN = torch.full((len(drawn), longest), IGNORE)
    for row, one in enumerate(drawn):
        whole, count = [*one.prompt, *one.tokens[:-1]], len(one.tokens)
        ids_BT[row, : len(whole)] = torch.tensor(whole)
        columns_BN[row, :count] = torch.arange(len(one.prompt) - 1, len(whole))
        targets_BN[row, :count] = torch.tensor(one.tokens)
    log_probs_BN = log_probs(model, ids_BT, columns_BN, targets_BN)
    ended, replies = [one.ended for one in drawn], [one.text for one in drawn]
    return Rollouts(group, ids_BT, columns_BN, targets_BN, log_probs_BN, ended, replies)


@dataclass
class Drawn:
    """One reply: ``tokens`` with the one that ended it, ``text`` without."""

    prompt: Sequence[int]
    tokens: list[int]
    text: str = ""
    ended: bool = False


def sampled(
    model: Decoder,
    tokenizer: Tokenizer,
    prompts: Sequence[Sequence[int]],
    max_tokens: int,
    seed: int,
    end_ids: Collection[int] | None,
) -> list[Drawn]:
    """A reply to each prompt; the same with the same seed, whatever lies beside it."""
    ends, options = end_set(tokenizer, end_ids), SamplingOptions(max_tokens=max_tokens, temperature=1.0, seed=seed)
    rows = [Row(model, tokenizer, ids, options, ends, place) for place, ids in enumerate(prompts)]
    drawn = [Drawn(row.prompt, []) for row in rows]
    config, dtype = model.config, model.compute_dtype or model.embedding.dtype
    slots = max(map(len, prompts)) + max(row.limit for row in rows)
    each = 2 * config.layers * config.kv_heads * config.head_width * slots * dtype.itemsize
    together = max(1, min(DRAWN, MEMORY // each))
    # neighbours of like length waste little on padding; those of one prompt stay side by side
    order = sorted(rows, key=lambda row: len(row.prompt))
    with quick(model):
        for start in range(0, len(order), together):
            for pieces in steps(model, tokenizer, order[start : start + together], options, draw):
                for row, piece in pieces:
                    one = drawn[row.place]
                    one.tokens.append(piece.id)
                    one.text += piece.text
                    one.ended = piece.finish_reason == "stop"
    for one in drawn:
        one.text = one.text.strip()
    return drawn


@torch.no_grad()
def log_probs(model: Decoder, ids_BT: Tensor, columns_BN: Tensor, targets_BN: Tensor) -> Tensor:
    """log p of each target, fp32 ``[B, N]`` where the ids are: of the policy itself or of a reference; without dropout,
    in the model's ``compute_dtype``. A prompt is read once for all its replies."""
    training = model.training
    model.eval()
    found = torch.zeros(targets_BN.shape)
    prompt_B, count_B = columns_BN[:, 0] + 1, (targets_BN != IGNORE).sum(1)
    # replies to one prompt side by side, beside those to prompts of like length
    order = sorted(range(len(ids_BT)), key=lambda row: (int(prompt_B[row]), ids_BT[row, : prompt_B[row]].tolist()))
    try:
        with quick(model):
            for start in range(0, len(order), TOGETHER):
                members = order[start : start + TOGETHER]
                prompts = [ids_BT[row, : prompt_B[row]].tolist() for row in members]
                replies_BN = targets_BN[members, : int(count_B[members].max())]
                found[members, : replies_BN.shape[1]] = reply_log_probs(model, prompts, replies_BN).cpu()
        return found.to(ids_BT.device)
    finally:
        model.train(training)


def reply_log_probs(model: Decoder, prompts: Sequence[Sequence[int]], targets_BN: Tensor) -> Tensor:
    """log p of each token of a reply to each prompt, fp32 ``[B, N]``; 0 where the target is ``IGNORE``."""
    device, context = model.embedding.device, model.config.context
    targets_BN = targets_BN.to(device)
    longest, more = max(map(len, prompts)), targets_BN.shape[1] - 1
    cache, pad, x_BC = read_prompts(model, prompts, longest + more)
    x_BNC = x_BC[:, None]
    if more:
        # what fills a reply up may stand beyond the context: nobody looks at it
        positions_BT = torch.arange(longest, longest + more, device=device)[None]
        positions_BT = (positions_BT - (0 if pad is None else pad[:, None])).clamp_max(context - 1)
        mask = attention_mask(longest, more, pad, device)
        ids_BT = targets_BN[:, :-1].clamp_min(0)
        x_BTC = model.hidden(ids_BT, cache=cache, positions=positions_BT, mask=mask)
        x_BNC = torch.cat((x_BNC, x_BTC), 1)
    spoken_BN = targets_BN != IGNORE
    found_BN = torch.zeros(targets_BN.shape, device=device)
    found_BN[spoken_BN] = spoken_log_probs(model, x_BNC[spoken_BN], targets_BN[spoken_BN])
    return found_BN


@contextmanager
def quick(model: Decoder) -> Iterator[None]:
    """Inside nothing is learned: matrices are cast once, and what stands between them is one operation each."""
    with cast_once(model), between.fused():
        yield


def rows_of(
    ids_BT: Tensor, columns_BN: Tensor, targets_BN: Tensor, members: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Some rows, their columns as places: row times T plus column."""
    chosen = torch.tensor(list(members), device=ids_BT.device)
    begin = torch.arange(len(chosen), device=ids_BT.device)[:, None] * ids_BT.shape[1]
    return ids_BT[chosen], (columns_BN[chosen] + begin).flatten(), targets_BN[chosen].flatten()


# ---------------------------------------------------------------------------------------------- rewards
def graded(task: Task, items: Sequence[int], rollouts: Rollouts) -> Tensor:
    """A task's grade of each reply, fp32 ``[B]``; prompt ``p`` asked item ``items[p]``."""
    asked = [item for item in items for _ in range(rollouts.group)]
    return torch.tensor([task.grade(item, reply) for item, reply in zip(asked, rollouts.replies, strict=True)])


def judged(judge: Judge, prompts: Sequence[Messages], rollouts: Rollouts) -> Tensor:
    """A reward model's reward of each reply, fp32 ``[B]``; ``prompts`` are the conversations up to the reply."""
    asked = [messages for messages in prompts for _ in range(rollouts.group)]
    return torch.tensor(
        judge.rewards(
            [
                [*messages, {"role": "assistant", "content": reply}]
                for messages, reply in zip(asked, rollouts.replies, strict=True)
            ]
        )
    )
