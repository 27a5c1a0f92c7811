"""One defect on one image, and as many as are wanted on many: the part that all kinds share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from kizu.errors import ParameterError, bad_parameter
from kizu.synthetic._canvas import Canvas, Image, Mask, Patch, is_grey
from kizu.synthetic._region import object_region
from kizu.synthetic._registry import KINDS, check_kinds

VISIBLE = 3
"""Levels of 255 by which some channel of a pixel must differ, to count as changed; smaller changes are undone."""

DEFAULT_STRENGTH = 1.0
DEFAULT_SIZE = 1.0

_LEAST_SHARE = 2e-4  # of the object's pixels that a defect changes
_LEAST_PIXELS = 4
_TRIES = 16  # before a defect is drawn twice as strong


@dataclass(frozen=True, eq=False)
class SyntheticDefect:
    """``image`` ``(H, W, 3)`` uint8 with a defect of ``kind``, and its ``mask`` ``(H, W)`` bool.

    Outside the mask the image is the good one, bit for bit. Inside it pixels differ by `VISIBLE` levels or more,
    but for those that such pixels enclose.
    """

    image: Image
    mask: Mask
    kind: str


def draw_defect(
    image: Image,
    rng: Generator,
    *,
    kind: str | None = None,
    strength: float = DEFAULT_STRENGTH,
    size: float = DEFAULT_SIZE,
    donor: Image | None = None,
    region: Mask | None = None,
) -> SyntheticDefect:
    """Draw one defect on a good image ``(H, W, 3)`` uint8, which stays as it is.

    ``kind``: one of `KINDS`; None: any. ``strength`` and ``size`` scale what the kinds' files say; 1 is their middle.
    ``donor``: another good image, which pieces are cut from. ``region`` ``(H, W)`` bool: where a defect may be; None:
    on the object (`object_region`). The same generator state gives the same defect.

    Raises:
        ParameterError: not such an image or region, an unknown kind, or a strength or size out of range.
    """
    _check_image(image)
    check_numbers(strength, size)
    name = str(rng.choice(list(KINDS))) if kind is None else check_kinds([kind])[0]
    canvas = _canvas(image, donor, region)
    for attempt in range(10 * _TRIES):
        harder = 2.0 ** (attempt // _TRIES)
        defect = _marked(canvas, KINDS[name](canvas, rng, strength * harder, size * min(harder, 4.0)), name)
        if defect is not None:
            return defect
    raise ParameterError(
        f"`region` leaves no room for a defect of `strength` {strength:g} and `size` {size:g} that shows; give a "
        f"larger strength or size (1 is usual), or a region of more than {canvas.area:,} pixels; None for the whole "
        "object."
    )


def draw_defects(
    images: Iterable[Image],
    *,
    kinds: Iterable[str] = tuple(KINDS),
    seed: int = 0,
    strength: float = DEFAULT_STRENGTH,
    size: float = DEFAULT_SIZE,
    each: int = 1,
    where: Callable[[Image], Mask] = object_region,
) -> Iterator[SyntheticDefect]:
    """Defects on good images, ``each`` so many of every image, the ``kinds`` in turn; nothing is written.

    Pieces are cut from the image before. ``where`` gives the region of an image that `draw_defect` takes. What is
    drawn depends on ``seed``, the image's place, ``where`` and the images alone::

        for image, mask, kind in ((d.image, d.mask, d.kind) for d in draw_defects(good)):
            ...

    Raises:
        ParameterError: as `draw_defect`, or a negative ``seed``; with the first image.
    """
    names = check_kinds(kinds)
    check_numbers(strength, size, seed)
    donor: Image | None = None
    for place, image in enumerate(images):
        _check_image(image)
        region = where(image)
        for number in range(each):
            rng = np.random.default_rng([seed, place, number])
            kind = names[(place * each + number) % len(names)]
            yield draw_defect(image, rng, kind=kind, strength=strength, size=size, donor=donor, region=region)
        donor = image


def check_numbers(strength: float, size: float, seed: int = 0) -> None:
    """Raise `ParameterError` where one is out of range."""
    if not 0 < strength <= 10:
        raise bad_parameter("strength", "in (0, 10]", strength, "1 is the usual contrast.")
    if not 0 < size <= 10:
        raise bad_parameter("size", "in (0, 10]", size, "1 is the usual size.")
    if seed < 0:
        raise bad_parameter("seed", "0 or more", seed)


def _check_image(image: Image) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or min(image.shape[:2]) < 8:
        raise ParameterError(
            f"`image` must be (H, W, 3) uint8, 8 pixels a side at least; got {image.shape} {image.dtype}."
        )


def _canvas(image: Image, donor: Image | None, region: Mask | None) -> Canvas:
    if region is None:
        region = object_region(image)
    if region.shape != image.shape[:2] or region.dtype != np.bool_ or not region.any():
        raise ParameterError(f"`region` must be {image.shape[:2]} bool with something marked; got {region.shape}.")
    if donor is None or (is_grey(image) and not is_grey(donor)):
        donor = image
    return Canvas(image, region, donor)


def _marked(canvas: Canvas, patch: Patch, kind: str) -> SyntheticDefect | None:
    """The image with the patch on the object, and what it changed there; None when that is too little."""
    height, width = patch.pixels.shape[:2]
    window = slice(patch.top, patch.top + height), slice(patch.left, patch.left + width)
    before, region = canvas.image[window], canvas.region[window]
    drawn = np.clip(np.round(patch.pixels), 0, 255).astype(np.uint8)
    changed = (np.abs(drawn.astype(np.int16) - before).max(axis=2) >= VISIBLE) & region
    changed = _without_specks(changed)
    if changed.sum() < max(_LEAST_PIXELS, _LEAST_SHARE * canvas.area):
        return None
    inside = _enclosed(changed) & region
    image, mask = canvas.image.copy(), np.zeros(canvas.region.shape, np.bool_)
    image[window] = np.where(inside[..., None], drawn, before)
    mask[window] = inside
    return SyntheticDefect(image, mask, kind)


def _without_specks(changed: Mask) -> Mask:
    """Without single pixels, which nobody would call a defect."""
    import cv2

    neighbours = cv2.filter2D(changed.astype(np.uint8), -1, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT)
    return changed & (neighbours > 1)


def _enclosed(changed: Mask) -> NDArray[np.bool_]:
    """Changed pixels, and those that they enclose: gaps of a pixel or two, and holes."""
    import cv2

    padded = np.pad(changed.astype(np.uint8), 2)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    outlines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = closed.copy()
    cv2.drawContours(filled, outlines, -1, 1, cv2.FILLED)
    return filled[2:-2, 2:-2].astype(np.bool_)
