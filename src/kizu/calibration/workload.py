"""How many parts people look at against how many defects get through, as the threshold for review falls.

With labelled parts, `workload`: above the NG threshold a machine decides, between the two thresholds a person looks,
below the lower one parts pass. Bands are Clopper and Pearson's (`kizu.calibration.binomial`): at each threshold by
itself the true share of defects that get through lies between them with the stated confidence, at least. They do not
cover a threshold picked because its point of the curve looked best.

From good images alone, `good_workload`: the share of good parts that exceeds the k-th highest of n calibration scores
is k/(n + 1) in expectation, and between two of those scores it follows a beta distribution, whatever that of the
scores (David, Nagaraja: "Order Statistics", 3rd ed. 2003, section 2.3). So its bands need no assumption but
exchangeability.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from kizu.arguments import number
from kizu.calibration.binomial import CONFIDENCE, beta_quantile, check_confidence, clopper_pearson
from kizu.counts import ScoreCounts, count_scores
from kizu.errors import DataError, bad_parameter

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class WorkloadCurve:
    """``(K,)`` float64 each, from no review at all to a review of everything that is not NG.

    At ``thresholds`` for review, descending: ``review_share`` of all parts is looked at, ``missed_share`` of the
    defects passes unseen, with a confidence of ``confidence`` between ``lower`` and ``upper``. ``review_good`` and
    ``review_bad`` are the shares of good parts and of defects that are looked at. ``ng_threshold``: above it nobody
    looks; None: people look at everything above the threshold for review. ``defect_rate``: the share of defects among
    all parts that ``review_share`` is for.
    """

    thresholds: Float64
    review_share: Float64
    review_good: Float64
    review_bad: Float64
    missed_share: Float64
    lower: Float64
    upper: Float64
    ng_threshold: float | None
    defect_rate: float
    confidence: float
    good: int
    bad: int

    def __post_init__(self) -> None:
        _same_length(self.thresholds, self.review_share, self.review_good, self.review_bad, self.missed_share)
        _same_length(self.thresholds, self.lower, self.upper)

    def at(self, threshold: float) -> int:
        """The place of the curve that has the verdicts of this threshold for review."""
        _check_threshold(threshold)
        here = np.flatnonzero(self.thresholds <= threshold)  # above a threshold counts, so the next one down
        return int(here[0]) if len(here) else len(self.thresholds) - 1

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return _plain(self.__dict__)


@dataclass(frozen=True, eq=False)
class GoodWorkload:
    """``(K,)`` float64 each: the share of good parts that people look at, from good images alone.

    At ``thresholds`` for review, descending, it is ``review_share`` in expectation, and with a confidence of
    ``confidence`` between ``lower`` and ``upper``.
    """

    thresholds: Float64
    review_share: Float64
    lower: Float64
    upper: Float64
    ng_threshold: float
    confidence: float
    good: int

    def __post_init__(self) -> None:
        _same_length(self.thresholds, self.review_share, self.lower, self.upper)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return _plain(self.__dict__)


def workload(
    scores: ArrayLike,
    labels: ArrayLike,
    threshold: float | None,
    *,
    defect_rate: float | None = None,
    confidence: float = CONFIDENCE,
) -> WorkloadCurve:
    """The curve for labelled parts and the NG threshold; None where a person confirms every NG.

    ``scores`` ``(n,)``; ``labels`` ``(n,)`` bool, True for defects. ``defect_rate``: the share of defects in
    production (None: as in these data, which mostly hold far more of them).

    Raises `DataError` for scores that are not finite numbers, or when good parts or defects are missing, and
    `ParameterError` for a rate out of range, or a threshold that is no number.

    >>> curve = workload([1, 2, 3, 4], [False, True, False, True], 3.0)
    >>> curve.thresholds[:3].tolist(), curve.review_share[:3].tolist(), curve.missed_share[:3].tolist()
    ([3.0, 2.0, 1.0], [0.0, 0.25, 0.5], [0.5, 0.5, 0.0])
    """
    check_confidence(confidence)
    _check_threshold(threshold)
    counts = count_scores(scores, labels)
    if not counts.has_both:
        raise DataError("a workload curve needs good parts and defects; add the kind that is missing.")
    bad, good = counts.totals
    rate = bad / (bad + good) if defect_rate is None else _rate(defect_rate)
    limits, caught, flagged = _from(counts, threshold)
    missed = bad - caught
    lower, upper = clopper_pearson(missed, bad, confidence)
    review_good, review_bad = (flagged - flagged[0]) / good, (caught - caught[0]) / bad
    return WorkloadCurve(
        thresholds=limits,
        review_share=rate * review_bad + (1 - rate) * review_good,
        review_good=review_good,
        review_bad=review_bad,
        missed_share=missed / bad,
        lower=lower,
        upper=upper,
        ng_threshold=threshold,
        defect_rate=rate,
        confidence=confidence,
        good=good,
        bad=bad,
    )


def good_workload(scores: ArrayLike, threshold: float, *, confidence: float = CONFIDENCE) -> GoodWorkload:
    """The share of good parts between the threshold for review and ``threshold``, from calibration scores ``(n,)``.

    Where ``threshold`` is no calibration score but lies between two, the bands hold for either, and are a little
    wider for it. Raises `DataError` for no scores, or ones that are not finite numbers, and `ParameterError`
    for a threshold that is no number.

    >>> found = good_workload([1.0, 2.0, 3.0, 4.0], 4.0)
    >>> found.thresholds.tolist(), found.review_share.tolist()
    ([4.0, 3.0, 2.0, 1.0], [0.0, 0.2, 0.4, 0.6])
    """
    check_confidence(confidence)
    _check_threshold(threshold)
    counts = count_scores(scores, np.zeros(np.shape(scores), np.bool_))
    total = counts.totals[1]
    limits, _, flagged = _from(counts, threshold)
    limits, flagged = (limits[:-1], flagged[:-1]) if len(limits) > 1 else (limits, flagged)  # below all: no promise
    between = flagged - flagged[0]
    lower = _spacings(between, total, (1 - confidence) / 2)
    upper = _spacings(between + (threshold not in counts.thresholds[:-1]), total, (1 + confidence) / 2)
    upper[0] = 0.0  # there it is the NG threshold itself
    return GoodWorkload(limits, between / (total + 1), lower, upper, threshold, confidence, total)


def _spacings(number: Float64, total: int, at: float) -> Float64:
    """The quantile of the share of parts in ``number`` of the ``total + 1`` gaps that scores leave."""
    return np.where(number > 0, beta_quantile(at, np.maximum(number, 1), np.maximum(total + 1 - number, 1)), 0.0)


def _from(counts: ScoreCounts, threshold: float | None) -> tuple[Float64, Float64, Float64]:
    """Thresholds from the NG threshold down, and how many defects and good parts exceed each."""
    limits, caught, flagged = counts.thresholds, counts.tp.astype(np.float64), counts.fp.astype(np.float64)
    if threshold is None:
        return limits, caught, flagged
    below = limits < threshold
    first = int((limits[:-1] > threshold).sum())
    return (
        np.concatenate(([threshold], limits[below])),
        np.concatenate(([caught[first]], caught[below])),
        np.concatenate(([flagged[first]], flagged[below])),
    )


def _check_threshold(threshold: float | None) -> None:
    if threshold is not None and math.isnan(number("threshold", threshold)):
        raise bad_parameter("threshold", "a number", threshold)


def _rate(defect_rate: float) -> float:
    hint = "For one part in a thousand write 0.001."
    rate = number("defect_rate", defect_rate, "in [0, 1)", hint)
    if not 0 <= rate < 1:
        raise bad_parameter("defect_rate", "in [0, 1)", rate, hint)
    return rate


def _same_length(*arrays: Float64) -> None:
    if len({array.shape for array in arrays}) != 1 or arrays[0].ndim != 1:
        raise ValueError(f"a workload curve's arrays differ in shape: {[array.shape for array in arrays]}")


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in fields.items()}
