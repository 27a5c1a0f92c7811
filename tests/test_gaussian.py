"""Running covariances against numpy.cov; Mahalanobis distances against explicit inverses."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kizu import gaussian
from kizu.gaussian import RunningGaussian, mahalanobis
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


def covariance_of(sums):
    """Both triangles, ``(P, D, D)``."""
    lower = sums.covariance()
    assert (np.triu(lower, 1) == 0).all()
    return lower + np.tril(lower, -1).transpose(0, 2, 1)


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
    np.testing.assert_allclose(covariance_of(sums), plain_covariance(data), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("cuts", [[], [1], [16, 32], range(1, 40)], ids=str)
@pytest.mark.parametrize(("positions", "dimensions"), [(3, 1), (70, 12), (5, 90)])
def test_sums_are_the_plain_ones_to_twelve_digits(cuts, positions, dimensions, monkeypatch):
    monkeypatch.setattr(gaussian, "SCRATCH", 1000)  # several positions, or less than one, at a time
    data = samples(40, positions, dimensions)
    expected = plain_covariance(data)
    found = covariance_of(running(data, cuts))
    assert np.abs(found - expected).max() < 1e-12 * np.abs(expected).max()
    np.testing.assert_array_equal(running(data, cuts).covariance(slice(1, 3)), running(data, cuts).covariance()[1:3])


def test_one_sample_at_a_time_about_a_huge_mean():
    data = samples(50, 3, 4) + np.float32(1e6)
    sums = running(data, range(1, 50))
    np.testing.assert_allclose(covariance_of(sums), plain_covariance(data), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("count", [0, 1])
def test_covariance_needs_two_samples(count):
    with pytest.raises(ValueError, match=f"a covariance needs 2 samples, got {count}"):
        running(samples(count, 2, 3)).covariance()


def test_an_update_takes_no_second_set_of_matrices(monkeypatch):
    data = samples(16, 2048, 60)
    sums = RunningGaussian(2048, 60)
    matrices = 2048 * 60 * 60 * 8
    monkeypatch.setattr(gaussian, "SCRATCH", 60 * 60 * 16)
    tracemalloc.start()
    try:
        sums.update(data)
        sums.update(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.1 * matrices


def test_factors_take_the_place_of_the_sums(monkeypatch):
    monkeypatch.setattr(gaussian, "SCRATCH", 60 * 60 * 16)
    data = samples(70, 1024, 60)
    expected = RunningGaussian.memory(1024, 60)
    tracemalloc.start()
    try:
        sums = running(data, [35])
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        packed = sums.factors(0.01)
        left, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held == pytest.approx(expected, rel=0.01)
    assert peak < 1.6 * expected  # not a second set of sums; NumPy 2.5 counts memory that shrinks in place twice
    assert left < 1.05 * packed.nbytes + sums.mean.nbytes
    assert packed.nbytes == pytest.approx(expected / 2, rel=0.05)
    with pytest.raises(ValueError, match="the sums were given up"):
        sums.factors(0.01)


@pytest.mark.parametrize(("positions", "dimensions"), [(1, 1), (5, 1), (64, 3), (65, 8), (200, 20), (3, 47)])
@pytest.mark.parametrize("scratch", [1, 1000, 2**20])
def test_factors_multiply_back(positions, dimensions, scratch, monkeypatch):
    monkeypatch.setattr(gaussian, "SCRATCH", scratch)
    monkeypatch.setattr(gaussian, "TRANSPOSED_AT_A_TIME", 7)
    sums = running(samples(60, positions, dimensions))
    covariance, done = covariance_of(sums), []
    packed = sums.factors(0.25, done.append)
    assert sum(done) == positions
    assert packed.shape == (dimensions * (dimensions + 1) // 2, positions)
    assert packed.dtype == np.float32
    assert packed.flags.c_contiguous
    lower = np.zeros_like(covariance)
    rows, columns = np.tril_indices(dimensions)
    lower[:, rows, columns] = packed.T
    expected = covariance + 0.25 * np.eye(dimensions)
    np.testing.assert_allclose(lower @ lower.transpose(0, 2, 1), expected, rtol=1e-5, atol=1e-5)
    plain = np.stack([np.linalg.cholesky(matrix) for matrix in expected])
    np.testing.assert_allclose(lower, plain, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("positions", "dimensions"), [(1, 1), (7, 2), (70, 5), (16, 40)])
@pytest.mark.parametrize("count", [3, 100])
def test_distances_agree_with_explicit_inverses(positions, dimensions, count):
    sums = running(samples(count, positions, dimensions))
    covariance = covariance_of(sums) + 0.01 * np.eye(dimensions)
    difference = samples(4, positions, dimensions, seed=9)
    found = mahalanobis(difference, sums.factors(0.01))
    expected = plain_mahalanobis(difference, covariance)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-3 if count < dimensions else 1e-4)


@pytest.mark.parametrize(("positions", "dimensions"), [(1, 1), (7, 3), (70, 12), (5, 40), (3, 70)])
@pytest.mark.parametrize("count", [3, 14, 100])
@pytest.mark.parametrize("scratch", [1, 2**20])
def test_left_out_is_summed_without(positions, dimensions, count, scratch, monkeypatch):
    monkeypatch.setattr(gaussian, "SCRATCH", scratch)
    data, done = samples(count, positions, dimensions), []
    found = running(data).left_out(data[:5], 0.01, done.append)
    assert sum(done) == positions
    assert found.dtype == np.float32
    for place, one in enumerate(found):
        others = running(np.delete(data, place, axis=0))
        covariance = covariance_of(others) + 0.01 * np.eye(dimensions)
        difference = (data[place] - others.mean)[None]
        np.testing.assert_allclose(one, plain_mahalanobis(difference, covariance)[0], rtol=1e-5)


def test_leaving_one_of_two_out():
    data = samples(2, 3, 4)
    with pytest.raises(ValueError, match="leaving one of 2 samples out leaves no covariance"):
        running(data).left_out(data, 0.01)


@pytest.mark.parametrize("count", [20, 100], ids=["fewer than dimensions", "more"])
def test_leaving_out_takes_no_second_set_of_matrices(count, monkeypatch):
    monkeypatch.setattr(gaussian, "SCRATCH", 60 * 60 * 16)
    data = samples(count, 2048, 60)
    sums, some = running(data), data[:10]
    tracemalloc.start()
    try:
        sums.left_out(some, 0.01)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.1 * RunningGaussian.memory(2048, 60)


def identity(positions, dimensions):
    return running(np.zeros((2, positions, dimensions), np.float32)).factors(1.0)


def test_identity_gives_plain_distances():
    difference = samples(3, 6, 5)
    found = mahalanobis(difference, identity(6, 5))
    np.testing.assert_allclose(found, np.linalg.norm(difference, axis=2), rtol=1e-6)


def test_differences_are_left_alone():
    difference = samples(3, 6, 5)
    before = difference.copy()
    mahalanobis(difference, identity(6, 5))
    np.testing.assert_array_equal(difference, before)


@pytest.mark.parametrize("bad", [0, 70])
def test_not_positive_definite(bad):
    data = samples(20, 71, 3)
    running(data).factors(0.0)
    data[:, bad] = 1
    with pytest.raises(np.linalg.LinAlgError):
        running(data).factors(0.0)


def continued(data, cut, regularisation=0.01):
    """Sums of all samples, the first ``cut`` of them by way of their factors."""
    first = running(data[:cut])
    mean = first.mean.astype(np.float32)
    sums = RunningGaussian.continued(mean, first.factors(regularisation), cut, regularisation)
    sums.update(data[cut:])
    return sums


@pytest.mark.parametrize(("positions", "dimensions"), [(1, 1), (7, 3), (70, 12), (5, 40)])
@pytest.mark.parametrize("cut", [2, 20, 59])
@pytest.mark.parametrize("regularisation", [1e-3, 0.01, 10])
@pytest.mark.parametrize("scratch", [1, 2**20])
def test_sums_taken_up_from_their_factors(positions, dimensions, cut, regularisation, scratch, monkeypatch):
    monkeypatch.setattr(gaussian, "SCRATCH", scratch)
    data = samples(60, positions, dimensions)
    found, expected = continued(data, cut, regularisation), running(data, [cut])
    assert found.count == 60
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-6, atol=1e-6)
    plain = covariance_of(expected)
    largest = np.abs(plain).max(axis=(1, 2), keepdims=True) + regularisation
    assert np.abs(covariance_of(found) - plain).max() < 1e-6 * largest.max()
    difference = samples(4, positions, dimensions, seed=9)
    distances = mahalanobis(difference, found.factors(regularisation))
    np.testing.assert_allclose(distances, mahalanobis(difference, expected.factors(regularisation)), rtol=1e-3)


def test_sums_are_taken_up_exactly_where_float32_holds_them():
    """Equal samples: a covariance of nothing but the regularisation, whose root is a whole number."""
    data = samples(32, 9, 5)
    data[:16] = np.arange(45, dtype=np.float32).reshape(9, 5)
    found, expected = continued(data, 16, 4.0), running(data, [16])
    np.testing.assert_array_equal(found.mean, expected.mean)
    np.testing.assert_array_equal(found.covariance(), expected.covariance())


def test_sums_taken_up_again_and_again():
    """Roundings do not add up to anything."""
    data = samples(400, 6, 10)
    sums = running(data[:40])
    for first in range(40, 400, 10):
        mean = sums.mean.astype(np.float32)
        sums = RunningGaussian.continued(mean, sums.factors(0.01), first, 0.01)
        sums.update(data[first : first + 10])
    expected = covariance_of(running(data))
    assert np.abs(covariance_of(sums) - expected).max() < 1e-5 * np.abs(expected).max()


def test_taking_sums_up_is_reported_and_needs_two_samples():
    sums, done = running(samples(30, 70, 5)), []
    mean, packed = sums.mean.astype(np.float32), sums.factors(0.01)
    RunningGaussian.continued(mean, packed, 30, 0.01, done.append)
    assert sum(done) == 70
    with pytest.raises(ValueError, match="a covariance needs 2 samples, got 1"):
        RunningGaussian.continued(mean, packed, 1, 0.01)
