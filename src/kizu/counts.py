"""Labels counted per distinct score: what ranking, thresholds and workload follow from.

Image scores (each distinct score a row) and pixel scores (each histogram bin a row) share this one core. A
verdict is anomalous when ``score > threshold``; the thresholds kept here are always finite and reproduce the
counts beside them under that strict comparison, in float64 and in float32 alike: the threshold that flags the
rows down to score ``s`` is the next lower score itself, and below the lowest score a number smaller by a part
in 2**20.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kizu.errors import DataError

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ScoreCounts:
    """Labels counted per distinct score, highest score first.

    ``thresholds`` is ``(K + 1,)`` float64, strictly descending: ``score > thresholds[k]`` flags exactly the
    first ``k`` rows. ``positives`` and ``negatives`` are ``(K,)`` int64. Raises `DataError` when the shapes
    disagree.
    """

    thresholds: Floats
    positives: Counts
    negatives: Counts

    def __post_init__(self) -> None:
        rows = self.positives.shape
        if len(rows) != 1 or self.negatives.shape != rows or self.thresholds.shape != (rows[0] + 1,):
            raise DataError("score counts need K positives, K negatives and K + 1 thresholds.")
        if not (np.isfinite(self.thresholds).all() and (np.diff(self.thresholds) < 0).all()):
            raise DataError("thresholds of score counts must be finite and strictly descending.")

    @property
    def tp(self) -> Counts:
        """``(K + 1,)`` int64: positives flagged at each threshold, from none to all."""
        return _running(self.positives)

    @property
    def fp(self) -> Counts:
        """``(K + 1,)`` int64: negatives flagged at each threshold, from none to all."""
        return _running(self.negatives)

    @property
    def totals(self) -> tuple[int, int]:
        """How many positives and how many negatives there are."""
        return int(self.positives.sum()), int(self.negatives.sum())

    @property
    def has_both(self) -> bool:
        """Whether ranking means anything: at least one positive and one negative."""
        return min(self.totals) > 0


def count_scores(scores: ArrayLike, labels: ArrayLike) -> ScoreCounts:
    """Count labels per distinct score.

    ``scores`` is ``(N,)`` of finite numbers, ``labels`` is ``(N,)`` bool (or 0 and 1), True for anomalous.
    Raises `DataError` for no scores, scores that are not finite, or labels that do not fit.

    >>> counts = count_scores([0.1, 0.4, 0.4, 0.8], [False, True, False, True])
    >>> counts.positives.tolist(), counts.negatives.tolist()
    ([1, 1, 0], [0, 1, 1])
    >>> counts.thresholds[:3].tolist()
    [0.8, 0.4, 0.1]
    """
    values, truth = checked_scores(scores, labels)
    distinct, row = np.unique(values, return_inverse=True)
    total = np.bincount(row, minlength=distinct.size)
    positives = np.bincount(row[truth], minlength=distinct.size)
    thresholds = np.append(distinct[::-1], just_below(float(distinct[0])))
    return ScoreCounts(thresholds, positives[::-1], (total - positives)[::-1])


def checked_scores(scores: ArrayLike, labels: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
    """Scores as float64 and labels as bool, both ``(N,)``; raises `DataError` as `count_scores` says."""
    values = np.asarray(scores, dtype=np.float64)
    truth: NDArray[Any] = np.asarray(labels)
    if values.ndim != 1 or values.shape != truth.shape or not values.size:
        raise DataError(f"metrics need as many labels as scores, one or more; got {truth.shape} and {values.shape}.")
    if not np.isfinite(values).all():
        where = int(np.flatnonzero(~np.isfinite(values))[0])
        raise DataError(f"score {where} is {values[where]}: metrics need finite scores; look at its image.")
    if truth.dtype != np.bool_ and not np.isin(truth, (0, 1)).all():
        raise DataError("labels must be True (anomalous) or False (good) for every score.")
    return values, truth.astype(np.bool_)


def just_below(score: float) -> float:
    """A finite threshold under ``score`` that stays under it when rounded to float32.

    >>> just_below(1.0) < 1.0, just_below(0.0) < 0.0
    (True, True)
    """
    return score - max(abs(score), 1e-30) * 2.0**-20


def _running(counts: Counts) -> Counts:
    """``(K + 1,)``: the running sum, starting from 0."""
    total = np.zeros(counts.size + 1, dtype=np.int64)
    np.cumsum(counts, out=total[1:])
    return total
