"""Canvases with panels: header, titles, colour bar and legend."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kizu.report._layout import HEADER, MARGIN, Layout
from kizu.report._outline import FOUND, TRUTH, Line, draw
from kizu.report._scale import HEAT, multiple, paint
from kizu.report._text import Box, Style, number, pair, write
from kizu.report._view import View

Picture = NDArray[np.uint8]

VERDICT_COLOURS = {"ok": (0, 122, 61), "ng": (196, 0, 30), "review": (255, 184, 0)}
"""The colour of the header; the word stands in it in white, REVIEW in black."""

NO_VERDICT = (225, 225, 225)
"""The colour of the header where nothing was decided; no word stands in it."""

PAPER, INK, FRAME = (255, 255, 255), (30, 30, 30), (150, 150, 150)
HEADING, SMALL = Style(14, INK, bold=True), Style(11, INK)

_LINE = 3  # pixels


def blank(layout: Layout) -> Picture:
    """A white canvas for a layout."""
    return np.full((*layout.size, 3), PAPER, np.uint8)


def header(canvas: Picture, view: View) -> None:
    """The strip in the colour of the verdict, with score and limit."""
    canvas[:HEADER] = NO_VERDICT if view.verdict is None else VERDICT_COLOURS[view.verdict]
    ink = (255, 255, 255) if view.verdict in ("ok", "ng") else (0, 0, 0)
    width, left = canvas.shape[1] - 2 * MARGIN, MARGIN
    if view.verdict is not None:
        word = write(canvas, view.verdict.upper(), Box(left, 0, width // 3, HEADER), Style(36, ink, bold=True))
        left = word.x + word.width + 2 * MARGIN
    score, limit = pair(view.score, view.threshold)
    room = Box(left, 0, MARGIN + width - left, HEADER)
    write(canvas, f"score {score}, limit {limit}", room, Style(22, ink))


def place(canvas: Picture, layout: Layout, index: int, title: str, panel: Picture) -> None:
    """Put a panel and its title in their cell."""
    write(canvas, title, layout.title(index), HEADING)
    box = layout.picture(index)
    fill(canvas, Box(box.x - 1, box.y - 1, box.width + 2, box.height + 2), FRAME)
    canvas[box.y : box.y + box.height, box.x : box.x + box.width] = panel


def colour_bar(canvas: Picture, caption: Box, limit: float) -> None:
    """The heat colours over mid grey, with the pixel threshold marked and written."""
    top, bottom = lines(caption)
    bar = Box(top.x, top.y + 6, top.width, 12)
    levels = np.linspace(0, 255, bar.width).round().astype(np.uint8)[None].repeat(bar.height, axis=0)
    fill(canvas, Box(bar.x - 1, bar.y - 1, bar.width + 2, bar.height + 2), FRAME)
    canvas[bar.y : bar.y + bar.height, bar.x : bar.x + bar.width] = paint(np.full_like(levels, 128), levels)
    mark = bar.width * HEAT.limit_level // 256
    fill(canvas, Box(bar.x + mark - 1, bar.y - 4, 3, bar.height + 8), INK)
    label = Box(bottom.x, bottom.y, 2 * mark, bottom.height)
    text = write(canvas, f"pixel limit {number(limit)}", label, SMALL, "centre")
    left = text.x + text.width + MARGIN
    rest = Box(left, bottom.y, bottom.x + bottom.width - left, bottom.height)
    write(canvas, f"{number(multiple(HEAT.high, limit))} or more", rest, SMALL, "right")


def legend(canvas: Picture, caption: Box, view: View, *, truth: bool = True) -> None:
    """What the lines of a panel mean: those around what was found, and around the ``truth`` if that has lines too."""
    shown = _legend_lines(view)[: 2 if truth else 1]
    for box, (text, line) in zip(lines(caption), shown, strict=False):
        indent = 88 if line else 0
        if line:
            _sample(canvas, Box(box.x, box.y, indent, box.height), line)
        write(canvas, text, Box(box.x + indent, box.y, box.width - indent, box.height), SMALL)


def _legend_lines(view: View) -> list[tuple[str, Line | None]]:
    """What the "found" panel shows, in words, with the kind of line where it is one."""
    lines: list[tuple[str, Line | None]] = []
    if view.mask.any():
        lines.append(("found: red line", FOUND))
    else:
        over = view.verdict in ("ng", "review")
        lines.append(("no area above the pixel limit" if over else "nothing found", None))
    if view.truth is not None:
        marked = view.truth.any()
        lines.append(("truth: green dashes", TRUTH) if marked else ("truth: no defect marked", None))
    return lines


def _sample(canvas: Picture, box: Box, line: Line) -> None:
    """A piece of a line, on grey, as it looks on the image."""
    fill(canvas, Box(box.x, box.y + 4, box.width - 8, box.height - 8), FRAME)
    x = np.arange(box.x + 4, box.x + box.width - 12)
    y = np.full_like(x, box.y + box.height // 2)
    there_and_back = np.stack([x, y], axis=1).astype(np.int32)[:, None]
    draw(canvas, [there_and_back], line, _LINE)


def lines(caption: Box) -> tuple[Box, Box]:
    """The two lines of a caption."""
    half = caption.height // 2
    return (
        Box(caption.x, caption.y, caption.width, half),
        Box(caption.x, caption.y + half, caption.width, half),
    )


def fill(canvas: Picture, box: Box, colour: tuple[int, int, int]) -> None:
    """Paint a box."""
    canvas[box.y : box.y + box.height, box.x : box.x + box.width] = colour
