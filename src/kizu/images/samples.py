"""What files hold at the depth they have, and the levels from 0 to 255 that a backbone sees of it.

A camera of 12 bits writes 0 to 4095 into files of 16: brought to 8 bits by full range that is 16 grey levels. So a
**window** of samples is spread over the levels instead, as float32 and not rounded; what lies outside is clipped.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kizu.errors import ImageError, ParameterError
from kizu.images._decoding import reduction_of
from kizu.images.formats import Header
from kizu.images.reading import DEFAULT_MAX_PIXELS, MIN_SIDE, eight_bits, read_header, read_samples
from kizu.images.resizing import resize
from kizu.wording import Wording

OUTSIDE = 0.001
"""Share of the good images' samples below the range that `learn_window` finds, and above it: pixels that stick."""

MARGIN = 0.125
"""Of that range, added at either end for what is darker or brighter than any good part."""


@dataclass(frozen=True)
class Reading:
    """How images of a product are read, and what of their samples its backbone sees.

    ``window``: the samples that become the levels 0 and 255; None: files are read as 8-bit images, and levels are
    what they hold. ``channels`` and ``least``: see `read_samples`.
    """

    window: tuple[float, float] | None = None
    channels: tuple[int, ...] | None = None
    least: int | None = None

    def read(self, path: Path | str, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> NDArray[Any]:
        """``(H, W, 3)`` RGB: with a window the samples as stored, ``uint8`` or ``uint16``; ``uint8`` without.

        Raises `ImageError` as `read_samples`, and for samples of 8 bits where the window is of more.
        """
        samples = read_samples(path, channels=self.channels, least=self.least, max_pixels=max_pixels)
        if self.window is None:
            return eight_bits(samples)
        if self.too_shallow(samples):
            low, high = self.window
            reason = Wording("depth_too_low", {"low": low, "high": high})
            raise ImageError(path, reason, Wording("give_as_taken"))
        return samples

    def size_in(self, path: Path | str) -> tuple[int, int]:
        """Height and width of what `read` gives of a file, by its header. Raises `ImageError`."""
        return self._size(read_header(path))

    def _size(self, header: Header) -> tuple[int, int]:
        by = 1 if self.channels is not None else reduction_of(header, self.least)
        return -(-header.size[0] // by), -(-header.size[1] // by)

    def memory(self, path: Path | str) -> tuple[int, int]:
        """Bytes that what `read` gives of a file takes, and bytes that reading it and making `levels` of it take
        besides, about; by its header. Raises `ImageError`.
        """
        header = read_header(path)
        pixels, sample = math.prod(self._size(header)), 2 if header.bits > 8 else 1
        held = 3 * (1 if self.window is None else sample)
        decoded = 3 if self.channels is None else 4 * (2 + max(self.channels) // 3)  # all pages asked for, and a copy
        to_eight_bits = 15 if sample > 1 and self.window is None else 0
        levels = 0 if self.window is None else 12
        file = 2 * Path(path).stat().st_size  # as it is, and what is checked of it
        return pixels * held, pixels * max(decoded * sample + to_eight_bits, levels) + file

    def too_shallow(self, samples: NDArray[Any]) -> bool:
        """Whether these are 8-bit samples and the window is of deeper ones."""
        return self.window is not None and samples.dtype == np.uint8 and self.window[1] > np.iinfo(np.uint8).max

    def levels(self, samples: NDArray[Any]) -> NDArray[Any]:
        """``(H, W, 3)`` samples → levels: with a window ``float32`` from 0 to 255, else the ``uint8`` they are.

        >>> Reading(window=(1000, 3000)).levels(np.array([[[900, 1500, 4095]]], np.uint16)).tolist()
        [[[0.0, 63.75, 255.0]]]
        """
        if self.window is None:
            return samples
        low, high = self.window
        levels = np.subtract(samples, np.float32(low), dtype=np.float32)
        levels *= np.float32(255 / (high - low))
        clipped: NDArray[Any] = np.clip(levels, 0, 255, out=levels)
        return clipped

    def view(self, samples: NDArray[Any], size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """``(H, W, 3)`` samples as people look at them: levels, rounded to ``uint8``; enlarged to ``size`` (H, W)
        where the file was read smaller.
        """
        levels = self.levels(samples)
        shown = np.rint(levels).astype(np.uint8) if self.window is not None else levels
        return shown if size is None else resize(shown, size)

    def size_of(self, path: Path | str, samples: NDArray[Any]) -> tuple[int, int]:
        """Height and width of the image in a file that ``samples`` were read from, however small they were read."""
        if self.least is not None:
            header = read_header(path)
            if header.format == "JPEG":
                return header.size
        return samples.shape[0], samples.shape[1]

    def checked(self, image: NDArray[Any]) -> NDArray[Any]:
        """Samples given as an array, ``(H, W, 3)`` or ``(H, W)`` → ``(H, W, 3)``.

        Raises `ParameterError` for another shape, another type than ``uint8``, or, with a window, for one that is no
        number, samples of 8 bits where the window is of more, and what is not finite; and for sides that files may
        not have either.
        """
        kinds = (np.uint8,) if self.window is None else (np.uint8, np.uint16, np.float32, np.float64)
        if not isinstance(image, np.ndarray):
            raise not_an_image(image)
        shaped = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
        if image.dtype not in kinds or not shaped:
            raise ParameterError(self._expected(image))
        check_sides(image)
        if self.too_shallow(image) or (image.dtype.kind == "f" and not np.isfinite(image).all()):
            raise ParameterError(self._expected(image))
        return np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else image

    def _expected(self, image: NDArray[Any]) -> str:
        got = f"got {image.shape} {image.dtype}"
        if self.window is not None:
            low, high = self.window
            return (
                f"an image must be RGB (H, W, 3) or grey (H, W), of the samples that the window {low:g} to {high:g} "
                f"is of, as uint16 or finite floats; {got}. Give what the camera gave, not scaled."
            )
        deeper = "fit with a window to have them used as they are" if image.dtype != np.uint8 else "check its shape"
        return (
            f"an image must be RGB (H, W, 3) or grey (H, W), uint8; {got}. Give the path of the file to have it read "
            f"and brought to that form, or {deeper}."
        )


def not_an_image(given: object) -> ParameterError:
    """The error for what is no array, and for `predict` no path either."""
    if isinstance(given, str | os.PathLike):
        return ParameterError(f"an image must be an array here; got a path, {given!r}. `predict` reads files.")
    return ParameterError(
        f"an image is an array or a path; got {type(given).__name__}. For a PIL image write numpy.asarray(image)."
    )


def check_sides(image: NDArray[Any]) -> None:
    """Raise `ParameterError` where a side of ``(H, W, …)`` is shorter than files may be."""
    height, width = image.shape[:2]
    if min(height, width) < MIN_SIDE:
        raise ParameterError(
            f"{width}×{height} pixels are too few to inspect: each side must be at least {MIN_SIDE}. Give the whole "
            "image."
        )


def learn_window(images: Iterable[NDArray[Any]]) -> tuple[float, float]:
    """The window for images ``(H, W, 3)`` like these, ``uint8`` or ``uint16``: from the `OUTSIDE` quantile of all
    their samples to the same from above, and `MARGIN` on either side, as far as samples can go.

    Each image is let go before the next is taken.
    """
    counts, top = np.zeros(2**16), 0
    for image in images:
        counts += _counted(image)
        top = max(top, int(np.iinfo(image.dtype).max))
    below = np.cumsum(counts) / counts.sum()
    low, high = (int(np.searchsorted(below, share)) for share in (OUTSIDE, 1 - OUTSIDE))
    margin = max(1, round(MARGIN * (high - low)))
    return float(max(0, low - margin)), float(min(top, high + margin))


def _counted(image: NDArray[Any]) -> NDArray[Any]:
    """How many samples there are of each value, ``(65536,)``."""
    import cv2

    planes = [np.ascontiguousarray(image[..., plane]) for plane in range(image.shape[2])]
    counted = [cv2.calcHist([plane], [0], None, [2**16], [0, 2**16]).ravel() for plane in planes]
    return np.asarray(np.sum(counted, axis=0, dtype=np.float64))
