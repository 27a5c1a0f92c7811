"""Small pictures of one image, so small that a thousand of them still make one file that can be mailed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kizu.images import resize
from kizu.report._drawing import heat_over, paled, scaled_mask
from kizu.report._view import View

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]

TOTAL_BYTES = 36_000_000
"""Of all pictures of a report together; in a page they take a third more."""

MOST_BYTES = 240_000
"""Of the pictures of one image, however few images there are."""

LEAST_BYTES = 3_600
"""Of one image, however many there are; a report of more than 10,000 images shows the first 10,000."""

_SIDES = (640, 480, 400, 320, 256, 192, 128, 96)
_QUALITIES = (82, 60, 40)


@dataclass(frozen=True)
class Thumbnails:
    """Pictures of one image as files: the image and its heat map (JPEG), and masks (PNG), white where marked.

    ``found`` and ``truth`` are None where nothing is marked, or nobody has marked anything.
    """

    image: bytes
    heat: bytes
    found: bytes | None
    truth: bytes | None

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return sum(len(data) for data in (self.image, self.heat, self.found, self.truth) if data is not None)


def bytes_for(count: int) -> int:
    """How many bytes the pictures of an image may take in a report of ``count`` images.

    >>> bytes_for(10), bytes_for(1000), bytes_for(100_000)
    (240000, 36000, 3600)
    """
    return max(LEAST_BYTES, min(MOST_BYTES, TOTAL_BYTES // max(count, 1)))


def thumbnails(view: View, most_bytes: int) -> Thumbnails:
    """Pictures of a view, as large as fits into ``most_bytes``; never larger than the image itself.

    The coarsest there is (96 pixels) is what comes back where nothing fits.
    """
    sizes = list(_sizes(view.size))
    layers = _Layers.of(view).shrunk(sizes[0])
    for size, quality in [*((size, _QUALITIES[0]) for size in sizes), *((sizes[-1], q) for q in _QUALITIES[1:])]:
        made = layers.shrunk(size).encoded(quality)
        if made.size <= most_bytes:
            break
    return made


def _sizes(size: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Sizes (h, w) to try, the largest first; the longer side is at most one of `_SIDES`."""
    tried = set()
    for side in _SIDES:
        factor = min(1.0, side / max(size))
        height, width = (max(1, round(length * factor)) for length in size)
        if (height, width) not in tried:
            tried.add((height, width))
            yield height, width


@dataclass(frozen=True, eq=False)
class _Layers:
    """What the pictures are drawn from, all of one size ``(h, w)``."""

    image: Picture
    scores: NDArray[np.float32]
    limit: float
    found: Mask
    truth: Mask | None
    inspected: Mask | None

    @classmethod
    def of(cls, view: View) -> _Layers:
        return cls(view.image, view.full_map, view.pixel_threshold, view.mask, view.truth, view.inspected)

    def shrunk(self, size: tuple[int, int]) -> _Layers:
        """All of it in another size; no marked pixel gets lost."""
        masks = (None if mask is None else scaled_mask(mask, size) for mask in (self.truth, self.inspected))
        return _Layers(
            resize(self.image, size), resize(self.scores, size), self.limit, scaled_mask(self.found, size), *masks
        )

    def encoded(self, quality: int) -> Thumbnails:
        heat = paled(heat_over(self.image, self.scores, self.limit), self.inspected)
        truth = None if self.truth is None else _png(self.truth)
        return Thumbnails(_jpeg(self.image, quality), _jpeg(heat, quality), _png(self.found), truth)


def _jpeg(picture: Picture, quality: int) -> bytes:
    import cv2

    bgr = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), dtype=np.uint8)
    return _file(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])


def _png(mask: Mask) -> bytes | None:
    """A mask with one bit a pixel; None where nothing is marked."""
    import cv2

    if not mask.any():
        return None
    return _file(".png", mask.astype(np.uint8) * np.uint8(255), [cv2.IMWRITE_PNG_BILEVEL, 1])


def _file(suffix: str, picture: Picture, options: list[int]) -> bytes:
    import cv2

    return cv2.imencode(suffix, picture, options)[1].tobytes()
