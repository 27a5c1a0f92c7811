"""AUROC, average precision, best F1 and curves, all from counts per distinct score (`kizu.counts`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kizu.counts import Floats, ScoreCounts, count_scores  # noqa: F401 (the examples count)
from kizu.errors import DataError


@dataclass(frozen=True, eq=False)
class RocCurve:
    """``(K + 1,)`` float64 each, from (0, 0) to (1, 1): the rates when ``score > thresholds[k]`` flags."""

    thresholds: Floats
    fpr: Floats
    tpr: Floats


@dataclass(frozen=True, eq=False)
class PrCurve:
    """``(K + 1,)`` float64 each, recall rising from 0 to 1; precision is 1 where nothing is flagged."""

    thresholds: Floats
    precision: Floats
    recall: Floats


def auroc(counts: ScoreCounts) -> float | None:
    """Area under the ROC curve: P(a positive outscores a negative), ties counting half; None for one class.

    >>> auroc(count_scores([0.1, 0.4, 0.4, 0.8], [False, True, False, True]))
    0.875
    """
    if not counts.has_both:
        return None
    positives, negatives = counts.totals
    beaten = counts.tp[:-1] + 0.5 * counts.positives
    area = float((counts.negatives * beaten).sum() / (float(positives) * negatives))
    return min(area, 1.0)


def average_precision(counts: ScoreCounts) -> float | None:
    """``Σ (R_k − R_{k−1}) P_k`` without interpolation, as scikit-learn has it; None for one class.

    >>> average_precision(count_scores([0.1, 0.4, 0.35, 0.8], [False, False, True, True]))
    0.8333333333333333
    """
    if not counts.has_both:
        return None
    tp = counts.tp[1:]
    precision = tp / (tp + counts.fp[1:])
    return float((counts.positives * precision).sum() / counts.totals[0])


def best_f1(counts: ScoreCounts) -> tuple[float, float] | None:
    """The highest F1 of any threshold, and the highest threshold that gives it; None for one class.

    >>> best_f1(count_scores([1.0, 2.0, 3.0], [False, True, True]))
    (1.0, 1.0)
    """
    if not counts.has_both:
        return None
    tp = counts.tp
    f1 = 2.0 * tp / (tp + counts.fp + counts.totals[0])
    best = int(f1.argmax())
    return float(f1[best]), float(counts.thresholds[best])


def roc_curve(counts: ScoreCounts) -> RocCurve:
    """The ROC curve; raises `DataError` when only one class is there."""
    positives, negatives = _both(counts)
    return RocCurve(counts.thresholds, counts.fp / negatives, counts.tp / positives)


def pr_curve(counts: ScoreCounts) -> PrCurve:
    """The precision-recall curve; raises `DataError` when only one class is there."""
    positives, _ = _both(counts)
    tp = counts.tp
    precision = np.ones(tp.size)
    precision[1:] = tp[1:] / (tp[1:] + counts.fp[1:])
    return PrCurve(counts.thresholds, precision, tp / positives)


def _both(counts: ScoreCounts) -> tuple[int, int]:
    if not counts.has_both:
        raise DataError("a curve needs good and anomalous samples; add the kind that is missing.")
    return counts.totals
