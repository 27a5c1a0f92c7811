"""Another texture in patches of Perlin noise, half transparent.

DRÆM (Zavrtanik, Kristan, Skočaj, ICCV 2021, arXiv 2108.07610, section 3.3): I_a = (1 − M)·I + (1 − β)·M·I + β·M·A,
M from thresholded Perlin noise. Differences: A comes not from a collection of textures but from good images, their
tiles shuffled, turned and altered in brightness and contrast; edges of M are soft over a pixel or two; M stays within
a round window, so that it has no straight edges. Size 1: windows of 15 to 45 % of the object's shorter side. Strength
1: β from 0.25 to 0.9.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator

from kizu.synthetic._canvas import Canvas, Patch, Pixels, blended, blurred, log_uniform
from kizu.synthetic._noise import perlin

_GRID = 4  # tiles along the window's shorter side


def draw(canvas: Canvas, rng: Generator, strength: float, size: float) -> Patch:
    """See the module."""
    reach = max(6, round(size * canvas.side * log_uniform(rng, 0.15, 0.45)))
    top, left, height, width = canvas.place(rng, reach, reach)
    opacity = min(1.0, strength * rng.uniform(0.25, 0.9)) * _patches(rng, (height, width))
    foreign = _foreign(canvas, rng, (height, width))
    return Patch(top, left, blended(canvas.under(top, left, height, width), foreign, opacity))


def _patches(rng: Generator, size: tuple[int, int]) -> Pixels:
    """M: ``size`` float32 in [0, 1]."""
    cells = 2.0 ** rng.uniform(0.5, 2.5)
    noise = perlin(rng, size, (cells, cells * log_uniform(rng, 0.5, 2.0)))
    rows = np.linspace(-1, 1, size[0], dtype=np.float32)[:, None]
    columns = np.linspace(-1, 1, size[1], dtype=np.float32)[None, :]
    within = np.clip(1 - np.hypot(rows, columns), 0, None)  # 1 in the middle, 0 on the circle that just fits
    score = np.where(within > 0, noise + 0.8 * within, -np.inf)
    limit = np.quantile(score[within > 0], rng.uniform(0.6, 0.9))
    return blurred((score > limit).astype(np.float32), max(0.5, min(size) / 100))


def _foreign(canvas: Canvas, rng: Generator, size: tuple[int, int]) -> Pixels:
    """A: a texture ``size`` of the object's own stuff that does not belong there."""
    tile = math.ceil(min(size) / _GRID)
    down, across = (max(_GRID, math.ceil(length / tile)) for length in size)
    piece = canvas.cut(rng, down * tile, across * tile)
    tiles = piece.reshape(down, tile, across, tile, 3).transpose(0, 2, 1, 3, 4).reshape(-1, tile, tile, 3)
    shuffled = [np.rot90(tiles[place], int(rng.integers(4))) for place in rng.permutation(len(tiles))]
    grid = np.stack(shuffled).reshape(down, across, tile, tile, 3).transpose(0, 2, 1, 3, 4)
    turned = grid.reshape(down * tile, across * tile, 3)
    mean = turned.mean()
    change = canvas.contrast * log_uniform(rng, 0.25, 1.0)
    level = float(mean) + change * canvas.sign(rng, float(mean), change)
    altered = (turned - mean) * rng.uniform(0.5, 2.0)
    altered += level * _cast(canvas, rng).astype(np.float64)  # summed in 64 bits, kept in 32
    return np.asarray(altered[: size[0], : size[1]])


def _cast(canvas: Canvas, rng: Generator) -> Pixels:
    """A colour cast about 1, none on grey images."""
    tint = canvas.tint(rng)
    return np.asarray(tint / tint.mean(), np.float32)
