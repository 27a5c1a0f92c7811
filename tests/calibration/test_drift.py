"""Drift: p-values against a plain loop, fair bets, false alarms within their bound, changes found and dated."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from kizu.calibration import drift
from kizu.calibration.drift import change_point, evidence, online_p_values, watch
from kizu.errors import DataError, ParameterError

NUMBERS = st.floats(-1e3, 1e3) | st.integers(-2, 2).map(float)


class Half(np.random.Generator):
    """Lots that always fall in the middle."""

    def __init__(self) -> None:
        super().__init__(np.random.PCG64(0))

    def random(self, size):  # type: ignore[no-untyped-def, override]
        return np.full(size, 0.5)


@settings(deadline=None)
@given(st.lists(NUMBERS, max_size=20), st.lists(NUMBERS, min_size=1, max_size=40))
def test_p_values_are_ranks_among_all_before(known: list[float], new: list[float]) -> None:
    found = online_p_values(np.array(known), np.array(new), Half())
    for place, score in enumerate(new):
        pool = [*known, *new[: place + 1]]
        higher, equal = sum(s > score for s in pool), sum(s == score for s in pool)
        assert found[place] == pytest.approx((higher + 0.5 * equal) / len(pool))


def test_blocks_are_joined_as_if_there_were_none() -> None:
    rng = np.random.default_rng(0)
    new = rng.integers(0, 40, 700).astype(float)
    found = online_p_values(rng.normal(20, 9, 50), new, np.random.default_rng(1))
    rng = np.random.default_rng(0)
    again = rng.integers(0, 40, 700).astype(float)
    pool, lots = list(rng.normal(20, 9, 50)), np.random.default_rng(1)
    for place, score in enumerate(again):
        pool.append(score)
        higher, equal = sum(s > score for s in pool), sum(s == score for s in pool)
        assert found[place] == pytest.approx((higher + (1 - lots.random()) * equal) / len(pool))


@pytest.mark.parametrize("ties", [False, True])
def test_p_values_of_scores_alike_are_uniform_and_independent(ties: bool) -> None:
    rng, found = np.random.default_rng(0), []
    for _ in range(300):
        scores = rng.integers(0, 4, 60).astype(float) if ties else rng.exponential(size=60)
        found.append(online_p_values(scores[:20], scores[20:], rng))
    p_values = np.array(found)
    assert stats.kstest(p_values.ravel(), "uniform").pvalue > 0.01
    assert abs(np.corrcoef(p_values[:, :-1].ravel(), p_values[:, 1:].ravel())[0, 1]) < 0.03


def test_every_bet_is_fair() -> None:
    for bet in range(9):
        mean, _ = integrate.quad(lambda p, bet=bet: drift._bets(np.array([p]))[bet, 0], 0, 1, points=[1e-9])
        assert mean == pytest.approx(1, abs=1e-4)
    assert (drift._bets(np.linspace(0, 1, 1001)) >= 0).all()


def test_capital_is_conserved_on_average() -> None:
    """E capital = 1 after any number of fair bets: summed over all sequences of a few equally likely p-values."""
    grid = (np.arange(400) + 0.5) / 400
    first = np.array([10 ** evidence(np.array([p]))[-1] for p in grid])
    assert first.mean() == pytest.approx(1, abs=0.01)
    rng = np.random.default_rng(0)
    after = [10 ** evidence(rng.random(12))[-1] for _ in range(4000)]
    assert np.mean(after) == pytest.approx(1, abs=0.15)


def test_false_alarms_are_as_rare_as_asked_for() -> None:
    """Looked at after every one of 400 parts, at 10 % so that it shows."""
    alarms = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        scores = rng.gamma(3.0, size=450)
        alarms += watch(scores[:50], scores[50:], false_alarm_rate=0.1, rng=rng).alarm is not None
    assert alarms / 200 <= 0.1 + 2 * math.sqrt(0.09 / 200)


@pytest.mark.parametrize(
    ("shift", "scale", "direction", "within"),
    [
        (2, 1, "higher", 25),
        (-2, 1, "lower", 25),
        (1, 1, "higher", 70),
        (-1, 1, "lower", 70),
        (0, 3, "spread", 80),
        (0, 0.2, "spread", 80),
    ],
)
def test_changes_are_found_and_dated(shift: float, scale: float, direction: str, within: int) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        new = rng.normal(size=400)
        new[120:] = new[120:] * scale + shift
        found = watch(rng.normal(size=150), new, rng=rng)
        assert found.alarm is not None
        assert 120 <= found.alarm <= 120 + within
        assert found.direction == direction
        assert found.since is not None
        assert abs(found.since - 120) <= 25
        assert found.evidence[found.alarm] >= found.limit == 2.0
        assert (found.evidence[: found.alarm] < 2.0).all()


def test_scores_that_differ_from_the_first_on() -> None:
    rng = np.random.default_rng(0)
    found = watch(rng.normal(size=200), rng.normal(1.5, 1, size=100), rng=rng)
    assert found.direction == "higher"
    assert found.since is not None
    assert found.since <= 5
    assert found.alarm is not None
    assert found.alarm < 30


def test_without_a_calibration_scores_are_compared_with_earlier_ones() -> None:
    rng = np.random.default_rng(0)
    alike, changed = rng.normal(size=200), np.concatenate([rng.normal(size=100), rng.normal(2, 1, size=100)])
    assert watch([], alike).alarm is None
    found = watch([], changed)
    assert found.alarm is not None
    assert found.since == pytest.approx(100, abs=10)


def test_a_share_that_rises_is_found_too() -> None:
    rng = np.random.default_rng(0)
    called = np.concatenate([rng.random(300) < 0.02, rng.random(300) < 0.2]).astype(float)
    found = watch([], called)
    assert found.alarm is not None
    assert found.direction == "higher"
    assert found.since == pytest.approx(300, abs=40)
    assert watch([], (rng.random(600) < 0.05).astype(float)).alarm is None


def test_after_ten_thousand_good_parts_a_change_is_still_found() -> None:
    rng = np.random.default_rng(0)
    p_values = np.concatenate([rng.random(10_000), rng.random(100) ** 4])
    found = evidence(p_values)
    assert found[9_999] < 1
    assert found[-1] > 2


def test_the_same_twice_and_ties_by_lot() -> None:
    scores = np.repeat([1.0, 2.0], 50)
    assert watch(scores, scores).evidence.tolist() == watch(scores, scores).evidence.tolist()
    one, other = (watch(scores, scores, rng=np.random.default_rng(seed)).p_values for seed in (1, 2))
    assert not np.array_equal(one, other)


def test_nothing_to_watch() -> None:
    found = watch([1.0, 2.0], [])
    assert (found.alarm, len(found.p_values)) == (None, 0)
    assert found.to_dict() == {
        "drifted": False,
        "scores": 0,
        "evidence_log10": 0.0,
        "highest_evidence_log10": 0.0,
        "limit_log10": 2.0,
        "alarm": None,
        "since": None,
        "direction": None,
    }


def test_equal_scores_are_no_drift() -> None:
    assert watch([5.0] * 30, [5.0] * 300).alarm is None
    assert change_point(np.array([5.0]), np.array([5.0, 5.0])) == (0, "lower")


def test_progress_counts_every_score() -> None:
    steps: list[int] = []
    watch([1.0], np.arange(600.0) % 7, advance=lambda n=1: steps.append(n))
    assert sum(steps) == 600


@pytest.mark.parametrize("rate", [0.0, 1.0, -1, math.nan])
def test_impossible_rates(rate: float) -> None:
    with pytest.raises(ParameterError, match=r"`false_alarm_rate` must be in \(0, 1\)"):
        watch([1.0], [1.0], false_alarm_rate=rate)


def test_scores_that_are_no_numbers() -> None:
    with pytest.raises(DataError, match="score 1 is nan"):
        watch([1.0], [1.0, math.nan])
    with pytest.raises(ValueError, match="do not match"):
        drift.Drift(np.zeros(2), np.zeros(3), 2.0, None, None, None)
