"""Everything that can be shown of one image, in one picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kizu.report._canvas import SMALL, blank, colour_bar, header, legend, lines, place
from kizu.report._drawing import Panels, filled, heat_over, paled
from kizu.report._layout import MARGIN, Layout, layout_of_all
from kizu.report._scale import GREY
from kizu.report._text import write
from kizu.report._view import View
from kizu.report.histogram import histogram

Picture = NDArray[np.uint8]

HISTOGRAM = 320
"""Pixels in height of the histogram at the bottom."""


def combined(view: View) -> Picture:
    """All parts of a view in one picture, ``(H', W', 3)`` RGB uint8.

    The header of the composed picture; input, the mask a person drew, heat map; grey map, predicted mask,
    segmentation; the histogram.
    """
    layout = layout_of_all(view.size)
    canvas = blank(layout)
    header(canvas, view)
    for index, (title, panel) in enumerate(_panels(view, layout.panel).items()):
        place(canvas, layout, index, title, panel)
    _captions(canvas, layout, view)
    below = histogram(view, (HISTOGRAM, canvas.shape[1] - MARGIN))
    return np.concatenate([canvas, np.pad(below, ((0, 0), (0, MARGIN), (0, 0)), constant_values=255)])


def _panels(view: View, size: tuple[int, int]) -> dict[str, Picture]:
    shown = Panels.of(view, size)
    heat = heat_over(shown.image, shown.scores, view.pixel_threshold)
    segmented = filled(shown.image, shown.found, shown.line)
    truth = np.zeros(size, np.bool_) if shown.truth is None else shown.truth
    return {
        "input": shown.image,
        "mask": _grey(truth * np.uint8(255)),
        "heat map": paled(heat, shown.inspected),
        "grey map": _grey(GREY.levels(shown.scores, view.pixel_threshold)),
        "predicted mask": _grey(shown.found * np.uint8(255)),
        "segmentation": paled(segmented, shown.inspected),
    }


def _captions(canvas: Picture, layout: Layout, view: View) -> None:
    truth = "nobody has marked this image" if view.truth is None else "white: marked by a person as a defect"
    size = f"{view.size[1]} x {view.size[0]} pixels"
    grey, found = "half grey: the pixel limit; white: twice that", "white: above the pixel limit"
    for index, text in ((0, size), (1, truth), (3, grey), (4, found)):
        write(canvas, text, lines(layout.caption(index))[0], SMALL)
    if view.inspected is not None:
        write(canvas, "pale elsewhere: not inspected", lines(layout.caption(0))[1], SMALL)
    colour_bar(canvas, layout.caption(2), view.pixel_threshold)
    legend(canvas, layout.caption(5), view, truth=False)


def _grey(picture: NDArray[np.uint8]) -> Picture:
    return np.repeat(picture[..., None], 3, axis=2)
