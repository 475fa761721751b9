"""Each rule of sampling against a slow and obvious version, and what is drawn against the distribution."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glaswerk.errors import GlaswerkError
from glaswerk.generate import SamplingOptions
from glaswerk.generate.sampling import (
    COLD,
    candidates,
    choose,
    draw,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    penalize_repetition,
)

rows = st.lists(st.floats(-8, 8, width=32), min_size=1, max_size=12, unique=True)


def kept(logits: torch.Tensor) -> set[int]:
    return {place for place, value in enumerate(logits.tolist()) if value > -math.inf}


def probabilities(row: list[float]) -> list[float]:
    top = max(row)
    weights = [math.exp(value - top) for value in row]
    return [weight / sum(weights) for weight in weights]


@settings(max_examples=150, deadline=None)
@given(rows, st.integers(1, 14))
def test_top_k(row: list[float], k: int) -> None:
    expected = set(sorted(range(len(row)), key=lambda place: -row[place])[:k])
    assert kept(keep_top_k(torch.tensor(row), k)) == expected


@settings(max_examples=150, deadline=None)
@given(rows, st.floats(0.05, 0.99))
def test_top_p(row: list[float], p: float) -> None:
    likely, expected, total = probabilities(row), set(), 0.0
    for place in sorted(range(len(row)), key=lambda place: -row[place]):
        if abs(total - p) < 1e-5:
            return  # too near to call in fp32
        if total >= p:
            break
        expected.add(place)
        total += likely[place]
    assert kept(keep_top_p(torch.tensor(row), p)) == expected


@settings(max_examples=150, deadline=None)
@given(rows, st.floats(0.01, 1.0))
def test_min_p(row: list[float], p: float) -> None:
    likely, top = probabilities(row), row.index(max(row))
    # too near to call: among these is a value whose difference to the largest is lost in exp()
    if any(abs(value - p * max(likely)) < 1e-5 * max(likely) for place, value in enumerate(likely) if place != top):
        return
    found = kept(keep_min_p(torch.tensor(row), p))
    assert found == {place for place, value in enumerate(likely) if value >= p * max(likely) or place == top}


def test_repetition_penalty() -> None:
    logits = torch.tensor([[2.0, -2.0, 1.0, -1.0]])
    seen = torch.tensor([[True, True, False, False]])
    assert penalize_repetition(logits, seen, 2.0).tolist() == [[1.0, -4.0, 1.0, -1.0]]


def test_it_agrees_with_transformers() -> None:
    warpers = pytest.importorskip("transformers.generation.logits_process")
    logits = torch.randn(4, 200, generator=torch.Generator().manual_seed(0))
    ids = torch.randint(0, 200, (4, 30), generator=torch.Generator().manual_seed(1))
    theirs = warpers.RepetitionPenaltyLogitsProcessor(1.3)(ids, logits.clone())
    seen = torch.zeros(4, 200, dtype=torch.bool).scatter(1, ids, True)
    ours = penalize_repetition(logits, seen, 1.3)
    assert torch.allclose(ours, theirs)
    for warper in (
        warpers.TemperatureLogitsWarper(0.7),
        warpers.TopKLogitsWarper(50),
        warpers.TopPLogitsWarper(0.9),
        warpers.MinPLogitsWarper(0.02),
    ):
        theirs = warper(ids, theirs)
    ours = candidates(ours, SamplingOptions(temperature=0.7, top_k=50, top_p=0.9, min_p=0.02))
    assert torch.allclose(ours, theirs)
    assert 1 < len(kept(ours[0])) < 50


def test_draws_follow_the_distribution() -> None:
    """Chi-square against the probabilities worked out by hand, for a temperature and with top-k."""
    row = [2.0, 1.0, 0.5, 0.0, -1.0]
    for options, allowed in ((SamplingOptions(temperature=0.8), 5), (SamplingOptions(temperature=0.8, top_k=3), 3)):
        expected = probabilities([value / 0.8 for value in row[:allowed]])
        generator, draws = torch.Generator().manual_seed(7), 6000
        counts = [0] * len(row)
        for _ in range(draws):
            counts[choose(torch.tensor([row]), options, [generator])[0]] += 1
        assert sum(counts[allowed:]) == 0
        chi = sum((counts[i] - draws * p) ** 2 / (draws * p) for i, p in enumerate(expected))
        assert chi < 18.5  # 99.9 % point at 4 degrees of freedom


def test_greedy_and_rows_of_their_own() -> None:
    logits = torch.tensor([[0.0, 3.0, 1.0], [5.0, 4.0, 4.9]])
    unused = [torch.Generator(), torch.Generator()]
    assert choose(logits, SamplingOptions(), unused) == [1, 0]
    options = SamplingOptions(temperature=1.5)

    def draw(rows: list[int]) -> list[int]:
        generators = [torch.Generator().manual_seed(row) for row in rows]
        return [token for _ in range(30) for token in choose(logits[rows], options, generators)]

    assert draw([0, 1])[1::2] == draw([1])


def test_a_temperature_that_nothing_can_be_divided_by_is_greedy() -> None:
    logits = torch.tensor([[1.0, 300.0, 299.0]])
    for temperature in (1e-320, 1e-5, COLD / 2):
        options = SamplingOptions(temperature=temperature)
        assert options.temperature == 0.0
        assert choose(logits, options, [torch.Generator().manual_seed(0)]) == [1]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_numbers_that_are_none_are_said(bad: float) -> None:
    with pytest.raises(GlaswerkError, match="not finite"):
        choose(torch.tensor([[0.0, bad]]), SamplingOptions(), [torch.Generator()])


@pytest.mark.parametrize(
    "options",
    [
        {"max_tokens": 0}, {"temperature": -1.0}, {"temperature": math.nan}, {"temperature": math.inf}, {"top_k": -1},
        {"top_p": 0.0}, {"top_p": 1.1}, {"top_p": math.nan}, {"min_p": -0.1}, {"min_p": 2.0},
        {"repetition_penalty": 0.0}, {"presence_penalty": 101.0}, {"presence_penalty": math.nan},
        {"frequency_penalty": math.nan}, {"logit_bias": {1: math.nan}},
        {"seed": -1}, {"seed": 2**70}, {"stop": [""]}, {"stop": ""},
    ],
)  # fmt: skip
def test_options_out_of_range_are_said(options: dict[str, Any]) -> None:
    with pytest.raises(GlaswerkError, match=next(iter(options)).replace("stop", "stop text")):
        SamplingOptions(**options)


def test_draw_is_the_place_of_one_number_in_the_distribution() -> None:
    """Against adding up probabilities one by one, with what options cut off; nobody's neighbour matters."""
    torch.manual_seed(3)
    logits = torch.randn(40, 30) * 3
    for options in (SamplingOptions(temperature=1.0), SamplingOptions(temperature=0.7, top_k=5)):
        found = draw(logits, options, [torch.Generator().manual_seed(seed) for seed in range(40)])
        for row, token in enumerate(found):
            probability = candidates(logits[row : row + 1], options).softmax(-1)[0].double().tolist()
            number = float(torch.rand(1, dtype=torch.float64, generator=torch.Generator().manual_seed(row)))
            end, place = 0.0, -1
            while end <= number * sum(probability):
                place += 1
                end += probability[place]
            assert token == place
        alone = draw(logits[7:8], options, [torch.Generator().manual_seed(7)])
        assert alone == found[7:8]
    assert len(set(found)) > 10


def test_draw_says_where_logits_are_no_numbers() -> None:
    with pytest.raises(GlaswerkError, match="not finite"):
        draw(torch.full((1, 4), math.nan), SamplingOptions(temperature=1.0), [torch.Generator()])
