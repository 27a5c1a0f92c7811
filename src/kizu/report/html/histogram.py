"""The bars of a histogram of scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BARS = 60
_FAR = 1.5  # spreads above the 99th percentile from which on scores share the last bar


@dataclass(frozen=True)
class Bins:
    """``edges`` ``(B + 1,)`` float64, ascending; bar b holds the scores above edge b, up to edge b + 1.

    Scores below the first edge and above the last one count for the bars there; ``overflow``: whether there are any
    above.
    """

    edges: Floats
    overflow: bool

    @property
    def low(self) -> float:
        return float(self.edges[0])

    @property
    def high(self) -> float:
        return float(self.edges[-1])

    @property
    def width(self) -> float:
        return (self.high - self.low) / (len(self.edges) - 1)

    @property
    def middles(self) -> Floats:
        return (self.edges[:-1] + self.edges[1:]) / 2

    def count(self, scores: Floats) -> NDArray[np.int64]:
        """How many scores each bar holds; a score at an edge belongs below it, as a score at a threshold does."""
        bars = np.searchsorted(self.edges[1:-1], scores, side="left")
        return np.bincount(bars, minlength=len(self.edges) - 1)


def bins_for(scores: Floats, threshold: float) -> Bins:
    """Some 60 bars over ``scores`` ``(n,)``, ``threshold`` at an edge; scores far beyond the others share the last.

    >>> bins = bins_for(np.array([1.0, 2.0, 3.0, 4.0]), 2.5)
    >>> bool(np.isclose(bins.edges, 2.5).any()), int(bins.count(np.array([1.0, 4.0])).sum())
    (True, 2)
    """
    low, high = float(scores.min()), float(scores.max())
    most, middle = (float(q) for q in np.quantile(scores, [0.99, 0.5]))
    end = min(high, max(most + _FAR * (most - middle), threshold))
    end = end if end > low else low + max(abs(low), 1.0) * 0.1
    width = (end - low) / BARS
    below = int(np.ceil((threshold - low) / width - 1e-9)) + 1
    above = max(int(np.ceil((end - threshold) / width - 1e-9)), 1)
    edges = threshold + width * np.arange(-below, above + 1, dtype=np.float64)
    return Bins(edges, overflow=high > edges[-1] + 1e-9 * width)
