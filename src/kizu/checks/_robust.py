"""Which values stand out from good ones, without being moved by the very values sought."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

LIMIT = 5.0
"""Robust deviations at which a value stands out. Of normal values, one in 1.7 million lies beyond on either side;
what real ones do is measured in docs/data-check.md."""

FEWEST = 10
"""Good values below which nothing is said to stand out."""

NORMAL = 1.4826
"""What the median absolute deviation of normal values is multiplied by to give their standard deviation."""


def stand_out(values: Float64, good: Float64, at_least: float = 0.0) -> Float64:
    """How far each value lies from the median of the good ones, in robust deviations; 0 where there are too few.

    The deviation is 1.4826 × the median absolute one of ``good``, and no less than ``at_least``, in units of the
    values; 0 / 0 is 0.

    >>> stand_out(np.array([5.0, 105.0]), np.arange(11.0)).round(1).tolist()
    [0.0, 22.5]
    """
    if len(good) < FEWEST:
        return np.zeros(len(values))
    middle = np.median(good)
    deviation = max(NORMAL * float(np.median(np.abs(good - middle))), at_least)
    distance = values - middle
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(distance == 0, 0.0, distance / deviation)
