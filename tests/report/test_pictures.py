from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest

from kizu.report import _canvas, compose, pictures
from kizu.report._canvas import NO_VERDICT, VERDICT_COLOURS
from kizu.report._layout import HEADER, MIN_CELL, layout_for
from kizu.report._outline import FOUND, TRUTH
from kizu.report._text import Box, Style, write
from report.viewing import LIMIT, blob, truth, view

SIZES = [(64, 64), (8, 8), (1500, 2000), (60, 2000), (2000, 60), (8, 3000), (480, 640), (373, 248)]
LONG = {"score": -1234567.8912, "threshold": -1234567.8911, "pixel_threshold": -1.23456e-9}


def has(picture: np.ndarray, colour: tuple[int, int, int], box: Box) -> bool:
    region = picture[box.y : box.y + box.height, box.x : box.x + box.width]
    return bool((region == np.array(colour)).all(axis=2).any())


@pytest.mark.parametrize("size", SIZES)
def test_any_image_makes_a_picture_of_a_sensible_size(size: tuple[int, int]) -> None:
    picture = compose(view(size))
    assert picture.dtype == np.uint8
    assert picture.shape[2:] == (3,)
    assert max(picture.shape[:2]) <= 2048
    assert picture.shape[1] >= 672
    assert max(layout_for(size).panel) >= 384
    assert min(layout_for(size).panel) >= 24


def test_the_longer_side_is_bounded_and_shapes_are_kept() -> None:
    assert layout_for((64, 64)).panel == (384, 384)
    assert layout_for((500, 400)).panel == (500, 400)
    assert layout_for((3000, 4000)).panel == (480, 640)
    wide, tall = layout_for((60, 2000)), layout_for((2000, 60))
    assert (wide.columns, wide.rows, tall.columns, tall.rows) == (1, 3, 3, 1)
    assert tall.cell_width == MIN_CELL


@pytest.mark.parametrize("verdict", ["ok", "ng", "review"])
def test_the_header_has_the_colour_and_the_word(verdict: str, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [text for text, _ in written(monkeypatch, verdict=verdict)]
    assert texts[:2] == [verdict.upper(), "score 31.2, limit 28.4"]
    header = compose(view(verdict=verdict))[:HEADER]
    share = (header == np.array(VERDICT_COLOURS[verdict])).all(axis=2).mean()
    assert 0.8 < share < 0.99


def test_without_a_verdict_the_header_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [text for text, _ in written(monkeypatch, verdict=None, peak=1.0)]
    assert texts[0] == "score 31.2, limit 28.4"
    assert "nothing found" in texts
    assert (compose(view(verdict=None))[0, 0] == NO_VERDICT).all()


def written(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int] = (120, 160), **changes: Any
) -> list[tuple[str, Box]]:
    """Every text of a composed picture, and the box it fills."""
    texts: list[tuple[str, Box]] = []

    def record(canvas: np.ndarray, text: str, box: Box, style: Style, align: str = "left") -> Box:
        texts.append((text, write(canvas, text, box, style, align)))
        return texts[-1][1]

    with monkeypatch.context() as patched:
        patched.setattr(pictures, "write", record)
        patched.setattr(_canvas, "write", record)
        compose(view(size, **changes))
    return texts


def apart(one: Box, other: Box) -> bool:
    beside = one.x + one.width <= other.x or other.x + other.width <= one.x
    return beside or one.y + one.height <= other.y or other.y + other.height <= one.y


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("changes", [{}, LONG, {"peak": 1.0, "verdict": "review"}, {"verdict": None}])
def test_no_text_is_cut_or_meets_another_or_a_panel(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], changes: dict[str, Any]
) -> None:
    layout = layout_for(size)
    boxes = [box for _, box in written(monkeypatch, size, truth=truth(size), **changes)]
    boxes += [layout.picture(index) for index in range(3)]
    for one, other in combinations(boxes, 2):
        assert apart(one, other), (one, other)
    for box in boxes:
        assert box.x >= 0
        assert box.y >= 0
        assert box.x + box.width <= layout.size[1]
        assert box.y + box.height <= layout.size[0]


