from __future__ import annotations

import numpy as np
import pytest

from kizu.report._text import Box, Style, number, pair, write


@pytest.mark.parametrize("bold", [False, True])
@pytest.mark.parametrize("align", ["left", "centre", "right"])
@pytest.mark.parametrize("width", [400, 120, 60])
def test_letters_stay_in_the_box_they_are_said_to_fill(bold: bool, align: str, width: int) -> None:
    canvas = np.full((80, 500), 255, np.uint8)
    box = Box(50, 10, width, 60)
    filled = write(canvas, "REVIEW score 31.2, jgpq", box, Style(22, (0, 0, 0), bold), align)
    rows, columns = np.nonzero(canvas < 200)
    assert filled.width <= width
    assert filled.x - 2 <= columns.min()
    assert columns.max() <= filled.x + filled.width + 2
    assert filled.y - 2 <= rows.min()
    assert rows.max() <= filled.y + filled.height + 2
    edges = {"left": filled.x == 50, "right": filled.x + filled.width == 50 + width, "centre": True}
    assert edges[align]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (31.249, "31.2"), (-31.2, "-31.2"), (3.0, "3.00"), (1234567.0, "1234567"), (1e9, "1.00e+09"),
        (0.000123, "0.000123"), (1.5e-12, "1.50e-12"), (0.0, "0"), (float("inf"), "inf"),
    ],
)  # fmt: skip
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "limit", "texts"),
    [
        (31.2, 28.4, ("31.2", "28.4")),
        (28.4011, 28.4009, ("28.4011", "28.4009")),
        (9.876, 28.4, ("9.9", "28.4")),
        (0.0, 0.0, ("0.00", "0.00")),
        (2.0, float("inf"), ("2.00", "inf")),
        (1e9, 1e9 + 1, ("1e+09", "1e+09")),
        (1.25e-9, 1.24e-9, ("1.25e-09", "1.24e-09")),
    ],
)
def test_score_and_limit_are_told_apart(value: float, limit: float, texts: tuple[str, str]) -> None:
    assert pair(value, limit) == texts
