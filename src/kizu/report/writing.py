"""Pictures into files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kizu.errors import ParameterError, unknown_name
from kizu.files import atomic_write

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
"""What `write_image` writes; the suffix decides."""

JPEG_QUALITY = 90


def write_image(path: Path | str, image: NDArray[np.uint8]) -> None:
    """Write ``(H, W, 3)`` RGB or ``(H, W)`` grey uint8 in the format of the suffix; whole or not at all.

    The name may be in any script. JPEG is written at quality 90 without thinning out colours, which would
    smear thin lines.

    Raises:
        OutputError: the file cannot be written: no folder, no permission, no space left.
        ParameterError: no known suffix, or not such an array.
    """
    atomic_write(path, encode_image(image, Path(path).suffix.lower()), durable=False)


def encode_image(image: NDArray[Any], suffix: str) -> bytes:
    """What `write_image` writes, as bytes; the same array gives the same. PNG holds uint16 samples too. Raises
    `ParameterError` as `write_image` does.
    """
    import cv2

    if suffix not in SUFFIXES:
        raise ParameterError(unknown_name("image suffix", suffix, SUFFIXES))
    deep = image.dtype == np.uint16 and suffix == ".png"
    if not (deep or image.dtype == np.uint8) or image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
        raise ParameterError(f"`image` must be (H, W, 3) or (H, W) uint8; got {image.shape} {image.dtype}.")
    pixels = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    options = [cv2.IMWRITE_PNG_COMPRESSION, 4] if suffix == ".png" else []
    if suffix in (".jpg", ".jpeg"):
        sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
        options = [
            *(cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY),
            *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling),
        ]
    done, data = cv2.imencode(suffix, np.ascontiguousarray(pixels), options)
    if not done:
        raise ParameterError(f"an image of {image.shape} cannot be written as {suffix}; choose .png.")
    return data.tobytes()
