"""Intervals for shares that were counted: Clopper and Pearson's, from the quantiles of beta distributions; and how
probable counts are.

Clopper, Pearson: "The use of confidence or fiducial limits illustrated in the case of the binomial", Biometrika 26,
1934. They hold for every true share (at least the stated confidence), also for counts of 0. The incomplete beta
function is Lentz's continued fraction (Press et al.: "Numerical Recipes", 3rd ed., section 6.4).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from kizu.arguments import number
from kizu.errors import bad_parameter

Float64 = npt.NDArray[np.float64]

CONFIDENCE = 0.9
"""Of every interval, unless something else is asked for."""

_STEPS = 200
_TINY = 1e-300
_log_gamma = np.vectorize(math.lgamma, otypes=[np.float64])


def clopper_pearson(hits: ArrayLike, trials: ArrayLike, confidence: float = CONFIDENCE) -> tuple[Float64, Float64]:
    """Lower and upper limits of the share behind ``hits`` of ``trials``; arrays of one shape, or numbers.

    ``hits`` may be fractions: means of several counts. Raises `ParameterError` for a confidence out of range.

    >>> [round(float(limit), 3) for limit in clopper_pearson(0, 20)]
    [0.0, 0.139]
    """
    check_confidence(confidence)
    found, total = (np.asarray(a, np.float64) for a in np.broadcast_arrays(hits, trials))
    beyond = (1 - confidence) / 2
    lower = np.where(found <= 0, 0.0, beta_quantile(beyond, np.maximum(found, _TINY), total - found + 1))
    upper = np.where(found >= total, 1.0, beta_quantile(1 - beyond, found + 1, np.maximum(total - found, _TINY)))
    return lower, upper


def at_least(hits: int, trials: int, share: float) -> float:
    """Probability of ``hits`` or more of ``trials``, each by a ``share`` that is known.

    >>> at_least(0, 5, 0.1), round(at_least(1, 2, 0.5), 2)
    (1.0, 0.75)
    >>> at_least(900, 5000, 0.001) < 1e-300
    True
    """
    return float(beta_cdf(share, hits, trials - hits + 1)) if hits else 1.0


def at_least_beyond(hits: int, trials: int, rank: int, scores: int) -> float:
    """Probability that ``hits`` or more of ``trials`` exceed the ``rank``-th highest of so many ``scores``, where all
    are exchangeable.

    That number is beta-binomial with ``rank`` and ``scores + 1 − rank`` (Wilks: "Statistical prediction with special
    reference to the problem of tolerance limits", Annals of Mathematical Statistics 13, 1942). All trials meet the
    same score, so many exceed it together more often than if each did so by itself.

    >>> at_least_beyond(0, 10, 1, 1), round(at_least_beyond(10, 10, 1, 1), 4)
    (1.0, 0.0909)
    """
    if hits <= 0:
        return 1.0
    a, b = rank, scores + 1 - rank
    whole = _log_beta(a, b)
    logs = (_log_choose(trials, x) + _log_beta(x + a, trials - x + b) - whole for x in range(hits, trials + 1))
    return min(1.0, math.fsum(map(math.exp, logs)))


def check_confidence(confidence: float) -> None:
    """Raise `ParameterError` unless it is between 0 and 1."""
    if not 0 < number("confidence", confidence, "in (0, 1)", "For ninety percent write 0.9.") < 1:
        raise bad_parameter("confidence", "in (0, 1)", confidence, "For ninety percent write 0.9.")


def beta_quantile(share: ArrayLike, a: ArrayLike, b: ArrayLike) -> Float64:
    """Where the distribution function of Beta(a, b) is ``share``; by Newton's steps, halving where they leave."""
    wanted, first, second = (np.asarray(x, np.float64) for x in np.broadcast_arrays(share, a, b))
    low, high = np.zeros(wanted.shape), np.ones(wanted.shape)
    at = first / (first + second)
    for _ in range(_STEPS):
        gap = beta_cdf(at, first, second) - wanted
        low, high = np.where(gap < 0, at, low), np.where(gap < 0, high, at)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            step = at - gap / _density(at, first, second)
        inside = (step >= low) & (step <= high)
        after = np.where(inside, step, (low + high) / 2)
        if np.all(np.abs(after - at) <= 1e-13 * at):
            break
        at = after
    return np.asarray(at)


def _density(x: Float64, a: Float64, b: Float64) -> Float64:
    logs = (a - 1) * np.log(x) + (b - 1) * np.log1p(-x)
    return np.asarray(np.exp(logs + _log_gamma(a + b) - _log_gamma(a) - _log_gamma(b)))


def beta_cdf(x: ArrayLike, a: ArrayLike, b: ArrayLike) -> Float64:
    """The regularised incomplete beta function I_x(a, b): ``x`` in [0, 1], ``a`` and ``b`` > 0."""
    at, first, second = (np.asarray(v, np.float64) for v in np.broadcast_arrays(x, a, b))
    swap = at > (first + 1) / (first + second + 2)  # the fraction converges fast below the mean
    y = np.clip(np.where(swap, 1 - at, at), _TINY, 1 - 1e-16)
    p, q = np.where(swap, second, first), np.where(swap, first, second)
    front = p * np.log(y) + q * np.log1p(-y) + _log_gamma(p + q) - _log_gamma(p) - _log_gamma(q)
    part = np.exp(front) * _fraction(y, p, q) / p
    inside = np.where(swap, 1 - part, part)
    return np.asarray(np.where(at <= 0, 0.0, np.where(at >= 1, 1.0, np.clip(inside, 0, 1))))


def _fraction(x: Float64, a: Float64, b: Float64) -> Float64:
    """Lentz's evaluation of the continued fraction of I_x(a, b), all places at once; it takes O(√max(a, b)) steps."""
    d = 1 / _nonzero(1 - (a + b) * x / (a + 1))
    c, value = np.ones_like(x), d.copy()
    for m in range(1, _STEPS + 2 * math.isqrt(int(max(a.max(initial=0), b.max(initial=0))))):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d, c = 1 / _nonzero(1 + term * d), _nonzero(1 + term / c)
            value = value * d * c
        if np.all(np.abs(d * c - 1) < 1e-15):
            break
    return value


def _nonzero(values: Float64) -> Float64:
    return np.where(np.abs(values) < _TINY, _TINY, values)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
