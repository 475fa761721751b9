"""Prefill and decode: read the prompts once, then one token per step with the KV cache, for one prompt or
many.

Prompts that are the same, as in the group of a rollout, are read once.

The rule for the context: prompt and continuation together never exceed it. A prompt that leaves no room is an
error; a continuation that reaches the end stops with ``finish_reason`` "length". Left out: sampling
(``sampling.py``), when text is shown (``writing.py``), guessing ahead (``speculative.py``).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import torch

from glaswerk.errors import GlaswerkError
from glaswerk.generate.constrain import Grammar, grammar, mask_logits
from glaswerk.generate.program import Reader, read_prompt
from glaswerk.generate.sampling import SamplingOptions, choose, penalize_repetition, shift
from glaswerk.generate.speculative import speculate
from glaswerk.generate.writing import Writer
from glaswerk.model.cache import Cache
from glaswerk.model.decoder import Decoder
from glaswerk.tokenizer.interface import Tokenizer

#: prompts computed side by side; as many times more as a model is narrower than ``WIDE``, whose steps cost their calls
ROWS, WIDE = 32, 512
#: where no more than this share of the rows goes on, the others leave: moving what is kept costs about a step
STAY = 0.75


@dataclass(frozen=True, slots=True)
class Piece:
    """One sampled token and the text that became showable with it (often none, sometimes more than its own).

    The last piece has a ``finish_reason``: "stop" (an end token, a stop text, or all was said that was asked for) or
    "length". ``drafted``: a draft guessed it.
    """

    text: str
    id: int
    finish_reason: str | None = None
    drafted: bool = False


@dataclass(frozen=True, slots=True)
class Generated:
    """A finished continuation. ``ids`` are the sampled tokens without the end token; ``text`` ends before a
    stop text.
    """

    text: str
    ids: list[int]
    finish_reason: str
    prompt_tokens: int
    seconds: float
    #: seconds from the call to the first token
    first_seconds: float
    #: tokens that a draft guessed, and those of them that were kept
    proposed: int = 0
    accepted: int = 0

    @property
    def tokens_per_second(self) -> float:
        """Tokens after the first per second; the first one's time is the prompt's. 0 where there is no second
        token.
        """
        return (len(self.ids) - 1) / max(self.seconds - self.first_seconds, 1e-9) if len(self.ids) > 1 else 0.0

    @property
    def acceptance(self) -> float:
        """The share of a draft's guesses that was kept; 0 without a draft."""
        return self.accepted / max(1, self.proposed)

    @property
    def prefill_tokens_per_second(self) -> float:
        """Tokens of the prompt per second until the first token."""
        return self.prompt_tokens / max(self.first_seconds, 1e-9)


def stream(
    model: Decoder,
    tokenizer: Tokenizer,
    prompt_ids: Sequence[int],
    options: SamplingOptions,
    end_ids: Collection[int] | None = None,
    draft: Decoder | str | None = None,
) -> Iterator[Piece]:
    """Continue one prompt, piece by piece. ``end_ids`` end the text and are not part of it (default: the
    tokenizer's ``end_id``). ``draft`` guesses ahead: a model with the same vocabulary, or "lookup" (see
    ``speculative.py``). Raises :class:`GlaswerkError` where the prompt is empty or leaves no room in the context.
    """
    row = Row(model, tokenizer, prompt_ids, options, end_set(tokenizer, end_ids), 0, grammar(tokenizer, options))
    for pieces in advance(model, tokenizer, [row], options, draft):
        yield from (piece for _, piece in pieces)


