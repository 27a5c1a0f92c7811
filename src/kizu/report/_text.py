"""Plain letters and numbers on pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]

_CAPITAL = 21  # pixels of a capital letter at scale 1, in OpenCV 4's drawn and 5's real letters alike


@dataclass(frozen=True)
class Style:
    """Height of a capital letter in pixels, colour (RGB), weight."""

    capital: int
    colour: Colour
    bold: bool = False

    @property
    def thickness(self) -> int:
        return max(2, round(self.capital / 7)) if self.bold else max(1, round(self.capital / 14))


@dataclass(frozen=True)
class Box:
    """Where something goes on a canvas: left, top, width, height."""

    x: int
    y: int
    width: int
    height: int


def write(canvas: NDArray[np.uint8], text: str, box: Box, style: Style, align: str = "left") -> Box:
    """Write one line of ASCII into a box, in place; made smaller where it would not fit.

    Its capitals are centred in the height; ``align`` is left, centre or right. Returns the box the letters fill.
    """
    import cv2

    face, thickness = cv2.FONT_HERSHEY_SIMPLEX, style.thickness
    scale = style.capital / _CAPITAL
    while True:
        (width, height), below = cv2.getTextSize(text, face, scale, thickness)
        if (width <= box.width and height + below <= box.height) or scale < 0.1:
            break
        scale *= 0.95
    x = box.x + {"left": 0, "centre": (box.width - width) // 2, "right": box.width - width}[align]
    y = box.y + round((box.height + scale * _CAPITAL) / 2)
    cv2.putText(canvas, text, (x, y), face, scale, style.colour, thickness, cv2.LINE_AA)
    return Box(x, y - height, width, height + below)


def number(value: float) -> str:
    """A number in three digits or so, as people write it.

    >>> number(31.234), number(0.01234), number(1234.5), number(0.0), number(3e-9)
    ('31.2', '0.0123', '1234', '0', '3.00e-09')
    """
    return _fixed(value, _decimals(value)) if value else "0"


def pair(value: float, limit: float) -> tuple[str, str]:
    """Two numbers with as many decimals as it takes to see that they differ.

    >>> pair(31.234, 28.41), pair(28.412, 28.409), pair(5.0, 5.0)
    (('31.2', '28.4'), ('28.412', '28.409'), ('5.00', '5.00'))
    """
    first = _decimals(max(abs(value), abs(limit)))
    for decimals in range(first, 9):
        texts = _fixed(value, decimals), _fixed(limit, decimals)
        if texts[0] != texts[1]:
            return texts
    same = value == limit or not (math.isfinite(value) and math.isfinite(limit))
    return (_fixed(value, first), _fixed(limit, first)) if same else (f"{value:.9g}", f"{limit:.9g}")


def _decimals(value: float) -> int:
    if not math.isfinite(value) or not value:
        return 2
    return max(0, 2 - math.floor(math.log10(abs(value))))


def _fixed(value: float, decimals: int) -> str:
    if math.isfinite(value) and (decimals > 8 or abs(value) >= 1e7):
        return f"{value:.2e}"
    return f"{value:.{decimals}f}"
