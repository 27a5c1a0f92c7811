"""Thresholds from labelled parts: against trying every threshold, and figures that do not flatter."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from kizu.calibration.labelled import BestF1, Cost, Recall, best_threshold, cross_validate
from kizu.errors import DataError, ParameterError

NUMBERS = st.floats(-1e3, 1e3) | st.integers(-3, 3).map(float)


@st.composite
def labelled(draw: Any) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels with both classes."""
    pairs = draw(st.lists(st.tuples(NUMBERS, st.booleans()), max_size=30))
    pairs += [(draw(NUMBERS), True), (draw(NUMBERS), False)]
    scores, labels = zip(*pairs, strict=True)
    return np.array(scores), np.array(labels)


def every(scores: np.ndarray) -> list[float]:
    """A threshold for each way of dividing the scores, highest first."""
    return [*sorted(set(scores.tolist()), reverse=True), scores.min() - 1]


def errors(scores: np.ndarray, labels: np.ndarray, threshold: float) -> tuple[int, int]:
    flagged = scores > threshold
    return int((labels & ~flagged).sum()), int((~labels & flagged).sum())


@settings(deadline=None)
@given(labelled())
def test_best_f1_is_the_best(data: Any) -> None:
    scores, labels = data
    found = best_threshold(scores, labels, BestF1())
    tried = [sk.f1_score(labels, scores > threshold, zero_division=0.0) for threshold in every(scores)]
    assert sk.f1_score(labels, scores > found, zero_division=0.0) == pytest.approx(max(tried), abs=1e-9)
    first = every(scores)[int(np.argmax(np.round(tried, 9)))]
    assert ((scores > found) == (scores > first)).all()  # the highest of equally good ones


@settings(deadline=None)
@given(labelled(), st.floats(0.01, 1))
def test_recall_is_reached_with_as_few_false_alarms_as_can_be(data: Any, share: float) -> None:
    scores, labels = data
    found = best_threshold(scores, labels, Recall(share))
    missed, alarms = errors(scores, labels, found)
    needed = math.ceil(share * labels.sum() - 1e-9)
    assert labels.sum() - missed >= needed
    others = (errors(scores, labels, threshold) for threshold in every(scores))
    assert alarms == min(fp for fn, fp in others if labels.sum() - fn >= needed)


@settings(deadline=None)
@given(labelled(), st.integers(1, 60), st.integers(1, 60), st.none() | st.floats(0.001, 0.9))
def test_cost_is_the_least(data: Any, miss: int, false_alarm: int, rate: float | None) -> None:
    scores, labels = data

    def cost(threshold: float) -> float:
        fn, fp = errors(scores, labels, threshold)
        bad = labels.mean() if rate is None else rate
        return float(bad * miss * fn / labels.sum() + (1 - bad) * false_alarm * fp / (~labels).sum())

    found = best_threshold(scores, labels, Cost(miss, false_alarm, rate))
    assert cost(found) == pytest.approx(min(map(cost, every(scores))), abs=1e-9)


@pytest.mark.parametrize("cost", [Cost(1, 1), Cost(1, 1, 1e-13), Cost(1, 1e9, 1e-6), Cost(1e9, 1)])
def test_what_separates_all_costs_least_whatever_errors_cost(cost: Cost) -> None:
    assert best_threshold([1, 2, 3, 4, 5], [False, False, True, True, True], cost) == 2.5


def test_thresholds_lie_half_way() -> None:
    scores, labels = [1.0, 2.0, 4.0, 5.0], [False, False, True, True]
    assert best_threshold(scores, labels, BestF1()) == 3.0
    assert best_threshold(scores, labels, Recall(0.5)) == 4.5
    assert best_threshold(scores, labels, Recall(1.0)) == 3.0
    close = math.nextafter(2.0, 3.0)
    assert best_threshold([2.0, close], [False, True], BestF1()) == 2.0
    closer = math.nextafter(close, 3.0)  # whose half-way point rounds to itself
    assert best_threshold([close, closer], [False, True], BestF1()) == close
    assert best_threshold([5.0, 6.0], [True, False], Cost(100, 1)) < 5.0  # everything is NG
    assert best_threshold([5.0, 6.0], [True, False], Cost(1, 100)) == 6.0  # nothing is


