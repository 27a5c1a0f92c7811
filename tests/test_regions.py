"""Regions of anomaly maps."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from kizu.errors import DataError, ParameterError
from kizu.regions import Region, find_regions
from reference.metrics import plain_regions


def grid(*shape, seed=0):
    return np.random.default_rng(seed).gamma(2.0, 3.0, shape).astype(np.float32)


def test_they_agree_with_scipy():
    scores = grid(40, 50, seed=3)
    found = find_regions(scores, 9.0)
    expected = []
    for region in plain_regions(scores > 9.0):
        rows, columns = np.nonzero(region)
        corner, size = (columns.min(), rows.min()), (np.ptp(columns) + 1, np.ptp(rows) + 1)
        middle = (columns.mean().round(6), rows.mean().round(6))
        expected.append((scores[region].max(), region.sum(), *corner, *size, *middle))
    assert sorted(
        (r.peak, r.area, r.x, r.y, r.width, r.height, round(r.centroid_x, 6), round(r.centroid_y, 6)) for r in found
    ) == sorted(expected)
    assert [r.peak for r in found] == sorted((r.peak for r in found), reverse=True)
    assert all(scores[r.peak_y, r.peak_x] == r.peak for r in found)


def test_their_masks_are_the_predicted_mask_each_pixel_once():
    scores = grid(40, 50, seed=3)
    count = np.zeros(scores.shape, int)
    for region in find_regions(scores, 9.0):
        assert region.mask.sum() == region.area
        count[region.y : region.y + region.height, region.x : region.x + region.width] += region.mask
    np.testing.assert_array_equal(count, scores > 9.0)


def test_the_peak_of_a_neighbour_in_the_same_box_is_not_taken():
    scores = np.zeros((5, 5), np.float32)
    scores[0, :], scores[:, 0] = 2.0, 2.0
    scores[3, 3] = 7.0
    assert [(r.peak, r.area) for r in find_regions(scores, 1.0)] == [(7.0, 1), (2.0, 9)]


def test_those_that_touch_by_a_corner_are_one():
    assert [r.area for r in find_regions(np.eye(3, dtype=np.float32), 0.5)] == [3]


def test_equal_peaks_come_in_reading_order():
    scores = np.zeros((5, 5), np.float32)
    scores[0, 4] = scores[2, 0] = scores[4, 2] = 1.0
    assert [(r.peak_x, r.peak_y) for r in find_regions(scores, 0.5)] == [(4, 0), (0, 2), (2, 4)]


def test_none_above_a_high_threshold_and_one_below_all():
    scores = grid(6, 8)
    assert find_regions(scores, 1e9) == ()
    (whole,) = find_regions(scores, -1.0)
    assert (whole.x, whole.y, whole.width, whole.height, whole.area) == (0, 0, 8, 6, 48)
    assert (whole.centroid_x, whole.centroid_y) == (3.5, 2.5)


def test_small_ones_are_left_out_on_demand():
    scores = grid(40, 50, seed=3)
    every = find_regions(scores, 9.0)
    for least in (1, 3, max(r.area for r in every), max(r.area for r in every) + 1):
        assert find_regions(scores, 9.0, min_area=least) == tuple(r for r in every if r.area >= least)
    with pytest.raises(ParameterError, match="`min_area` must be 1 pixel or more; got 0"):
        find_regions(scores, 9.0, min_area=0)


def test_they_are_plain_json():
    (region,) = find_regions(np.array([[0, 3]], np.float32), 1.0)
    assert json.loads(json.dumps(region.to_dict())) == region.to_dict()
    assert list(region.to_dict())[:6] == ["x", "y", "width", "height", "area", "peak"]


def test_they_are_checked_where_made():
    box = {"x": 0, "y": 0, "width": 2, "height": 2, "area": 1, "peak": 1.0, "centroid_x": 0.0, "centroid_y": 0.0}
    mask = np.ones((2, 2), np.bool_)
    Region(**box, peak_x=1, peak_y=0, mask=mask)
    with pytest.raises(ParameterError, match="peak of a region"):
        Region(**box, peak_x=2, peak_y=0, mask=mask)
    for wrong in (mask[:1], mask.astype(np.uint8)):
        with pytest.raises(ParameterError, match="mask of a region"):
            Region(**box, peak_x=0, peak_y=0, mask=wrong)


def test_no_threshold_and_no_grid():
    with pytest.raises(ParameterError, match="`threshold`"):
        find_regions(grid(2, 2), math.nan)
    with pytest.raises(DataError, match="a map must be"):
        find_regions(np.zeros(4, np.float32), 1.0)
