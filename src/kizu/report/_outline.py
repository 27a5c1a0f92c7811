"""Lines around masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Line:
    """A kind of line: its colour (RGB), that of its edging, and whether it is dashed."""

    colour: tuple[int, int, int]
    edging: tuple[int, int, int]
    dashed: bool


FOUND = Line((225, 0, 0), (255, 255, 255), dashed=False)
TRUTH = Line((0, 220, 100), (0, 40, 20), dashed=True)


def width_for(size: tuple[int, int]) -> int:
    """Width in pixels of the lines on a picture (H, W): 3 at 640, in proportion elsewhere.

    >>> width_for((640, 480)), width_for((3000, 4000)), width_for((60, 2000)), width_for((8, 8))
    (3, 19, 1, 1)
    """
    return max(1, round(min(max(size), 4 * min(size)) / 213))


def outline(picture: Picture, mask: NDArray[np.bool_], line: Line, width: int) -> None:
    """Draw, in place, a line of ``width`` pixels around the regions of a mask of the picture's size.

    It runs around the regions, not on them, so that it hides nothing of a thin crack.
    """
    import cv2

    if not mask.any():
        return
    grown = mask if mask.all() else _grown(mask, width / 2 + _edge(width) + 2)
    contours, _ = cv2.findContours(grown.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    draw(picture, [np.asarray(contour) for contour in contours], line, width)


def draw(picture: Picture, paths: Sequence[NDArray[np.int32]], line: Line, width: int) -> None:
    """Draw, in place, closed paths ``(n, 1, 2)`` of neighbouring points (x, y)."""
    import cv2

    pieces = [piece for path in paths for piece in _dashes(path, width)] if line.dashed else list(paths)
    smooth = cv2.LINE_AA if width > 1 else cv2.LINE_8  # smoothing would fade the thinnest
    for colour, thickness in ((line.edging, width + 2 * _edge(width)), (line.colour, width)):
        cv2.polylines(picture, pieces, not line.dashed, colour, thickness, smooth)


def _grown(mask: NDArray[np.bool_], by: float) -> NDArray[np.bool_]:
    """The mask and all within ``by`` pixels of it; it must not be full."""
    import cv2

    return np.asarray(cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5) <= by)


def _edge(width: int) -> int:
    return max(1, round(width / 3))


def _dashes(path: NDArray[np.int32], width: int) -> list[NDArray[np.int32]]:
    """Pieces of a path: five widths of line and seven of gap, into which the round ends reach; at least two."""
    points = len(path)
    count = max(2, round(points / (12 * width)))
    starts = np.linspace(0, points, count, endpoint=False).astype(int)
    length = max(1, round(points / count * 5 / 12))
    return [path[start : start + length] for start in starts]
