"""An estimate of the score that a small share of good parts exceeds, where there are too few of them to promise it.

Peaks over a threshold (Coles: "An Introduction to Statistical Modeling of Extreme Values", Springer 2001, chapter 4):
what the highest scores exceed the (k + 1)-th highest by is taken for a sample of a generalised Pareto distribution,

    P(excess > y) = (1 + ξ y / σ)^(−1/ξ),   e^(−y/σ) for ξ = 0.

ξ and σ are not fitted but weighed: a posterior on a grid, with density 1/σ for the scale and a normal distribution
around 0 of deviation 0.2, cut at ±0.5, for the shape. With so few excesses maximum likelihood varies wildly (Hosking,
Wallis, Technometrics 29, 1987); that prior says only that scores of good parts neither end nor trail off abruptly, as
Coles and Dixon ("Likelihood-based inference for extreme value models", Extremes 2, 1999) penalise shapes no sample so
small can tell. The share of parts beyond the (k + 1)-th highest of n scores follows Beta(k + 1, n − k), whatever
their distribution, and is weighed along. Estimates are medians of what follows, intervals their central part. Nothing
is drawn at random.

How many: k = min(⌈n/5⌉, ⌈3 √n⌉), as Vehtari, Simpson, Gelman, Yao, Gabry ("Pareto smoothed importance sampling", JMLR
25, 2024) take, but of few scores more: 10, or half of them.

This is an **estimate**: it rests on the tail going on as it began. `kizu.calibration.conformal` promises; this does
not. How often the interval holds, on distributions and on real scores: ``docs/thresholds.md``, from
``benchmarks/tail.py``.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from kizu.calibration.binomial import CONFIDENCE, beta_quantile, check_confidence
from kizu.errors import DataError, bad_parameter

Float64 = npt.NDArray[np.float64]

MIN_SCORES = 10
"""Fewer say nothing about a tail."""

_PRIOR_DEVIATION = 0.2
_SHAPES = np.linspace(-0.5, 0.5, 41)
_SHAPES[20] = 1e-9  # 0, without its own formula
_LOG_SCALES = np.linspace(math.log(0.1), math.log(8.0), 89)  # of the mean excess
_BEYOND_AT = (np.arange(25) + 0.5) / 25


@dataclass(frozen=True)
class TailEstimate:
    """An estimate, not a promise: ``share`` of good parts exceed ``threshold``.

    ``of`` says which of the two is estimated: if the tail goes on as it began, the true threshold is between ``low``
    and ``high`` with a confidence of ``confidence``. It rests on ``excesses`` of ``count`` scores, those above
    ``above``. ``shape`` is the mean of ξ: below 0 the tail ends, at 0 it is exponential, above 0 it is heavier.
    """

    share: float
    threshold: float
    of: Literal["threshold"]
    low: float
    high: float
    confidence: float
    above: float
    excesses: int
    count: int
    shape: float

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; ``estimate`` is always true."""
        return {"estimate": True, **asdict(self)}