def batch(
    model: Decoder,
    tokenizer: Tokenizer,
    prompts: Sequence[Sequence[int]],
    options: SamplingOptions,
    end_ids: Collection[int] | None = None,
    draft: Decoder | str | None = None,
) -> list[Generated]:
    """Continue many prompts side by side, ``ROWS`` or more (with a ``draft`` one by one); each gets the text it would
    get alone (with a seed, prompt ``i`` draws with ``seed + i``).
    """
    ends, asked = end_set(tokenizer, end_ids), grammar(tokenizer, options)
    rows = [Row(model, tokenizer, ids, options, ends, place, asked) for place, ids in enumerate(prompts)]
    together = ROWS * max(1, WIDE // model.config.width) if draft is None else 1
    done: dict[int, Generated] = {}
    # neighbours of like length waste little on padding
    order = sorted(rows, key=lambda row: len(row.prompt))
    for start in range(0, len(order), together):
        began = time.perf_counter()
        group = order[start : start + together]
        texts: dict[int, list[str]] = {row.place: [] for row in group}
        first = 0.0
        for pieces in advance(model, tokenizer, group, options, draft):
            now = time.perf_counter() - began
            first = first or now
            for row, piece in pieces:
                texts[row.place].append(piece.text)
                if piece.finish_reason:
                    text = "".join(texts[row.place])
                    length, counts = len(row.prompt), (row.proposed, row.accepted)
                    done[row.place] = Generated(text, row.ids, piece.finish_reason, length, now, first, *counts)
    return [done[place] for place in range(len(rows))]


def complete(
    model: Decoder,
    tokenizer: Tokenizer,
    prompt_ids: Sequence[int],
    options: SamplingOptions,
    end_ids: Collection[int] | None = None,
    draft: Decoder | str | None = None,
) -> Generated:
    """:func:`stream`, joined."""
    return batch(model, tokenizer, [prompt_ids], options, end_ids, draft)[0]


class Row:
    """One continuation in the making."""

    def __init__(
        self,
        model: Decoder,
        tokenizer: Tokenizer,
        prompt: Sequence[int],
        options: SamplingOptions,
        ends: frozenset[int],
        place: int,
        asked: Grammar | None = None,
    ) -> None:
        context, size = model.config.context, model.config.vocabulary_size
        if not prompt:
            raise GlaswerkError("the prompt is empty: give at least one token")
        if len(prompt) >= context:
            raise GlaswerkError(
                f"the prompt has {len(prompt):,} tokens and the model's context is {context:,}: shorten it, "
                "there must be room for at least one more"
            )
        if max(prompt) >= size or min(prompt) < 0:
            raise GlaswerkError(
                f"the prompt has the token {max(prompt)} and the model knows {size}: the tokenizer is not its own"
            )
        self.prompt, self.place, self.ends, self.options = list(prompt), place, ends, options
        self.limit = min(options.max_tokens, context - len(prompt))
        self.matcher = None if asked is None else asked.matcher()
        if self.matcher is not None and self.matcher.least() > self.limit:
            raise GlaswerkError(
                f"there is room for {self.limit} tokens and the shortest text that fits may need "
                f"{self.matcher.least()}: raise max_tokens or shorten the prompt"
            )
        self.proposed = self.accepted = 0
        self.writer = Writer(tokenizer, options.stop)
        self.generator = torch.Generator()
        if options.seed is None:
            self.generator.seed()
        else:
            self.generator.manual_seed(options.seed + place)
        self.ids: list[int] = []
        self.finished = False

    def constrain(self, logits_V: torch.Tensor) -> torch.Tensor:
        """The logits as the options shift them, without the tokens that may not come here."""
        if self.options.shifts:
            logits_V = shift(logits_V, self.options, self.ids)
        if self.matcher is None or self.finished:
            return logits_V
        return mask_logits(logits_V, self.matcher, self.limit - len(self.ids), self.ends)

    def take(self, number: int, drafted: bool = False) -> Piece:
        """Add a sampled token; decides whether the row is finished."""
        if number in self.ends:
            self.finished = True
            return Piece(self.writer.flush(), number, "stop", drafted)
        self.ids.append(number)
        text = self.writer.push(number)
        if self.writer.stopped:
            self.finished = True
            return Piece(text, number, "stop", drafted)
        if self.matcher is not None:
            self.matcher.advance(number)
            if self.matcher.complete:  # only the end may follow: nobody has to be asked
                self.finished = True
                return Piece(text + self.writer.flush(), number, "stop", drafted)
        if len(self.ids) >= self.limit:
            self.finished = True
            return Piece(text + self.writer.flush(), number, "length", drafted)
        return Piece(text, number, None, drafted)


def advance(
    model: Decoder, tokenizer: Tokenizer, rows: list[Row], options: SamplingOptions, draft: Decoder | str | None
) -> Iterator[list[tuple[Row, Piece]]]:
    """:func:`steps`, or with a draft the same for one row."""
    if draft is None:
        return steps(model, tokenizer, rows, options)
    return speculate(model, tokenizer, rows[0], options, draft)


@torch.inference_mode()
def steps(
    model: Decoder,
    tokenizer: Tokenizer,
    rows: list[Row],
    options: SamplingOptions,
    pick: Callable[[torch.Tensor, SamplingOptions, Sequence[torch.Generator]], list[int]] = choose,
) -> Iterator[list[tuple[Row, Piece]]]:
    """One step of all unfinished rows at a time: feed, choose, hand out. ``pick`` chooses: ``choose``, or ``draw``."""
    training, device = model.training, model.embedding.device
    reader: Reader | None = None
    model.eval()
    try:
        longest = max(len(row.prompt) for row in rows)
        slots = longest + max(row.limit for row in rows)
        # ids that the tokenizer has no text for (a padded vocabulary) are never chosen
        known = min(model.config.vocabulary_size, tokenizer.vocabulary_size)
        # what ends a text is not penalized for having been seen: ending must stay possible
        never_seen = [number for number in rows[0].ends if number < known]
        seen_BV = seen_tokens(rows, known, never_seen).to(device) if options.repetition_penalty != 1 else None
        # one row is read by a program, token after token
        reader = Reader(model, slots, known) if len(rows) == 1 else None
        pad: torch.Tensor | None = None
        if reader is not None:
            cache = reader.cache
            logits_BV = reader.read(torch.tensor([rows[0].prompt], device=device))
        else:
            cache, pad, x_BC = read_prompts(model, [row.prompt for row in rows], slots)
            logits_BV = model.head(x_BC)[:, :known]
        changed = options.shifts or rows[0].matcher is not None
        greedy = options.temperature == 0 and seen_BV is None and not changed
        while True:
            logits_BV = logits_BV.float()
            if changed:
                logits_BV = torch.stack([row.constrain(one) for row, one in zip(rows, logits_BV, strict=True)])
            if seen_BV is not None:
                logits_BV = penalize_repetition(logits_BV, seen_BV, options.repetition_penalty)
            best = reader.best() if reader is not None and greedy else None
            if best is not None and math.isfinite(best[1]):
                chosen = [best[0]]
            else:
                chosen = pick(logits_BV, options, [row.generator for row in rows])
            live = [place for place, row in enumerate(rows) if not row.finished]
            yield [(rows[place], rows[place].take(chosen[place])) for place in live]
            if all(row.finished for row in rows):
                return
            ids_BT = torch.tensor(chosen, device=device)[:, None]
            if seen_BV is not None:
                seen_BV.scatter_(1, ids_BT, True)
                seen_BV[:, never_seen] = False
            kept = [place for place, row in enumerate(rows) if not row.finished]
            # go on with the unfinished only: when enough ended, or a finished one would leave the context
            full = cache.length >= min(model.config.context + longest - len(row.prompt) for row in rows)
            if full or len(kept) <= STAY * len(rows):
                rows, index = [rows[place] for place in kept], torch.tensor(kept, device=device)
                cache.keep(index)
                ids_BT = ids_BT[index]
                pad = pad[index] if pad is not None else None
                seen_BV = seen_BV[index] if seen_BV is not None else None
            if reader is not None:
                logits_BV = reader.read(ids_BT)
            else:
                logits_BV = model.head(model.hidden(ids_BT, cache=cache, pad=pad)[:, -1])[:, :known]
    finally:
        model.train(training)
        if reader is not None:
            reader.close()


def read_prompts(
    model: Decoder, prompts: Sequence[Sequence[int]], slots: int
) -> tuple[Cache, torch.Tensor | None, torch.Tensor]:
    """A cache of ``slots`` with the prompts in it, how far each is padded on the left (None: nowhere), and the hidden
    vector of each one's last token, ``[B, C]``. Prompts that are the same are read once.
    """
    places: dict[tuple[int, ...], int] = {}
    which = [places.setdefault(tuple(ids), len(places)) for ids in prompts]
    device, longest = model.embedding.device, max(map(len, prompts))
    ids_BT = torch.zeros(len(places), longest, dtype=torch.long)
    for place, ids in enumerate(places):
        ids_BT[place, longest - len(ids) :] = torch.tensor(ids)
    pad_B = torch.tensor([longest - len(ids) for ids in places], device=device)
    pad = pad_B if bool(pad_B.any()) else None
    cache = Cache(model.config, len(places), slots, model.compute_dtype or model.embedding.dtype, device)
    x_BC = read_prompt(model, ids_BT.to(device), cache, pad)
    if len(places) < len(prompts):
        index = torch.tensor(which, device=device)
        cache.keep(index)
        cache.begin_alike(index, longest)
        x_BC, pad = x_BC[index], None if pad is None else pad[index]
    return cache, pad, x_BC


def seen_tokens(rows: list[Row], known: int, never_seen: list[int]) -> torch.Tensor:
    """Which of the ``known`` tokens each prompt holds, ``[B, V]`` bool, without those in ``never_seen``."""
    seen_BV = torch.zeros(len(rows), known, dtype=torch.bool)
    for place, row in enumerate(rows):
        seen_BV[place, [number for number in row.prompt if number < known]] = True
    seen_BV[:, never_seen] = False
    return seen_BV


def end_set(tokenizer: Tokenizer, end_ids: Collection[int] | None) -> frozenset[int]:
    """The ids that end a text."""
    return frozenset((tokenizer.end_id,) if end_ids is None else end_ids)
