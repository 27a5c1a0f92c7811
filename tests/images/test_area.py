"""Inspected areas: rectangles, polygons and mask files, in pixels and in fractions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kizu.errors import DataError, ParameterError
from kizu.images import Area, Box, area_of
from kizu.images.area import filled, parse
from workflows.tiles import write


def test_a_rectangle_in_pixels_and_in_fractions() -> None:
    expected = np.zeros((40, 60), np.bool_)
    expected[10:30, 15:45] = True
    pixels, fractions = area_of("15,10,30,20", (40, 60)), area_of("0.25,0.25,0.5,0.5", (40, 60))
    np.testing.assert_array_equal(pixels.mask, expected)
    np.testing.assert_array_equal(fractions.mask, expected)
    assert pixels.box((40, 60)) == Box(10, 15, 20, 30)
    assert (pixels.mask.mean(), pixels.scales, fractions.scales) == (0.25, False, True)


def test_fractions_hold_for_other_sizes_and_pixels_do_not() -> None:
    fractions = area_of("0.25,0.25,0.5,0.5", (40, 60))
    assert fractions.box((80, 80)) == Box(20, 20, 40, 40)
    with pytest.raises(DataError, match=r"drawn in pixels of 60 x 40 images; this one is 80 x 80\. Give"):
        area_of("15,10,30,20", (40, 60)).of((80, 80))


def test_all_of_the_image_in_fractions() -> None:
    assert area_of("0,0,1,1", (7, 9)).mask.mean() == 1


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 9)), min_size=3, max_size=6))
def test_polygons_are_filled_by_the_even_odd_rule(points: list[tuple[int, int]]) -> None:
    off_centres = [(x + 0.0123, y) for x, y in points]
    rows, columns = np.mgrid[:9, :12]
    centres = np.stack([columns.ravel() + 0.5, rows.ravel() + 0.5], axis=1)
    np.testing.assert_array_equal(filled(off_centres, (9, 12)), even_odd(off_centres, centres).reshape(9, 12))


def even_odd(points: list[tuple[float, float]], centres: np.ndarray) -> np.ndarray:
    """The rule, an edge at a time: a ray to the right crosses it or not."""
    inside = np.zeros(len(centres), np.bool_)
    for (x0, y0), (x1, y1) in zip(points, [*points[1:], points[0]], strict=True):
        x, y = centres.T
        if y0 != y1:
            inside ^= ((y0 <= y) != (y1 <= y)) & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return inside


def test_a_mask_file_of_the_images_size(tmp_path: Path) -> None:
    mask = np.zeros((40, 60), np.uint8)
    mask[5:9, 50:] = 255
    path = write(tmp_path / "領域.png", mask)
    np.testing.assert_array_equal(area_of(str(path), (40, 60)).mask, mask > 0)
    with pytest.raises(DataError, match=r"領域\.png: the mask is 60 x 40 pixels, the images are 30 x 40\. Draw"):
        area_of(str(path), (40, 30))
    with pytest.raises(DataError, match=r"drawn in pixels of 60 x 40 images; this one is 120 x 80\. Give"):
        area_of(str(path), (40, 60)).of((80, 120))


@pytest.mark.parametrize("roi", ["1,2,3", "1,2,0,4", "1,2 3,4", "1,2 3,4 5", "--", "1,,2"])
def test_what_is_no_shape_is_refused(roi: str) -> None:
    with pytest.raises(ParameterError, match="`roi` must be a rectangle X,Y,WIDTH,HEIGHT, a polygon"):
        parse(roi)


@pytest.mark.parametrize("roi", ["15,10,30,20", "0.2,0.9 0.5,0.1 0.8,0.9"])
def test_blanks_after_commas_mean_nothing(roi: str) -> None:
    spaced = area_of(roi.replace(",", ", "), (40, 60))
    np.testing.assert_array_equal(spaced.mask, area_of(roi, (40, 60)).mask)


def test_anything_but_numbers_is_a_file() -> None:
    assert parse("area-2.png") == Path("area-2.png")


@pytest.mark.parametrize("roi", ["50,10,20,10", "-1,0,20,10", "0,0 30,0 30,41", "0.5,0,0.6,1"])
def test_what_reaches_beyond_the_images_is_refused(roi: str) -> None:
    with pytest.raises(ParameterError, match="inside the images, which are 60 x 40 pixels"):
        area_of(roi, (40, 60))


def test_an_empty_area_is_refused() -> None:
    with pytest.raises(DataError, match="the inspected area is empty"):
        area_of("1.2,1.2 1.4,1.2 1.2,1.4", (40, 60))


def test_two_corners_in_place_of_a_corner_and_a_size_are_told() -> None:
    with pytest.raises(ParameterError, match=r"inside the images.*Four numbers are X,Y,WIDTH,HEIGHT"):
        area_of("0.5,0.5,0.9,0.9", (40, 60))


def test_two_areas_that_lie_apart_are_refused_as_such() -> None:
    left, right = area_of("0,0,0.3,1", (40, 60)), area_of("0.5,0,0.5,1", (40, 60))
    with pytest.raises(DataError, match="the area drawn and the foreground found have no pixel in common"):
        left.within(right)


def test_what_lies_in_two_areas() -> None:
    left, upper = area_of("0,0,0.5,1", (8, 8)), area_of("0,0,8,4", (8, 8))
    both = left.within(upper)
    assert (both.mask.mean(), both.scales) == (0.25, False)
    assert Area(left.mask, scales=True).within(left).scales