def test_the_rate_of_defects_in_production_moves_the_threshold() -> None:
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.normal(0, 1, 500), rng.normal(2, 1, 500)])
    labels = np.arange(1000) >= 500
    found = [best_threshold(scores, labels, Cost(50, 1, rate)) for rate in (0.5, 0.05, 0.001)]
    assert all(one < other for one, other in pairwise(found))
    assert best_threshold(scores, labels, Cost(50, 1)) == found[0]


def drawn(rng: np.random.Generator, good: int = 40, bad: int = 15) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(good + bad) >= good
    return rng.normal(np.where(labels, 1.5, 0.0), 1), labels


def true_rates(threshold: float) -> tuple[float, float]:
    return float(stats.norm.cdf(threshold - 1.5)), float(stats.norm.sf(threshold))


@pytest.mark.parametrize("rule", [BestF1(), Recall(0.9), Cost(5, 1)])
def test_cross_validated_figures_do_not_flatter(rule: Any) -> None:
    """On the same parts a threshold looks better than it is; out of fold it does not."""
    rng, told, same, true = np.random.default_rng(0), [], [], []
    for _ in range(60):
        scores, labels = drawn(rng)
        threshold = best_threshold(scores, labels, rule)
        found = cross_validate(scores, labels, rule, repeats=3, rng=rng)
        fn, fp = errors(scores, labels, threshold)
        told.append(found.missed + found.false_alarms)
        same.append(fn / 15 + fp / 40)
        true.append(sum(true_rates(threshold)))
    assert np.mean(same) < np.mean(true) - 0.02
    assert abs(np.mean(told) - np.mean(true)) < 0.6 * (np.mean(true) - np.mean(same))


def test_intervals_hold_the_true_shares() -> None:
    rng, held = np.random.default_rng(0), []
    for _ in range(100):
        scores, labels = drawn(rng)
        found = cross_validate(scores, labels, Cost(3, 1), repeats=3, rng=rng)
        missed, alarms = true_rates(best_threshold(scores, labels, Cost(3, 1)))
        cost = 15 / 55 * 3 * missed + 40 / 55 * alarms
        assert found.cost_interval is not None
        pairs = ((found.missed_interval, missed), (found.false_alarms_interval, alarms), (found.cost_interval, cost))
        held.append([low <= value <= high for (low, high), value in pairs])
    assert (np.mean(held, axis=0) > [0.75, 0.75, 0.8]).all()  # of 90 %; that thresholds differ is not in them


@pytest.mark.parametrize(("good", "bad", "turned"), [(10, 10, False), (10, 5, True), (5, 10, True)])
def test_intervals_of_cost_and_f1_are_those_of_jeffreys_posteriors(good: int, bad: int, turned: bool) -> None:
    """Of defects that all score higher than good parts, and that all score lower: either kind is all wrong then."""
    labels = np.arange(good + bad) >= good
    scores = np.arange(good + bad) * (-1.0 if turned else 1.0)
    found = cross_validate(scores, labels, Cost(1, 1))
    missed, alarms = (
        stats.beta(share * count + 0.5, (1 - share) * count + 0.5).rvs(400_000, random_state=count)
        for share, count in ((found.missed, bad), (found.false_alarms, good))
    )
    caught = (1 - missed) * bad
    cost, f1 = missed * bad + alarms * good, 2 * caught / (caught + alarms * good + bad)
    expected = np.quantile(cost / (good + bad), [0.05, 0.95])
    assert found.cost_interval == pytest.approx(tuple(expected), abs=0.012)
    assert found.f1_interval == pytest.approx(tuple(np.quantile(f1, [0.05, 0.95])), abs=0.02)
    wrong, called = found.missed * bad + found.false_alarms * good, (1 - found.missed) * bad
    assert found.cost == pytest.approx(wrong / (good + bad))
    assert found.f1 == pytest.approx(2 * called / (called + found.false_alarms * good + bad))


