"""Pieces of good images without seams: blended in by solving Poisson's equation.

NSA (Schlüter, Tan, Hou, Kainz, ECCV 2022, arXiv 2109.15222), after Pérez, Gangnet, Blake, "Poisson image editing",
SIGGRAPH 2003. Differences: one piece with an uneven round outline instead of several rectangles, its own gradients
always (not the stronger of both), and gentle shading added to it, so that something shows on plain surfaces too.
Size 1: radii of 3 to 12 % of the object's shorter side. Strength 1: gradients as they are; below it they are weaker,
above it stronger.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator

from kizu.synthetic._canvas import Canvas, Mask, Patch, Pixels, blended, log_uniform
from kizu.synthetic._noise import perlin
from kizu.synthetic.blob import outline

GRID = 28
"""Cells a side on which the equation is solved."""

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
    piece = _piece(canvas, rng, (height, width), strength)
    return Patch(top, left, blended_in(piece, under, inside))


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


def blended_in(piece: Pixels, under: Pixels, inside: Mask) -> Pixels:
    """``under`` with ``piece`` where ``inside`` says, its gradients kept and its border that of ``under``.

    All are (h, w) or (h, w, 3), ``inside`` false on the outermost pixels. Poisson's equation is the piece plus a
    harmonic function that is the difference at the border. Such a function is smooth: it is solved for on at most
    `GRID` × `GRID` cells, exactly, and brought up from there.
    """
    from kizu.images import resize

    size = inside.shape
    cells = (min(size[0], GRID), min(size[1], GRID))
    outside = resize((~inside).astype(np.float32), cells)[..., None]
    known = resize((under - piece) * ~inside[..., None], cells) / np.maximum(outside, np.float32(1e-6))
    membrane = resize(harmonic(np.asarray(known, np.float32), outside[..., 0] < 0.5), (size[0], size[1]))
    edge = inside.astype(np.float32) if cells == size else _softened(inside, max(size) / GRID)
    return blended(under, np.asarray(piece + membrane, np.float32), edge)


def harmonic(values: Pixels, unknown: Mask) -> Pixels:
    """``values`` ``(h, w, C)`` with those at ``unknown`` ``(h, w)`` such that each is the mean of its neighbours.

    What is unknown on the outermost pixels is taken as it is.
    """
    unknown = np.pad(unknown[1:-1, 1:-1], 1)
    count = int(unknown.sum())
    number = np.full(unknown.shape, -1)
    number[unknown] = np.arange(count)
    system, right = 4 * np.eye(count), np.zeros((count, values.shape[2]))
    rows, columns = np.nonzero(unknown)
    for down, across in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        beside = number[rows + down, columns + across]
        inner = beside >= 0
        system[np.flatnonzero(inner), beside[inner]] = -1
        right[~inner] += values[rows[~inner] + down, columns[~inner] + across]
    solved = values.copy()
    solved[unknown] = np.linalg.solve(system, right)
    return solved


def _softened(inside: Mask, pixels: float) -> Pixels:
    """1 well inside, 0 outside, and a ramp of so many pixels at the border, which hides what the cells are off by."""
    import cv2

    depth = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 3)
    return np.asarray(np.clip(depth / pixels, 0, 1), np.float32)
