"""Each measure against a library, a brute-force count, or a value by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.metrics import calibration, classification, intervals, text
from glaswerk.evaluate.metrics.library import library

RNG = np.random.default_rng(0)


# ---------------------------------------------------------------------------------------------- intervals
def test_standard_error_is_the_samples() -> None:
    from scipy import stats

    values = RNG.normal(size=40).tolist()
    assert intervals.standard_error(values) == pytest.approx(float(stats.sem(values)))
    assert math.isnan(intervals.standard_error([1.0])) and math.isnan(intervals.mean([]))


@pytest.mark.parametrize(("right", "count"), [(0, 10), (10, 10), (3, 10), (50, 282), (1, 1)])
def test_wilson_as_scipy_has_it(right: int, count: int) -> None:
    from scipy import stats

    expected = stats.binomtest(right, count).proportion_ci(0.95, method="wilson")
    assert intervals.wilson(right, count) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_bootstrap_as_scipy_has_it() -> None:
    from scipy import stats

    values = RNG.exponential(size=80)
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    found = intervals.bootstrap(values, resamples=20_000)
    assert found == pytest.approx((expected.low, expected.high), abs=0.01)
    assert intervals.bootstrap(values) == intervals.bootstrap(values) != intervals.bootstrap(values, seed=1)


def test_bootstrap_of_a_ratio_draws_rows_whole() -> None:
    rows = np.array([[2.0, 1.0], [4.0, 2.0], [6.0, 3.0]])
    low, high = intervals.bootstrap(rows, lambda drawn: drawn.sum(1)[:, 0] / drawn.sum(1)[:, 1])
    assert low == high == pytest.approx(2.0)


def test_intervals_hold_what_they_promise() -> None:
    """Of 300 samples of 60 throws, about 95 % of the intervals hold the true share."""
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(300):
        throws = (rng.random(60) < 0.3).astype(float).tolist()
        low, high = intervals.interval(throws)
        held += low <= 0.3 <= high
    assert 0.92 <= held / 300 <= 0.985


def test_over_seeds_is_students() -> None:
    stats = pytest.importorskip("scipy.stats")
    for values in ([1.0, 2.0, 3.0], [0.3, 0.59, 0.24, 0.4, 0.1]):
        low, high = stats.t.interval(0.95, len(values) - 1, loc=0, scale=stats.sem(values))
        assert intervals.over_seeds(values) == pytest.approx((high - low) / 2, rel=2e-3)
    assert intervals.over_seeds([1.0]) == 0.0


def test_several_trainings_on_the_same_items_are_not_more_items() -> None:
    assert intervals.several([0.5], 200) == intervals.wilson(100, 200)
    low, high = intervals.several([0.5, 0.5, 0.5], 200)
    assert (low, high) == intervals.wilson(100, 200), "as unsure as one of them"
    shares = [0.29, 0.59, 0.245]
    low, high = intervals.several(shares, 200)
    assert low <= min(shares) and high >= max(shares), "trainings that differ make it wider"
    assert intervals.several([1.0, 1.0], 200)[1] == 1.0


def test_a_paired_difference_is_surer_than_two_means() -> None:
    difficulty = RNG.normal(size=200)
    before, after = difficulty.tolist(), (difficulty + 0.1 + 0.02 * RNG.normal(size=200)).tolist()
    change, low, high = intervals.difference(before, after)
    assert change == pytest.approx(np.mean(after) - np.mean(before)) and 0.09 < low < change < high < 0.11
    assert intervals.bootstrap(after)[0] < intervals.bootstrap(before)[1], "the means' own intervals overlap"
    with pytest.raises(ValueError, match="not of the same items"):
        intervals.difference([1.0], [1.0, 2.0])


@pytest.mark.parametrize(("count", "right", "k"), [(5, 2, 1), (5, 2, 3), (6, 0, 2), (4, 4, 4), (7, 3, 5)])
def test_pass_at_k_counts_all_draws(count: int, right: int, k: int) -> None:
    """The estimate is the share of all k-subsets of the draws that hold a right one."""
    drawn = [place < right for place in range(count)]
    subsets = list(itertools.combinations(drawn, k))
    assert intervals.pass_at_k(count, right, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


def test_pass_at_k_is_unbiased() -> None:
    """Its mean over many samples of 8 draws is 1 - (1 - p)^k, which plugging in the share is not."""
    p, k, n = 0.3, 4, 8
    right = np.random.default_rng(0).binomial(n, p, size=20_000)
    found = np.mean([intervals.pass_at_k(n, int(count), k) for count in right])
    plugged = np.mean(1 - (1 - right / n) ** k)
    assert found == pytest.approx(1 - (1 - p) ** k, abs=0.005) and abs(plugged - (1 - (1 - p) ** k)) > 0.02
    for wrong in ((3, 1, 4), (3, 4, 1), (3, 1, 0)):
        with pytest.raises(ValueError, match="needs at least"):
            intervals.pass_at_k(*wrong)


# ---------------------------------------------------------------------------------------------- calibration
def test_brier_as_scikit_learn_has_it() -> None:
    from sklearn.metrics import brier_score_loss

    sure, right = RNG.random(50), RNG.integers(2, size=50)
    assert calibration.brier(sure.tolist(), right.tolist()) == pytest.approx(brier_score_loss(right, sure))


def test_reliability_counts_each_answer_once() -> None:
    sure = [*RNG.random(200).tolist(), 0.0, 0.1, 0.5, 1.0]
    right = RNG.integers(2, size=204).tolist()
    found = calibration.reliability(sure, right, bins=10)
    assert sum(b.count for b in found) == 204
    for b in found:
        inside = [
            (s, r) for s, r in zip(sure, right, strict=True) if b.low < s <= b.high + 1e-12 or (s == b.low == 0)
        ]  # fmt: skip
        assert b.count == len(inside)
        assert b.confidence == pytest.approx(np.mean([s for s, _ in inside]))
        assert b.right == pytest.approx(np.mean([r for _, r in inside]))
    slow = sum(b.count * abs(b.confidence - b.right) for b in found) / 204
    assert calibration.calibration_error(sure, right) == pytest.approx(slow)


def test_who_is_always_as_sure_as_right_has_no_error() -> None:
    sure, right = [0.25] * 4 + [0.75] * 4, [1, 0, 0, 0, 1, 1, 1, 0]
    assert calibration.calibration_error(sure, right) == pytest.approx(0)
    assert calibration.calibration_error([1.0] * 4, [0, 0, 0, 0]) == 1
    with pytest.raises(ValueError, match="there must be as many"):
        calibration.brier([0.5], [1, 0])


def test_abstention_from_the_surest_to_all() -> None:
    sure, right = [0.9, 0.8, 0.8, 0.3], [1, 1, 0, 0]
    points = calibration.abstention(sure, right)
    assert [(p.threshold, p.coverage, p.risk) for p in points] == [
        (0.9, 0.25, 0.0), (0.8, 0.75, pytest.approx(1 / 3)), (0.3, 1.0, 0.5)
    ]  # fmt: skip
    assert calibration.area_under_risk(sure, right) == pytest.approx(0.25 * 0 + 0.5 / 3 + 0.25 * 0.5)


def test_confidence_that_knows_costs_less_than_one_that_does_not() -> None:
    right = RNG.integers(2, size=400)
    knows = (right * 0.5 + RNG.random(400) * 0.5).tolist()
    blind = RNG.random(400).tolist()
    assert calibration.area_under_risk(knows, right.tolist()) < 0.2 < calibration.area_under_risk(blind, right.tolist())


# ---------------------------------------------------------------------------------------------- classes
def test_classes_by_hand() -> None:
    true, said = ["a", "a", "a", "b", "b", "c"], ["a", "a", "b", "b", "c", "c"]
    assert classification.confusion(true, said, ["a", "b", "c"]) == [[2, 1, 0], [0, 1, 1], [0, 0, 1]]
    a, b, c = classification.precision_recall_f1(true, said, ["a", "b", "c"])
    assert (a.precision, a.recall, a.f1, a.support) == (1.0, pytest.approx(2 / 3), pytest.approx(0.8), 3)
    assert (b.precision, b.recall) == (0.5, 0.5) and (c.precision, c.recall) == (0.5, 1.0)
    (never,) = classification.precision_recall_f1(true, said, ["z"])
    assert (never.precision, never.recall, never.f1, never.support) == (0.0, 0.0, 0.0, 0)


def test_roc_auc_is_the_share_of_pairs_in_order() -> None:
    right, scores = RNG.integers(2, size=30).tolist(), RNG.integers(8, size=30).tolist()
    good = [score for score, one in zip(scores, right, strict=True) if one]
    bad = [score for score, one in zip(scores, right, strict=True) if not one]
    pairs = list(itertools.product(good, bad))
    share = sum((s > t) + 0.5 * (s == t) for s, t in pairs) / len(pairs)
    assert classification.roc_auc(right, scores) == pytest.approx(share)
    curve = classification.roc_curve(right, scores)
    assert curve[0][1:] == (0.0, 0.0) and curve[-1][1:] == (1.0, 1.0)
    area = sum((b[1] - a[1]) * (a[2] + b[2]) / 2 for a, b in itertools.pairwise(curve))
    assert area == pytest.approx(share)
    with pytest.raises(ValueError, match="all are alike"):
        classification.roc_auc([1, 1], [0.1, 0.2])


# ---------------------------------------------------------------------------------------------- texts
def test_exact_match_as_squad_compares() -> None:
    assert text.exact_match("The Eiffel Tower.", ["eiffel tower"]) == 1
    assert text.exact_match("Der Fluss", ["fluss"]) == 1 == text.exact_match("x", ["y", "x"])
    assert text.exact_match("an eiffel towers", ["eiffel tower"]) == 0


def test_bleu_by_hand() -> None:
    """One text, 4-gram precisions 5/6, 3/5, 1/4, and no 4-gram: sacrebleu smooths it by halving (exp smoothing)."""
    said, reference = "the cat sat on the mat", "the cat is on the mat"
    precisions = [5 / 6, 3 / 5, 1 / 4, 1 / (2 * 3)]
    expected = 100 * math.exp(sum(map(math.log, precisions)) / 4)
    assert text.bleu([said], [[reference]]) == pytest.approx(expected)
    assert text.bleu([said, said], [[said], [said]]) == pytest.approx(100)
    assert text.bleu([said], [[reference, said]]) == pytest.approx(100), "any of the references will do"


def test_chrf_by_hand() -> None:
    """Character n-grams to 6 without spaces; of "abcd" and "abce", precision and recall are 3/4, 2/3, 1/2, 0."""
    expected = 100 * np.mean([3 / 4, 2 / 3, 1 / 2, 0])  # F of equal precision and recall is that value
    assert text.chrf(["abcd"], [["abce"]]) == pytest.approx(expected)
    assert text.chrf(["Donaudampfschiff"], [["Donaudampfer"]]) > text.bleu(["Donaudampfschiff"], [["Donaudampfer"]])


def longest_common(a: list[str], b: list[str]) -> int:
    """The slow way."""
    if not a or not b:
        return 0
    if a[-1] == b[-1]:
        return 1 + longest_common(a[:-1], b[:-1])
    return max(longest_common(a[:-1], b), longest_common(a, b[:-1]))


def test_rouge_by_hand_with_umlauts() -> None:
    said, expected = "die grüne Tür ist offen", "die Tür ist grün und offen"
    a, b = said.lower().split(), expected.lower().split()
    common = longest_common(a, b)
    precision, recall = common / len(a), common / len(b)
    found = text.rouge(said, expected)
    assert found["rougeL"] == pytest.approx(2 * precision * recall / (precision + recall))
    assert found["rouge1"] == pytest.approx(2 * (4 / 5) * (4 / 6) / (4 / 5 + 4 / 6))
    assert found["rouge2"] == pytest.approx(2 * (1 / 4) * (1 / 5) / (1 / 4 + 1 / 5))


def test_references_must_fit() -> None:
    for references in ([], [["a"], ["a", "b"]]):
        with pytest.raises(ValueError, match="needs its references"):
            text.bleu(["a", "b"], references)


def test_diversity_by_hand() -> None:
    assert text.distinct(["a b a b", "a b"], 2) == pytest.approx(2 / 4)  # ab ba ab, ab
    assert text.distinct(["one"], 2) == 0
    assert text.repetition("a b a b a b", 2) == pytest.approx(1 - 2 / 5)
    assert text.repetition("all words differ here today", 2) == 0 == text.repetition("", 2)


def test_a_missing_library_is_named() -> None:
    with pytest.raises(GlaswerkError, match=r"needs no-such-package: pip install 'glaswerk\[evaluate\]'"):
        library("no_such_module", "no-such-package")
