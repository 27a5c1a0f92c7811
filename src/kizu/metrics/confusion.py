"""What one threshold does: the four counts and the ratios made of them.

A ratio whose denominator is zero is undefined and given as ``None``, never as NaN, so that it survives JSON.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from kizu.errors import ParameterError, bad_parameter


@dataclass(frozen=True)
class Confusion:
    """Counts at one threshold; "positive" means anomalous, and flagged means score > threshold.

    >>> Confusion(tp=3, fp=1, tn=5, fn=1).precision
    0.75
    >>> Confusion(tp=0, fp=0, tn=5, fn=1).precision is None
    True
    """

    tp: int
    fp: int
    tn: int
    fn: int

    def __post_init__(self) -> None:
        if min(self.tp, self.fp, self.tn, self.fn) < 0:
            raise ParameterError(f"counts of a confusion matrix must be 0 or more; got {self}.")

    @property
    def accuracy(self) -> float | None:
        """Share of verdicts that are right."""
        return _ratio(self.tp + self.tn, self.tp + self.fp + self.tn + self.fn)

    @property
    def precision(self) -> float | None:
        """Share of the flagged that is anomalous; None when nothing is flagged."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float | None:
        """Share of the anomalous that is flagged; None when nothing is anomalous."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float | None:
        """``2 tp / (2 tp + fp + fn)``; None when nothing is anomalous."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn) if self.tp + self.fn else None

    @property
    def iou(self) -> float | None:
        """``tp / (tp + fp + fn)``, intersection over union; None when nothing is anomalous."""
        return _ratio(self.tp, self.tp + self.fp + self.fn) if self.tp + self.fn else None


def check_threshold(threshold: float) -> float:
    """The threshold as a plain float; raises `ParameterError` when it is not finite."""
    value = float(threshold)
    if not math.isfinite(value):
        raise bad_parameter("threshold", "a finite number", threshold)
    return value


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
