"""Speculative decoding changes nothing but the time: greedy gives the same tokens, sampling the same distribution.

The distribution over all short texts is computed exactly, by going through every one of them; a chi-square test
compares what was drawn with it. That the test has teeth is shown by rules that are wrong in the ways people get them
wrong.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import glaswerk as gw
from glaswerk.errors import GlaswerkError
from glaswerk.generate import SamplingOptions, complete, speculative, stream
from glaswerk.generate.sampling import candidates, penalize_repetition
from glaswerk.generate.speculative import LookupDraft, decide
from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.weights import save_model
from glaswerk.tokenizer import ByteTokenizer, train_bpe
from glaswerk.tokenizer.characters import CharacterTokenizer

TOKENIZER = ByteTokenizer()
PROMPTS = [TOKENIZER.encode(text) for text in ("Paris is", "a", "abcabcabcab", "the cat and the cat and the")]


def random_model(tokenizer: Any, seed: int, width: int = 32, context: int = 96, noise: float = 0.25) -> Decoder:
    model = Decoder(
        ModelConfig.modern(
            vocabulary_size=tokenizer.vocabulary_size, width=width, layers=1, heads=2, context=context, tied=False
        )
    )
    generator = torch.Generator().manual_seed(seed)
    model.reset_parameters(generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * noise)
    return model.eval()


def near(model: Decoder, amount: float) -> Decoder:
    """A draft that agrees often and not always: the model with some noise."""
    draft = Decoder(model.config)
    draft.load_state_dict(model.state_dict())
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for parameter in draft.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * amount)
    return draft.eval()


MODEL = random_model(TOKENIZER, 4)
NEAR = near(MODEL, 0.02)
FAR_OFF = random_model(TOKENIZER, 5, width=16, context=48)


# ---------------------------------------------------------------------------------------------- greedy
@pytest.mark.parametrize("draft", [NEAR, FAR_OFF, MODEL, "lookup"], ids=["near", "far off", "itself", "lookup"])
@pytest.mark.parametrize("penalty", [1.0, 1.4])
def test_greedy_gives_the_same_tokens(draft: Decoder | str, penalty: float) -> None:
    accepted = proposed = 0
    for prompt in PROMPTS:
        options = SamplingOptions(max_tokens=70, repetition_penalty=penalty)
        plain = complete(MODEL, TOKENIZER, prompt, options, end_ids=())
        ours = complete(MODEL, TOKENIZER, prompt, options, end_ids=(), draft=draft)
        assert (ours.ids, ours.text, ours.finish_reason) == (plain.ids, plain.text, plain.finish_reason)
        pieces = list(stream(MODEL, TOKENIZER, prompt, options, end_ids=(), draft=draft))
        assert [piece.id for piece in pieces] == plain.ids and "".join(piece.text for piece in pieces) == plain.text
        assert sum(piece.drafted for piece in pieces) == ours.accepted <= ours.proposed
        accepted, proposed = accepted + ours.accepted, proposed + ours.proposed
    if draft is MODEL:
        assert accepted == proposed > 100  # who drafts for itself is always right
    elif draft is NEAR:
        assert 0.3 < accepted / proposed < 1


def test_ends_stops_limits_and_constraints_are_kept() -> None:
    plain = complete(MODEL, TOKENIZER, PROMPTS[0], SamplingOptions(max_tokens=40), end_ids=())
    end = plain.ids[20]
    for options in (
        SamplingOptions(max_tokens=40),
        SamplingOptions(max_tokens=1),
        SamplingOptions(max_tokens=2),
        SamplingOptions(max_tokens=500),
        SamplingOptions(max_tokens=40, stop=plain.text[10:12]),
        SamplingOptions(max_tokens=40, regex="[a-z]{3,9}( [a-z]{3,9}){2,4}"),
        SamplingOptions(max_tokens=40, choices=["Berlin", "Paris", "Paris and Berlin"]),
    ):
        for draft in (MODEL, NEAR, "lookup"):
            alone = complete(MODEL, TOKENIZER, PROMPTS[0], options, end_ids={end})
            ours = complete(MODEL, TOKENIZER, PROMPTS[0], options, end_ids={end}, draft=draft)
            assert (ours.ids, ours.text, ours.finish_reason) == (alone.ids, alone.text, alone.finish_reason)


def test_a_draft_with_a_shorter_context_stops_guessing_in_time() -> None:
    prompt = [1] * 60
    plain = complete(MODEL, TOKENIZER, prompt, SamplingOptions(max_tokens=20), end_ids=())
    ours = complete(MODEL, TOKENIZER, prompt, SamplingOptions(max_tokens=20), end_ids=(), draft=FAR_OFF)
    assert ours.ids == plain.ids and ours.proposed == 0


def test_a_repeating_text_is_found_by_lookup() -> None:
    draft, none = LookupDraft(), torch.Generator()
    ids = [7, 1, 2, 3, 4, 5, 9, 1, 2, 3]
    assert draft.propose(ids, 4, None, none)[0] == [4, 5, 9, 1]
    assert draft.propose([*ids, 4, 8], 4, None, none)[0] == []
    assert draft.propose([*ids, 4, 8, 2, 3], 2, None, none)[0] == [4, 8]  # the latest place, and the longest match
    assert LookupDraft().propose([1, 1, 1], 3, None, none)[0] == [1]
    assert LookupDraft().propose([1], 3, None, none)[0] == []


# ---------------------------------------------------------------------------------------------- sampling
LETTERS = CharacterTokenizer.train(["abcde"])
SMALL = random_model(LETTERS, 1, context=24, noise=0.35)
DRAFTS: dict[str, Decoder | str] = {
    "near": near(SMALL, 0.25),
    "other": random_model(LETTERS, 2, noise=0.6),
    "lookup": "lookup",
}
START = LETTERS.encode("abcabdabcab")
LENGTH = 4


def exactly(options: SamplingOptions) -> dict[tuple[int, ...], float]:
    """The probability of every text of LENGTH tokens, by the chain rule."""
    size = LETTERS.vocabulary_size
    chance = {}
    for text in itertools.product(range(size), repeat=LENGTH):
        p, ids = 1.0, list(START)
        for number in text:
            p *= float(next_distribution(tuple(ids), options)[number])
            ids.append(number)
        chance[text] = p
    assert math.isclose(sum(chance.values()), 1, abs_tol=1e-4)
    return chance


_NEXT: dict[Any, Tensor] = {}


def next_distribution(ids: tuple[int, ...], options: SamplingOptions) -> Tensor:
    key = ids, options.temperature, options.top_k, options.top_p, options.min_p, options.repetition_penalty
    if key not in _NEXT:
        with torch.inference_mode():
            logits = SMALL(torch.tensor([ids]))[:, -1]
        seen = torch.zeros(logits.shape, dtype=torch.bool)
        seen[:, list(ids)] = True
        _NEXT[key] = candidates(penalize_repetition(logits, seen, options.repetition_penalty), options).softmax(-1)[0]
    return _NEXT[key]


def surprise(drawn: Counter[tuple[int, ...]], chance: dict[tuple[int, ...], float]) -> float:
    """How far a chi-square statistic lies above what chance gives, in standard deviations (Wilson-Hilferty). Texts
    expected fewer than 5 times are taken together; one that is impossible is infinitely surprising.
    """
    count = sum(drawn.values())
    if any(chance[text] < 1e-9 for text in drawn):
        return math.inf
    cells, rare, rare_drawn = [], 0.0, 0
    for text, p in chance.items():
        if p * count >= 5:
            cells.append((p * count, drawn[text]))
        else:
            rare, rare_drawn = rare + p * count, rare_drawn + drawn[text]
    if rare >= 1:
        cells.append((rare, rare_drawn))
    freedom = len(cells) - 1
    assert freedom >= 3, "the distribution is too narrow to test anything"
    statistic = sum((seen - expected) ** 2 / expected for expected, seen in cells)
    return ((statistic / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / math.sqrt(2 / (9 * freedom))


def draw_texts(options: SamplingOptions, draft: Decoder | str, count: int) -> tuple[Counter[tuple[int, ...]], int, int]:
    drawn: Counter[tuple[int, ...]] = Counter()
    proposed = accepted = 0
    for seed in range(count):
        result = complete(SMALL, LETTERS, START, replace(options, seed=seed), end_ids=(), draft=draft)
        drawn[tuple(result.ids)] += 1
        proposed, accepted = proposed + result.proposed, accepted + result.accepted
    return drawn, proposed, accepted


OPTIONS = {
    "temperature": {"temperature": 0.8},
    "top-k": {"temperature": 1.2, "top_k": 3},
    "top-p": {"temperature": 1.0, "top_p": 0.8},
    "min-p": {"temperature": 1.5, "min_p": 0.2},
    "penalty": {"temperature": 1.0, "repetition_penalty": 1.5},
}
SAMPLES = 600


@pytest.mark.parametrize(
    ("how", "draft"),
    [*((how, "near") for how in OPTIONS), ("temperature", "other"), ("temperature", "lookup"), ("penalty", "lookup")],
)
def test_sampling_gives_the_same_distribution(how: str, draft: str) -> None:
    options = SamplingOptions(max_tokens=LENGTH, **OPTIONS[how])
    drawn, proposed, accepted = draw_texts(options, DRAFTS[draft], SAMPLES)
    assert 0 < accepted < proposed  # both ways of the rule were gone
    assert surprise(drawn, exactly(options)) < 3.5


def always(p_V: Tensor, q_V: Tensor | None, proposed: int, generator: torch.Generator) -> int:
    """Wrong: every guess is kept."""
    return proposed


def redraw_from_p(p_V: Tensor, q_V: Tensor | None, proposed: int, generator: torch.Generator) -> int:
    """Wrong: after a rejection the draw is from p, not from what p has more."""
    q = 1.0 if q_V is None else float(q_V[proposed])
    if float(torch.rand((), generator=generator)) * q < float(p_V[proposed]):
        return proposed
    return int(torch.multinomial(p_V, 1, generator=generator))


def upside_down(p_V: Tensor, q_V: Tensor | None, proposed: int, generator: torch.Generator) -> int:
    """Wrong: kept with probability min(1, q / p)."""
    assert q_V is not None
    if float(torch.rand((), generator=generator)) * float(p_V[proposed]) < float(q_V[proposed]):
        return proposed
    return int(torch.multinomial((p_V - q_V).clamp_min(0), 1, generator=generator))


def as_if_certain(p_V: Tensor, q_V: Tensor | None, proposed: int, generator: torch.Generator) -> int:
    """Right, though it forgets how the guess was drawn: it keeps fewer guesses, and that is all."""
    return decide(p_V, None, proposed, generator)


@pytest.mark.parametrize(
    ("wrong", "draft"),
    [(always, "near"), (always, "lookup"), (redraw_from_p, "near"), (redraw_from_p, "lookup")],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_wrong_rule_is_caught(wrong: Callable[..., int], draft: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speculative, "decide", wrong)
    options = SamplingOptions(max_tokens=LENGTH, **OPTIONS["temperature"])
    drawn, _, _ = draw_texts(options, DRAFTS[draft], SAMPLES)
    assert surprise(drawn, exactly(options)) > 4.5


@pytest.mark.parametrize(
    ("rule", "certain", "right"),
    [
        (decide, False, True),
        (decide, True, True),
        (always, False, False),
        (redraw_from_p, False, False),
        (redraw_from_p, True, False),
        (upside_down, False, False),
        (as_if_certain, False, True),
    ],
)
def test_the_rule_itself_gives_p_and_no_other_does(rule: Callable[..., int], certain: bool, right: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    p = torch.tensor([0.5, 0.3, 0.15, 0.05, 0.0])
    q = torch.tensor([0.1, 0.2, 0.1, 0.1, 0.5])
    count = 10_000
    drawn: Counter[tuple[int, ...]] = Counter()
    for _ in range(count):
        proposed = 1 if certain else int(torch.multinomial(q, 1, generator=generator))
        drawn[(rule(p, None if certain else q, proposed, generator),)] += 1
    assert (surprise(drawn, {(number,): float(chance) for number, chance in enumerate(p)}) < 3.5) == right


# ---------------------------------------------------------------------------------------------- opened models
def test_a_draft_needs_the_same_vocabulary(tmp_path: Path) -> None:
    tokenizer, other = (train_bpe([text * 50], 262) for text in ("abc abd xyz", "some text "))
    assert tokenizer.vocabulary_size == other.vocabulary_size
    save_model(tmp_path / "one", random_model(tokenizer, 1), tokenizer)
    save_model(tmp_path / "two", random_model(tokenizer, 2, width=16), tokenizer)
    save_model(tmp_path / "three", random_model(other, 3), other)
    one, two, three = (gw.load(tmp_path / name) for name in ("one", "two", "three"))
    plain = one.generate("abc", max_tokens=20)
    assert one.generate("abc", max_tokens=20, draft=two).ids == plain.ids
    result = one.generate("abc", max_tokens=20, draft="lookup")
    assert result.ids == plain.ids and result.acceptance == result.accepted / max(1, result.proposed)
    with pytest.raises(GlaswerkError, match="three has another vocabulary"):
        one.generate("abc", draft=three)
    with pytest.raises(GlaswerkError, match="draft must be"):
        one.generate("abc", draft="magic")
    batch = one.generate_batch(["abc", "x", "yy"], max_tokens=12, draft="lookup")
    assert [row.ids for row in batch] == [row.ids for row in one.generate_batch(["abc", "x", "yy"], max_tokens=12)]


def test_models_are_left_as_they_were() -> None:
    model, draft = random_model(TOKENIZER, 6).train(), random_model(TOKENIZER, 7).train()
    pieces = stream(model, TOKENIZER, PROMPTS[0], SamplingOptions(max_tokens=20), end_ids=(), draft=draft)
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert model.training and draft.training
