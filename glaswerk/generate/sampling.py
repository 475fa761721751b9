"""From logits to the next token: small pure functions, each of which only removes or rescales candidates.

In this order: biases and penalties for what the reply has said, repetition penalty (Keskar et al. 2019), temperature,
top-k (Fan et al. 2018), top-p (Holtzman et al. 2020), min-p (Nguyen et al. 2024), then a draw; or without a draw the
largest (greedy).

Shapes: B batch, V vocabulary. A removed candidate has the logit -inf.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glaswerk.errors import GlaswerkError

NOT_FINITE = "the model's logits are not finite numbers: its weights are damaged or overflow"

#: below it a temperature is 0: a logit that is divided by it must stay a number
COLD = 1e-3


@dataclass(frozen=True)
class SamplingOptions:
    """How a continuation is chosen and when it ends. ``temperature`` 0 is greedy: always the likeliest token; so is
    one below :data:`COLD`.

    ``top_k`` 0, ``top_p`` 1, ``min_p`` 0 and ``repetition_penalty`` 1 are off. ``presence_penalty`` is taken once from
    the logit of a token that the reply has, ``frequency_penalty`` as often as it has it; ``logit_bias`` is added to
    the logits of these ids. ``seed`` None draws a new one each time. At most one of ``choices`` (texts), ``regex``
    (``automaton_regex.py`` says which) and ``json_schema`` says what the whole continuation must be. Raises
    :class:`GlaswerkError` for a value out of range.
    """

    max_tokens: int = 128
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] | None = None
    seed: int | None = None
    stop: str | Sequence[str] = ()
    choices: Sequence[str] | None = None
    regex: str | None = None
    json_schema: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.stop, str):
            object.__setattr__(self, "stop", (self.stop,))
        if 0 < self.temperature < COLD:
            object.__setattr__(self, "temperature", 0.0)
        for fine, what in (
            (self.max_tokens >= 1, f"max_tokens must be at least 1, not {self.max_tokens}"),
            (0 <= self.temperature <= 100, f"temperature must be from 0 to 100, not {self.temperature}"),
            (self.top_k >= 0, f"top_k must be 0 (off) or more, not {self.top_k}"),
            (0 < self.top_p <= 1, f"top_p must be above 0 and at most 1, not {self.top_p}"),
            (0 <= self.min_p <= 1, f"min_p must be from 0 to 1, not {self.min_p}"),
            (
                0 < self.repetition_penalty <= 100,
                f"repetition_penalty must be above 0 (1 is off), not {self.repetition_penalty}",
            ),
            (
                abs(self.presence_penalty) <= 100 and abs(self.frequency_penalty) <= 100,
                f"presence_penalty and frequency_penalty must be from -100 to 100, not {self.presence_penalty} and "
                f"{self.frequency_penalty}",
            ),
            (
                all(abs(value) <= 1000 for value in (self.logit_bias or {}).values()),
                "a logit_bias must be from -1000 to 1000",
            ),
            (
                self.seed is None or 0 <= self.seed < 2**62,
                f"seed must be from 0 to 2^62 - 1, not {self.seed}",
            ),
            (all(self.stop), "a stop text must not be empty"),
            (
                self.choices is None
                or (bool(self.choices) and not isinstance(self.choices, str) and {*map(type, self.choices)} == {str}),
                'choices must be a list of at least one text, like ["yes", "no"]',
            ),
            (
                sum(asked is not None for asked in (self.choices, self.regex, self.json_schema)) <= 1,
                "choices, regex and json_schema exclude each other: give one of them",
            ),
        ):
            if not fine:
                raise GlaswerkError(what)

    @property
    def shifts(self) -> bool:
        """Whether logits are shifted by a bias or by what the reply has said."""
        return bool(self.presence_penalty or self.frequency_penalty or self.logit_bias)


def shift(logits_V: Tensor, options: SamplingOptions, said: Sequence[int]) -> Tensor:
    """The logits with their biases, and less the penalties of the tokens ``said`` so far. Raises
    :class:`GlaswerkError` for a bias of an id that is none.
    """
    logits_V = logits_V.clone()
    for number, value in (options.logit_bias or {}).items():
        if not 0 <= number < len(logits_V):
            raise GlaswerkError(f"logit_bias names the token {number} and the model knows {len(logits_V):,}")
        logits_V[number] += value
    for number, count in Counter(said).items():
        logits_V[number] -= options.presence_penalty + count * options.frequency_penalty
    return logits_V


def penalize_repetition(logits_BV: Tensor, seen_BV: Tensor, penalty: float) -> Tensor:
    """Push down tokens that were seen (bool): positive logits are divided by ``penalty``, negative
    multiplied.
    """
    pushed = torch.where(logits_BV > 0, logits_BV / penalty, logits_BV * penalty)
    return torch.where(seen_BV, pushed, logits_BV)


def keep_top_k(logits_BV: Tensor, k: int) -> Tensor:
    """Keep the ``k`` largest logits (and those equal to the last of them)."""
    if k >= logits_BV.shape[-1]:
        return logits_BV
    least = logits_BV.topk(k).values[..., -1:]
    return logits_BV.masked_fill(logits_BV < least, -math.inf)


def keep_top_p(logits_BV: Tensor, p: float) -> Tensor:
    """Keep the fewest likeliest tokens whose probabilities reach ``p`` together."""
    ordered, where = logits_BV.sort(descending=True, stable=True)
    probability = ordered.softmax(-1)
    before = probability.cumsum(-1) - probability  # what the likelier ones have together
    drop = before >= p
    drop[..., 0] = False
    return logits_BV.masked_fill(torch.zeros_like(drop).scatter(-1, where, drop), -math.inf)


def keep_min_p(logits_BV: Tensor, p: float) -> Tensor:
    """Keep tokens at least ``p`` times as likely as the likeliest one."""
    least = logits_BV.amax(-1, keepdim=True) + math.log(p)
    return logits_BV.masked_fill(logits_BV < least, -math.inf)


def candidates(logits_BV: Tensor, options: SamplingOptions) -> Tensor:
    """Logits of what may be drawn, for a ``temperature`` above 0; their softmax is the distribution drawn
    from.
    """
    logits_BV = logits_BV.float() / options.temperature
    if options.top_k:
        logits_BV = keep_top_k(logits_BV, options.top_k)
    if options.top_p < 1:
        logits_BV = keep_top_p(logits_BV, options.top_p)
    if options.min_p:
        logits_BV = keep_min_p(logits_BV, options.min_p)
    return logits_BV


def draw(logits_BV: Tensor, options: SamplingOptions, generators: Sequence[torch.Generator]) -> list[int]:
    """:func:`choose` for a ``temperature`` above 0, for many rows at once: of each generator one number from 0 to 1,
    and the token in whose stretch of the distribution, laid end to end, it falls. As true as V random numbers a row,
    and cheaper; the same seed draws other tokens than there. Raises as :func:`choose` does.
    """
    probability_BV = candidates(logits_BV, options).softmax(-1)
    # in fp64 no token is so rare that a sum of all others swallows it
    end_BV = probability_BV.cumsum(-1, dtype=torch.float64)
    if not bool(torch.isfinite(end_BV[:, -1]).all()):
        raise GlaswerkError(NOT_FINITE)
    number_B = torch.cat([torch.rand(1, dtype=torch.float64, generator=each) for each in generators])
    place_B1 = number_B[:, None].to(end_BV.device) * end_BV[:, -1:]
    return [int(token) for token in torch.searchsorted(end_BV, place_B1, right=True)[:, 0].tolist()]


def choose(logits_BV: Tensor, options: SamplingOptions, generators: Sequence[torch.Generator]) -> list[int]:
    """The next token of each row; row ``b`` draws from its own ``generators[b]``, so that its text does not
    depend on what else is in the batch. Raises :class:`GlaswerkError` where the logits are not numbers.
    """
    best = logits_BV.max(-1)
    if not bool(torch.isfinite(best.values).all()):
        raise GlaswerkError(NOT_FINITE)
    if options.temperature == 0:
        return [int(token) for token in best.indices.tolist()]
    probability_BV = candidates(logits_BV, options).softmax(-1)
    return [
        int(torch.multinomial(row, 1, generator=generator))
        for row, generator in zip(probability_BV, generators, strict=True)
    ]
