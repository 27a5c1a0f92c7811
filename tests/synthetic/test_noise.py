"""Perlin noise against its definition."""

from __future__ import annotations

import numpy as np
import pytest

from kizu.synthetic._noise import perlin


@pytest.mark.parametrize(("size", "cells"), [((64, 64), (4.0, 4.0)), ((33, 80), (1.5, 6.2)), ((8, 8), (1.0, 1.0))])
def test_shape_and_range(size: tuple[int, int], cells: tuple[float, float]) -> None:
    noise = perlin(np.random.default_rng(0), size, cells)
    assert (noise.shape, noise.dtype) == (size, np.float32)
    assert np.abs(noise).max() <= 1
    assert noise.std() > 0.05


def test_it_is_smooth_and_as_fine_as_asked() -> None:
    coarse, fine = (perlin(np.random.default_rng(1), (128, 128), (c, c)) for c in (2.0, 16.0))
    steps = [np.abs(np.diff(noise, axis=0)).mean() for noise in (coarse, fine)]
    assert steps[1] > 4 * steps[0]
    assert np.abs(np.diff(coarse, axis=1)).max() < 0.1


def test_it_is_zero_at_the_corners_of_its_cells() -> None:
    """Half a pixel beside them it is near 0."""
    noise = perlin(np.random.default_rng(2), (400, 400), (4.0, 4.0))
    corners = noise[100::100, 100::100]
    assert np.abs(corners).max() < 0.02
