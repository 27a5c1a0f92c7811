"""patchcore-inspection's embedding step by step: unfold, interpolate, and pool twice (its ``common.py``)."""

from __future__ import annotations

import math

import numpy as np

from reference.embedding import up


def embedding(maps: list[np.ndarray], dims: int, enlarge=up) -> np.ndarray:
    """One image's ``(h, w, dims)`` from its ``(C, h, w)`` maps, the finest first."""
    grid = maps[0].shape[1]
    found = np.zeros((grid, grid, dims))
    unfolded = [unfold(layer.astype(np.float64)) for layer in maps]
    values = [layer if layer.shape[1] == grid else enlarge(layer, grid) for layer in unfolded]
    for i, j in np.ndindex(grid, grid):
        pooled = [adaptive_average(layer[:, i, j], dims) for layer in values]
        found[i, j] = adaptive_average(np.concatenate(pooled), dims)
    return found


def unfold(x: np.ndarray) -> np.ndarray:
    """``(C, h, w)`` → ``(C·9, h, w)``: channel by channel the 3×3 values around each place, 0 outside the map."""
    channels, height, width = x.shape
    out = np.zeros((channels * 9, height, width))
    for c, i, j in np.ndindex(channels, height, width):
        for k in range(9):
            row, column = i + k // 3 - 1, j + k % 3 - 1
            if 0 <= row < height and 0 <= column < width:
                out[c * 9 + k, i, j] = x[c, row, column]
    return out


def adaptive_average(values: np.ndarray, wanted: int) -> np.ndarray:
    """PyTorch's ``adaptive_avg_pool1d`` of one row."""
    count = len(values)
    starts = [math.floor(i * count / wanted) for i in range(wanted)]
    stops = [math.ceil((i + 1) * count / wanted) for i in range(wanted)]
    return np.array([values[a:b].mean() for a, b in zip(starts, stops, strict=True)])
