"""The embedding head in plain loops: what kizu.backbones._embedding writes as graph nodes."""

from __future__ import annotations

import math

import numpy as np


def embedding(
    maps: list[np.ndarray], strides: list[int], image_size: int, patch_stride: int | None, patch_size: int = 3
) -> np.ndarray:
    """One image's ``(h, w, D)`` from its ``(C, h, w)`` maps, layer after layer."""
    stride = patch_stride or min(strides)
    grid = math.ceil(image_size / stride)
    parts = []
    for layer, layer_stride in zip(maps, strides, strict=True):
        pooled = pool(layer.astype(np.float64), patch_size)
        if layer_stride < stride:
            pooled = down(pooled, stride // layer_stride)
        elif layer_stride > stride:
            pooled = up(pooled, grid)
        assert pooled.shape[1:] == (grid, grid)
        parts.append(pooled)
    return np.concatenate(parts).transpose(1, 2, 0)


def pool(x: np.ndarray, size: int) -> np.ndarray:
    """Sum of the neighbours inside the map, always divided by ``size²``."""
    out = np.zeros_like(x)
    _, height, width = x.shape
    reach = size // 2
    for i in range(height):
        for j in range(width):
            for k in range(max(i - reach, 0), min(i + reach + 1, height)):
                for m in range(max(j - reach, 0), min(j + reach + 1, width)):
                    out[:, i, j] += x[:, k, m] / size**2
    return out


def down(x: np.ndarray, ratio: int) -> np.ndarray:
    """Mean of each square; at the far edges of what there is of it."""
    channels, height, width = x.shape
    out = np.zeros((channels, math.ceil(height / ratio), math.ceil(width / ratio)))
    for i in range(out.shape[1]):
        for j in range(out.shape[2]):
            square = x[:, i * ratio : (i + 1) * ratio, j * ratio : (j + 1) * ratio]
            out[:, i, j] = square.reshape(channels, -1).mean(1)
    return out


def up(x: np.ndarray, size: int) -> np.ndarray:
    """Bilinear with half-pixel centres; outside the map its edge goes on."""
    channels, height, width = x.shape
    out = np.zeros((channels, size, size))
    for i in range(size):
        for j in range(size):
            for row, a in neighbours(i, size, height):
                for column, b in neighbours(j, size, width):
                    out[:, i, j] += a * b * x[:, row, column]
    return out


def neighbours(i: int, size: int, source: int) -> list[tuple[int, float]]:
    """The two source positions output ``i`` lies between, with their weights."""
    position = (i + 0.5) * source / size - 0.5
    low = math.floor(position)
    share = position - low
    return [(min(max(low, 0), source - 1), 1 - share), (min(max(low + 1, 0), source - 1), share)]
