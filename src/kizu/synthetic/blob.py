"""Blobs: stains with soft uneven edges, dents that are lit on one side and shaded on the other, smeared places.

Size 1: radii of 1.5 to 8 % of the object's shorter side, a pixel and a half at least. Strength 1: changes of 25 to
100 % of the canvas's contrast; a smear takes away up to all detail.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator

from kizu.synthetic._canvas import Canvas, Patch, Pixels, blended, blurred, log_uniform

_HARMONICS = 5


def draw(canvas: Canvas, rng: Generator, strength: float, size: float) -> Patch:
    """See the module."""
    radius = max(1.5, size * canvas.side * log_uniform(rng, 0.015, 0.08))
    stretch = log_uniform(rng, 1.0, 2.5)
    reach = math.ceil(radius * stretch * 1.6) + 2
    top, left, height, width = canvas.place(rng, 2 * reach + 1, 2 * reach + 1)
    under = canvas.under(top, left, height, width)
    shape = outline(rng, (height, width), radius, stretch)
    look = rng.random()
    if look < 0.15:
        smeared = blurred(under, radius * rng.uniform(0.3, 0.8))
        return Patch(top, left, blended(under, smeared, shape * min(1.0, strength * rng.uniform(0.6, 1.2))))
    change = strength * canvas.contrast * log_uniform(rng, 0.25, 1.0)
    if look < 0.45:
        return Patch.changed(top, left, under, np.float32(change) * _shading(rng, shape), canvas.tint(rng))
    change *= canvas.sign(rng, float(under.mean()), change)
    mottled = shape * (1 + np.float32(0.3 * rng.standard_normal()) * shape)
    return Patch.changed(top, left, under, np.float32(change) * mottled, canvas.tint(rng))


def outline(rng: Generator, size: tuple[int, int], radius: float, stretch: float) -> Pixels:
    """An uneven ellipse about the middle of ``size``, float32 in [0, 1], soft at the edge; its area is a disc's."""
    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float32)
    rows, columns = rows - (size[0] - 1) / 2, columns - (size[1] - 1) / 2
    turn = rng.uniform(0, math.pi)
    along = (columns * math.cos(turn) + rows * math.sin(turn)) / math.sqrt(stretch)
    across = (rows * math.cos(turn) - columns * math.sin(turn)) * math.sqrt(stretch)
    angle = np.arctan2(across, along)
    edge = np.ones_like(angle)
    for harmonic in range(2, 2 + _HARMONICS):
        edge += rng.normal(0, 0.25 / harmonic) * np.cos(harmonic * angle + rng.uniform(0, 2 * math.pi))
    distance = np.hypot(along, across) / (radius * np.clip(edge, 0.4, 1.6))
    softness = max(rng.uniform(0.1, 0.7), 1 / radius)
    t = np.clip((1 + softness / 2 - distance) / softness, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def _shading(rng: Generator, shape: Pixels) -> Pixels:
    """The slope of a bump of that shape towards the light, in [-1, 1]."""
    height = blurred(shape, max(0.5, min(shape.shape) / 12))
    down, across = np.gradient(height)
    light = rng.uniform(0, 2 * math.pi)
    slope = down * math.sin(light) + across * math.cos(light)
    return np.asarray(slope / max(float(np.abs(slope).max()), 1e-6), np.float32)
