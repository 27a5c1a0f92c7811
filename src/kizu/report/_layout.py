"""Where the panels of a composed picture go."""

from __future__ import annotations

from dataclasses import dataclass

from kizu.report._text import Box

MARGIN = 16
HEADER = 72
TITLE = 34
CAPTION = 52
MIN_CELL = 320
"""Pixels in width that titles and captions get, however narrow the image."""

_ELONGATED = 2.5  # from here on an image is shown longer, and a wide one in rows


@dataclass(frozen=True)
class Layout:
    """The size of a shown image (h, w), and how the three cells, each of title, panel and caption, lie."""

    panel: tuple[int, int]
    in_rows: bool

    @property
    def cell_width(self) -> int:
        return max(MIN_CELL, self.panel[1])

    @property
    def cell_height(self) -> int:
        return TITLE + self.panel[0] + CAPTION

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the whole picture."""
        across, down = (1, 3) if self.in_rows else (3, 1)
        width = across * self.cell_width + (across + 1) * MARGIN
        return HEADER + down * self.cell_height + MARGIN, width

    def cell(self, index: int) -> Box:
        """The cell of panel 0, 1 or 2."""
        column, row = (0, index) if self.in_rows else (index, 0)
        x = MARGIN + column * (self.cell_width + MARGIN)
        return Box(x, HEADER + row * self.cell_height, self.cell_width, self.cell_height)

    def title(self, index: int) -> Box:
        cell = self.cell(index)
        return Box(cell.x, cell.y, cell.width, TITLE)

    def picture(self, index: int) -> Box:
        cell = self.cell(index)
        height, width = self.panel
        return Box(cell.x + (cell.width - width) // 2, cell.y + TITLE, width, height)

    def caption(self, index: int) -> Box:
        cell = self.cell(index)
        return Box(cell.x, cell.y + TITLE + self.panel[0], cell.width, CAPTION)


def layout_for(size: tuple[int, int]) -> Layout:
    """The layout for an image of ``size`` (H, W).

    The longer side is shown with 384 to 640 pixels; that of an image more than 2.5 times as long as broad with
    640 to 1280. Panels stand side by side, those of a wide image under one another. The shorter side gets 24
    pixels at least, even where that stretches it.

    >>> layout_for((64, 64)).panel, layout_for((3000, 4000)).panel, layout_for((60, 2000)).panel
    ((384, 384), (480, 640), (38, 1280))
    """
    longer, shorter = max(size), min(size)
    elongated = longer > _ELONGATED * shorter
    low, high = (640, 1280) if elongated else (384, 640)
    factor = min(max(longer, low), high) / longer
    height, width = (max(24, round(side * factor)) for side in size)
    return Layout((height, width), in_rows=elongated and size[1] > size[0])
