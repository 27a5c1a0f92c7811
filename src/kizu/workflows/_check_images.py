"""Good images that a model keeps, so that its exports can be checked wherever they are made."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from kizu.images import resize
from kizu.report import encode_image

LARGEST = 4_000_000
"""Pixels above which an image is reduced before it is kept."""


class CheckImages:
    """The first few of the images it is shown, their samples as PNG files; held-out ones count more than those fitted
    on.
    """

    def __init__(self, count: int, held_out: int, *, reduced: bool = True) -> None:
        """To keep ``count``, of which ``held_out`` will be shown; those above `LARGEST` ``reduced``."""
        self._largest = LARGEST if reduced else None
        self._count = count
        self._from_fit = max(0, count - held_out)
        self._fitted: list[bytes] = []
        self._held_out: list[bytes] = []

    def fitted(self, image: npt.NDArray[Any]) -> None:
        """Show an image that is fitted on."""
        if len(self._fitted) < self._from_fit:
            self._fitted.append(_png(image, self._largest))

    def held_out(self, image: npt.NDArray[Any]) -> None:
        """Show an image that is held out."""
        if len(self._held_out) < self._count:
            self._held_out.append(_png(image, self._largest))

    @property
    def files(self) -> tuple[bytes, ...]:
        """PNG files, the held-out images first."""
        return tuple((self._held_out + self._fitted)[: self._count])


def _png(image: npt.NDArray[Any], largest: int | None) -> bytes:
    height, width = image.shape[:2]
    if largest is not None and height * width > largest:
        share = (largest / (height * width)) ** 0.5
        image = resize(image, (max(8, int(height * share)), max(8, int(width * share))))
    return encode_image(image, ".png")
