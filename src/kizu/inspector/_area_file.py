"""The inspected area as a model file keeps it: a PNG, white where it is, so that people can look at it too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kizu.errors import ModelFileError
from kizu.images import Area, decode_image

_LARGEST = 2**30


def to_png(area: Area | None) -> bytes | None:
    """One bit a pixel; None for None."""
    if area is None:
        return None
    import cv2

    done, data = cv2.imencode(".png", area.mask.astype(np.uint8) * 255, [cv2.IMWRITE_PNG_BILEVEL, 1])
    if not done:
        raise ValueError("the inspected area cannot be written as PNG")
    return data.tobytes()


def area_from_png(data: bytes | None, described: Mapping[str, Any] | None) -> Area | None:
    """What `to_png` and the manifest tell. Raises `ModelFileError` where one is missing, `ImageError` for a damaged
    picture.
    """
    if data is None and described is None:
        return None
    if data is None or described is None:
        raise ModelFileError("the inspected area is incomplete.")
    mask = decode_image(data, "area.png", max_pixels=_LARGEST)[..., 0] > 0
    return Area(mask, bool(described["scales"]))
