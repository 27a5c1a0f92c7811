"""Where the object is in an image, where it lies on a plain background; otherwise the whole image.

NSA (arXiv 2109.15222, section 3.2) keeps its pieces on objects by comparing brightness with the background's; here
the background is what the border of the image looks like.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kizu.images import resize, resize_mask
from kizu.images.foreground import lowest_threshold

WORKING_SIDE = 128
"""Pixels of the longer side at which it is looked for."""

_PLAIN = 0.8  # share of the border that must look alike, if it is background
_LEAST, _MOST = 0.05, 0.9  # share of the image that an object may cover


def object_region(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """``(H, W)`` bool: the object in ``image`` ``(H, W, 3)`` RGB; all of it where no plain background is seen.

    >>> image = np.full((64, 64, 3), 250, np.uint8)
    >>> image[16:48, 16:48] = 90
    >>> region = object_region(image)
    >>> bool(region[32, 32]), bool(region[2, 2]), bool(object_region(image[16:48, 16:48])[0, 0])
    (True, False, True)
    """
    height, width = image.shape[:2]
    scale = min(1.0, WORKING_SIDE / max(height, width))
    small = resize(image, (max(8, round(height * scale)), max(8, round(width * scale))))
    found = _foreground(small)
    if found is None:
        return np.ones((height, width), np.bool_)
    return resize_mask(found, (height, width))


def _foreground(image: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
    import cv2

    colours = image.astype(np.float32)
    border = np.concatenate([colours[0], colours[-1], colours[1:-1, 0], colours[1:-1, -1]])
    background = np.median(border, axis=0)
    away = np.abs(colours - background).max(axis=2)
    at_border = np.abs(border - background).max(axis=1)
    limit = lowest_threshold(away.clip(0, 255).astype(np.uint8), float(np.quantile(at_border, _PLAIN)))
    if (at_border <= limit).mean() < _PLAIN or limit > 100:
        return None
    kernel = np.ones((3, 3), np.uint8)
    mask = cv2.morphologyEx((away > limit).astype(np.uint8), cv2.MORPH_CLOSE, kernel, iterations=2)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel)
    mask = cv2.erode(_filled(np.asarray(mask, np.uint8)), kernel)  # its edge belongs to neither
    share = float(mask.mean())
    return mask.astype(np.bool_) if _LEAST <= share <= _MOST else None


def _filled(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Without holes."""
    import cv2

    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros_like(mask)
    cv2.drawContours(filled, outlines, -1, 1, cv2.FILLED)
    return filled
