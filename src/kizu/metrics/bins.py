"""Histogram bins for pixel scores, read off the float32 bit pattern.

Positive float32 numbers sort like their bits. Scores are clipped to [2**-20, 2**20) and the lowest 8 bits
dropped, which leaves 15 bits of mantissa in each of 40 powers of two: 1,310,720 bins whatever the data, each
2**-15 (0.003 %) of its score wide or less. Zero and everything below 2**-20 share the lowest bin, everything
from 2**20 the highest.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kizu.counts import Floats, just_below

LOWEST, LIMIT = np.float32(2.0**-20), np.float32(2.0**20)
DROPPED_BITS = 8
BINS = 40 << (23 - DROPPED_BITS)

_HIGHEST = np.nextafter(LIMIT, np.float32(0))
_BASE = int(LOWEST.view(np.int32))


def bin_of(scores: NDArray[np.float32]) -> NDArray[np.int32]:
    """The bin of each score, same shape as ``scores``, in [0, BINS); higher scores lie in higher bins.

    >>> bin_of(np.array([0.0, 2.0**-20, 1.0, 2.0, 1e9], np.float32)).tolist()
    [0, 0, 655360, 688128, 1310719]
    """
    bits = np.clip(scores, LOWEST, _HIGHEST).view(np.int32)
    return (bits - np.int32(_BASE)) >> np.int32(DROPPED_BITS)


def top_of(bins: ArrayLike) -> Floats:
    """The largest float32 of each bin, as float64: ``score > top_of(b)`` just in the bins above ``b``."""
    bits = (np.asarray(bins, dtype=np.int64) << DROPPED_BITS) + (_BASE + (1 << DROPPED_BITS) - 1)
    return bits.astype(np.int32).view(np.float32).astype(np.float64)


def thresholds_of(bins: NDArray[np.int64]) -> Floats:
    """``(K + 1,)`` thresholds for ``(K,)`` descending bins: the k-th flags exactly the first ``k``."""
    lowest = int(bins[-1])
    below = float(top_of([lowest - 1])[0]) if lowest else just_below(0.0)
    return np.append(top_of(bins), below)


def first_flagged(threshold: float) -> int:
    """The lowest bin counted as above ``threshold``: the one after the bin the threshold itself lies in.

    >>> first_flagged(-1.0), first_flagged(0.0), first_flagged(1.0), first_flagged(1e300) == BINS
    (0, 1, 655361, True)
    """
    if threshold < 0:
        return 0
    value = np.array([min(threshold, float(LIMIT))], dtype=np.float32)
    return int(bin_of(value)[0]) + 1
