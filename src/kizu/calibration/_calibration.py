"""Scores of good images, and the thresholds and verdicts that follow.

The one seam between scores and decisions: whatever wants a threshold or a verdict asks a `Calibration`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from kizu.arguments import number
from kizu.calibration import conformal
from kizu.calibration._decision import Decision
from kizu.errors import DataError, KizuWarning, ModelFileError, ParameterError
from kizu.wording import percent, plural

Float64 = npt.NDArray[np.float64]
Verdict = Literal["ok", "review", "ng"]
VERDICTS: tuple[Verdict, ...] = ("ok", "review", "ng")
Method = Literal["leave_one_out", "k_fold", "hold_out", "given"]


@dataclass(frozen=True, eq=False)
class Calibration:
    """Scores of good images by a detector that was not fitted on them, and what follows.

    ``scores`` ``(n,)`` float64: image scores; ``peaks`` ``(n,)`` float64: the highest value of each anomaly map.
    ``decision``: how thresholds follow from them. ``method``: how it was seen to that an image was not fitted on;
    ``given`` are images that the data set itself sets apart.

    Raises `DataError` without scores, or for one that is not a finite number.
    """

    scores: Float64 = field(repr=False)
    peaks: Float64 = field(repr=False)
    decision: Decision = field(default_factory=Decision)
    method: Method = "hold_out"

    def __post_init__(self) -> None:
        for name in ("scores", "peaks"):
            object.__setattr__(self, name, _numbers(getattr(self, name)))
        if self.scores.ndim != 1 or self.scores.shape != self.peaks.shape or not len(self.scores):
            raise DataError(f"a calibration needs one score and one peak an image; got {self.scores.shape} scores.")
        if not (np.isfinite(self.scores).all() and np.isfinite(self.peaks).all()):
            raise DataError("a calibration score is not a finite number; check the calibration images.")
        if self.method not in get_args(Method):
            raise DataError(f"no calibration is made by {self.method!r}.")

    @property
    def false_alarms(self) -> float:
        """The share of good parts that may be called NG, as asked for; see `promised`."""
        return self.decision.false_alarms

    @cached_property
    def threshold(self) -> float:
        """Image score above which a part is NG."""
        if self.decision.threshold is not None:
            return self.decision.threshold
        return conformal.threshold(self.scores, self.decision.false_alarms)

    @cached_property
    def review_threshold(self) -> float:
        """Image score above which a person should look, up to `threshold`; the same as that where nobody should."""
        share = min(self.decision.false_alarms + self.decision.review_budget, 1.0)
        if not self.decision.review_budget or not conformal.rank(share, len(self.scores)):
            return self.threshold
        return min(self.threshold, conformal.threshold(self.scores, share))

    @cached_property
    def pixel_threshold(self) -> float:
        """Map value above which a pixel belongs to the predicted mask: on at most that share of good images."""
        return conformal.threshold(self.peaks, self.decision.false_alarms)

    @property
    def promised(self) -> float:
        """The share of false alarms that so many images can promise; more than asked for where they are few."""
        return conformal.promised(self.decision.false_alarms, len(self.scores))

    @property
    def reviewed(self) -> float:
        """The share of good parts between both thresholds, in expectation, where `promised` holds of the upper one:
        near the budget, and off it by as much as so few images tell apart.
        """
        both = min(self.decision.false_alarms + self.decision.review_budget, 1.0)
        return max(0.0, conformal.promised(both, len(self.scores)) - self.promised)

    @property
    def figures(self) -> dict[str, float | None]:
        """The thresholds by name, and what the NG threshold has ``promised``: None where it was chosen otherwise."""
        promised = self.promised if self.decision.by == "false_alarms" else None
        names = ("threshold", "review_threshold", "pixel_threshold")
        return {**{name: getattr(self, name) for name in names}, "promised": promised}

    @property
    def enough(self) -> bool:
        """Whether there are images enough for the share of false alarms asked for."""
        return conformal.rank(self.decision.false_alarms, len(self.scores)) > 0

    def verdict(self, score: float) -> Verdict:
        """``ng`` above the threshold, ``review`` above the one for review, else ``ok``; NaN is never ``ok``."""
        score = number("score", score)
        if not score <= self.threshold:
            return "ng"
        return "review" if score > self.review_threshold else "ok"

    def p_value(self, score: float) -> float:
        """How ordinary ``score`` is: about that share of good parts score as high or higher; in (0, 1].

        >>> Calibration(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0])).p_value(3.0)
        0.5
        """
        return conformal.p_value(self.scores, number("score", score))

    def deciding(self, decision: Decision) -> Calibration:
        """The same scores under another decision."""
        return replace(self, decision=decision)

    def warn_if_few(self) -> None:
        """Say so when there are too few images to promise the asked share at all."""
        count, asked = len(self.scores), self.decision.false_alarms
        if self.decision.by != "false_alarms" or self.enough:
            return
        more = f"For {percent(asked)} give {conformal.enough(asked)} or more" if asked else "No number promises none"
        warnings.warn(
            f"{plural(count, 'good image')} can promise a share of false alarms of {100 * self.promised:.3g} %, not "
            f"{percent(asked)}: the threshold is their highest score. {more}; `kizu threshold` estimates from the "
            "tail what they cannot promise.",
            KizuWarning,
            stacklevel=2,
        )

    def to_dict(self) -> dict[str, Any]:
        """As a model file holds it."""
        return {
            "scores": self.scores.tolist(),
            "peaks": self.peaks.tolist(),
            "decision": self.decision.to_dict(),
            "method": self.method,
        }

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> Calibration:
        """Raises `ModelFileError` when something is missing or not a number."""
        try:
            scores, peaks = np.array(document["scores"], np.float64), np.array(document["peaks"], np.float64)
            if "decision" not in document:  # schemas 1 and 2
                old = Decision(false_alarms=float(document["false_alarms"]), review_budget=0.0)
                return cls(scores, peaks, old, "hold_out")
            return cls(scores, peaks, Decision.from_dict(document["decision"]), document["method"])
        except (KeyError, TypeError, ValueError, OverflowError, DataError, ParameterError) as error:
            raise ModelFileError(f"the calibration in the model file is damaged: {error}") from None


def _numbers(given: object) -> Float64:
    """An array or a list as float64. Raises `DataError` for what is no numbers."""
    found = np.asarray(given)
    if found.dtype.kind not in "fiu" and found.size:
        raise DataError(f"calibration scores must be numbers; got {found.dtype}. Give an array of floats.")
    return found.astype(np.float64, copy=False)
