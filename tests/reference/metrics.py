"""Plain-loop versions of what ``kizu.metrics`` and ``kizu.maps`` compute, written from the definitions."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy import ndimage


def plain_regions(mask):
    """Boolean masks of the 8-connected components of ``mask``."""
    labels, found = ndimage.label(mask, structure=np.ones((3, 3)))
    return [labels == k for k in range(1, found + 1)]


def plain_pro_curve(maps, masks):
    """FPR and PRO at every distinct score, highest first; a pixel is flagged when its score is ≥ it."""
    pairs = list(zip(maps, masks, strict=True))
    regions = [(scores, region) for scores, mask in pairs for region in plain_regions(mask)]
    outside = np.concatenate([scores[~mask] for scores, mask in pairs])
    curve = [(0.0, 0.0)]
    for t in sorted(set(np.concatenate([m.ravel() for m in maps]).tolist()), reverse=True):
        overlaps = [np.mean(scores[region] >= t) for scores, region in regions]
        curve.append((float(np.mean(outside >= t)), float(np.mean(overlaps))))
    return curve


def plain_aupro(maps, masks, limit=0.3):
    """Area under straight lines through the points, from FPR 0 to ``limit``, divided by ``limit``."""
    area = 0.0
    curve = plain_pro_curve(maps, masks)
    for (x0, y0), (x1, y1) in pairwise(curve):
        if x1 <= limit:
            area += (x1 - x0) * (y0 + y1) / 2
        else:
            y_limit = y0 + (y1 - y0) * (limit - x0) / (x1 - x0)
            area += (limit - x0) * (y0 + y_limit) / 2
            break
    return area / limit


def plain_auroc(scores, labels):
    """The share of (positive, negative) pairs in order, ties counting half."""
    wins = 0.0
    positives = [s for s, label in zip(scores, labels, strict=True) if label]
    negatives = [s for s, label in zip(scores, labels, strict=True) if not label]
    for p in positives:
        for n in negatives:
            wins += 1.0 if p > n else 0.5 if p == n else 0.0
    return wins / (len(positives) * len(negatives))


def plain_bilinear(grid, size):
    """Bilinear interpolation with half-pixel centres, the border repeated (``align_corners=False``)."""
    out = np.zeros(size)
    for i in range(size[0]):
        y0, y1, wy = _neighbours(i, size[0], grid.shape[0])
        for j in range(size[1]):
            x0, x1, wx = _neighbours(j, size[1], grid.shape[1])
            top = grid[y0, x0] * (1 - wx) + grid[y0, x1] * wx
            bottom = grid[y1, x0] * (1 - wx) + grid[y1, x1] * wx
            out[i, j] = top * (1 - wy) + bottom * wy
    return out


def _neighbours(i, n_out, n_in):
    at = min(max((i + 0.5) * n_in / n_out - 0.5, 0.0), n_in - 1.0)
    low = int(np.floor(at))
    return low, min(low + 1, n_in - 1), at - low
