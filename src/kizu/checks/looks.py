"""One look at each file: what all checks but the search for outliers need of it, small enough to keep."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kizu.checks.similarity import SIDE
from kizu.datasets import Sample, read_marks
from kizu.errors import ImageError
from kizu.images import DEFAULT_MAX_PIXELS, read_header, read_samples, resize
from kizu.images.reading import eight_bits
from kizu.wording import Wording

_LONGEST = 1024  # pixels of the longer side that focus and noise are measured at
_BLACK, _WHITE = 1, 254  # grey levels at which a sensor has clipped, give or take the rounding of JPEG


@dataclass(frozen=True)
class MaskLook:
    """A mask: its size ``(H, W)`` and the share of it that is marked; or why it cannot be read."""

    size: tuple[int, int] = (0, 0)
    marked: float = 0.0
    problem: Wording | None = None


@dataclass(frozen=True, eq=False)
class Look:
    """What one image is like. Sizes are ``(H, W)`` in pixels as shown.

    ``digest``: SHA-256 of size and pixels, whatever file format they came in. ``reach``: the largest sample as a
    share of what a file of its depth can hold; all that follows is of the image in 8 bits. ``thumbnail``:
    ``(128, 128)`` grey uint8. ``brightness``: mean grey level, 0 to 255; ``black`` and ``white``: share of pixels at
    either end. ``detail``: the logarithm of how much finer the image is than a slightly blurred one, low where it is
    out of focus; ``noise``: the same a step finer, high where it is noisy. ``more_pages``: whether the file has pages
    that nobody looks at, as the first is the image.
    """

    sample: Sample
    format: str
    bits: int
    size: tuple[int, int]
    grey: bool
    digest: bytes
    reach: float
    thumbnail: npt.NDArray[np.uint8]
    brightness: float
    black: float
    white: float
    detail: float
    noise: float
    more_pages: bool
    mask: MaskLook | None


def look(sample: Sample, max_pixels: int = DEFAULT_MAX_PIXELS) -> Look:
    """Read a sample's image and mask, and measure them. Raises `ImageError` when the image cannot be read."""
    import cv2

    header = read_header(sample.path)
    samples = read_samples(sample.path, max_pixels=max_pixels)
    image = eight_bits(samples)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    noise, detail = _sharpness(np.asarray(grey, np.uint8))
    return Look(
        sample=sample,
        format=header.format,
        bits=header.bits,
        size=(image.shape[0], image.shape[1]),
        grey=bool((image[..., 0] == image[..., 1]).all() and (image[..., 1] == image[..., 2]).all()),
        digest=hashlib.sha256(repr(samples.shape).encode() + samples.tobytes()).digest(),
        reach=float(samples.max() / np.iinfo(samples.dtype).max),
        thumbnail=resize(np.asarray(grey, np.uint8), (SIDE, SIDE)),
        brightness=float(grey.mean()),
        black=float((grey <= _BLACK).mean()),
        white=float((grey >= _WHITE).mean()),
        detail=detail,
        noise=noise,
        more_pages=header.more_pages,
        mask=_look_at_mask(sample, max_pixels),
    )


def _look_at_mask(sample: Sample, max_pixels: int) -> MaskLook | None:
    if sample.mask is None:
        return None
    try:
        mask = read_marks(sample.mask, max_pixels=max_pixels)
    except ImageError as error:
        return MaskLook(problem=error.wording)
    return MaskLook((mask.shape[0], mask.shape[1]), float(mask.mean()))


def _sharpness(grey: npt.NDArray[np.uint8]) -> tuple[float, float]:
    """Logarithms of how the Laplacian's deviation falls from the image to a blur of 1 pixel, and from that to 2.

    The variance of the Laplacian is the usual measure of focus (Pech-Pacheco et al., ICPR 2000); that of one image by
    another's blur does not depend on contrast and exposure.
    """
    import cv2

    longest = max(grey.shape)
    if longest > _LONGEST:
        height, width = (max(8, side * _LONGEST // longest) for side in grey.shape)
        grey = resize(grey, (height, width))
    image = grey.astype(np.float32)
    levels = (image, *(cv2.GaussianBlur(image, (0, 0), sigma) for sigma in (1.0, 2.0)))
    fine, middle, coarse = (float(cv2.Laplacian(level, cv2.CV_32F).std()) + 1e-3 for level in levels)
    return float(np.log(fine / middle)), float(np.log(middle / coarse))
