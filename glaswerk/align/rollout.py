"""Rollouts: several sampled replies to each prompt, with what the policy thought of each of its tokens.

Our own engine writes them, many side by side, at temperature 1 and with nothing cut off the distribution, so that the
log-probabilities are those that were drawn from. (Ids that the tokenizer has no text for are never drawn; their share
of the probability counts all the same.) The log-probabilities come from one forward pass of the finished replies, in
the shapes of training. An end token is a token like any other: it was drawn, and it is learned. A reply without one was
cut. Left out: what rewards are for (``advantages.py``, ``policy_losses.py``).

Shapes: B replies (G to each prompt, side by side), T time, N sampled tokens of the longest reply.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glaswerk.align.losses import token_log_probs
from glaswerk.align.reward import Judge
from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.task import Messages, Task
from glaswerk.generate import SamplingOptions
from glaswerk.generate.decoding import ROWS, WIDE, Row, end_set, steps
from glaswerk.model.decoder import Decoder
from glaswerk.tokenizer.interface import Tokenizer
from glaswerk.train.data import IGNORE

#: replies that go through a forward pass side by side
TOGETHER = 32


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
    together = ROWS * max(1, WIDE // model.config.width)
    order = sorted(rows, key=lambda row: len(row.prompt))
    for start in range(0, len(order), together):
        for pieces in steps(model, tokenizer, order[start : start + together], options):
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
    in the model's ``compute_dtype``."""
    training, device = model.training, model.embedding.device
    model.eval()
    try:
        found = []
        for start in range(0, len(ids_BT), TOGETHER):
            members = range(start, min(start + TOGETHER, len(ids_BT)))
            batch = rows_of(ids_BT, columns_BN, targets_BN, members)
            values = token_log_probs(model, *(part.to(device) for part in batch))
            found.append(values.view(len(members), -1).to(ids_BT.device))
        return torch.cat(found)
    finally:
        model.train(training)


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
