"""The workload curve against counting, its bands against SciPy and by simulation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kizu.calibration.workload import GoodWorkload, WorkloadCurve, good_workload, workload
from kizu.errors import DataError, ParameterError

NUMBERS = st.floats(-1e3, 1e3) | st.integers(-3, 3).map(float)


@settings(deadline=None)
@given(
    st.lists(st.tuples(NUMBERS, st.booleans()), max_size=25),
    NUMBERS,
    NUMBERS,
    st.none() | NUMBERS,
    st.none() | st.floats(0, 0.9),
)
def test_the_curve_counts(pairs: Any, one: float, other: float, limit: float | None, rate: float | None) -> None:
    values, truth = zip(*[*pairs, (one, True), (other, False)], strict=True)
    scores, labels = np.array(values), np.array(truth)
    curve = workload(scores, labels, limit, defect_rate=rate)
    assert (np.diff(curve.thresholds) < 0).all()
    top = np.inf if limit is None else limit
    share = labels.mean() if rate is None else rate
    for place, threshold in enumerate(curve.thresholds):
        looked_at = (scores > threshold) & (scores <= top)
        good, bad = looked_at[~labels].mean(), looked_at[labels].mean()
        assert curve.review_good[place] == pytest.approx(good)
        assert curve.review_bad[place] == pytest.approx(bad)
        assert curve.review_share[place] == pytest.approx(share * bad + (1 - share) * good)
        assert curve.missed_share[place] == pytest.approx((scores[labels] <= threshold).mean())
    assert curve.missed_share[-1] == 0 or curve.thresholds[0] < scores.min()
    if limit is not None:
        assert (curve.thresholds[0], curve.review_share[0]) == (limit, 0)


def test_bands_are_clopper_and_pearsons() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(60) >= 40
    scores = rng.normal(np.where(labels, 2.0, 0.0), 1)
    curve = workload(scores, labels, 2.0, confidence=0.8)
    for place, threshold in enumerate(curve.thresholds):
        missed = int((scores[labels] <= threshold).sum())
        expected = stats.binomtest(missed, 20).proportion_ci(0.8)
        assert (curve.lower[place], curve.upper[place]) == pytest.approx(tuple(expected))
    assert (curve.good, curve.bad, curve.confidence) == (40, 20, 0.8)


def test_the_place_of_a_threshold() -> None:
    curve = workload([1, 2, 3, 4], [False, True, False, True], 3.0)
    assert [curve.at(threshold) for threshold in (9.0, 3.0, 2.5, 2.0, 1.5, 1.0, -5.0)] == [0, 0, 1, 1, 2, 2, 3]


@pytest.mark.parametrize("limit", [None, 3.0])
def test_the_place_of_a_threshold_has_its_verdicts(limit: float | None) -> None:
    scores, labels = np.array([1.0, 2, 3, 4]), np.array([False, True, False, True])
    curve = workload(scores, labels, limit)
    for threshold in np.arange(-5, 9, 0.25):
        review = min(threshold, np.inf if limit is None else limit)
        looked_at = (scores > review) & (scores <= (np.inf if limit is None else limit))
        here = curve.at(threshold)
        assert curve.review_share[here] == looked_at.mean()
        assert curve.missed_share[here] == (scores[labels] <= review).mean()


@settings(deadline=None)
@given(st.lists(NUMBERS, min_size=1, max_size=25), NUMBERS)
def test_the_share_of_good_parts_looked_at(values: list[float], threshold: float) -> None:
    scores = np.array(values)
    found = good_workload(scores, threshold)
    assert (found.thresholds[0], found.review_share[0], found.upper[0]) == (threshold, 0, 0)
    for place, low in enumerate(found.thresholds):
        between = ((scores > low) & (scores <= threshold)).sum()
        assert found.review_share[place] == pytest.approx(between / (len(values) + 1))
    assert (found.lower <= found.review_share).all()
    assert (found.upper <= 1).all()


@pytest.mark.parametrize(("threshold", "more"), [(22.0, 0), (22.5, 1), (99.0, 1)])
def test_bands_of_good_parts_are_those_of_gaps_between_scores(threshold: float, more: int) -> None:
    """Beta quantiles; a threshold between two scores makes it one gap more at most."""
    found = good_workload(np.arange(30.0), threshold, confidence=0.8)
    top = min(int(threshold), 29)
    for gaps in (1, 6, 20):
        place = int(np.flatnonzero(found.thresholds == top - gaps)[0])
        assert found.lower[place] == pytest.approx(stats.beta(gaps, 31 - gaps).ppf(0.1))
        assert found.upper[place] == pytest.approx(stats.beta(gaps + more, 31 - gaps - more).ppf(0.9))


def test_they_hold_as_often_as_they_say() -> None:
    rng, held, kept = np.random.default_rng(0), [], []
    for _ in range(150):
        scores = np.sort(rng.exponential(size=30))
        found = good_workload(scores, scores[-2])
        true = float(stats.expon.cdf(scores[-2]) - stats.expon.cdf(found.thresholds[6]))
        held.append(found.lower[6] <= true <= found.upper[6])
        kept.append(found.review_share[6] - true)
    assert np.mean(held) == pytest.approx(0.9, abs=0.06)
    assert np.mean(kept) == pytest.approx(0, abs=0.015)  # in expectation, what is promised


def test_they_are_ready_for_json() -> None:
    found = workload([1, 2], [False, True], None).to_dict()
    assert found["thresholds"] == [2.0, 1.0, 1.0 - 2**-20]
    assert (found["ng_threshold"], found["missed_share"]) == (None, [1.0, 0.0, 0.0])
    assert good_workload([1.0, 2.0], 2.0).to_dict()["review_share"] == [0.0, pytest.approx(1 / 3)]


@pytest.mark.parametrize("label", [True, False])
def test_one_class_has_no_curve(label: bool) -> None:
    with pytest.raises(DataError, match="needs good parts and defects; add the kind that is missing"):
        workload([1.0, 2.0], [label, label], 1.0)


def test_impossible_input() -> None:
    with pytest.raises(ParameterError, match=r"`defect_rate` must be in \[0, 1\)"):
        workload([1.0, 2.0], [True, False], 1.0, defect_rate=1.0)
    with pytest.raises(ParameterError, match="`confidence`"):
        good_workload([1.0], 1.0, confidence=90)
    for scores in ([], [math.nan]):
        with pytest.raises(DataError):
            good_workload(scores, 1.0)
    short, long = np.zeros(1), np.zeros(2)
    with pytest.raises(ValueError, match="differ in shape"):
        GoodWorkload(long, short, long, long, 0.0, 0.9, 1)
    with pytest.raises(ValueError, match="differ in shape"):
        WorkloadCurve(long, long, long, long, long, long, short, 0.0, 0.5, 0.9, 1, 1)


def test_a_threshold_that_is_no_number() -> None:
    for ask in (
        lambda given: workload([1, 2, 3, 4], [0, 1, 0, 1], given),
        lambda given: good_workload([1.0, 2.0], given),
        lambda given: workload([1, 2, 3, 4], [0, 1, 0, 1], 3.0).at(given),
    ):
        for wrong in (math.nan, "3"):
            with pytest.raises(ParameterError, match="`threshold` must be a number; got"):
                ask(wrong)
