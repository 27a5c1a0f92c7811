"""Score scales: hamacho's formulas written out, and what becomes of calibrations without a width."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kizu.calibration import Calibration, Decision
from kizu.calibration.scales import SCALES, check_scale, scaled
from kizu.errors import DataError, ParameterError

POSITIVE = st.lists(st.floats(0.01, 1e4), min_size=1, max_size=30)
AT_THE_THRESHOLD = ("min_max", "cdf")


def calibration(scores: Any, **decision: Any) -> Calibration:
    return Calibration(np.array(scores, np.float64), np.array(scores, np.float64), Decision(**decision))


GOOD = calibration([2.0, 3.0, 4.0, 7.0, 5.0], false_alarms=0.4)
NEW = np.array([0.0, 1.0, 2.0, 4.9, 5.0, 6.0, 9.0, 30.0])


def test_min_max_as_hamacho_writes_it() -> None:
    assert GOOD.threshold == 5.0
    expected = np.maximum(np.minimum((NEW - 5.0) / (7.0 - 2.0) + 0.5, 1), 0)
    np.testing.assert_allclose(scaled("min_max", NEW, GOOD), expected)


def test_sigma6_as_hamacho_writes_it() -> None:
    threshold = np.mean(GOOD.scores) + 3 * np.std(GOOD.scores, ddof=1)
    expected = np.maximum(np.minimum((NEW - threshold) / (2 * threshold - 2.0) + 0.5, 1), 0)
    np.testing.assert_allclose(scaled("sigma6", NEW, GOOD), expected)
    assert scaled("sigma6", float(threshold), GOOD) == pytest.approx(0.5)


def test_cdf_as_hamacho_writes_it() -> None:
    logs = np.log(GOOD.scores)
    mean, deviation = logs.mean(), logs.std(ddof=1)
    standardised = (np.log(NEW[1:]) - mean) / deviation
    expected = stats.norm.cdf(standardised - (math.log(5.0) - mean) / deviation)
    np.testing.assert_allclose(scaled("cdf", NEW[1:], GOOD), expected, atol=1e-12)
    assert scaled("cdf", 0.0, GOOD) == 0.0


def test_p_values_are_those_of_the_calibration() -> None:
    assert scaled("p_value", NEW, GOOD).tolist() == [GOOD.p_value(score) for score in NEW]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("unit", [2.0**-20, 2.0**-4, 2.0**20])
def test_the_unit_of_scores_does_not_matter(scale: str, unit: float) -> None:
    found = scaled(scale, unit * NEW, calibration(unit * GOOD.scores, false_alarms=0.4))
    np.testing.assert_allclose(found, scaled(scale, NEW, GOOD), atol=1e-9)


@pytest.mark.parametrize("scale", SCALES)
def test_a_number_gives_a_number(scale: str) -> None:
    found = scaled(scale, 4.9, GOOD)
    assert type(found) is float
    assert found == scaled(scale, NEW, GOOD)[3]


@settings(deadline=None)
@given(POSITIVE, st.lists(st.floats(0, 1e5), min_size=2, max_size=10), st.sampled_from(SCALES))
def test_they_stay_in_0_to_1_and_in_order(known: list[float], new: list[float], scale: str) -> None:
    found = scaled(scale, np.sort(new), calibration(known))
    assert found.min() >= 0
    assert found.max() <= 1
    steps = np.diff(found)
    assert (steps <= 0).all() if scale == "p_value" else (steps >= 0).all()


@settings(deadline=None)
@given(POSITIVE, st.floats(0, 0.99), st.sampled_from(AT_THE_THRESHOLD))
def test_half_is_the_threshold(known: list[float], share: float, scale: str) -> None:
    made = calibration(known, false_alarms=share)
    assert scaled(scale, made.threshold, made) == pytest.approx(0.5, abs=1e-12)
    assert scaled(scale, made.threshold * 1.01, made) > 0.5
    assert scaled(scale, made.threshold * 0.99, made) < 0.5


@pytest.mark.parametrize("scale", AT_THE_THRESHOLD)
@pytest.mark.parametrize("known", [[0.1], [0.1, 0.1, 0.1], [0.7] * 11])
def test_good_parts_that_do_not_differ_make_a_step(known: list[float], scale: str) -> None:
    value = known[0]
    found = scaled(scale, np.array([0.0, value * 0.99, value, value * 1.01]), calibration(known))
    assert found.tolist() == [0.0, 0.0, 0.5, 1.0]


@pytest.mark.parametrize("scale", ["min_max", "cdf", "sigma6"])
def test_scores_of_nothing_but_0(scale: str) -> None:
    assert scaled(scale, np.array([0.0, 1e-9]), calibration([0.0, 0.0])).tolist() == [0.5, 1.0]


def test_a_score_of_0_among_good_ones_does_not_stop_cdf() -> None:
    assert 0 < scaled("cdf", 1.5, calibration([0.0, 1.0, 2.0])) < 0.5


def test_what_no_scale_holds() -> None:
    with pytest.raises(DataError, match="not a finite number"):
        scaled("min_max", math.nan, GOOD)
    with pytest.raises(ParameterError, match=r"unknown scale 'minmax'\. Did you mean 'min_max'"):
        scaled("minmax", 1.0, GOOD)
    assert check_scale("cdf") == "cdf"
