"""Heat maps and outlines over an image: what single parts and the composed picture share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kizu import maps
from kizu.images import resize, resize_mask
from kizu.report._outline import FOUND, TRUTH, outline
from kizu.report._scale import HEAT, paint
from kizu.report._view import View

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_LINE = 3  # pixels of a line on panels


@dataclass(frozen=True, eq=False)
class Panels:
    """A view brought to the size of panels: arrays (h, w), and the width of lines on them."""

    image: Picture
    scores: NDArray[np.float32]
    found: Mask
    truth: Mask | None
    inspected: Mask | None
    line: int

    @classmethod
    def of(cls, view: View, size: tuple[int, int]) -> Panels:
        """A view whose image is shown with ``size`` (h, w) pixels."""
        scores = resize(view.full_map, size)
        return cls(
            image=resize(view.image, size),
            scores=scores,
            found=_found(view, scores),
            truth=None if view.truth is None else scaled_mask(view.truth, size),
            inspected=None if view.inspected is None else resize_mask(view.inspected, size),
            line=_LINE if min(size) >= 100 else _LINE - 1,
        )


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


def filled(image: Picture, found: Mask, width: int) -> Picture:
    """A copy of an image with what was found tinted red, and a line of ``width`` pixels around it."""
    picture = image.copy()
    red = np.array(FOUND.colour, np.uint16)
    picture[found] = (picture[found].astype(np.uint16) * 3 + red * 2) // 5
    outline(picture, found, FOUND, width)
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


def _found(view: View, scores: NDArray[np.float32]) -> Mask:
    """The predicted mask in the size of ``scores``: as smooth as they are, and never losing all of it."""
    size = (scores.shape[0], scores.shape[1])
    smooth = maps.predicted_mask(scores, view.pixel_threshold)
    return smooth if grows(view.size, size) and smooth.any() else scaled_mask(view.mask, size)


def grows(old: tuple[int, ...], new: tuple[int, int]) -> bool:
    """Whether neither side gets shorter."""
    return new[0] >= old[0] and new[1] >= old[1]
