"""A threshold from held-out good images: the smallest that keeps the asked share of false alarms.

The one seam between scores and decisions: whatever wants a threshold or a verdict asks a `Calibration`.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from kizu.errors import DataError, KizuWarning, ModelFileError, bad_parameter

Float64 = npt.NDArray[np.float64]
Verdict = Literal["ok", "review", "ng"]


@dataclass(frozen=True)
class Calibration:
    """Scores of good images the detector was not fitted on, and what follows from them.

    ``scores`` ``(n,)`` float64: image scores; ``peaks`` ``(n,)`` float64: the highest value of each anomaly map.
    ``false_alarms``: the share of these images that may be called NG.
    """

    scores: Float64
    peaks: Float64
    false_alarms: float

    def __post_init__(self) -> None:
        if not 0 <= self.false_alarms < 1:
            raise bad_parameter("false_alarms", "in [0, 1)", self.false_alarms, "For one percent write 0.01.")
        if self.scores.ndim != 1 or self.scores.shape != self.peaks.shape or not len(self.scores):
            raise DataError(f"a calibration needs one score and one peak an image; got {self.scores.shape} scores.")
        if not (np.isfinite(self.scores).all() and np.isfinite(self.peaks).all()):
            raise DataError("a calibration score is not a finite number; check the calibration images.")

    @property
    def threshold(self) -> float:
        """Image score above which a part is NG."""
        return _smallest_keeping(self.scores, self.false_alarms)

    @property
    def pixel_threshold(self) -> float:
        """Map value above which a pixel belongs to the predicted mask: on at most that share of good images."""
        return _smallest_keeping(self.peaks, self.false_alarms)

    def verdict(self, score: float) -> Verdict:
        """``ng`` above the threshold, else ``ok``."""
        return "ng" if score > self.threshold else "ok"

    def p_value(self, score: float) -> float:
        """How ordinary ``score`` is: about that share of good parts score as high or higher; in (0, 1].

        The conformal p-value ``(1 + #{calibration scores ≥ score}) / (n + 1)`` (Vovk, Gammerman, Shafer: "Algorithmic
        Learning in a Random World", Springer 2005, section 2.2).

        >>> Calibration(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0]), 0.01).p_value(3.0)
        0.5
        """
        return (1 + int((self.scores >= score).sum())) / (len(self.scores) + 1)

    def warn_if_few(self) -> None:
        """Say so when there are too few images to show the asked rate at all."""
        count = len(self.scores)
        if _allowed(self.false_alarms, count) < 1:
            enough = f"{math.ceil(1 / self.false_alarms - 1e-9)} images or more" if self.false_alarms else "many more"
            warnings.warn(
                f"{count} held-out good images cannot show a false-alarm share of {self.false_alarms:g}: the "
                f"threshold is their highest score, good for about {1 / (count + 1):.1%}. For the asked share hold "
                f"out {enough}.",
                KizuWarning,
                stacklevel=2,
            )

    def to_dict(self) -> dict[str, Any]:
        return {
            "scores": self.scores.tolist(),
            "peaks": self.peaks.tolist(),
            "false_alarms": self.false_alarms,
        }

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> Calibration:
        """Raises `ModelFileError` when something is missing or not a number."""
        try:
            scores, peaks = np.array(document["scores"], np.float64), np.array(document["peaks"], np.float64)
            return cls(scores, peaks, float(document["false_alarms"]))
        except (KeyError, TypeError, ValueError, OverflowError, DataError) as error:
            raise ModelFileError(f"the calibration in the model file is damaged: {error}") from None


def _smallest_keeping(scores: Float64, share: float) -> float:
    """The smallest of ``scores`` that at most ``share`` of them exceed.

    >>> _smallest_keeping(np.array([3.0, 1.0, 2.0, 4.0]), 0.25)
    3.0
    """
    return float(np.sort(scores)[len(scores) - 1 - _allowed(share, len(scores))])


def _allowed(share: float, count: int) -> int:
    """How many of ``count`` scores may lie above the threshold; 0.29 of 100 is 29, whatever floats make of it."""
    return min(math.floor(share * count + 1e-9), count - 1)
