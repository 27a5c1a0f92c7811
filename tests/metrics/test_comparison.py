"""Paired tests against plain versions, SciPy, and permutations."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kizu.errors import DataError
from kizu.metrics import auroc, compare_auroc, compare_verdicts, count_scores, holm


def two_models(seed: int, size: int = 120, better: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Correlated scores of two models with ties, and labels; the second is ``better`` by that much."""
    rng = np.random.default_rng(seed)
    labels = rng.random(size) < 0.3
    shared = rng.normal(labels * 1.0, 1.0)
    first, second = shared + rng.normal(0, 0.7, size), shared + rng.normal(0, 0.7, size) + better * labels
    return first.round(1), second.round(1), labels


def plain_delong(first: np.ndarray, second: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Difference and its standard error from all pairs, by the definitions of 1988."""
    components = []
    for scores in (first, second):
        pairs = scores[labels][:, None] - scores[~labels][None]
        wins = (pairs > 0) + 0.5 * (pairs == 0)
        components.append((wins.mean(axis=1), wins.mean(axis=0)))
    (v10_a, v01_a), (v10_b, v01_b) = components
    s10, s01 = np.cov(v10_a, v10_b), np.cov(v01_a, v01_b)
    s = s10 / labels.sum() + s01 / (~labels).sum()
    return float(v10_b.mean() - v10_a.mean()), math.sqrt(s[0, 0] + s[1, 1] - 2 * s[0, 1])


@pytest.mark.parametrize("seed", range(5))
def test_delong_is_that_of_all_pairs(seed: int) -> None:
    first, second, labels = two_models(seed)
    found = compare_auroc(first, second, labels)
    assert found is not None
    difference, error = plain_delong(first, second, labels)
    assert found.difference == pytest.approx(difference, abs=1e-12)
    assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(difference) / error), abs=1e-12)
    assert (found.low, found.high) == pytest.approx(stats.norm.interval(0.95, difference, error), abs=1e-9)
    assert found.first == pytest.approx(auroc(count_scores(first, labels)), abs=1e-12)
    assert found.second == pytest.approx(auroc(count_scores(second, labels)), abs=1e-12)


def test_delong_agrees_with_permutations() -> None:
    """Under no difference, which of the two scores (as ranks) an image has from whom is a coin's throw."""
    first, second, labels = two_models(11, better=0.4)
    found = compare_auroc(first, second, labels)
    assert found is not None
    assert found.p_value is not None
    rng = np.random.default_rng(0)
    one, two = stats.rankdata(first), stats.rankdata(second)
    as_large = 0
    for _ in range(4000):
        swap = rng.random(one.size) < 0.5
        a, b = np.where(swap, two, one), np.where(swap, one, two)
        areas = [auroc(count_scores(scores, labels)) or 0.0 for scores in (a, b)]
        as_large += abs(areas[1] - areas[0]) >= abs(found.difference) - 1e-12
    assert 0.001 < found.p_value < 0.2, "a case at the edge, where agreement means something"
    assert found.p_value == pytest.approx(as_large / 4000, abs=0.02)


def test_equal_models_are_told_apart_about_as_often_as_promised() -> None:
    told = [compare_auroc(*two_models(seed, size=200)) for seed in range(400)]
    share = np.mean([found is not None and (found.p_value or 1.0) < 0.05 for found in told])
    assert 0.02 < share < 0.085


def test_one_model_with_itself_or_with_its_like() -> None:
    first, _, labels = two_models(0)
    for second in (first, first * 3 + 7, np.exp(first)):
        found = compare_auroc(first, second, labels)
        assert found is not None
        assert (found.difference, found.low, found.high, found.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_two_that_are_perfect_do_not_differ() -> None:
    labels = np.array([False] * 5 + [True] * 4)
    found = compare_auroc(np.arange(9), np.arange(9)[[1, 0, 2, 3, 4, 6, 5, 8, 7]], labels)
    assert found is not None
    assert (found.first, found.second, found.p_value, found.low, found.high) == (1.0, 1.0, 1.0, 0.0, 0.0)


def test_where_nothing_varies_nothing_can_be_said() -> None:
    labels = np.array([False] * 5 + [True] * 4)
    found = compare_auroc(np.arange(9), np.zeros(9), labels)
    assert found is not None
    assert (found.difference, found.low, found.high, found.p_value) == (-0.5, None, None, None)
    single = compare_auroc([1, 2, 3], [3, 2, 1], [False, False, True])
    assert single is not None
    assert (single.difference, single.p_value) == (-1.0, None)
    json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.parametrize("labels", [[True] * 3, [False] * 3])
def test_one_kind_alone(labels: list[bool]) -> None:
    assert compare_auroc([1, 2, 3], [3, 2, 1], labels) is None


def test_what_does_not_fit() -> None:
    with pytest.raises(DataError, match="metrics need as many labels as scores"):
        compare_auroc([1, 2, 3], [1, 2], [True, False, True])
    with pytest.raises(DataError, match="score 1 is nan"):
        compare_auroc([1, 2, 3], [1, math.nan, 2], [True, False, True])
    for one, two in (([], []), ([True], [True, False]), ([[True]], [[True]])):
        with pytest.raises(DataError, match="verdicts of the same images"):
            compare_verdicts(one, two)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 5), st.integers(0, 5))
@settings(max_examples=60)
def test_mcnemar_is_the_binomial_test_of_scipy(only_first: int, only_second: int, both: int, none: int) -> None:
    if not only_first + only_second + both + none:
        return
    first = [True] * (only_first + both) + [False] * (only_second + none)
    second = [False] * only_first + [True] * (both + only_second) + [False] * none
    found = compare_verdicts(first, second)
    assert (found.only_first, found.only_second) == (only_first, only_second)
    if only_first + only_second:
        expected = stats.binomtest(only_first, only_first + only_second).pvalue
        assert found.p_value == pytest.approx(expected, rel=1e-9)
    else:
        assert found.p_value == 1.0


def test_mcnemar_of_many_images_stays_exact() -> None:
    found = compare_verdicts([True] * 5200 + [False] * 4800, [False] * 5200 + [True] * 4800)
    assert found.p_value == pytest.approx(stats.binomtest(5200, 10000).pvalue, rel=1e-9)


def test_holm() -> None:
    assert holm([]) == []
    assert holm([0.2]) == [0.2]
    assert holm([0.9, None, 0.8]) == [1.0, None, 1.0]
    given_ = [0.012, 0.3, 0.001, 0.04]
    # by hand: 0.001 x 4, 0.012 x 3, 0.04 x 2, 0.3 x 1, none below the one before
    assert holm(given_) == pytest.approx([0.036, 0.3, 0.004, 0.08])
