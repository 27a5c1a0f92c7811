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
    """The size of a shown image (h, w), and the grid of cells, each of title, panel and caption."""

    panel: tuple[int, int]
    columns: int
    rows: int

    @property
    def cell_width(self) -> int:
        return max(MIN_CELL, self.panel[1])

    @property
    def cell_height(self) -> int:
        return TITLE + self.panel[0] + CAPTION

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the whole picture."""
        width = self.columns * self.cell_width + (self.columns + 1) * MARGIN
        return HEADER + self.rows * self.cell_height + MARGIN, width

    def cell(self, index: int) -> Box:
        """The cell of a panel, counted from 0 in reading order."""
        row, column = divmod(index, self.columns)
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
    """The layout of three panels for an image of ``size`` (H, W).

    The longer side is shown with 384 to 640 pixels; that of an image more than 2.5 times as long as broad with
    640 to 1280. Panels stand side by side, those of a wide image under one another. The shorter side gets 24
    pixels at least, even where that stretches it.

    >>> layout_for((64, 64)).panel, layout_for((3000, 4000)).panel, layout_for((60, 2000)).panel
    ((384, 384), (480, 640), (38, 1280))
    """
    return Layout(_panel(size, 1.0), *((1, 3) if _wide(size) else (3, 1)))


def layout_of_all(size: tuple[int, int]) -> Layout:
    """The layout of six panels, each three quarters as large: three beside one another, two of a wide image."""
    return Layout(_panel(size, 0.75), *((2, 3) if _wide(size) else (3, 2)))


def _panel(size: tuple[int, int], scale: float) -> tuple[int, int]:
    longer = max(size)
    low, high = (640, 1280) if longer > _ELONGATED * min(size) else (384, 640)
    factor = scale * min(max(longer, low), high) / longer
    height, width = (max(24, round(side * factor)) for side in size)
    return height, width


def _wide(size: tuple[int, int]) -> bool:
    return size[1] > _ELONGATED * size[0]
