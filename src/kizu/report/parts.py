"""The parts of a picture one by one, in the image's own resolution, and all of them in one."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from kizu.arguments import several
from kizu.errors import ParameterError, unknown_name
from kizu.report._drawing import filled, heat_over, outlined, paled
from kizu.report._outline import width_for
from kizu.report._scale import GREY
from kizu.report._view import View
from kizu.report.combined import combined
from kizu.report.histogram import histogram

Picture = NDArray[np.uint8]

PIXELS = "pixels"
"""The part that is no picture: `kizu.report.pixels` writes it."""


def grey_map(view: View) -> Picture:
    """The map in greys, ``(H, W)``: 128 is the pixel threshold, 255 twice the threshold and more.

    In proportion from 0 on, the same in all pictures of a model; 128 and above is exactly the predicted mask.
    (A threshold of 0 or less: 0 is the threshold less its absolute value.)
    """
    return GREY.levels(view.full_map, view.pixel_threshold)


def heat_map(view: View) -> Picture:
    """The map in colours over the grey image, ``(H, W, 3)``; yellow to red is exactly the predicted mask."""
    return paled(heat_over(view.image, view.full_map, view.pixel_threshold), view.inspected)


def predicted_mask(view: View) -> Picture:
    """``(H, W)``: 255 where the map is above the pixel threshold, else 0."""
    return view.mask.astype(np.uint8) * np.uint8(255)


def mask(view: View) -> Picture | None:
    """``(H, W)``: 255 where a person marked a defect, else 0; None where nobody did."""
    return None if view.truth is None else view.truth.astype(np.uint8) * np.uint8(255)


def segmentation(view: View) -> Picture:
    """The image, ``(H, W, 3)``, with what was found tinted red and a red line around it."""
    return paled(filled(view.image, view.mask, width_for(view.size)), view.inspected)


def overlay(view: View) -> Picture:
    """The image, ``(H, W, 3)``, with a red line around what was found and green dashes around the truth."""
    return paled(outlined(view.image, view.mask, view.truth, width_for(view.size)), view.inspected)


def _input(view: View) -> Picture:
    return view.image.copy()


_MAKERS: dict[str, Callable[[View], Picture | None]] = {
    "input": _input,
    "mask": mask,
    "grey_map": grey_map,
    "heat_map": heat_map,
    "predicted_mask": predicted_mask,
    "segmentation": segmentation,
    "overlay": overlay,
    "histogram": histogram,
    "combined": combined,
}

PARTS = (*_MAKERS, PIXELS)
"""What can be saved of an image: the pictures that `parts` makes, and `PIXELS`."""


def check_parts(names: str | Iterable[str]) -> tuple[str, ...]:
    """The names, each once; a name alone is one. Raises `ParameterError` for one that is not in `PARTS`."""
    chosen = tuple(dict.fromkeys(several(names)))
    for name in chosen:
        if name not in PARTS:
            raise ParameterError(unknown_name("part", name, PARTS))
    return chosen


def parts(view: View, names: Iterable[str] = PARTS) -> dict[str, Picture]:
    """The named parts of a view that are pictures, as RGB or grey uint8 arrays of their own, in the order asked for.

    ``mask`` is left out where the view has no truth.

    >>> white = np.full((8, 8, 3), 255, np.uint8)
    >>> view = View(white, np.eye(8, dtype=np.float32), 1.0, 0.9, pixel_threshold=0.5, verdict="ng")
    >>> {name: part.shape for name, part in parts(view, ["grey_map", "overlay", "mask"]).items()}
    {'grey_map': (8, 8), 'overlay': (8, 8, 3)}

    Raises:
        ParameterError: a part does not exist.
    """
    made = {name: _MAKERS[name](view) for name in check_parts(names) if name in _MAKERS}
    return {name: picture for name, picture in made.items() if picture is not None}
