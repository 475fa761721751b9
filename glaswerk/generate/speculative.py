"""Speculative decoding (Leviathan, Kalman and Matias 2023): guess a few tokens cheaply, check them all in one pass.

One pass of the model over k + 1 tokens reads the weights once and costs little more than a pass over one. So somebody
quick proposes k tokens: a small *draft* model with the same vocabulary, or the text itself (*prompt lookup*, Saxena
2023: what followed the last time these words stood here). The model then says at each place what it would have drawn,
and a rule decides how far the guesses are kept. The rule is exact: tokens come with the very probabilities that the
model alone would give them, however bad the guesses are. Bad guesses only cost time.

One text at a time. Left out: trees of guesses, extra heads that guess (Medusa, EAGLE).

Shapes: K tokens fed at once, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from glaswerk.errors import GlaswerkError
from glaswerk.generate.program import Reader
from glaswerk.generate.sampling import SamplingOptions, candidates, penalize_repetition
from glaswerk.model.decoder import Decoder
from glaswerk.tokenizer.interface import Tokenizer

if TYPE_CHECKING:
    from glaswerk.generate.decoding import Piece, Row

#: tokens proposed at first, and at most
FIRST, MOST = 4, 8
#: prompt lookup looks for the last so many tokens, then for fewer
LONGEST = 3


def probabilities(logits_V: Tensor, options: SamplingOptions) -> Tensor:
    """The distribution that a token is drawn from, ``[V]``, for a ``temperature`` above 0."""
    return candidates(logits_V[None], options).softmax(-1)[0]


def draw(weight_V: Tensor, generator: torch.Generator) -> int:
    """One draw in proportion to ``weight_V``."""
    return int(torch.multinomial(weight_V, 1, generator=generator))


def decide(p_V: Tensor, q_V: Tensor | None, proposed: int, generator: torch.Generator) -> int:
    """The next token, distributed as ``p_V``, given a proposal drawn from ``q_V`` (None: it was certain).

    Keep the proposal with probability min(1, p / q). Otherwise draw from what p has more than q, max(0, p - q). Both
    ways together, each token comes with probability min(p, q) + max(0, p - q) = p.
    """
    q = 1.0 if q_V is None else float(q_V[proposed])
    if float(torch.rand((), generator=generator)) * q < float(p_V[proposed]):
        return proposed
    if q_V is None:
        excess_V = p_V.clone()
        excess_V[proposed] = 0
    else:
        excess_V = (p_V - q_V).clamp_min(0)
    # rounding may leave nothing where p and q are as good as equal
    return draw(excess_V if float(excess_V.sum()) > 0 else p_V, generator)


class Draft(Protocol):
    """Proposes how a text may go on."""

    def propose(
        self, ids: Sequence[int], count: int, seen_V: Tensor | None, generator: torch.Generator
    ) -> tuple[list[int], Sequence[Tensor | None]]:
        """Up to ``count`` tokens after ``ids``, and for each the distribution ``[V]`` it was drawn from (None:
        certain). ``ids`` begin as those of the last call, up to what was rejected then.
        """


class LookupDraft:
    """What followed when the last tokens stood in the text before; nothing where they never did."""

    def __init__(self) -> None:
        #: the last few tokens -> where the text went on after them, the latest place
        self.places: dict[tuple[int, ...], int] = {}
        self.known = 1

    def propose(
        self, ids: Sequence[int], count: int, seen_V: Tensor | None, generator: torch.Generator
    ) -> tuple[list[int], Sequence[Tensor | None]]:
        for end in range(self.known, len(ids)):  # the end of the text itself is not entered: nothing follows it yet
            for length in range(1, min(LONGEST, end) + 1):
                self.places[tuple(ids[end - length : end])] = end
        self.known = max(self.known, len(ids))
        for length in range(min(LONGEST, len(ids)), 0, -1):
            place = self.places.get(tuple(ids[len(ids) - length :]))
            if place is not None:
                proposed = list(ids[place : place + count])
                return proposed, [None] * len(proposed)
        return [], []


class ModelDraft:
    """A smaller model with the same vocabulary, with a cache of its own."""

    def __init__(self, model: Decoder, known: int, options: SamplingOptions, slots: int) -> None:
        self.model, self.known, self.options = model, known, options
        self.room = min(slots, model.config.context)
        self.reader = Reader(model, self.room, known)
        self.cache = self.reader.cache
        self.read: list[int] = []  # the tokens in the cache

    def propose(
        self, ids: Sequence[int], count: int, seen_V: Tensor | None, generator: torch.Generator
    ) -> tuple[list[int], Sequence[Tensor | None]]:
        same = 0
        while same < min(len(self.read), len(ids) - 1) and self.read[same] == ids[same]:
            same += 1
        self.cache.length = same
        del self.read[same:]
        seen_V = None if seen_V is None else seen_V.clone()
        proposed: list[int] = []
        drawn_from: list[Tensor | None] = []
        feed = list(ids[same:])
        while len(proposed) < count and self.cache.length + len(feed) <= self.room:
            logits_V = last_logits(self.model, self.reader, feed, 1)[0]
            self.read += feed
            if seen_V is not None:
                logits_V = penalize_repetition(logits_V, seen_V, self.options.repetition_penalty)
            if self.options.temperature == 0:
                number, q_V = int(logits_V.argmax()), None
            else:
                q_V = probabilities(logits_V, self.options)
                number = draw(q_V, generator)
            proposed.append(number)
            drawn_from.append(q_V)
            if seen_V is not None:
                seen_V[number] = True
            feed = [number]
        return proposed, drawn_from


def last_logits(model: Decoder, reader: Reader, ids: Sequence[int], count: int) -> Tensor:
    """Read ``ids`` after what the cache holds; the logits of the last ``count`` places, ``[count, V]`` fp32."""
    ids_1K = torch.tensor([ids], device=model.embedding.device)
    if count == 1:
        return reader.read(ids_1K).float()
    return model.head(model.hidden(ids_1K, cache=reader.cache)[0, -count:])[:, : reader.known].float()


@torch.inference_mode()
def speculate(
    model: Decoder, tokenizer: Tokenizer, row: Row, options: SamplingOptions, draft: Decoder | str
) -> Iterator[list[tuple[Row, Piece]]]:
    """Continue one text; each step hands out what one pass of the model decided, from one token to k + 1.

    ``draft`` is a model with the same vocabulary or ``"lookup"``. ``row.proposed`` and ``row.accepted`` count.
    """
    if isinstance(draft, str) and draft != "lookup":
        raise GlaswerkError(f'draft must be an opened model or "lookup", not {draft!r}')
    models = [model] if isinstance(draft, str) else [model, draft]
    training = [one.training for one in models]
    readers: list[Reader] = []
    guesser: Draft
    try:
        for one in models:
            one.eval()
        known = min(tokenizer.vocabulary_size, model.config.vocabulary_size)
        slots = len(row.prompt) + row.limit
        readers.append(Reader(model, slots, known))
        cache, guesser = readers[0].cache, LookupDraft()
        if isinstance(draft, Decoder):
            guesser = ModelDraft(draft, known, options, slots)
            readers.append(guesser.reader)
        never_seen = [number for number in row.ends if number < known]
        seen_V = None
        if options.repetition_penalty != 1:
            seen_V = torch.zeros(known, dtype=torch.bool, device=model.embedding.device)
            seen_V[[number for number in row.prompt if number < known]] = True
            seen_V[never_seen] = False
        ids, count = list(row.prompt), FIRST
        proposed: list[int] = []  # nothing at first: the prompt is read and the first token comes soon
        drawn_from: Sequence[Tensor | None] = []
        while True:
            logits_KV = last_logits(model, readers[0], [*ids[cache.length :], *proposed], len(proposed) + 1)
            pieces: list[tuple[Row, Piece]] = []
            kept = 0
            for place, logits_V in enumerate(logits_KV):
                if not bool(torch.isfinite(logits_V.max())):
                    raise GlaswerkError("the model's logits are not finite numbers: its weights are damaged")
                logits_V = row.constrain(logits_V)
                if seen_V is not None:
                    logits_V = penalize_repetition(logits_V, seen_V, options.repetition_penalty)
                guess = proposed[place] if place < len(proposed) else None
                if options.temperature == 0:
                    number = int(logits_V.argmax())
                elif guess is None:
                    number = draw(probabilities(logits_V, options), row.generator)
                else:
                    number = decide(probabilities(logits_V, options), drawn_from[place], guess, row.generator)
                piece = row.take(number, drafted=number == guess)
                pieces.append((row, piece))
                ids.append(number)
                if seen_V is not None and number not in row.ends:
                    seen_V[number] = True
                kept += number == guess
                if row.finished or number != guess:
                    break
            row.proposed += len(proposed)
            row.accepted += kept
            yield pieces
            if row.finished:
                return
            # what was rejected leaves the cache; the newest token was not fed yet
            cache.length = len(ids) - 1
            # guess further while all is right, less far after a mistake
            if proposed:
                count = min(MOST, count + 2) if kept == len(proposed) else max(1, kept + 1)
            room = min(count, row.limit - len(row.ids) - 1)
            proposed, drawn_from = guesser.propose(ids, room, seen_V, row.generator) if room > 0 else ([], [])
    finally:
        for one, before in zip(models, training, strict=True):
            one.train(before)
        for reader in readers:
            reader.close()


def check_same_vocabulary(tokenizer: Tokenizer, other: Tokenizer, name: str) -> None:
    """Raise :class:`GlaswerkError` unless every id stands for the same bytes in both."""
    if not same_vocabulary(tokenizer, other):
        raise GlaswerkError(f"{name} has another vocabulary, so it cannot draft: take a model with the same one")


def same_vocabulary(tokenizer: Tokenizer, other: Tokenizer) -> bool:
    """Whether every id stands for the same bytes in both."""
    if tokenizer is other:
        return True
    size = tokenizer.vocabulary_size
    if size != other.vocabulary_size or tokenizer.special != other.special:
        return False
    return all(bytes_or_none(tokenizer, n) == bytes_or_none(other, n) for n in range(size))


def bytes_or_none(tokenizer: Tokenizer, number: int) -> bytes | None:
    """A token's bytes; None for an id that the vocabulary skips."""
    try:
        return tokenizer.token_bytes(number)
    except GlaswerkError:
        return None
