"""Classes told apart: confusion matrix, precision, recall, F1, ROC-AUC. scikit-learn computes them.

Left out: what is not asked for here; scikit-learn has it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from glaswerk.evaluate.metrics.library import library


@dataclass(frozen=True, slots=True)
class ClassReport:
    """Of one class: the share of what was called so that is so (precision), the share of what is so that was called so
    (recall), their harmonic mean, and how many there are (``support``). 0 where a share is of nothing."""

    label: Any
    precision: float
    recall: float
    f1: float
    support: int


def confusion(true: Sequence[Hashable], said: Sequence[Hashable], labels: Sequence[Hashable]) -> list[list[int]]:
    """Counts: row by the true label, column by what was said, both in the order of ``labels``."""
    found = library("sklearn.metrics", "scikit-learn").confusion_matrix(true, said, labels=list(labels))
    return [[int(count) for count in row] for row in found]


def precision_recall_f1(
    true: Sequence[Hashable], said: Sequence[Hashable], labels: Sequence[Hashable]
) -> list[ClassReport]:
    """One report per label, in their order."""
    score = library("sklearn.metrics", "scikit-learn").precision_recall_fscore_support
    columns = score(true, said, labels=list(labels), zero_division=0.0)
    return [
        ClassReport(label, float(precision), float(recall), float(f1), int(support))
        for label, precision, recall, f1, support in zip(labels, *columns, strict=True)
    ]


def roc_auc(right: Sequence[int], scores: Sequence[float]) -> float:
    """The probability that a right one scores higher than a wrong one (ties count half). Raises ``ValueError`` where
    all are right, or none is."""
    if len(set(right)) < 2:
        raise ValueError("ROC-AUC needs right and wrong ones; here all are alike")
    return float(library("sklearn.metrics", "scikit-learn").roc_auc_score(right, scores))


def roc_curve(right: Sequence[int], scores: Sequence[float]) -> list[tuple[float, float, float]]:
    """Points of the curve: threshold, share of the wrong that reach it, share of the right that do. The first
    threshold is infinite."""
    wrong, found, thresholds = library("sklearn.metrics", "scikit-learn").roc_curve(right, scores)
    return [(float(t), float(w), float(r)) for t, w, r in zip(thresholds, wrong, found, strict=True)]
