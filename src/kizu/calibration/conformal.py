"""Conformal prediction: thresholds and p-values that hold whatever the scores' distribution.

Vovk, Gammerman, Shafer: "Algorithmic Learning in a Random World", Springer 2005, chapter 2; Laxhammar, Falkman:
"Conformal prediction for distribution-independent anomaly detection in streaming vessel data" (StreamKDD 2010).

Let ``n`` calibration scores and that of a new good part be exchangeable: any order of the ``n + 1`` is as likely.
Then the new one is among the ``k`` highest with a probability of at most ``k / (n + 1)``. So whoever calls NG what
exceeds the k-th highest calibration score, ``k = ⌊a(n + 1)⌋``, calls at most a share ``a`` of good parts NG, in
expectation over calibration sets. For ``k = 0``, which is for fewer than ``1/a − 1`` scores, no finite threshold
promises that.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]


def rank(share: float, count: int) -> int:
    """The k of ``share`` and ``count`` scores: 0 to ``count``. 0.29 of 100 is 29, whatever floats make of it.

    >>> rank(0.01, 99), rank(0.01, 98), rank(0.05, 761)
    (1, 0, 38)
    """
    return min(math.floor(share * (count + 1) + 1e-9), count)


def threshold(scores: Float64, share: float) -> float:
    """The score that at most ``share`` of good parts exceed; the highest of ``scores`` ``(n,)`` where k is 0.

    >>> threshold(np.array([3.0, 1.0, 2.0, 4.0]), 0.4)
    3.0
    """
    k = max(rank(share, len(scores)), 1)
    return float(np.sort(scores)[len(scores) - k])


def promised(share: float, count: int) -> float:
    """The share that the threshold for ``share`` really promises: k / (n + 1), with k of at least 1.

    >>> promised(0.01, 299), promised(0.01, 9)
    (0.01, 0.1)
    """
    return max(rank(share, count), 1) / (count + 1)


def enough(share: float) -> int:
    """Scores from which on ``share`` can be promised; share > 0.

    >>> enough(0.01), enough(0.05)
    (99, 19)
    """
    return math.ceil(1 / share - 1 - 1e-9)


def p_value(scores: Float64, score: float) -> float:
    """``(1 + #{scores ≥ score}) / (n + 1)``, in (0, 1]: at most a share ``a`` of good parts has one of ``a`` or less.

    >>> p_value(np.array([1.0, 2.0, 3.0]), 3.0)
    0.5
    """
    return (1 + int((scores >= score).sum())) / (len(scores) + 1)
