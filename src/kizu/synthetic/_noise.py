"""Gradient noise (K. Perlin, "An image synthesizer", SIGGRAPH 1985), with the fade of his improved noise (2002)."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Noise = NDArray[np.float32]


def perlin(rng: Generator, size: tuple[int, int], cells: tuple[float, float]) -> Noise:
    """Noise ``size`` = (h, w) in about [-1, 1], with ``cells`` = (down, across) periods, 1 or more each."""
    rows, columns = (_places(length, count) for length, count in zip(size, cells, strict=True))
    angles = rng.uniform(0, 2 * np.pi, (int(rows[-1]) + 2, int(columns[-1]) + 2))
    gradients = np.stack([np.sin(angles), np.cos(angles)], axis=-1).astype(np.float32)
    down, across = (np.floor(places).astype(int) for places in (rows, columns))
    y, x = (rows - down)[:, None], (columns - across)[None, :]

    def corner(below: int, right: int) -> Noise:
        towards = gradients[np.ix_(down + below, across + right)]
        return np.asarray(towards[..., 0] * (y - below) + towards[..., 1] * (x - right), np.float32)

    fade_y, fade_x = _fade(y), _fade(x)
    upper = corner(0, 0) * (1 - fade_x) + corner(0, 1) * fade_x
    lower = corner(1, 0) * (1 - fade_x) + corner(1, 1) * fade_x
    return np.asarray(np.sqrt(2) * (upper * (1 - fade_y) + lower * fade_y), np.float32)


def _places(length: int, cells: float) -> Noise:
    return np.asarray((np.arange(length) + 0.5) * (cells / length), np.float32)


def _fade(t: Noise) -> Noise:
    return np.asarray(t * t * t * (t * (t * 6 - 15) + 10), np.float32)
