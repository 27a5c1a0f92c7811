from __future__ import annotations

import numpy as np
import pytest

from kizu.report import combined
from kizu.report._canvas import VERDICT_COLOURS
from kizu.report._layout import HEADER, layout_of_all
from kizu.report.combined import HISTOGRAM
from kizu.report.histogram import histogram
from report.viewing import truth, view


@pytest.mark.parametrize("size", [(64, 64), (8, 8), (1500, 2000), (60, 2000), (2000, 60), (480, 640), (373, 248)])
def test_any_image_makes_a_picture_of_a_sensible_size(size: tuple[int, int]) -> None:
    picture = combined.combined(view(size, truth=truth(size)))
    assert picture.dtype == np.uint8
    assert max(picture.shape[:2]) <= 2600
    assert picture.shape[1] >= 992


def test_each_panel_shows_its_part() -> None:
    marked = truth((400, 480))
    shown = view((400, 480), truth=marked)
    picture = combined.combined(shown)
    layout = layout_of_all(shown.size)
    assert layout.panel == (300, 360)

    def panel(place: int) -> np.ndarray:
        box = layout.picture(place)
        return picture[box.y : box.y + box.height, box.x : box.x + box.width].astype(int)

    def share(mask: np.ndarray) -> float:
        return float(mask.mean())

    assert np.abs(panel(0).mean(axis=(0, 1)) - shown.image.mean(axis=(0, 1))).max() < 1
    assert share(panel(1)[..., 0] == 255) == pytest.approx(share(marked), rel=0.05)
    assert share(np.ptp(panel(2), axis=2) > 30) == pytest.approx(share(shown.full_map > 16), rel=0.3)
    assert share(panel(3)[..., 0] >= 128) == pytest.approx(share(shown.mask), rel=0.1)
    assert share(panel(4)[..., 0] == 255) == pytest.approx(share(shown.mask), rel=0.1)
    assert share(panel(5)[..., 0] > panel(5)[..., 1] + 60) > share(shown.mask) * 0.9
    assert (picture[:HEADER] == np.array(VERDICT_COLOURS["ng"])).all(axis=2).mean() > 0.8
    below = picture[-HISTOGRAM:, : picture.shape[1] - 16]
    np.testing.assert_array_equal(below, histogram(shown, (HISTOGRAM, picture.shape[1] - 16)))


def test_without_a_truth_its_panel_is_black_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    write = combined.write
    monkeypatch.setattr(
        combined, "write", lambda canvas, text, *rest: (said.append(text), write(canvas, text, *rest))[1]
    )
    combined.combined(view((120, 160)))
    assert "nobody has marked this image" in said
    combined.combined(view((120, 160), truth=truth((120, 160))))
    assert "white: marked by a person as a defect" in said
