"""Scratches: thin curved lines that fade at both ends, brighter or darker, some with a lit and a shaded edge.

A realistic form of the "scar" of CutPaste (Li, Sohn, Yoon, Pfister, CVPR 2021, arXiv 2104.04015): drawn, not cut out.
Size 1: lengths of 10 to 50 % of the object's shorter side, widths of 0.3 to 1.2 %, a pixel at least. Strength 1:
changes of 25 to 100 % of the canvas's contrast.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from kizu.synthetic._canvas import Canvas, Patch, Pixels, blurred, log_uniform

_POINTS = 33
_SHIFT = 4  # bits behind the point of OpenCV's coordinates


def draw(canvas: Canvas, rng: Generator, strength: float, size: float) -> Patch:
    """See the module; `Draw` says what comes in and out."""
    length = max(4.0, size * canvas.side * log_uniform(rng, 0.1, 0.5))
    width = max(1.0, size * canvas.side * log_uniform(rng, 0.003, 0.012))
    path = _path(rng, length)
    margin = int(3 * width) + 2
    span = np.ceil(path.max(axis=0) - path.min(axis=0)).astype(int) + 2 * margin
    top, left, height, wide = canvas.place(rng, int(span[0]), int(span[1]))
    line = _line(rng, path - path.min(axis=0) + margin, (height, wide), width)
    if rng.random() < 0.4:  # a groove: one edge catches the light, the other lies in the shade
        line = line - 0.7 * _shifted(line, rng, width)
    under = canvas.under(top, left, height, wide)
    change = strength * canvas.contrast * log_uniform(rng, 0.25, 1.0)
    change *= canvas.sign(rng, float(under.mean()), change)
    return Patch.changed(top, left, under, change * line, canvas.tint(rng))


def _path(rng: Generator, length: float) -> NDArray[np.float64]:
    """Points ``(n, 2)`` of a line that bends a little, more and more to one side or to both."""
    bends = np.cumsum(rng.normal(0, 0.006, _POINTS)) + rng.normal(0, 0.015)
    headings = rng.uniform(0, 2 * math.pi) + np.cumsum(bends)
    steps = np.stack([np.sin(headings), np.cos(headings)], axis=1)
    return np.asarray(np.cumsum(steps, axis=0) * (length / _POINTS))


def _line(rng: Generator, path: NDArray[np.float64], size: tuple[int, int], width: float) -> Pixels:
    """``size`` float32 in [0, 1]: 1 in the middle of the line where it is deepest."""
    import cv2

    drawn = np.zeros(size, np.uint8)
    depth = np.sin(np.linspace(0, math.pi, _POINTS)) ** 0.5 * _unsteady(rng)
    points = np.round(path[:, ::-1] * 2**_SHIFT).astype(int)
    for start, end, level in zip(points[:-1], points[1:], depth[1:], strict=True):
        ends = (int(start[0]), int(start[1])), (int(end[0]), int(end[1]))
        cv2.line(drawn, *ends, int(255 * level), max(1, round(width)), cv2.LINE_AA, _SHIFT)
    return blurred(drawn.astype(np.float32) / np.float32(255), width * rng.uniform(0.15, 0.5))


def _unsteady(rng: Generator) -> NDArray[np.float64]:
    """Pressure along the line, 0.4 to 1."""
    knots = rng.uniform(0.4, 1.0, 6)
    return np.asarray(np.interp(np.linspace(0, 5, _POINTS), np.arange(6), knots))


def _shifted(line: Pixels, rng: Generator, width: float) -> Pixels:
    by = max(1, round(width))
    axis = int(rng.integers(2))
    moved = np.zeros_like(line)
    if axis == 0:
        moved[by:] = line[:-by]
    else:
        moved[:, by:] = line[:, :-by]
    return moved
