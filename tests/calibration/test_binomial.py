"""The incomplete beta function and Clopper and Pearson's limits, against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kizu.calibration.binomial import at_least, at_least_beyond, beta_cdf, beta_quantile, clopper_pearson
from kizu.errors import ParameterError

RNG = np.random.default_rng(0)
A, B, X = RNG.uniform(0.5, 400, 300), RNG.uniform(0.5, 4000, 300), RNG.uniform(0, 1, 300)


def test_the_incomplete_beta_function_is_scipys() -> None:
    around = stats.beta(A, B).ppf(X)
    np.testing.assert_allclose(beta_cdf(around, A, B), X, atol=1e-11)
    np.testing.assert_allclose(beta_cdf(X, A, B), stats.beta.cdf(X, A, B), atol=1e-11)
    assert beta_cdf([0.0, 1.0], 2.0, 3.0).tolist() == [0.0, 1.0]


def test_its_quantiles_are_scipys() -> None:
    np.testing.assert_allclose(beta_quantile(X, A, B), stats.beta.ppf(X, A, B), rtol=1e-9)


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.99])
def test_how_probable_a_count_is(share: float) -> None:
    found = [at_least(hits, 40, share) for hits in range(41)]
    np.testing.assert_allclose(found, stats.binom.sf(np.arange(41) - 1, 40, share), atol=1e-11)


def test_how_probable_half_of_a_million_is() -> None:
    """Near the mean the continued fraction takes steps as the square root of the count."""
    assert at_least(500_000, 10**6, 0.5) == pytest.approx(stats.binom.sf(499_999, 10**6, 0.5), abs=1e-8)


@given(st.integers(1, 300), st.integers(1, 900), st.data())
def test_how_probable_a_count_beyond_a_score_is(trials: int, scores: int, data: st.DataObject) -> None:
    hits, rank = data.draw(st.integers(0, trials)), data.draw(st.integers(1, scores))
    expected = stats.betabinom.sf(hits - 1, trials, rank, scores + 1 - rank)
    assert at_least_beyond(hits, trials, rank, scores) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("trials", [1, 2, 20, 1000])
def test_limits_are_scipys(trials: int, confidence: float) -> None:
    hits = np.unique(np.linspace(0, trials, 9).astype(int))
    found = np.stack(clopper_pearson(hits, trials, confidence), axis=1)
    expected = [stats.binomtest(int(k), trials).proportion_ci(confidence) for k in hits]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    assert (found[0, 0], found[-1, 1]) == (0.0, 1.0)


def test_fractions_lie_between_counts() -> None:
    lower, upper = clopper_pearson([2, 2.5, 3], 10)
    assert lower[0] < lower[1] < lower[2]
    assert upper[0] < upper[1] < upper[2]


@pytest.mark.parametrize("confidence", [0.0, 1.0, 90, float("nan")])
def test_impossible_confidences(confidence: float) -> None:
    with pytest.raises(ParameterError, match=r"`confidence` must be in \(0, 1\); got .* write 0.9"):
        clopper_pearson(1, 2, confidence)
