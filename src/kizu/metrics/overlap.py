"""PRO, the per-region overlap: every defect counts the same, however small.

Source: Bergmann, Batzner, Fauser, Sattlegger, Steger, "The MVTec Anomaly Detection Dataset", IJCV 2021,
doi:10.1007/s11263-020-01400-4. At a threshold, PRO is the share of each truth region that is flagged,
averaged over the regions (8-connected components) of all images. Plotted against the share of flagged pixels
outside every region (FPR), its area up to FPR 0.3, divided by 0.3, is AU-PRO.

With 1 / (size of its region) on every region pixel, PRO is a running sum over scores, so it can be had from a
histogram: no region needs to be remembered.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kizu.counts import Counts, Floats

FPR_LIMIT = 0.3


def region_weights(mask: NDArray[np.bool_]) -> tuple[Floats, int]:
    """1 / (size of its region) for each True pixel of ``mask`` (H, W) in reading order; how many regions.

    >>> weights, regions = region_weights(np.array([[1, 0, 0, 1], [0, 1, 0, 0]], bool))
    >>> weights.tolist(), regions  # the first and the last join over a corner
    ([0.5, 1.0, 0.5], 2)
    """
    import cv2

    found, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    inside = labels[mask]
    sizes = np.bincount(inside, minlength=found)
    return 1.0 / sizes[inside], found - 1


def aupro(weights: Floats, negatives: Counts, regions: int, limit: float = FPR_LIMIT) -> float | None:
    """Area under PRO against FPR up to ``limit``, divided by it; None without a region or a pixel outside.

    ``weights`` and ``negatives`` are ``(K,)``: sums of region weights, and pixels outside every region, per
    distinct score in descending order.
    """
    outside = int(negatives.sum())
    if not regions or not outside:
        return None
    fpr = np.append(0.0, np.cumsum(negatives) / outside)
    pro = np.append(0.0, np.cumsum(weights) / regions)
    return min(_area(fpr, pro, limit) / limit, 1.0)


def _area(x: Floats, y: Floats, limit: float) -> float:
    """Trapezoids under ``y`` over ``x`` (from 0 past ``limit``), cut at ``limit`` by linear interpolation."""
    end = int(np.searchsorted(x, limit, side="right"))
    slope = (y[end] - y[end - 1]) / (x[end] - x[end - 1])
    x = np.append(x[:end], limit)
    y = np.append(y[:end], y[end - 1] + slope * (limit - x[end - 1]))
    return float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum())
