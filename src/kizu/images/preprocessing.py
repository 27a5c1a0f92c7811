"""From an image of any size to the square a backbone sees, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kizu.errors import bad_parameter
from kizu.images.resizing import resize, resize_mask

_Pixel = TypeVar("_Pixel", bound=np.generic)


@dataclass(frozen=True)
class Box:
    """A part of an image, in its pixels: rows ``top`` to ``top + height``, columns ``left`` to ``left + width``."""

    top: int
    left: int
    height: int
    width: int

    @property
    def rows(self) -> slice:
        """Its rows, to index an array with."""
        return slice(self.top, self.top + self.height)

    @property
    def columns(self) -> slice:
        """Its columns."""
        return slice(self.left, self.left + self.width)


@dataclass(frozen=True)
class Preprocessing:
    """Resize to ``resize`` pixels, then cut the middle ``image_size`` × ``image_size`` out.

    ``resize`` None: straight to ``image_size``, and the whole image is seen. ``keep_aspect``: the shorter side
    becomes ``resize``, the longer one in proportion (rounded down, as torchvision does); otherwise both
    become ``resize``.

    Raises:
        ParameterError: ``resize`` is smaller than ``image_size``.
    """

    image_size: int
    resize: int | None = None
    keep_aspect: bool = False

    def __post_init__(self) -> None:
        if self.resize is not None and self.resize < self.image_size:
            hint = "The middle of the resized image is cut out."
            raise bad_parameter("resize", f"at least image_size, {self.image_size} pixels", self.resize, hint)

    def apply(self, image: NDArray[_Pixel]) -> NDArray[_Pixel]:
        """``(H, W)`` or ``(H, W, C)`` → ``(N, N)`` or ``(N, N, C)``, N = ``image_size``."""
        return self._cut(resize(image, self.resized(image.shape[:2])))

    def apply_mask(self, mask: NDArray[_Pixel]) -> NDArray[_Pixel]:
        """The same for a mask ``(H, W)``, with nearest neighbours."""
        return self._cut(resize_mask(mask, self.resized(mask.shape[:2])))

    def seen(self, size: tuple[int, int]) -> Box:
        """The part of an image of ``size`` (H, W) that the square shows, to the nearest pixel, one at least."""
        height, width = self.resized(size)
        top, bottom = _span(height, self.image_size, size[0])
        left, right = _span(width, self.image_size, size[1])
        return Box(top, left, bottom - top, right - left)

    def resized(self, size: tuple[int, ...]) -> tuple[int, int]:
        """(H, W) that an image of ``size`` (H, W) is resized to, before the middle is cut out."""
        side = self.resize or self.image_size
        if not self.keep_aspect:
            return side, side
        shorter = min(size)
        return side * size[0] // shorter, side * size[1] // shorter

    def _cut(self, image: NDArray[_Pixel]) -> NDArray[_Pixel]:
        side = self.image_size
        top, left = ((length - side) // 2 for length in image.shape[:2])
        return image[top : top + side, left : left + side]


def _span(resized: int, side: int, length: int) -> tuple[int, int]:
    """First and last + 1 pixel, of ``length``, that the middle ``side`` of ``resized`` pixels come from."""
    before = (resized - side) // 2
    first = min(round(before * length / resized), length - 1)
    return first, max(round((before + side) * length / resized), first + 1)
