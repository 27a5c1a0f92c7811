from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kizu.report._scale import GREY, HEAT, Scale, paint

finite = st.floats(-1e30, 1e30, allow_subnormal=False)


def row(*scores: float) -> np.ndarray:
    return np.array([scores], np.float32)


def test_grey_is_in_proportion() -> None:
    assert GREY.levels(row(0, 5, 10, 15, 20.01, 30, 40, 400), 20.0).tolist() == [[0, 32, 64, 96, 128, 192, 255, 255]]


def test_the_limit_itself_is_not_above() -> None:
    assert GREY.levels(row(20.0, np.nextafter(np.float32(20), np.float32(21))), 20.0).tolist() == [[127, 128]]


@pytest.mark.parametrize("scale", [GREY, HEAT])
@given(st.lists(finite, min_size=1, max_size=8), finite)
def test_levels_tell_what_is_above_the_limit_and_keep_the_order(
    scale: Scale, scores: list[float], limit: float
) -> None:
    ordered = row(*sorted(scores))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        levels = scale.levels(ordered, limit)[0]
    assert levels.dtype == np.uint8
    assert (np.diff(levels.astype(int)) >= 0).all()
    np.testing.assert_array_equal(levels >= scale.limit_level, ordered[0].astype(np.float64) > limit)


def test_limits_of_zero_and_below() -> None:
    assert GREY.levels(row(-1, -0.5, 0, 0.5, 1), 0.0).tolist() == [[0, 64, 127, 192, 255]]
    assert GREY.levels(row(-20, -15, -10, -5, 0), -10.0).tolist() == [[0, 64, 127, 192, 255]]


@pytest.mark.parametrize(("limit", "level"), [(np.inf, 0), (-np.inf, 255)])
def test_limits_without_end(limit: float, level: int) -> None:
    assert GREY.levels(row(1.0), limit).tolist() == [[level]]


def test_far_below_the_limit_the_image_is_left_as_it_is() -> None:
    grey = np.arange(256, dtype=np.uint8)[None]
    levels = HEAT.levels(np.full((1, 256), 0.75 * 20, np.float32), 20.0)
    np.testing.assert_array_equal(paint(grey, levels), np.stack([grey] * 3, axis=2))


def test_blue_below_the_limit_yellow_above_then_darker() -> None:
    below, above, high = paint(np.full((1, 3), 128, np.uint8), HEAT.levels(row(19.9, 20.1, 40), 20.0))[0].astype(int)
    assert below[2] > below[0] + 60
    assert min(above[:2]) > above[2] + 60
    assert high.sum() < above.sum()
    assert high[0] > high[2] + 60


def test_from_the_limit_on_colours_only_get_darker() -> None:
    levels = np.arange(HEAT.limit_level, 256, dtype=np.uint8)[None]
    brightness = paint(np.full_like(levels, 128), levels)[0] @ np.array([0.299, 0.587, 0.114])
    assert (np.diff(brightness) <= 0.5).all()
    assert brightness[0] > brightness[-1] + 80
