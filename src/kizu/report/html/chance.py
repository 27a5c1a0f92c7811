"""What chance explains: whether false alarms are as promised, and how many misses so few defects can hide."""

from __future__ import annotations

import math

from kizu.calibration import Calibration, conformal
from kizu.calibration.binomial import beta_cdf, clopper_pearson

LEVEL = 0.05
"""A result that chance brings about less often than this is taken for real."""


def as_promised(calibration: Calibration, false_alarms: int, good: int) -> bool | None:
    """Whether the NG threshold's promise can explain so many false alarms among ``good`` parts; None: no promise.

    A threshold from the tail estimate is tested against its share as it is.
    """
    decision = calibration.decision
    if decision.by == "false_alarms":
        return within(decision.false_alarms, len(calibration.scores), false_alarms, good)
    if decision.by == "tail":
        return binomial_tail(false_alarms, good, decision.false_alarms) >= LEVEL
    return None


def within(share: float, scores: int, above: int, count: int) -> bool:
    """Whether chance explains ``above`` of ``count`` parts above the threshold for ``share`` from so many ``scores``.

    Above the k-th highest of n exchangeable scores, the number among m further ones is beta-binomial with k and
    n + 1 − k (Wilks: "Statistical prediction with special reference to the problem of tolerance limits", Annals of
    Mathematical Statistics 13, 1942).
    """
    k = max(conformal.rank(share, scores), 1)
    return beta_binomial_tail(above, count, k, scores + 1 - k) >= LEVEL


def beta_binomial_tail(least: int, count: int, alpha: float, beta: float) -> float:
    """P(X ≥ least) for X beta-binomial over 0 to ``count``.

    >>> beta_binomial_tail(0, 10, 1, 1), round(beta_binomial_tail(10, 10, 1, 1), 4)
    (1.0, 0.0909)
    """
    if least <= 0:
        return 1.0
    whole = _log_beta(alpha, beta)
    logs = (_log_choose(count, x) + _log_beta(x + alpha, count - x + beta) - whole for x in range(least, count + 1))
    return min(1.0, math.fsum(map(math.exp, logs)))


def binomial_tail(least: int, count: int, share: float) -> float:
    """P(X ≥ least) for X binomial.

    >>> round(binomial_tail(2, 2, 0.5), 4), binomial_tail(0, 5, 0.1)
    (0.25, 1.0)
    """
    return 1.0 if least <= 0 else float(beta_cdf(share, least, count - least + 1))


def at_most(seen: int, count: int) -> float:
    """The share that ``seen`` of ``count`` does not rule out, with a confidence of 95 %.

    >>> round(at_most(0, 10), 4), at_most(3, 3)
    (0.2589, 1.0)
    """
    return float(clopper_pearson(seen, count, 0.9)[1])


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
