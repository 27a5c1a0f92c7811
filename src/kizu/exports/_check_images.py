"""Images an export is checked on: the model's own, the user's, and altered ones, which reach further."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kizu.images import resize

Image = npt.NDArray[Any]

SIZES = (0.6, 1.7)
"""Of the altered images, as factors of a side: images shrink and grow on their way to the backbone."""

LARGEST = 8_000_000
"""Pixels up to which an image is altered."""


@dataclass(frozen=True)
class CheckImage:
    """The samples of an image, ``(H, W, 3)`` RGB, and what it is called in a message."""

    name: str
    pixels: Image


def check_images(own: Sequence[Image], given: Iterable[CheckImage], *, any_size: bool = True) -> list[CheckImage]:
    """The model's ``own`` images, those ``given``, and the first of them altered, its size too with ``any_size``."""
    images = [CheckImage(f"check image {number}", pixels) for number, pixels in enumerate(own)] + list(given)
    first = next((image for image in images if image.pixels.shape[0] * image.pixels.shape[1] <= LARGEST), None)
    return images if first is None else images + _altered(first, SIZES if any_size else ())


def _altered(image: CheckImage, factors: Sequence[float]) -> list[CheckImage]:
    height, width = image.pixels.shape[:2]
    sizes = [(factor, (max(8, round(height * factor)), max(8, round(width * factor)))) for factor in factors]
    scaled = [CheckImage(f"{image.name}, {factor} times its size", resize(image.pixels, s)) for factor, s in sizes]
    return [*scaled, CheckImage(f"{image.name}, with a defect", _with_defect(image.pixels))]


def _with_defect(pixels: Image) -> Image:
    """A copy in which a patch of an eighth of each side, off the middle, is upside down and inverted."""
    height, width = (max(1, length // 8) for length in pixels.shape[:2])
    top, left = 3 * height, 2 * width
    damaged = pixels.copy()
    ends = 255 if pixels.dtype == np.uint8 else int(pixels.max()) + int(pixels.min())
    part = damaged[top : top + height, left : left + width]
    part[:] = ends - part[::-1].astype(np.int64)
    return damaged
