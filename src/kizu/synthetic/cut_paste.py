"""Cut and paste: a piece of a good image in another place, with hard edges, as patch or as thin rotated scar.

CutPaste (Li, Sohn, Yoon, Pfister, CVPR 2021, arXiv 2104.04015, section 3.1). Differences: patches are smaller (the
paper's cover 2 to 15 % of the image, which anything finds), any piece may be mirrored, and strength is opacity too.
Size 1: sides of 4 to 15 % of the object's shorter side; scars 1 to 6 % wide and 4 to 25 % long. Strength 1: 60
to 100 % opaque, contrast altered by up to a tenth, as in the paper, brightness by up to a quarter of the canvas's
contrast.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator

from kizu.synthetic._canvas import Canvas, Patch, Pixels, blended, log_uniform


def draw(canvas: Canvas, rng: Generator, strength: float, size: float) -> Patch:
    """See the module."""
    if rng.random() < 0.5:
        shares, turn = (log_uniform(rng, 0.04, 0.15), log_uniform(rng, 0.04, 0.15)), 0.0
    else:
        shares, turn = (log_uniform(rng, 0.01, 0.06), log_uniform(rng, 0.04, 0.25)), rng.uniform(-45, 45)
    sides = [max(2.0, size * canvas.side * share) for share in rng.permutation(shares)]
    reach = math.ceil(math.hypot(*sides)) if turn else max(map(math.ceil, sides))
    top, left, height, width = canvas.place(rng, reach + 2, reach + 2)
    inside = _rectangle((height, width), sides[0], sides[1], turn)
    piece = _altered(canvas, rng, canvas.cut(rng, height, width), strength)
    opacity = min(1.0, strength * rng.uniform(0.6, 1.4))
    return Patch(top, left, blended(canvas.under(top, left, height, width), piece, opacity * inside))


def _rectangle(size: tuple[int, int], height: float, width: float, turn: float) -> Pixels:
    """Ones in a rectangle about the middle, turned by so many degrees; zeros elsewhere."""
    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float32)
    rows, columns = rows - (size[0] - 1) / 2, columns - (size[1] - 1) / 2
    cosine, sine = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    along, across = columns * cosine + rows * sine, rows * cosine - columns * sine
    return np.asarray((np.abs(along) <= width / 2) & (np.abs(across) <= height / 2), np.float32)


def _altered(canvas: Canvas, rng: Generator, piece: Pixels, strength: float) -> Pixels:
    """Mirrored upside down, sideways, both or not at all, and its brightness and contrast changed a little."""
    if rng.random() < 0.5:
        piece = piece[::-1]
    if rng.random() < 0.5:
        piece = piece[:, ::-1]
    mean = piece.mean()
    contrast = 1 + rng.uniform(-0.1, 0.1) * strength
    brightness = rng.uniform(-0.25, 0.25) * strength * canvas.contrast
    return np.asarray((piece - mean) * contrast + mean + brightness * canvas.tint(rng), np.float32)
