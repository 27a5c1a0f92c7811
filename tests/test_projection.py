"""Random projections against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection, johnson_lindenstrauss_min_dim

from kizu.projection import KINDS, projection_matrix, safe_dimensions


@pytest.mark.parametrize("points", [2, 100, 240, 32_768, 779_264])
@pytest.mark.parametrize("eps", [0.05, 0.1, 0.5, 0.9, 0.99])
def test_dimensions_are_scikit_learns(points: int, eps: float) -> None:
    assert safe_dimensions(points, eps) == johnson_lindenstrauss_min_dim(points, eps=eps)


def test_one_point_needs_one_dimension() -> None:
    assert safe_dimensions(1, 0.9) == 1


def test_the_sparse_matrix_is_drawn_as_scikit_learns() -> None:
    """Same values, and as many of each: within five standard deviations of what is expected, as theirs are."""
    channels, dimensions = 1536, 284
    ours = projection_matrix("sparse", channels, dimensions, np.random.default_rng(0))
    theirs = SparseRandomProjection(dimensions, random_state=0).fit(np.zeros((2, channels))).components_.toarray().T
    values = np.unique(ours)
    np.testing.assert_allclose(values, np.unique(theirs), rtol=1e-6)
    size, density = channels * dimensions, channels**-0.5
    for value in values[[0, 2]]:
        for drawn in (ours, theirs.astype(np.float32)):
            count = (np.abs(drawn - value) < 1e-6).sum()
            assert abs(count - size * density / 2) < 5 * np.sqrt(size * density / 2)


def test_the_gaussian_matrix_has_scikit_learns_variance() -> None:
    ours = projection_matrix("gaussian", 300, 200, np.random.default_rng(0))
    theirs = GaussianRandomProjection(200, random_state=0).fit(np.zeros((2, 300))).components_
    assert ours.std() == pytest.approx(theirs.std(), rel=0.02)
    assert abs(ours.mean()) < 5 * ours.std() / np.sqrt(ours.size)


@pytest.mark.parametrize("kind", KINDS)
def test_distances_are_kept(kind: str) -> None:
    rows = np.random.default_rng(0).standard_normal((120, 40), dtype=np.float32)
    found = projection_matrix(kind, 40, 4000, np.random.default_rng(0))
    assert (found.shape, found.dtype) == ((40, 4000), np.float32)
    projected = rows @ found
    ratio = np.linalg.norm(projected[1:] - projected[0], axis=1) / np.linalg.norm(rows[1:] - rows[0], axis=1)
    np.testing.assert_allclose(ratio, 1, atol=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_the_generator_decides(kind: str) -> None:
    one, same, other = (projection_matrix(kind, 9, 5, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