@dataclass(frozen=True, eq=False)
class Tail:
    """The tail of good parts' scores: what to believe of its shape and scale, from ``count`` scores.

    ``weights`` ``(S, C)`` float64, sum 1: of each shape and scale. ``scales`` ``(C,)`` float64. The rest is as in
    `TailEstimate`.
    """

    weights: Float64 = field(repr=False)
    scales: Float64 = field(repr=False)
    above: float
    excesses: int
    count: int

    @property
    def shape(self) -> float:
        """The mean of ξ."""
        return float((self.weights.sum(axis=1) * _SHAPES).sum())

    @property
    def reaches(self) -> float:
        """The largest share that it can be asked for: what lies beyond ``above``."""
        return (self.excesses + 1) / (self.count + 1)

    def exceeded_by(self, share: float, *, confidence: float = CONFIDENCE) -> TailEstimate:
        """The score that ``share`` of good parts exceeds. Raises `ParameterError` for one that is no tail."""
        check_confidence(confidence)
        if not 0 < share <= self.reaches:
            hint = f"{self.count} scores promise larger ones without an estimate." if share > 0 else ""
            raise bad_parameter("share", f"above 0 and at most {self.reaches:.3g} for a tail estimate", share, hint)
        grow = np.maximum(np.log(self._beyond() / share), 0.0)  # the tail says nothing of what lies below it
        excess = self.scales[:, None] * np.expm1(_SHAPES[:, None, None] * grow) / _SHAPES[:, None, None]
        low, middle, high = self._quantiles(self.above + excess, confidence)
        return TailEstimate(share, middle, "threshold", low, high, confidence, *self._origin())

    def _origin(self) -> tuple[float, int, int, float]:
        return self.above, self.excesses, self.count, self.shape

    def _beyond(self) -> Float64:
        return _beyond(self.excesses, self.count)

    def _quantiles(self, values: Float64, confidence: float) -> tuple[float, float, float]:
        """Lower limit, median and upper limit of ``values`` ``(S, C, 25)``."""
        flat = values.reshape(-1)
        order = np.argsort(flat)
        risen = np.cumsum(np.repeat(self.weights.reshape(-1) / len(_BEYOND_AT), len(_BEYOND_AT))[order])
        at = np.array([(1 - confidence) / 2, 0.5, (1 + confidence) / 2])
        low, middle, high = flat[order][np.minimum(np.searchsorted(risen, at), len(flat) - 1)]
        return float(low), float(middle), float(high)


def fit_tail(scores: ArrayLike) -> Tail:
    """Weigh what the tail of ``scores`` ``(n,)`` may be.

    Raises `DataError` for fewer than 10 scores, one that is not a finite number, or no tail: the highest all equal.

    >>> found = fit_tail(np.random.default_rng(0).exponential(size=60)).exceeded_by(0.001)
    >>> bool(found.low < -np.log(0.001) < found.high)
    True
    """
    values = np.sort(np.asarray(scores, np.float64).reshape(-1))
    if len(values) < MIN_SCORES:
        raise DataError(
            f"a tail estimate needs {MIN_SCORES} scores of good images; got {len(values)}. Give more good images."
        )
    if not np.isfinite(values).all():
        raise DataError("a score is not a finite number, so there is no tail to estimate; look at the images.")
    count = len(values)
    k = _excesses(count)
    above = float(values[count - k - 1])
    excess = values[count - k :] - above
    mean = float(excess.mean())
    if not excess[0] < excess[-1] or mean <= 1e-12 * abs(above):
        raise DataError(
            f"the {k + 1} highest of {count} scores do not differ, so there is no tail to estimate. Look at the "
            "images: are they copies of one another?"
        )
    return Tail(_posterior(excess / mean), np.exp(_LOG_SCALES) * mean, above, k, count)


@lru_cache
def _beyond(excesses: int, count: int) -> Float64:
    """Equally likely shares of parts beyond the highest score that is no excess: ``(25,)``."""
    return beta_quantile(_BEYOND_AT, excesses + 1, count - excesses)


def _excesses(count: int) -> int:
    return max(min(math.ceil(count / 5), math.ceil(3 * math.sqrt(count))), min(MIN_SCORES, count // 2))


def _posterior(excess: Float64) -> Float64:
    """``(S, C)``, sum 1, for excesses ``(k,)`` of mean 1."""
    scales = np.exp(_LOG_SCALES)
    log_weights = np.empty((len(_SHAPES), len(scales)))
    for row, shape in enumerate(_SHAPES):
        inside = shape * excess[:, None] / scales
        likelihood = -len(excess) * _LOG_SCALES - (1 + 1 / shape) * _log1p(inside).sum(axis=0)
        log_weights[row] = np.where((inside > -1).all(axis=0), likelihood, -np.inf)
    log_weights -= 0.5 * (_SHAPES[:, None] / _PRIOR_DEVIATION) ** 2
    weights = np.exp(log_weights - log_weights.max())
    return np.asarray(weights / weights.sum())


def _log1p(values: Float64) -> Float64:
    """log(1 + x), accurate near 0, finite for x ≤ −1."""
    return np.asarray(np.log1p(np.maximum(values, -1 + 1e-15)))
