"""Whether one model is really better than another on the same images, or only seems so: paired tests.

AUROC: E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson, "Comparing the areas under two or more correlated receiver
operating characteristic curves", Biometrics 44 (1988), in the form of X. Sun, W. Xu, "Fast implementation of DeLong's
algorithm", IEEE Signal Processing Letters 21 (2014), doi:10.1109/LSP.2014.2337313, which needs ranks instead of
pairs. Verdicts: Q. McNemar, Psychometrika 12 (1947), as the exact binomial test. Several comparisons at once:
S. Holm, Scandinavian Journal of Statistics 6 (1979).

All of them take the images as a random sample of those to come, none depending on another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kizu.counts import Floats, checked_scores, count_scores
from kizu.errors import DataError
from kizu.metrics.ranking import auroc

CONFIDENCE = 0.95

_SMALLEST = 1e-14  # variances below, in squares of a share, are rounding


@dataclass(frozen=True)
class AurocComparison:
    """Two AUROCs on the same images.

    ``difference``: ``second - first``, between ``low`` and ``high`` with 95 % confidence. ``p_value``: how often a
    difference as large comes up among models that are equally good. These three are None where the images cannot
    tell: fewer than two of a kind, or no image at all on which either model wavers while the two differ.
    """

    first: float
    second: float
    difference: float
    low: float | None
    high: float | None
    p_value: float | None

    def to_dict(self) -> dict[str, float | None]:
        """The fields by name, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class VerdictComparison:
    """How many images only one of two models gets right, and how often chance alone parts them as unevenly."""

    only_first: int
    only_second: int
    p_value: float

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, ready for JSON."""
        return asdict(self)


def compare_auroc(first: ArrayLike, second: ArrayLike, labels: ArrayLike) -> AurocComparison | None:
    """DeLong's test of two models' ``(N,)`` scores of the same images; None when they are all of one kind.

    ``labels`` ``(N,)``: True for anomalous. Where both rank every pair of images alike, the difference is 0 and
    ``p_value`` 1. Raises `DataError` for scores and labels that do not fit.

    >>> found = compare_auroc([1, 2, 3, 4, 9], [1, 4, 3, 2, 9], [False, False, True, False, True])
    >>> round(found.first, 3), round(found.second, 3), round(found.p_value, 3)
    (0.833, 0.833, 1.0)
    """
    one, truth = checked_scores(first, labels)
    two, _ = checked_scores(second, labels)
    areas = [auroc(count_scores(scores, truth)) for scores in (one, two)]
    if areas[0] is None or areas[1] is None:
        return None
    difference = areas[1] - areas[0]
    by_first, by_second = _placements(one, truth), _placements(two, truth)
    deviation = _deviation(*(after - before for before, after in zip(by_first, by_second, strict=True)))
    return AurocComparison(areas[0], areas[1], difference, *_judged(difference, deviation))


def compare_verdicts(first: ArrayLike, second: ArrayLike) -> VerdictComparison:
    """McNemar's exact test; ``(N,)`` bool each: whether a model was right about each of the same images.

    Raises `DataError` when there are no images, or not as many.

    >>> compare_verdicts([True] * 8 + [False], [False] * 6 + [True] * 3)
    VerdictComparison(only_first=6, only_second=1, p_value=0.125)
    """
    one, two = (np.asarray(right, np.bool_) for right in (first, second))
    if one.ndim != 1 or one.shape != two.shape or not one.size:
        raise DataError(f"verdicts of the same images, one or more, are compared; got {one.shape} and {two.shape}.")
    only_first, only_second = int((one & ~two).sum()), int((two & ~one).sum())
    return VerdictComparison(only_first, only_second, _binomial(only_first, only_second))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p-values of several comparisons so that all may be judged at once; None stays, and is not counted.

    >>> holm([0.01, 0.04, None, 0.03])
    [0.03, 0.06, None, 0.06]
    """
    order = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    so_far = 0.0
    for rank, (p, place) in enumerate(order):
        so_far = max(so_far, min(1.0, p * (len(order) - rank)))
        adjusted[place] = so_far
    return adjusted


def _placements(scores: Floats, truth: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """For each positive the share of negatives below it, for each negative that of positives above; ties half.

    Eqs. 10 to 14 of Sun and Xu: mid-ranks among all less mid-ranks among one's own kind.
    """
    among_all = _midranks(scores)
    positives, negatives = int(truth.sum()), int((~truth).sum())
    above = (among_all[truth] - _midranks(scores[truth])) / negatives
    below = 1 - (among_all[~truth] - _midranks(scores[~truth])) / positives
    return above, below


def _midranks(values: Floats) -> Floats:
    """Ranks from 1, equal values sharing the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Floats = (last - (counts - 1) / 2)[place.reshape(-1)]
    return ranks


def _deviation(by_positive: Floats, by_negative: Floats) -> float | None:
    """Standard error of the mean difference; None below two of a kind."""
    if min(by_positive.size, by_negative.size) < 2:
        return None
    parts = (float(values.var(ddof=1)) / values.size for values in (by_positive, by_negative))
    return math.sqrt(sum(parts))


def _judged(difference: float, deviation: float | None) -> tuple[float | None, float | None, float | None]:
    """Lower and upper bound and p-value, as far as they can be had."""
    if deviation is None or (deviation**2 < _SMALLEST and abs(difference) > math.sqrt(_SMALLEST)):
        return None, None, None
    if deviation**2 < _SMALLEST:
        return difference, difference, 1.0
    reach = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * deviation
    p_value = math.erfc(abs(difference) / deviation / math.sqrt(2))
    return max(-1.0, difference - reach), min(1.0, difference + reach), p_value


def _binomial(one: int, other: int) -> float:
    """How often a fair coin thrown ``one + other`` times falls as unevenly, or more so."""
    throws, term, total = one + other, 1, 0
    for count in range(min(one, other) + 1):
        total += term
        term = term * (throws - count) // (count + 1)
    return min(1.0, 2 * total / (1 << throws))
