"""Where the part lies that is inspected, learnt once from good images: what differs from a plain background.

Once and not for each image: a defect that looks like background, a broken-off corner or a hole, would fall out of the
foreground of its own image, and with it out of the inspection.

An image's background is the median colour of its rim. What differs from it more than a threshold after Otsu ("A
threshold selection method from gray-level histograms", IEEE Trans. SMC 9, 1979) is foreground; where what is left
parts once more, as with a part of dark metal and a white label, so does what differs more than the lower threshold.
The inspected area is what is foreground in any image, and a margin around it. It is clear where the threshold parts
two heaps (Otsu's η), the rim is nearly free of foreground, and neither heap is next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kizu.images.area import Area
from kizu.images.resizing import resize, resize_mask
from kizu.wording import percent

LONGEST = 256
"""Pixels that the longer side is reduced to."""

RIM = 0.02
"""Width of the rim, of the shorter side."""

APART = 0.7
"""Otsu's η at least: the share of the variance that lies between background and foreground."""

AGAIN_APART = 0.85
"""η at least where what lies under a threshold is parted once more: light that falls off evenly has 0.75."""

ON_RIM = 0.25
"""Share of the rim that may be foreground: parts may reach the edge."""

SMALLEST, LARGEST = 0.01, 0.9
"""Shares of the image between which a foreground tells something."""

CLEAR_IN = 0.9
"""Share of the images in which it must be clear."""

MARGIN = 1 / 32
"""Of the longer side, added around."""


@dataclass(frozen=True)
class Foreground:
    """``area``: None where there is no clear foreground, and then ``why`` says so."""

    area: Area | None
    why: str = ""


def learn_foreground(images: Iterable[NDArray[np.uint8]], size: tuple[int, int]) -> Foreground:
    """From good images ``(H, W, 3)``; the area is of images of ``size`` (H, W), and scales.

    Each image is let go before the next is taken.
    """
    share = min(1.0, LONGEST / max(size))
    union = np.zeros([max(1, round(length * share)) for length in size], np.bool_)
    seen, problems = 0, []
    for image in images:
        seen += 1
        found, problem = _foreground(resize(image, (union.shape[0], union.shape[1])))
        union |= found
        problems += [problem] if problem else []
    if len(problems) > (1 - CLEAR_IN) * seen:
        return Foreground(None, f"in {len(problems)} of {seen} images {max(set(problems), key=problems.count)}")
    area = _with_margin(union)
    if area.mean() > LARGEST:
        return Foreground(None, f"together the good images fill {percent(float(area.mean()))} of the picture")
    return Foreground(Area(resize_mask(area, size), scales=True))


def _foreground(image: NDArray[np.uint8]) -> tuple[NDArray[np.bool_], str]:
    """The foreground of one image, ``(h, w)``, and what is not clear about it."""
    import cv2

    rim = _rim(image.shape[:2])
    background = np.median(image[rim], axis=0)
    apart = np.abs(image.astype(np.float32) - background.astype(np.float32)).max(axis=2)
    levels = apart.clip(0, 255).astype(np.uint8)
    over = levels > lowest_threshold(levels, float(np.quantile(levels[rim], 1 - ON_RIM)))
    mask = np.asarray(cv2.morphologyEx(over.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), np.bool_)
    if not SMALLEST <= mask.mean() <= LARGEST:
        return mask, f"{percent(float(mask.mean()))} differ from the rim"
    if mask[rim].mean() > ON_RIM:
        return mask, "the rim is not of one colour"
    if _between(levels, levels > _otsu(levels)) < APART:
        return mask, "there is no gap between background and part"
    return mask, ""


def lowest_threshold(levels: NDArray[np.uint8], plain: float) -> float:
    """The last threshold that clearly parts ``levels`` under the one before, above ``plain``, which is background.

    >>> levels = np.repeat(np.array([2, 40, 240], np.uint8), 100)
    >>> lowest_threshold(levels, plain=1), lowest_threshold(levels, plain=30)
    (2.0, 40.0)
    """
    threshold = _otsu(levels)
    while plain < threshold:
        under = levels[levels <= threshold]
        lower = _otsu(under)
        if not plain < lower < threshold or _between(under, under > lower) < AGAIN_APART:
            break
        threshold = lower
    return threshold


def _otsu(levels: NDArray[np.uint8]) -> float:
    import cv2

    return float(cv2.threshold(levels, 0, 255, cv2.THRESH_OTSU)[0])


def _rim(size: tuple[int, ...]) -> NDArray[np.bool_]:
    width = max(1, round(RIM * min(size)))
    rim = np.ones(size, np.bool_)
    rim[width:-width, width:-width] = False
    return rim


def _between(levels: NDArray[np.uint8], over: NDArray[np.bool_]) -> float:
    """Otsu's η: variance between the two heaps, of all variance."""
    variance = float(levels.var())
    share = float(over.mean())
    if not variance or not 0 < share < 1:
        return 0.0
    gap = float(levels[over].mean()) - float(levels[~over].mean())
    return share * (1 - share) * gap * gap / variance


def _with_margin(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Gaps closed and a margin added, both of `MARGIN`."""
    import cv2

    reach = max(1, round(MARGIN * max(mask.shape)))
    disc: NDArray[Any] = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    around = np.pad(mask, 2 * reach).astype(np.uint8)
    closed = cv2.morphologyEx(around, cv2.MORPH_CLOSE, disc)
    grown = np.asarray(cv2.dilate(closed, disc), np.bool_)
    return grown[2 * reach : -2 * reach, 2 * reach : -2 * reach]
