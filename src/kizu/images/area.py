"""The inspected area: the part of an image that counts, drawn by people or learnt from good images."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kizu.errors import DataError, bad_parameter
from kizu.images.preprocessing import Box
from kizu.images.reading import read_mask
from kizu.images.resizing import resize_mask

Mask = NDArray[np.bool_]
Size = tuple[int, int]
Point = tuple[float, float]

_NUMBERS = re.compile(r"[-+\d.eE,;\s]+")
_HOW = "a rectangle X,Y,WIDTH,HEIGHT, a polygon 'X,Y X,Y X,Y ...', or a mask file"


@dataclass(frozen=True, eq=False)
class Area:
    """``mask`` ``(H, W)`` bool, of images of that size; ``scales``: of images of other sizes too, in proportion.

    Raises `DataError` where the mask marks nothing.
    """

    mask: Mask
    scales: bool = False

    def __post_init__(self) -> None:
        if not self.mask.any():
            raise DataError("the inspected area is empty: no pixel lies in it. Draw it larger, or leave it out.")

    @property
    def size(self) -> Size:
        """Of the images that it was drawn for."""
        return self.mask.shape[0], self.mask.shape[1]

    def of(self, size: Size) -> Mask:
        """The mask of an image of ``size`` (H, W). Raises `DataError` where it was drawn for another size alone."""
        if size == self.size:
            return self.mask
        if not self.scales:
            drawn, is_now = (f"{width} x {height}" for height, width in (self.size, size))
            raise DataError(
                f"the inspected area was drawn in pixels of {drawn} images; this one is {is_now}. Give images of "
                "that size, or fit with the area as fractions of width and height, 0 to 1."
            )
        mask = resize_mask(self.mask, size)
        if not mask.any():
            raise DataError(f"no pixel of a {size[1]} x {size[0]} image lies in the inspected area; it is too small.")
        return mask

    def box(self, size: Size) -> Box:
        """The smallest part of an image of ``size`` that holds the area."""
        mask = self.of(size)
        rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        top, left = int(rows[0]), int(columns[0])
        return Box(top, left, int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left)

    def within(self, other: Area) -> Area:
        """What lies in both, of images of this size. Raises `DataError` where nothing does."""
        both = self.mask & other.of(self.size)
        if not both.any():
            raise DataError(
                "the area drawn and the foreground found have no pixel in common. Draw the area where the part is, "
                "or leave one of the two out."
            )
        return Area(both, self.scales and other.scales)


@dataclass(frozen=True)
class Shape:
    """A polygon; ``fractions``: of width and height, in place of pixels. ``text``: as it was written."""

    points: tuple[Point, ...]
    fractions: bool
    text: str

    def area(self, size: Size) -> Area:
        """The pixels of an image of ``size`` whose centres lie inside. Raises `ParameterError` beyond the image."""
        height, width = size
        scale = (width, height) if self.fractions else (1, 1)
        points = [(x * scale[0], y * scale[1]) for x, y in self.points]
        if not all(0 <= x <= width and 0 <= y <= height for x, y in points):
            hint = "Four numbers are X,Y,WIDTH,HEIGHT; corners are pairs X,Y with blanks between them."
            raise bad_parameter("roi", f"inside the images, which are {width} x {height} pixels", self.text, hint)
        return Area(filled(points, size), self.fractions)


def area_of(roi: str, size: Size) -> Area:
    """The area that a user describes, in images of ``size`` (H, W).

    ``roi``: ``X,Y,WIDTH,HEIGHT``, a polygon ``X,Y X,Y X,Y``, in pixels or, where no number exceeds 1, in fractions
    of width and height; or a mask file of that size. Raises `ParameterError`, `DataError` or `ImageError`.
    """
    shape = parse(roi)
    if isinstance(shape, Shape):
        return shape.area(size)
    mask = read_mask(shape)
    if mask.shape != size:
        drawn, there = f"{mask.shape[1]} x {mask.shape[0]}", f"{size[1]} x {size[0]}"
        raise DataError(f"{shape}: the mask is {drawn} pixels, the images are {there}. Draw it at their size.")
    return Area(mask)


def parse(roi: str) -> Shape | Path:
    """A shape, or the path of a mask file. Raises `ParameterError` for numbers that make no shape.

    >>> parse("0.5,0,0.5,1").points
    ((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0))

    Blanks after commas mean nothing.
    """
    if not _NUMBERS.fullmatch(roi):
        return Path(roi)
    try:
        rows = [tuple(float(number) for number in part.split(",")) for part in _pairs(roi)]
    except ValueError:
        raise bad_parameter("roi", _HOW, roi) from None
    fractions = all(number <= 1 for row in rows for number in row)
    if len(rows) == 1 and len(rows[0]) == 4 and min(rows[0][2:]) > 0:
        x, y, width, height = rows[0]
        return Shape(((x, y), (x + width, y), (x + width, y + height), (x, y + height)), fractions, roi)
    if len(rows) < 3 or any(len(row) != 2 for row in rows):
        raise bad_parameter("roi", _HOW, roi)
    return Shape(tuple((row[0], row[1]) for row in rows), fractions, roi)


def _pairs(roi: str) -> list[str]:
    return re.sub(r",\s+", ",", roi).replace(";", " ").split()


def filled(points: Sequence[Point], size: Size) -> Mask:
    """Pixels whose centres lie inside a polygon, by the even-odd rule: ``(H, W)`` bool.

    >>> filled([(1, 0), (3, 0), (3, 2), (1, 2)], (2, 4)).astype(int).tolist()
    [[0, 1, 1, 0], [0, 1, 1, 0]]
    """
    mask = np.zeros(size, np.bool_)
    ends = np.array(points, np.float64)
    (x0, y0), (x1, y1) = ends.T, np.roll(ends, -1, axis=0).T
    for row in range(size[0]):
        y = row + 0.5
        crossed = (y0 <= y) != (y1 <= y)
        with np.errstate(divide="ignore", invalid="ignore"):
            at = np.sort((x0 + (y - y0) * (x1 - x0) / (y1 - y0))[crossed])
        for left, right in zip(at[::2], at[1::2], strict=True):
            mask[row, max(0, int(np.ceil(left - 0.5))) : max(0, int(np.ceil(right - 0.5)))] = True
    return mask
