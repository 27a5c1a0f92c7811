"""The composed picture: verdict and score, the image, the heat map, what was found."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kizu import maps
from kizu.images import resize, resize_mask
from kizu.report._drawing import grows, heat_over, outlined, paled, scaled_mask
from kizu.report._layout import HEADER, MARGIN, Layout, layout_for
from kizu.report._outline import FOUND, TRUTH, Line, draw
from kizu.report._scale import HEAT, multiple, paint
from kizu.report._text import Box, Style, number, pair, write
from kizu.report._view import View

Picture = NDArray[np.uint8]

TITLES = ("input", "heat map", "found")
VERDICT_COLOURS = {"ok": (0, 122, 61), "ng": (196, 0, 30), "review": (255, 184, 0)}
"""The colour of the header; the word stands in it in white, REVIEW in black."""

_PAPER, _INK, _FRAME = (255, 255, 255), (30, 30, 30), (150, 150, 150)
_LINE = 3  # pixels
_TITLE, _SMALL = Style(14, _INK, bold=True), Style(11, _INK)


def compose(view: View) -> Picture:
    """Everything about one image at a glance, ``(H', W', 3)`` RGB uint8, in at most 2048 × 2048 pixels.

    A strip in the colour of the verdict says OK, NG or REVIEW, the score and its limit. Under it three panels:
    the image; the heat map over it, with its colour bar; the image with a red line around what is above the
    pixel threshold and, where a truth is given, green dashes around it. What the lines mean is written below.
    """
    layout = layout_for(view.size)
    canvas = np.full((*layout.size, 3), _PAPER, np.uint8)
    _header(canvas, view)
    for index, (title, panel) in enumerate(zip(TITLES, _panels(view, layout.panel), strict=True)):
        _place(canvas, layout, index, title, panel)
    size, left_out = _lines(layout.caption(0))
    write(canvas, f"{view.size[1]} x {view.size[0]} pixels", size, _SMALL)
    if view.inspected is not None:
        write(canvas, "pale: not inspected", left_out, _SMALL)
    _colour_bar(canvas, layout.caption(1), view.pixel_threshold)
    _legend(canvas, layout.caption(2), view)
    return canvas


def _panels(view: View, size: tuple[int, int]) -> tuple[Picture, Picture, Picture]:
    """Image, heat map and found areas, each of the given size."""
    image, scores = resize(view.image, size), resize(view.full_map, size)
    truth = None if view.truth is None else scaled_mask(view.truth, size)
    width = _LINE if min(size) >= 100 else _LINE - 1
    marked = outlined(image, _found(view, scores), truth, width)
    looked = None if view.inspected is None else resize_mask(view.inspected, size)
    return image, paled(heat_over(image, scores, view.pixel_threshold), looked), paled(marked, looked)


def _found(view: View, scores: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The predicted mask in the size of ``scores``: as smooth as they are, and never losing all of it."""
    size = (scores.shape[0], scores.shape[1])
    smooth = maps.predicted_mask(scores, view.pixel_threshold)
    return smooth if grows(view.size, size) and smooth.any() else scaled_mask(view.mask, size)


def _header(canvas: Picture, view: View) -> None:
    canvas[:HEADER] = VERDICT_COLOURS[view.verdict]
    ink = (0, 0, 0) if view.verdict == "review" else (255, 255, 255)
    width = canvas.shape[1] - 2 * MARGIN
    word = write(canvas, view.verdict.upper(), Box(MARGIN, 0, width // 3, HEADER), Style(36, ink, bold=True))
    score, limit = pair(view.score, view.threshold)
    left = word.x + word.width + 2 * MARGIN
    room = Box(left, 0, MARGIN + width - left, HEADER)
    write(canvas, f"score {score}, limit {limit}", room, Style(22, ink))


def _place(canvas: Picture, layout: Layout, index: int, title: str, panel: Picture) -> None:
    write(canvas, title, layout.title(index), _TITLE)
    box = layout.picture(index)
    _fill(canvas, Box(box.x - 1, box.y - 1, box.width + 2, box.height + 2), _FRAME)
    canvas[box.y : box.y + box.height, box.x : box.x + box.width] = panel


def _colour_bar(canvas: Picture, caption: Box, limit: float) -> None:
    """The heat colours over mid grey, with the pixel threshold marked and written."""
    top, bottom = _lines(caption)
    bar = Box(top.x, top.y + 6, top.width, 12)
    levels = np.linspace(0, 255, bar.width).round().astype(np.uint8)[None].repeat(bar.height, axis=0)
    _fill(canvas, Box(bar.x - 1, bar.y - 1, bar.width + 2, bar.height + 2), _FRAME)
    canvas[bar.y : bar.y + bar.height, bar.x : bar.x + bar.width] = paint(np.full_like(levels, 128), levels)
    mark = bar.width * HEAT.limit_level // 256
    _fill(canvas, Box(bar.x + mark - 1, bar.y - 4, 3, bar.height + 8), _INK)
    label = Box(bottom.x, bottom.y, 2 * mark, bottom.height)
    text = write(canvas, f"pixel limit {number(limit)}", label, _SMALL, "centre")
    left = text.x + text.width + MARGIN
    rest = Box(left, bottom.y, bottom.x + bottom.width - left, bottom.height)
    write(canvas, f"{number(multiple(HEAT.high, limit))} or more", rest, _SMALL, "right")


def _legend(canvas: Picture, caption: Box, view: View) -> None:
    for box, (text, line) in zip(_lines(caption), _legend_lines(view), strict=False):
        indent = 88 if line else 0
        if line:
            _sample(canvas, Box(box.x, box.y, indent, box.height), line)
        write(canvas, text, Box(box.x + indent, box.y, box.width - indent, box.height), _SMALL)


def _legend_lines(view: View) -> list[tuple[str, Line | None]]:
    """What the "found" panel shows, in words, with the kind of line where it is one."""
    lines: list[tuple[str, Line | None]] = []
    if view.mask.any():
        lines.append(("found: red line", FOUND))
    else:
        over = view.verdict != "ok"
        lines.append(("no area above the pixel limit" if over else "nothing found", None))
    if view.truth is not None:
        marked = view.truth.any()
        lines.append(("truth: green dashes", TRUTH) if marked else ("truth: no defect marked", None))
    return lines


def _sample(canvas: Picture, box: Box, line: Line) -> None:
    """A piece of a line, on grey, as it looks on the image."""
    _fill(canvas, Box(box.x, box.y + 4, box.width - 8, box.height - 8), _FRAME)
    x = np.arange(box.x + 4, box.x + box.width - 12)
    y = np.full_like(x, box.y + box.height // 2)
    there_and_back = np.stack([x, y], axis=1).astype(np.int32)[:, None]
    draw(canvas, [there_and_back], line, _LINE)


def _lines(caption: Box) -> tuple[Box, Box]:
    half = caption.height // 2
    return (
        Box(caption.x, caption.y, caption.width, half),
        Box(caption.x, caption.y + half, caption.width, half),
    )


def _fill(canvas: Picture, box: Box, colour: tuple[int, int, int]) -> None:
    canvas[box.y : box.y + box.height, box.x : box.x + box.width] = colour
