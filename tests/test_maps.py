"""Anomaly maps, predicted masks and regions."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from kizu.errors import DataError, ParameterError
from kizu.maps import Region, anomaly_map, default_sigma, predicted_mask, regions, resize_map
from reference.metrics import plain_bilinear, plain_regions


def grid(*shape, seed=0):
    return np.random.default_rng(seed).gamma(2.0, 3.0, shape).astype(np.float32)


@pytest.mark.parametrize(
    ("source", "size"), [((4, 4), (32, 32)), ((3, 5), (20, 17)), ((8, 6), (5, 4)), ((1, 1), (7, 9))]
)
def test_resize_is_bilinear_with_half_pixel_centres(source, size):
    scores = grid(*source)
    np.testing.assert_allclose(resize_map(scores, size), plain_bilinear(scores, size), rtol=1e-5)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 4.0, 6.3])
@pytest.mark.parametrize("size", [(64, 64), (40, 72)])
def test_blur_agrees_with_scipy(size, sigma):
    scores = grid(8, 9)
    expected = ndimage.gaussian_filter(plain_bilinear(scores, size), sigma, mode="reflect", truncate=4.0)
    np.testing.assert_allclose(anomaly_map(scores, size, sigma), expected, rtol=1e-5)


def test_blur_wider_than_the_image_agrees_with_scipy():
    scores = grid(5, 6)
    expected = ndimage.gaussian_filter(scores.astype(np.float64), 4.0, mode="reflect")
    np.testing.assert_allclose(anomaly_map(scores, (5, 6), 4.0), expected, rtol=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    st.floats(0, 1e4, width=32),
    st.tuples(*[st.integers(1, 12)] * 2),
    st.tuples(*[st.integers(1, 60)] * 2),
    st.floats(0, 9),
)
def test_constants_are_kept(value, source, size, sigma):
    found = anomaly_map(np.full(source, value, np.float32), size, sigma)
    assert found.shape == size
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, value, rtol=1e-5)


def test_map_stays_between_lowest_and_highest_score():
    scores = grid(6, 7)
    found = anomaly_map(scores, (96, 80), 2.0)
    assert scores.min() * (1 - 1e-6) <= found.min() <= found.max() <= scores.max() * (1 + 1e-6)


def test_no_blur_is_plain_interpolation():
    scores = grid(8, 8)
    np.testing.assert_array_equal(anomaly_map(scores, (64, 64), 0.0), resize_map(scores, (64, 64)))


def test_maps_are_deterministic_and_leave_their_input_alone():
    scores = grid(8, 8)
    before = scores.copy()
    first = anomaly_map(scores, (8, 8), 0.0)
    first += 1
    np.testing.assert_array_equal(scores, before)
    np.testing.assert_array_equal(anomaly_map(scores, (64, 64), 4.0), anomaly_map(scores, (64, 64), 4.0))


def test_default_sigma_grows_with_the_image():
    assert (default_sigma(256), default_sigma(224), default_sigma(128)) == (4.0, 3.5, 2.0)


def test_mask_is_strictly_above_the_threshold():
    scores = np.array([[1.0, 2.0], [np.nextafter(np.float32(2), np.float32(3)), 0.0]], np.float32)
    assert predicted_mask(scores, 2.0).tolist() == [[False, False], [True, False]]
    assert predicted_mask(scores, 2.0).dtype == np.bool_


@settings(deadline=None)
@given(st.floats(0, 100, width=32), st.floats(-1e300, 1e300) | st.floats(0, 100))
def test_mask_compares_as_exact_numbers_do(score, threshold):
    """No rounding of the threshold to float32, up or down, and no overflow."""
    assert predicted_mask(np.array([[score]], np.float32), threshold).item() is (score > threshold)


def test_mask_threshold_between_neighbouring_float32():
    one, above = np.float32(1), np.nextafter(np.float32(1), np.float32(2))
    threshold = float(above) - 1e-12  # nearest float32 is `above` itself
    assert predicted_mask(np.array([[one, above]]), threshold).tolist() == [[False, True]]


def test_regions_agree_with_scipy():
    scores = grid(40, 50, seed=3)
    found = regions(scores, 9.0)
    expected = []
    for region in plain_regions(scores > 9.0):
        rows, columns = np.nonzero(region)
        expected.append(
            (
                scores[region].max(),
                region.sum(),
                columns.min(),
                rows.min(),
                np.ptp(columns) + 1,
                np.ptp(rows) + 1,
            )
        )
    assert sorted((r.peak, r.area, r.x, r.y, r.width, r.height) for r in found) == sorted(expected)
    assert [r.peak for r in found] == sorted((r.peak for r in found), reverse=True)
    assert all(scores[r.peak_y, r.peak_x] == r.peak for r in found)


def test_peak_of_a_neighbour_in_the_same_box_is_not_taken():
    scores = np.zeros((5, 5), np.float32)
    scores[0, :], scores[:, 0] = 2.0, 2.0
    scores[3, 3] = 7.0
    assert [(r.peak, r.area) for r in regions(scores, 1.0)] == [(7.0, 1), (2.0, 9)]


def test_regions_touching_by_a_corner_are_one():
    assert [r.area for r in regions(np.eye(3, dtype=np.float32), 0.5)] == [3]


def test_equal_peaks_come_in_reading_order():
    scores = np.zeros((5, 5), np.float32)
    scores[0, 4] = scores[2, 0] = scores[4, 2] = 1.0
    assert [(r.peak_x, r.peak_y) for r in regions(scores, 0.5)] == [(4, 0), (0, 2), (2, 4)]


def test_no_region_above_a_high_threshold_and_one_below_all():
    scores = grid(6, 8)
    assert regions(scores, 1e9) == ()
    (whole,) = regions(scores, -1.0)
    assert (whole.x, whole.y, whole.width, whole.height, whole.area) == (0, 0, 8, 6, 48)


def test_region_is_plain_json():
    (region,) = regions(np.array([[0, 3]], np.float32), 1.0)
    assert json.loads(json.dumps(region.to_dict())) == region.to_dict()


def test_region_is_checked_where_made():
    with pytest.raises(ParameterError, match="peak of a region"):
        Region(x=0, y=0, width=2, height=2, area=1, peak=1.0, peak_x=2, peak_y=0)


@pytest.mark.parametrize("sigma", [-1.0, math.nan, math.inf])
def test_bad_sigma(sigma):
    with pytest.raises(ParameterError, match="`sigma` must be"):
        anomaly_map(grid(2, 2), (4, 4), sigma)


@pytest.mark.parametrize("size", [(0, 4), (4, -1)])
def test_bad_size(size):
    with pytest.raises(ParameterError, match="`size` must be"):
        resize_map(grid(2, 2), size)


@pytest.mark.parametrize("shape", [(4,), (0, 4), (2, 2, 1)])
def test_no_grid(shape):
    with pytest.raises(DataError, match="a map must be"):
        anomaly_map(np.zeros(shape, np.float32), (8, 8), 1.0)


def test_nan_threshold():
    with pytest.raises(ParameterError, match="`threshold`"):
        regions(grid(2, 2), math.nan)