def test_perfect_parts_leave_something_open() -> None:
    labels = np.arange(20) >= 10
    scores = np.where(labels, 30.0, 0.0) + np.arange(20)
    found = cross_validate(scores, labels, BestF1())
    assert (found.missed, found.false_alarms, found.f1) == (0.0, 0.0, 1.0)
    assert found.missed_interval[1] == pytest.approx(1 - 0.05 ** (1 / 10))
    assert 0.8 < found.f1_interval[0] < 1
    assert found.cost is found.cost_interval is None
    assert 9.0 < found.thresholds[0] <= found.thresholds[1] < 40.0


def test_every_part_is_judged_by_thresholds_of_others() -> None:
    """Two defects a fold apart: found only by a threshold that saw them."""
    scores = np.array([0.0, 1.0, 2.0, 10.0, 20.0, 3.0])
    labels = np.array([False, False, False, True, True, False])
    found = cross_validate(scores, labels, Recall(1.0), folds=5, repeats=4)
    assert (found.folds, found.good, found.bad) == (2, 4, 2)  # no more folds than defects
    assert found.missed == 0.5  # the fold with 10.0 is judged by a threshold below 20.0
    again = cross_validate(scores, labels, Recall(1.0), folds=5, repeats=4)
    assert again == found
    assert set(found.to_dict()) >= {"missed", "missed_interval", "false_alarms", "f1", "cost", "folds"}


@pytest.mark.parametrize(
    ("scores", "labels", "words"),
    [
        ([1.0, 2.0], [False, False], "there are no defects among the labelled images"),
        ([1.0, 2.0], [True, True], "there are no good parts among the labelled images"),
        ([1.0, math.nan], [True, False], "score 1 is nan"),
        ([], [], "as many labels"),
    ],
)
def test_what_no_threshold_can_be_told_from(scores: Any, labels: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        best_threshold(scores, labels, BestF1())


@pytest.mark.parametrize("labels", [[True, False, False], [True, True, False], [True, True, True]])
def test_one_of_a_kind_cannot_be_cross_validated(labels: list[bool]) -> None:
    with pytest.raises(DataError, match="needs two good parts and two defects at least; got"):
        cross_validate([3.0, 2.0, 1.0], labels, BestF1())


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: Recall(0.0), r"`recall` must be in \(0, 1\]; got 0.0"),
        (lambda: Recall(95), "`recall` must be"),
        (lambda: Recall(math.nan), "`recall` must be"),
        (lambda: Cost(0, 1), "`cost_miss` must be a number above 0"),
        (lambda: Cost(1, math.inf), "`cost_false_alarm` must be"),
        (lambda: Cost(1, 1, 1.0), "`defect_rate` must be"),
        (lambda: cross_validate([1, 2, 3, 4], [1, 0, 1, 0], BestF1(), folds=1), "`folds, repeats` must be"),
        (lambda: cross_validate([1, 2, 3, 4], [1, 0, 1, 0], BestF1(), confidence=2), "`confidence` must be"),
    ],
)
def test_impossible_wishes(made: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        made()


@pytest.mark.parametrize("unit", [1e-14, 1.0, 1e14])
def test_the_currency_does_not_matter(unit: float) -> None:
    scores, labels = [1.0, 2.0, 4.0, 5.0], [False, False, True, True]
    assert best_threshold(scores, labels, Cost(unit, unit)) == 3.0


def test_rules_take_numbers_of_numpy() -> None:
    rules = Recall(np.float32(0.5)), Cost(np.int64(2), np.float32(0.5), np.float32(0.25))
    assert json.loads(json.dumps([vars(rule) for rule in rules])) == [
        {"share": 0.5, "by": "recall"},
        {"miss": 2.0, "false_alarm": 0.5, "defect_rate": 0.25, "by": "cost"},
    ]


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: Recall("0.9"), r"`recall` must be in \(0, 1\]; got '0\.9'\. For all but one"),
        (lambda: Cost("1", 1), "`cost_miss` must be a number above 0; got '1'"),
        (lambda: Cost(1, None), "`cost_false_alarm` must be a number above 0; got None"),
        (lambda: Cost(1, 1, "0.1"), r"`defect_rate` must be in \(0, 1\); got '0\.1'\. For one in a thousand"),
    ],
)
def test_rules_of_what_is_no_number(made: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        made()
