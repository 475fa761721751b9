"""One dial: more time or a faster machine never makes a smaller plan, and the numbers follow their rules."""

from __future__ import annotations

import math

import pytest

from glaswerk import planning
from glaswerk.model.count import flops_per_token, parameters_count


def test_more_compute_never_picks_a_smaller_model() -> None:
    sizes = []
    for seconds in (10, 60, 300, 3600, 36_000, 360_000):
        config, why = planning.choose_model("modern", 4096, 1_300_000, seconds, 3e11, 256)
        sizes.append(parameters_count(config)["total"])
        assert str(config.layers) in why
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1]
    on_gpu, _ = planning.choose_model("modern", 4096, 1_300_000, 300, 3e14, 512)
    assert parameters_count(on_gpu)["total"] > sizes[2], "on a GPU the same dial picks a larger model"


def test_more_text_never_picks_a_smaller_model_or_vocabulary() -> None:
    small, _ = planning.choose_model("modern", 4096, 10_000, 3600, 3e11, 256)
    large, _ = planning.choose_model("modern", 4096, 100_000_000, 3600, 3e11, 256)
    assert parameters_count(large)["total"] >= parameters_count(small)["total"]
    sizes = [planning.vocabulary_for(characters)[0] for characters in (20_000, 10**6, 10**7, 10**8, 10**10)]
    assert sizes == sorted(set(sizes))


def test_the_scaling_law_has_its_published_values() -> None:
    """Chinchilla itself: 70 B parameters and 1.4 T tokens, 1.936 by the paper's fitted law."""
    assert planning.predicted_loss(70e9, 1.4e12, 1e15) == pytest.approx(1.936, abs=0.01)
    # a second pass over the same tokens helps, but less than as many new ones
    once, twice, new = (planning.predicted_loss(1e6, d, u) for d, u in ((1e6, 1e6), (2e6, 1e6), (2e6, 2e6)))
    assert once > twice > new


@pytest.mark.parametrize("shape", ["modern", "classic"])
def test_every_rung_is_a_model_that_others_can_load(shape: str) -> None:
    for layers, width in planning.LADDER:
        config = planning.shape_of(shape, 4096, layers, width, 256)
        assert config.family() == ("qwen3" if shape == "modern" else "gpt2")
        assert config.width % 32 == 0 and config.heads * config.head_width == config.width
    costs = [flops_per_token(planning.shape_of(shape, 4096, *rung, 256), 256) for rung in planning.LADDER]
    assert costs == sorted(costs)


def test_step_sizes_are_powers_of_two_within_bounds() -> None:
    for total in (1e3, 1e6, 1e8, 1e12):
        size = planning.tokens_per_step(total, 256)
        assert 1024 <= size <= 65_536 and math.log2(size) == int(math.log2(size))
    assert planning.context_for(100) == 32 and planning.context_for(100_000) == 2048


def test_digits_stand_alone_where_texts_are_full_of_numbers() -> None:
    pattern, why = planning.pattern_for(["12 + 34 = 46", "7 + 88 = 95"])
    assert pattern == "digits" and "100% of the words are numbers" in why
    steps = "What is 91 + 74? Write the steps.\n1 + 4 = 5, write 5, carry 0"
    mixed = [steps, "A ball is under cup B. Swap A B, C A. Where is the ball?"]
    assert planning.pattern_for(mixed)[0] == "digits"
    assert planning.pattern_for(["In 1789 the king was in his palace, and few knew what was to come."]) == ("gpt4", "")
    assert planning.pattern_for([]) == ("gpt4", "")


def test_a_disturbed_measurement_does_not_choose_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Peaks of a busy machine: what the processor has decides, so that equal calls give equal weights."""
    disturbed = planning.Machine("cpu", 2, 160e9, 190e9, 0.0)
    for known, dtype in ((True, "bf16"), (False, "fp32"), (None, "fp32")):
        monkeypatch.setattr(planning.runtime, "fast_bf16", lambda known=known: known)
        assert disturbed.dtype == dtype
    assert planning.Machine("cpu", 2, 160e9, 700e9, 0.0).dtype == "bf16", "nobody to ask: the measurement"
