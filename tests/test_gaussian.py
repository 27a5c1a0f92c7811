"""Running covariances against numpy.cov; Mahalanobis distances against explicit inverses."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kizu.gaussian import RunningGaussian, mahalanobis, packed_cholesky
from reference.padim import mahalanobis as plain_mahalanobis


def samples(count, positions, dimensions, seed=0):
    """Correlated normal samples ``(n, P, D)``, float32."""
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((positions, dimensions, dimensions))
    drawn = np.einsum("npd,pde->npe", rng.standard_normal((count, positions, dimensions)), mixing)
    return drawn.astype(np.float32)


def running(data, cuts=()):
    sums = RunningGaussian(*data.shape[1:])
    for part in np.split(data, sorted(cuts)):
        if len(part):
            sums.update(part)
    return sums


def plain_covariance(data):
    exact = data.astype(np.float64)
    return np.stack([np.atleast_2d(np.cov(exact[:, p], rowvar=False)) for p in range(data.shape[1])])


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 40),
    st.sampled_from([1, 2, 63, 64, 65, 130]),
    st.integers(1, 6),
    st.lists(st.integers(1, 39), max_size=6),
    st.sampled_from([0.0, 1.0, 1e6]),
)
def test_covariance_in_any_split_of_the_samples(count, positions, dimensions, cuts, mean):
    data = samples(count, positions, dimensions) + np.float32(mean)
    sums = running(data, cuts)
    assert sums.count == count
    np.testing.assert_allclose(sums.mean, data.mean(axis=0, dtype=np.float64), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(sums.covariance(), plain_covariance(data), rtol=1e-7, atol=1e-7)


def test_one_sample_at_a_time_about_a_huge_mean():
    data = samples(50, 3, 4) + np.float32(1e6)
    sums = running(data, range(1, 50))
    np.testing.assert_allclose(sums.covariance(), plain_covariance(data), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("count", [0, 1])
def test_covariance_needs_two_samples(count):
    with pytest.raises(ValueError, match=f"a covariance needs 2 samples, got {count}"):
        running(samples(count, 2, 3)).covariance()


def test_an_update_takes_no_second_set_of_matrices():
    data = samples(16, 512, 40)
    sums = RunningGaussian(512, 40)
    matrices = 512 * 40 * 40 * 8
    tracemalloc.start()
    try:
        sums.update(data)
        sums.update(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.5 * matrices


@pytest.mark.parametrize(("positions", "dimensions"), [(1, 1), (5, 1), (64, 3), (65, 8), (200, 20)])
def test_factors_multiply_back(positions, dimensions):
    covariance = running(samples(60, positions, dimensions)).covariance()
    packed = packed_cholesky(covariance, 0.25)
    assert packed.shape == (dimensions * (dimensions + 1) // 2, positions)
    assert packed.dtype == np.float32
    lower = np.zeros_like(covariance)
    rows, columns = np.tril_indices(dimensions)
    lower[:, rows, columns] = packed.T
    expected = covariance + 0.25 * np.eye(dimensions)
    np.testing.assert_allclose(lower @ lower.transpose(0, 2, 1), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("positions", "dimensions"), [(1, 1), (7, 2), (70, 5), (16, 40)])
@pytest.mark.parametrize("count", [3, 100])
def test_distances_agree_with_explicit_inverses(positions, dimensions, count):
    covariance = running(samples(count, positions, dimensions)).covariance()
    difference = samples(4, positions, dimensions, seed=9)
    found = mahalanobis(difference, packed_cholesky(covariance, 0.01))
    expected = plain_mahalanobis(difference, covariance + 0.01 * np.eye(dimensions))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-3 if count < dimensions else 1e-4)


def test_identity_gives_plain_distances():
    difference = samples(3, 6, 5)
    packed = packed_cholesky(np.zeros((6, 5, 5)), 1.0)
    np.testing.assert_allclose(mahalanobis(difference, packed), np.linalg.norm(difference, axis=2), rtol=1e-6)


def test_inputs_are_left_alone():
    covariance, difference = np.zeros((6, 5, 5)), samples(3, 6, 5)
    before = difference.copy()
    mahalanobis(difference, packed_cholesky(covariance, 1.0))
    assert (covariance == 0).all()
    np.testing.assert_array_equal(difference, before)


@pytest.mark.parametrize("bad", [0, 70])
def test_not_positive_definite(bad):
    covariance = np.tile(np.eye(3), (71, 1, 1))
    covariance[bad, 0, 0] = -1.0
    with pytest.raises(np.linalg.LinAlgError):
        packed_cholesky(covariance, 0.01)
