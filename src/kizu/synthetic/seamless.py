"""Pieces of good images without seams: blended in by solving Poisson's equation.

NSA (Schlüter, Tan, Hou, Kainz, ECCV 2022, arXiv 2109.15222), after Pérez, Gangnet, Blake, "Poisson image editing",
SIGGRAPH 2003. Differences: one piece with an uneven round outline instead of several rectangles, and gentle shading
added to it, so that something shows on plain surfaces too. Size 1: radii of 3 to 12 % of the object's shorter side.
Strength 1: gradients as they are; below it they are weaker, above it stronger.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator

from kizu.synthetic._canvas import Canvas, Patch, Pixels, log_uniform
from kizu.synthetic._noise import perlin
from kizu.synthetic.blob import outline

_MARGIN = 2  # pixels of the image that the solution must meet, on every side


def draw(canvas: Canvas, rng: Generator, strength: float, size: float) -> Patch:
    """See the module."""
    radius = max(2.0, size * canvas.side * log_uniform(rng, 0.03, 0.12))
    stretch = log_uniform(rng, 1.0, 2.0)
    reach = math.ceil(radius * math.sqrt(stretch) * 1.6) + _MARGIN + 1
    top, left, height, width = canvas.place(rng, 2 * reach + 1, 2 * reach + 1)
    under = canvas.under(top, left, height, width)
    inside = outline(rng, (height, width), radius, stretch) > 0.5
    for axis in (0, 1):
        edges = np.moveaxis(inside, axis, 0)
        edges[:_MARGIN], edges[-_MARGIN:] = False, False
    if not inside.any():
        return Patch(top, left, under)
    piece = _piece(canvas, rng, (height, width), strength)
    return Patch(top, left, _cloned(piece, under, inside, mixed=rng.random() < 0.3))


def _piece(canvas: Canvas, rng: Generator, size: tuple[int, int], strength: float) -> Pixels:
    """What is blended in: a piece of a good image, resized and mirrored, with gentle shading."""
    from kizu.images import resize

    scale = log_uniform(rng, 0.7, 1.4)
    cut = canvas.cut(rng, max(2, round(size[0] * scale)), max(2, round(size[1] * scale)))
    piece = resize(cut[:, ::-1] if rng.random() < 0.5 else cut, size)
    mean = piece.mean()
    shading = perlin(rng, size, (2.0, 2.0)) * canvas.contrast * rng.uniform(0.2, 0.8)
    shaded = (piece - mean + shading[..., None] * canvas.tint(rng)) * strength + mean
    return np.asarray(shaded, np.float32)


def _cloned(piece: Pixels, under: Pixels, inside: np.ndarray, *, mixed: bool) -> Pixels:
    """The solution; OpenCV's takes 8 bits, and brings the middle of the mask's box to a point we have to say."""
    import cv2

    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    centre = (int(columns[0] + columns[-1] + 1) // 2, int(rows[0] + rows[-1] + 1) // 2)
    source = np.clip(np.round(piece[box]), 0, 255).astype(np.uint8)
    mask = inside[box].astype(np.uint8) * 255
    how = cv2.MIXED_CLONE if mixed else cv2.NORMAL_CLONE
    solved = cv2.seamlessClone(np.ascontiguousarray(source), under.astype(np.uint8), mask, centre, how)
    return np.where(inside[..., None], solved.astype(np.float32), under)
