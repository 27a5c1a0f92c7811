"""Anomaly maps and predicted masks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from kizu.errors import DataError, ParameterError
from kizu.maps import anomaly_map, default_sigma, nearest, predicted_mask, resize_map
from reference.metrics import plain_bilinear


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
    st.floats(0, 1e4, width=32, allow_subnormal=False),
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
        predicted_mask(grid(2, 2), math.nan)


@pytest.mark.parametrize("share", [0.01, 0.2, 0.9, 1.0])
@pytest.mark.parametrize("size", [(17, 40), (30, 11), (1, 25)])
def test_each_cell_is_given_the_nearest_marked_one_nearly(size, share):
    marked = np.random.default_rng(1).random(size) < share
    marked[0, 3] = True
    cells, places = np.argwhere(np.ones(size, bool)), np.argwhere(marked)
    found = nearest(marked)
    apart = np.linalg.norm(places[found.ravel()] - cells, axis=1)
    least = ndimage.distance_transform_edt(~marked).ravel()
    assert (apart <= 1.05 * least + 1e-9).all()
    assert found[marked].tolist() == list(range(len(places)))
