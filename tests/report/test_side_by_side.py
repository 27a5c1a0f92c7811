from __future__ import annotations

import numpy as np
import pytest

from kizu.report import compose, side_by_side
from kizu.report.side_by_side import STRIP
from report.viewing import view


@pytest.mark.parametrize("size", [(120, 160), (60, 900), (900, 60)])
def test_every_model_has_its_picture_below_its_name(size: tuple[int, int]) -> None:
    views = [view(size), view(size, peak=10.0, verdict="ok")]
    picture = side_by_side({"A": True, "B": False}, views, "missed")
    composed = [compose(one) for one in views]
    height, width = composed[0].shape[:2]
    places = [(0, 0), (height + STRIP, 0) if width > height else (0, width)]
    for (y, x), single in zip(places, composed, strict=True):
        np.testing.assert_array_equal(picture[y + STRIP : y + STRIP + height, x : x + width], single)
    assert picture.shape[0] * picture.shape[1] == 2 * (height + STRIP) * width
    strips = [picture[y + 2, x + 2] for y, x in places]
    assert not np.array_equal(*strips), "right and wrong differ in colour"
