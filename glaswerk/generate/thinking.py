"""Thinking before answering, on a budget: a reply is written steps, a marker, and an answer.

``think`` lets a model write at most so many tokens before it must answer: what is longer is cut, and the marker is put
there for it (budget forcing; Muennighoff et al. 2025). With ``waits`` a model that would answer already is made to go
on: a word is put in the marker's place, so many times. A budget of 0 asks for the answer at once. ``vote`` takes the
answer that most of several replies end with (self-consistency; Wang et al. 2023). Left out: what a right answer is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from glaswerk.errors import GlaswerkError
from glaswerk.generate.decoding import batch
from glaswerk.generate.sampling import SamplingOptions
from glaswerk.model.decoder import Decoder
from glaswerk.tokenizer.interface import Tokenizer

#: what stands before the answer, and what is put there instead to make a model go on
MARKER, WAIT = "Answer:", "Wait"
#: tokens of an answer
ANSWER = 12


@dataclass
class Thought:
    """What was written. ``tokens``: how many of them were thinking; ``forced``: the budget cut it; ``waited``: how many
    times it was made to go on."""

    thinking: str = ""
    answer: str = ""
    tokens: int = 0
    forced: bool = False
    waited: int = 0
    #: the prompt, and what of the reply is fixed so far, as tokens
    prompt: list[int] = field(default_factory=list, repr=False)


def think(
    model: Decoder,
    tokenizer: Tokenizer,
    prompts: Sequence[Sequence[int]],
    budget: int,
    *,
    marker: str = MARKER,
    waits: int = 0,
    wait: str = WAIT,
    answer: int = ANSWER,
    temperature: float = 0.0,
    seed: int | None = None,
    end_ids: Collection[int] | None = None,
) -> list[Thought]:
    """A reply to each prompt (token ids) with at most ``budget`` tokens of thinking, side by side; greedy by default.

    The words that are put in count too: a model that was made to wait has so much less left. Thinking that ends without
    a marker (an end token) is followed by the marker as well. Raises :class:`GlaswerkError` for a budget below 0, and
    where a prompt leaves no room for budget and answer.
    """
    if budget < 0 or waits < 0 or answer < 1 or not marker.strip():
        raise GlaswerkError("a budget and waits must be 0 or more, an answer at least 1 token, and a marker some text")
    room = model.config.context
    if prompts and (longest := max(map(len, prompts))) + budget + answer + 8 > room:
        raise GlaswerkError(
            f"a prompt of {longest} tokens, {budget} of thinking and {answer} of answer do not fit the context of "
            f"{room}: take a smaller budget"
        )
    thoughts = [Thought(prompt=list(ids)) for ids in prompts]
    how: dict[str, Any] = {"temperature": temperature}
    open_ = list(range(len(thoughts))) if budget else []
    for turn in range(waits + 1):
        if not open_:
            break
        open_ = more(model, tokenizer, thoughts, open_, budget, marker, how, seed, turn, end_ids)
        if turn < waits:
            open_ = [i for i in open_ if made_to_wait(tokenizer, thoughts[i], budget, wait)]
    asked = []
    for thought in thoughts:
        said = f"{thought.thinking}\n{marker}" if thought.thinking else marker
        asked.append([*thought.prompt, *tokenizer.encode(said)])
    options = SamplingOptions(max_tokens=answer, stop=("\n",), seed=None if seed is None else seed + 7919, **how)
    for thought, reply in zip(thoughts, batch(model, tokenizer, asked, options, end_ids), strict=True):
        thought.answer = reply.text.strip()
    return thoughts


def more(
    model: Decoder, tokenizer: Tokenizer, thoughts: list[Thought], open_: list[int], budget: int, marker: str,
    how: dict[str, Any], seed: int | None, turn: int, end_ids: Collection[int] | None,
) -> list[int]:  # fmt: skip
    """Those that are open go on until the marker, their end, or the budget; returns which of them ended themselves."""
    ended = []
    for left in sorted({budget - thoughts[i].tokens for i in open_}):
        same = [i for i in open_ if budget - thoughts[i].tokens == left]
        asked = [[*thoughts[i].prompt, *tokenizer.encode(thoughts[i].thinking)] for i in same]
        options = SamplingOptions(
            max_tokens=left, stop=(marker,), seed=None if seed is None else seed + 104_729 * turn, **how
        )
        for i, reply in zip(same, batch(model, tokenizer, asked, options, end_ids), strict=True):
            thought = thoughts[i]
            whole = thought.thinking + reply.text
            thought.thinking = whole.strip()
            # the marker's own tokens were written, but are no thinking
            thought.tokens += min(left, len(reply.ids) if reply.finish_reason == "length" else before(tokenizer, reply))
            thought.forced = reply.finish_reason == "length"
            if not thought.forced:
                ended.append(i)
    return ended


def before(tokenizer: Tokenizer, reply: Any) -> int:
    """How many tokens of a reply lie before the stop text."""
    return len(tokenizer.encode(reply.text.rstrip())) if reply.text.strip() else 0


def made_to_wait(tokenizer: Tokenizer, thought: Thought, budget: int, wait: str) -> bool:
    """Puts the word in, where the budget has room for it and for a token after it."""
    said = f"{thought.thinking}\n{wait}" if thought.thinking else wait
    extra = len(tokenizer.encode(said)) - len(tokenizer.encode(thought.thinking))
    if thought.tokens + extra >= budget:
        return False
    thought.thinking, thought.tokens, thought.waited = said, thought.tokens + extra, thought.waited + 1
    return True


@dataclass(frozen=True)
class Vote:
    """``winner``: what most said, the one said first where several were said as often (``tied``); None where nothing
    was said. ``counts``: how often each was said, most first."""

    winner: Hashable | None
    counts: dict[Any, int]
    tied: bool


def vote(answers: Sequence[Hashable | None]) -> Vote:
    """The majority of several answers; None (no answer that can be read) has no vote."""
    counted = Counter(each for each in answers if each is not None)
    ranked = counted.most_common()
    if not ranked:
        return Vote(None, {}, False)
    return Vote(ranked[0][0], dict(ranked), len(ranked) > 1 and ranked[1][1] == ranked[0][1])
