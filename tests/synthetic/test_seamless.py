"""Blending by Poisson's equation, against its definition."""

from __future__ import annotations

import numpy as np
import pytest

from kizu.synthetic.seamless import GRID, blended_in, harmonic


def disc(side: int) -> np.ndarray:
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    return np.hypot(rows, columns) < side / 3


def laplacian(image: np.ndarray) -> np.ndarray:
    middle = 4 * image[1:-1, 1:-1]
    return middle - image[:-2, 1:-1] - image[2:, 1:-1] - image[1:-1, :-2] - image[1:-1, 2:]


def noise(side: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 255, (side, side, 3)).astype(np.float32)


def test_gradients_are_the_piece_s_and_the_border_is_the_image_s() -> None:
    piece, under, inside = noise(GRID, 0), noise(GRID, 1), disc(GRID)
    found = blended_in(piece, under, inside)
    assert (found[~inside] == under[~inside]).all()
    wanted = inside[1:-1, 1:-1]
    np.testing.assert_allclose(laplacian(found)[wanted], laplacian(piece)[wanted], atol=0.01)


@pytest.mark.parametrize("side", [9, GRID, 120])
def test_the_same_piece_on_another_level_vanishes(side: int) -> None:
    under = noise(side, 0)
    np.testing.assert_allclose(blended_in(under - 40, under, disc(side)), under, atol=0.01)


def test_above_the_grid_it_stays_near_the_exact_solution() -> None:
    """A slope in the difference of both, which is harmonic: the piece must come out as the image."""
    side = 6 * GRID
    under = noise(side, 0)
    slope = np.linspace(-60, 60, side, dtype=np.float32)[:, None, None]
    assert np.abs(blended_in(under + slope, under, disc(side)) - under).max() < 3


def test_harmonic_functions_keep_to_the_mean_and_between_their_ends() -> None:
    values = np.zeros((12, 15, 1), np.float32)
    values[0], values[-1] = 10, -5
    unknown = np.ones((12, 15), np.bool_)
    found = harmonic(values, unknown)
    np.testing.assert_allclose(laplacian(found[..., 0]), 0, atol=1e-4)
    assert (found[[0, -1]] == values[[0, -1]]).all()
    assert found[1:-1].max() < 10
    assert found[1:-1].min() > -5


def test_nothing_unknown() -> None:
    values = noise(6, 0)
    assert (harmonic(values, np.zeros((6, 6), np.bool_)) == values).all()