def test_words_say_what_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    size = (120, 160)
    texts = [text for text, _ in written(monkeypatch, truth=truth(size))]
    assert texts[2:] == [
        *("input", "heat map", "found", "160 x 120 pixels"),
        *("pixel limit 20.0", "30.0 or more", "found: red line", "truth: green dashes"),
    ]
    texts = [text for text, _ in written(monkeypatch, peak=6.0, verdict="ok", truth=np.zeros(size, np.bool_))]
    assert texts[-2:] == ["nothing found", "truth: no defect marked"]
    assert written(monkeypatch, peak=6.0, verdict="ng")[-1][0] == "no area above the pixel limit"


@pytest.mark.parametrize("size", SIZES)
def test_what_is_found_is_outlined(size: tuple[int, int]) -> None:
    panel = layout_for(size).picture(2)
    assert has(compose(view(size)), FOUND.colour, panel)
    assert not has(compose(view(size, peak=6.0)), FOUND.colour, panel)
    assert has(compose(view(size, peak=6.0, truth=truth(size))), TRUTH.colour, panel)
    assert not has(compose(view(size)), TRUTH.colour, panel)


def test_a_single_pixel_of_a_huge_image_is_outlined() -> None:
    size = (1500, 2000)
    scores = np.zeros(size, np.float32)
    scores[700, 900] = 2 * LIMIT
    marked = np.zeros(size, np.bool_)
    marked[100, 1900] = True
    picture = compose(view(size, anomaly_map=scores, truth=marked))
    assert has(picture, FOUND.colour, layout_for(size).picture(2))
    assert has(picture, TRUTH.colour, layout_for(size).picture(2))


def test_a_colour_means_the_same_in_every_picture() -> None:
    plain = np.full((64, 64, 3), 128, np.uint8)
    low = compose(view(image=plain, anomaly_map=blob((64, 64), 24.0, 24.0)))
    high = compose(view(image=plain, anomaly_map=blob((64, 64), 5.0, 90.0)))
    box = layout_for((64, 64)).picture(1)
    colour = low[box.y + 10, box.x + 10]
    inside = high[box.y : box.y + box.height, box.x : box.x + box.width]
    assert np.abs(inside.astype(int) - colour).max(axis=2).min() <= 3
    bar = slice(box.y + box.height, box.y + box.height + 20), slice(box.x, box.x + box.width)
    np.testing.assert_array_equal(low[bar], high[bar])
    assert np.abs(low[bar].astype(int) - colour).max(axis=2).min() <= 3


def test_nothing_given_is_changed_and_the_same_comes_out_twice() -> None:
    shown = view(truth=truth((120, 160)))
    assert shown.truth is not None
    before = shown.image.copy(), shown.anomaly_map.copy(), shown.truth.copy()
    for array in (shown.image, shown.anomaly_map, shown.truth):
        array.flags.writeable = False
    np.testing.assert_array_equal(compose(shown), compose(shown))
    for array, copy in zip((shown.image, shown.anomaly_map, shown.truth), before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_what_was_not_inspected_is_pale_and_said_to_be() -> None:
    looked = np.zeros((120, 160), np.bool_)
    looked[20:100, 30:130] = True
    whole, cut = compose(view()), compose(view(inspected=looked))
    changed = (whole != cut).any(axis=2)
    layout = layout_for((120, 160))
    for index, share in ((0, 0.0), (1, 1 - looked.mean()), (2, 1 - looked.mean())):
        box = layout.picture(index)
        panel = changed[box.y : box.y + box.height, box.x : box.x + box.width]
        assert panel.mean() == pytest.approx(share, abs=0.02)
    caption = layout.caption(0)
    assert changed[caption.y : caption.y + caption.height, caption.x : caption.x + caption.width].any()
