"""What defects are drawn on: an image, where its object is, and how much its brightness varies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Pixels = NDArray[np.float32]
Mask = NDArray[np.bool_]

CONTRAST = (32.0, 128.0)
"""Grey levels that a defect's contrast is a share of: the object's own range, within these."""

_TRIES = 64
_SAMPLED = 65_536  # pixels that the range of brightness is taken from


@dataclass(frozen=True, eq=False)
class Patch:
    """What a part of the image looks like with a defect: ``pixels`` ``(h, w, 3)`` float32, and its corner."""

    top: int
    left: int
    pixels: Pixels

    @classmethod
    def changed(cls, top: int, left: int, under: Pixels, change: Pixels, tint: Pixels) -> Patch:
        """``under`` with ``change`` ``(h, w)`` grey levels added, as far as each channel's ``tint`` goes."""
        return cls(top, left, np.asarray(under + change[..., None] * tint, np.float32))


@dataclass(frozen=True, eq=False)
class Canvas:
    """``image`` ``(H, W, 3)`` uint8, ``region`` ``(H, W)`` bool: the object; ``donor``: to cut pieces from."""

    image: Image
    region: Mask
    donor: Image

    @cached_property
    def box(self) -> tuple[int, int, int, int]:
        """Top, left, bottom and right of the object."""
        rows, columns = np.flatnonzero(self.region.any(axis=1)), np.flatnonzero(self.region.any(axis=0))
        return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1

    @cached_property
    def side(self) -> int:
        """Pixels of the object's shorter side, which all sizes are relative to."""
        top, left, bottom, right = self.box
        return min(bottom - top, right - left)

    @cached_property
    def contrast(self) -> float:
        """Grey levels between the 5th and the 95th percentile of the object's brightness, within `CONTRAST`."""
        top, left, bottom, right = self.box
        step = max(1, math.isqrt((bottom - top) * (right - left) // _SAMPLED))
        seen = self.image[top:bottom:step, left:right:step], self.region[top:bottom:step, left:right:step]
        if not seen[1].any():
            seen = self.image, self.region
        low, high = np.percentile(seen[0][seen[1]].mean(axis=1), (5, 95))
        return float(np.clip(high - low, *CONTRAST))

    @cached_property
    def area(self) -> int:
        """Pixels of the object."""
        return int(self.region.sum())

    @cached_property
    def grey(self) -> bool:
        """Whether the image has no colour; then no defect may bring one in."""
        return is_grey(self.image)

    def under(self, top: int, left: int, height: int, width: int) -> Pixels:
        """The image there, to draw over."""
        return self.image[top : top + height, left : left + width].astype(np.float32)

    def place(self, rng: Generator, height: int, width: int) -> tuple[int, int, int, int]:
        """Top, left, height and width of a window in the image, its middle on the object; at most all of it."""
        height, width = min(height, self.image.shape[0]), min(width, self.image.shape[1])
        row, column = self._point(rng)
        top = int(np.clip(row - height // 2, 0, self.image.shape[0] - height))
        left = int(np.clip(column - width // 2, 0, self.image.shape[1] - width))
        return top, left, height, width

    def _point(self, rng: Generator) -> tuple[int, int]:
        """A pixel of the object."""
        top, left, bottom, right = self.box
        for _ in range(_TRIES):
            row, column = int(rng.integers(top, bottom)), int(rng.integers(left, right))
            if self.region[row, column]:
                return row, column
        place = int(rng.choice(np.flatnonzero(self.region)))
        return place // self.region.shape[1], place % self.region.shape[1]

    def cut(self, rng: Generator, height: int, width: int) -> Pixels:
        """A piece ``(height, width, 3)`` of the donor; brought to that size where the donor is smaller."""
        from kizu.images import resize

        tall, wide = min(height, self.donor.shape[0]), min(width, self.donor.shape[1])
        top = int(rng.integers(0, self.donor.shape[0] - tall + 1))
        left = int(rng.integers(0, self.donor.shape[1] - wide + 1))
        piece = self.donor[top : top + tall, left : left + wide].astype(np.float32)
        return resize(piece, (height, width))

    def tint(self, rng: Generator) -> Pixels:
        """How much of a change each channel gets, ``(3,)``: the same on grey images, a cast of colour on others."""
        if self.grey:
            return np.ones(3, np.float32)
        return rng.uniform(0.6, 1.0, 3).astype(np.float32)

    def sign(self, rng: Generator, level: float, change: float) -> float:
        """Brighter or darker, at random; what would leave 0 to 255 goes the other way."""
        wanted = float(rng.choice((-1.0, 1.0)))
        return wanted if 0 <= level + wanted * change <= 255 else (1.0 if level < 127.5 else -1.0)


def is_grey(image: Image) -> bool:
    """Whether all three channels are the same."""
    return bool((image[..., 0] == image[..., 1]).all() and (image[..., 0] == image[..., 2]).all())


def log_uniform(rng: Generator, low: float, high: float) -> float:
    """Between ``low`` and ``high``, each doubling as likely as the next."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def blended(under: Pixels, over: Pixels, opacity: Pixels) -> Pixels:
    """``over`` on ``under`` ``(h, w, 3)`` with ``opacity`` ``(h, w)`` in [0, 1]."""
    return np.asarray(under + opacity[..., None] * (over - under), np.float32)


def blurred(image: Pixels, sigma: float) -> Pixels:
    """Gaussian blur, ``sigma`` in pixels; as it is where that is next to nothing."""
    import cv2

    if sigma < 0.1:
        return image
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float32)
