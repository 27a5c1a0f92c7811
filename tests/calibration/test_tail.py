"""The tail estimate: against SciPy's distribution and a plain posterior, and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from kizu.calibration import tail
from kizu.calibration.tail import fit_tail
from kizu.errors import DataError, ParameterError

SCORES = np.random.default_rng(3).gamma(4.0, size=60)


def test_weights_are_those_of_scipys_density() -> None:
    found = fit_tail(SCORES)
    excess = np.sort(SCORES)[-12:] - found.above
    assert (found.excesses, found.above) == (12, np.sort(SCORES)[-13])
    for one, other in (((20, 40), (25, 44)), ((3, 50), (38, 60))):
        log_densities = [
            stats.genpareto.logpdf(excess, tail._SHAPES[shape], scale=found.scales[scale]).sum()
            + stats.norm.logpdf(tail._SHAPES[shape], scale=0.2)
            for shape, scale in (one, other)
        ]
        assert np.log(found.weights[one] / found.weights[other]) == pytest.approx(np.diff(log_densities)[0] * -1)
    assert found.weights.sum() == pytest.approx(1)


def test_a_known_tail_gives_the_known_quantile() -> None:
    """With all weight on one shape and scale only the share beyond ``above`` is left open."""
    weights = np.zeros((41, 89))
    weights[26, 40] = 1.0
    found = tail.Tail(weights, np.linspace(1, 2, 89), 5.0, 20_000, 100_000)
    expected = 5.0 + stats.genpareto(tail._SHAPES[26], scale=np.linspace(1, 2, 89)[40]).isf(0.001 / 0.2)
    assert found.exceeded_by(0.001).threshold == pytest.approx(expected, rel=1e-3)
    assert found.shape == pytest.approx(tail._SHAPES[26])


def test_a_smaller_share_has_a_higher_threshold() -> None:
    found = [fit_tail(SCORES).exceeded_by(share) for share in (0.1, 0.01, 0.001)]
    assert all(one.low < one.threshold < one.high for one in found)
    assert found[0].threshold < found[1].threshold < found[2].threshold


@pytest.mark.parametrize(
    ("distribution", "at_least"), [(stats.norm(20, 3), 0.82), (stats.gamma(4), 0.85), (stats.lognorm(0.4), 0.85)]
)
@pytest.mark.parametrize("count", [20, 100])
def test_intervals_hold_about_as_often_as_they_say(distribution, at_least, count) -> None:
    """Of 90 %; more distributions in benchmarks/tail.py. 150 runs: a standard error of 2.5 %."""
    rng, true = np.random.default_rng(0), distribution.isf(0.005)
    found = [fit_tail(distribution.rvs(count, random_state=rng)).exceeded_by(0.005) for _ in range(150)]
    assert np.mean([one.low <= true <= one.high for one in found]) >= at_least
    assert 0.02 < distribution.sf(np.median([one.threshold for one in found])) / 0.005 < 3


def test_more_scores_narrow_it() -> None:
    rng = np.random.default_rng(0)
    widths = []
    for count in (30, 300, 3000):
        found = fit_tail(rng.gamma(4.0, size=count)).exceeded_by(0.001)
        widths.append(found.high - found.low)
    assert widths[0] > 1.5 * widths[1] > 2 * widths[2]


def test_units_do_not_matter() -> None:
    plain, other = fit_tail(SCORES).exceeded_by(0.002), fit_tail(1e-3 * SCORES + 7).exceeded_by(0.002)
    assert other.threshold == pytest.approx(1e-3 * plain.threshold + 7)
    assert other.high == pytest.approx(1e-3 * plain.high + 7)
    assert fit_tail(SCORES[::-1]).exceeded_by(0.002) == plain


@pytest.mark.parametrize(
    ("count", "excesses"), [(10, 5), (20, 10), (50, 10), (60, 12), (225, 45), (1000, 95), (10_000, 300)]
)
def test_how_many_excesses(count: int, excesses: int) -> None:
    assert tail._excesses(count) == excesses


def test_a_bounded_tail_ends() -> None:
    weights = np.zeros((41, 89))
    weights[0, 40] = 1.0  # ξ = −0.5: nothing beyond above + 2 σ
    found = tail.Tail(weights, np.ones(89), 5.0, 10, 50)
    assert 6.99 < found.exceeded_by(1e-6).threshold < found.exceeded_by(1e-9).high < 7.0


def test_it_is_called_an_estimate() -> None:
    found = fit_tail(SCORES).exceeded_by(0.001).to_dict()
    assert found["estimate"] is True
    assert {"threshold", "low", "high", "confidence", "excesses", "count"} <= set(found)


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        ([], "needs 10 scores of good images; got 0"),
        (range(9), "needs 10 scores of good images; got 9. Give more good images."),
        ([1.0] * 30, "the 11 highest of 30 scores do not differ"),
        ([*range(20), *[50.0] * 11], "the 11 highest of 31 scores do not differ"),
        ([math.nan, *range(20)], "not a finite number"),
        ([math.inf, *range(20)], "not a finite number"),
    ],
)
def test_what_has_no_tail(scores, words) -> None:
    with pytest.raises(DataError, match=words):
        fit_tail(scores)


@pytest.mark.parametrize("share", [0.0, 1.0, 0.5, -0.1, math.nan])
def test_what_is_no_share_of_a_tail(share: float) -> None:
    with pytest.raises(ParameterError, match=r"`share` must be above 0 and at most 0\.213 for a tail estimate"):
        fit_tail(SCORES).exceeded_by(share)


def test_a_tail_begins_where_it_begins() -> None:
    """Of the largest share it can be asked for, the scores below it are no part of the tail."""
    found = fit_tail(np.array([1.0, 2.0, 3.0] + [0.0] * 27))
    estimate = found.exceeded_by(found.reaches)
    assert found.above <= estimate.low <= estimate.threshold <= estimate.high
