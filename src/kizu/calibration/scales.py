"""Scores brought to 0 … 1 for people and for other systems.

==========  =======================================================================================================
p_value     the conformal p-value: the share of good parts that score as high or higher. 1 is ordinary, 0 is not
min_max     0.5 at the threshold; rises by 1 over the range of the calibration scores; cut off at 0 and 1
cdf         0.5 at the threshold; the normal distribution function of log scores, as wide as the good ones'
sigma6      0.5 at t = mean + 3 standard deviations of the calibration scores, whatever their threshold; rises by 1
            over 2 t − (lowest score); cut off at 0 and 1
==========  =======================================================================================================

The last three are those of hamacho, re-derived: there threshold and
extremes come from validation images, defects among them, those of ``sigma6`` from good ones; here everything comes
from good images the detector was not fitted on. In hamacho ``cdf`` is Φ((log s − m)/d − (log t − m)/d), from which
the mean m drops out. Standard deviations divide by n − 1, as PyTorch's do. Only p-values mean something by
themselves: "at most one good part in a hundred".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, overload

import numpy as np
import numpy.typing as npt

from kizu.errors import DataError, ParameterError, unknown_name

if TYPE_CHECKING:
    from kizu.calibration._calibration import Calibration

Float64 = npt.NDArray[np.float64]
Scale = Literal["p_value", "min_max", "cdf", "sigma6"]

SCALES: tuple[Scale, ...] = ("p_value", "min_max", "cdf", "sigma6")
"""Names for ``--scale``."""

_normal_cdf = np.vectorize(lambda z: 0.5 * math.erfc(-z / math.sqrt(2)), otypes=[np.float64])


def check_scale(name: str) -> Scale:
    """``name``, once seen to be a scale. Raises `ParameterError`."""
    for scale in SCALES:
        if scale == name:
            return scale
    raise ParameterError(unknown_name("scale", name, SCALES))


@overload
def scaled(scale: str, score: float, calibration: Calibration) -> float: ...


@overload
def scaled(scale: str, score: Float64, calibration: Calibration) -> Float64: ...


def scaled(scale: str, score: float | Float64, calibration: Calibration) -> float | Float64:
    """A score, or scores ``(n,)`` float64, on a scale of 0 … 1: see `kizu.calibration.scales`.

    Where good parts do not differ, so that a scale has no width, it is a step: 0 below, 0.5 at, and 1 above its
    middle. Raises `ParameterError` for an unknown scale, `DataError` for a score that is not a finite number.

    >>> from kizu.calibration import Calibration
    >>> good = Calibration(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0]))
    >>> scaled("p_value", 2.5, good), scaled("min_max", 3.0, good), scaled("min_max", 3.5, good)
    (0.5, 0.5, 0.75)
    """
    values = np.atleast_1d(np.asarray(score, np.float64))
    if not np.isfinite(values).all():
        raise DataError("a score is not a finite number, so no scale holds it; look at its image.")
    found = _FORMULAS[check_scale(scale)](values, calibration)
    return found if isinstance(score, np.ndarray) else float(found[0])


def _p_value(values: Float64, calibration: Calibration) -> Float64:
    known = np.sort(calibration.scores)
    as_high = len(known) - np.searchsorted(known, values, side="left")
    return np.asarray((1 + as_high) / (len(known) + 1), np.float64)


def _min_max(values: Float64, calibration: Calibration) -> Float64:
    return _linear(values, calibration.threshold, float(np.ptp(calibration.scores)))


def _sigma6(values: Float64, calibration: Calibration) -> Float64:
    known = calibration.scores
    middle = float(known.mean()) + 3 * _deviation(known)
    return _linear(values, middle, 2 * middle - float(known.min()))


def _cdf(values: Float64, calibration: Calibration) -> Float64:
    known = calibration.scores[calibration.scores > 0]
    width = _deviation(np.log(known)) if len(known) else 0.0
    if width == 0 or calibration.threshold <= 0:
        return _step(values, calibration.threshold)
    with np.errstate(divide="ignore"):  # log 0: infinitely below the threshold
        logs = np.log(np.maximum(values, 0.0))
    return np.asarray(_normal_cdf((logs - math.log(calibration.threshold)) / width))


def _linear(values: Float64, middle: float, width: float) -> Float64:
    """0.5 at ``middle``, rising by 1 over ``width``, cut off at 0 and 1."""
    if width <= 0:
        return _step(values, middle)
    return np.clip((values - middle) / width + 0.5, 0.0, 1.0)


def _step(values: Float64, middle: float) -> Float64:
    return np.asarray(0.5 + 0.5 * np.sign(values - middle))


def _deviation(values: Float64) -> float:
    return float(values.std(ddof=1)) if np.ptp(values) > 0 else 0.0


_FORMULAS = {"p_value": _p_value, "min_max": _min_max, "cdf": _cdf, "sigma6": _sigma6}
