"""Heat maps and outlines over an image: what single parts and the composed picture share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kizu.images import resize, resize_mask
from kizu.report._outline import FOUND, TRUTH, outline
from kizu.report._scale import HEAT, paint

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]


def heat_over(image: Picture, scores: NDArray[np.float32], limit: float) -> Picture:
    """A map ``(H, W)`` in colours over the grey of an image of that size; see `kizu.report._scale`."""
    import cv2

    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    return paint(grey, HEAT.levels(scores, limit))


def outlined(image: Picture, found: Mask, truth: Mask | None, width: int) -> Picture:
    """A copy of an image with a line around what was found, and dashes around the truth where there is one."""
    picture = image.copy()
    outline(picture, found, FOUND, width)
    if truth is not None:
        outline(picture, truth, TRUTH, width)
    return picture


def paled(picture: Picture, inspected: Mask | None) -> Picture:
    """``picture`` ``(H, W, 3)``, two thirds white where it was not ``inspected`` ``(H, W)``; None: as it is."""
    if inspected is None:
        return picture
    return np.where(inspected[..., None], picture, picture // 3 + np.uint8(170))


def scaled_mask(mask: Mask, size: tuple[int, int]) -> Mask:
    """A mask in another size; where it shrinks, no marked pixel gets lost."""
    if grows(mask.shape, size):
        return resize_mask(mask, size)
    return np.asarray(resize(mask.astype(np.float32), size) > 0)


def grows(old: tuple[int, ...], new: tuple[int, int]) -> bool:
    """Whether neither side gets shorter."""
    return new[0] >= old[0] and new[1] >= old[1]
