"""The histogram bins of pixel scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kizu.metrics.bins import BINS, bin_of, first_flagged, thresholds_of, top_of

in_range = st.floats(2.0**-20, 2.0**20, exclude_max=True, width=32)


def one(score):
    return int(bin_of(np.array([score], np.float32))[0])


def test_number_of_bins():
    assert BINS == 40 * 2**15 == 1_310_720
    assert one(np.nextafter(np.float32(2**20), np.float32(0))) == BINS - 1


@settings(deadline=None)
@given(in_range, in_range)
def test_bins_keep_the_order_of_scores(a, b):
    assert (one(a) <= one(b)) == (a <= b) or one(a) == one(b)


@settings(deadline=None)
@given(in_range)
def test_a_bin_is_a_part_in_32768_of_its_score_wide(score):
    top = float(top_of(one(score)))
    assert score <= top <= score * (1 + 2.0**-15)
    assert one(top) == one(score)
    assert one(np.nextafter(np.float32(top), np.float32(np.inf))) == min(one(score) + 1, BINS - 1)


@settings(deadline=None)
@given(in_range, in_range)
def test_first_flagged_is_the_bin_after_that_of_the_threshold(score, threshold):
    if one(score) != one(threshold):
        assert (one(score) >= first_flagged(threshold)) == (score > threshold)


def test_ends():
    assert one(0.0) == one(1e-9) == one(2.0**-20) == 0
    assert one(2.0**20) == one(3e38) == BINS - 1
    assert (first_flagged(-1e-40), first_flagged(0.0), first_flagged(2.0**20)) == (0, 1, BINS)


@pytest.mark.parametrize("lowest", [0, 1, 5])
def test_thresholds_flag_row_by_row(lowest):
    bins = np.array([9, 7, lowest])
    scores = top_of(bins).astype(np.float32)
    scores[2] = 0.0 if lowest == 0 else scores[2]
    flagged = [(scores > t).tolist() for t in thresholds_of(bins)]
    assert flagged == [[False] * 3, [True, False, False], [True, True, False], [True] * 3]
