"""What chance explains: whether false alarms are as promised, and how many misses so few defects can hide."""

from __future__ import annotations

from kizu.calibration import Calibration, conformal
from kizu.calibration.binomial import at_least, at_least_beyond, clopper_pearson

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
        return at_least(false_alarms, good, decision.false_alarms) >= LEVEL
    return None


def within(share: float, scores: int, above: int, count: int) -> bool:
    """Whether chance explains ``above`` of ``count`` parts above the threshold for ``share`` by so many scores."""
    k = max(conformal.rank(share, scores), 1)
    return at_least_beyond(above, count, k, scores) >= LEVEL


def at_most(seen: int, count: int) -> float:
    """The share that ``seen`` of ``count`` does not rule out, with a confidence of 95 %.

    >>> round(at_most(0, 10), 4), at_most(3, 3)
    (0.2589, 1.0)
    """
    return float(clopper_pearson(seen, count, 0.9)[1])
