"""The composed picture: verdict and score, the image, the heat map, what was found."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kizu.report._canvas import SMALL, blank, colour_bar, header, legend, lines, place
from kizu.report._drawing import Panels, heat_over, outlined, paled
from kizu.report._layout import layout_for
from kizu.report._text import write
from kizu.report._view import View

Picture = NDArray[np.uint8]

TITLES = ("input", "heat map", "found")


def compose(view: View) -> Picture:
    """Everything about one image at a glance, ``(H', W', 3)`` RGB uint8, in at most 2048 × 2048 pixels.

    A strip in the colour of the verdict says OK, NG or REVIEW, the score and its limit. Under it three panels:
    the image; the heat map over it, with its colour bar; the image with a red line around what is above the
    pixel threshold and, where a truth is given, green dashes around it. What the lines mean is written below.
    """
    layout = layout_for(view.size)
    canvas = blank(layout)
    header(canvas, view)
    for index, (title, panel) in enumerate(zip(TITLES, _panels(view, layout.panel), strict=True)):
        place(canvas, layout, index, title, panel)
    size, left_out = lines(layout.caption(0))
    write(canvas, f"{view.size[1]} x {view.size[0]} pixels", size, SMALL)
    if view.inspected is not None:
        write(canvas, "pale elsewhere: not inspected", left_out, SMALL)
    colour_bar(canvas, layout.caption(1), view.pixel_threshold)
    legend(canvas, layout.caption(2), view)
    return canvas


def _panels(view: View, size: tuple[int, int]) -> tuple[Picture, Picture, Picture]:
    """Image, heat map and found areas, each of the given size."""
    shown = Panels.of(view, size)
    heat = heat_over(shown.image, shown.scores, view.pixel_threshold)
    marked = outlined(shown.image, shown.found, shown.truth, shown.line)
    return shown.image, paled(heat, shown.inspected), paled(marked, shown.inspected)
