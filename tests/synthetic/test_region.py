"""Where the object is."""

from __future__ import annotations

import numpy as np
import pytest

from kizu.synthetic import object_region
from workflows.tiles import tile


def disc(side: int, background: int, level: int) -> tuple[np.ndarray, np.ndarray]:
    """A noisy disc on a plain background, and where it is."""
    rows, columns = np.mgrid[:side, :side] - side / 2
    inside = np.hypot(rows, columns) < side / 3
    image = np.random.default_rng(0).normal(np.where(inside, level, background), 3)
    return np.repeat(image.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2), inside


@pytest.mark.parametrize(("background", "level"), [(245, 120), (10, 120), (128, 200)])
@pytest.mark.parametrize("side", [64, 300, 900])
def test_an_object_on_a_plain_background(side: int, background: int, level: int) -> None:
    image, inside = disc(side, background, level)
    found = object_region(image)
    assert (found.shape, found.dtype) == (inside.shape, np.bool_)
    assert (found & inside).sum() / (found | inside).sum() > 0.8
    assert (found & ~inside).sum() < 0.01 * inside.sum()


def test_a_dark_object_with_a_bright_label_is_all_of_it() -> None:
    image, inside = disc(200, 10, 40)
    image[70:130, 70:130] = 245
    assert (object_region(image) & inside).sum() > 0.9 * inside.sum()


def test_an_object_with_a_hole_is_one() -> None:
    image, _ = disc(200, 245, 120)
    image[90:110, 90:110] = 245
    assert object_region(image)[100, 100]


@pytest.mark.parametrize("image", [tile(0), np.full((50, 80, 3), 7, np.uint8), tile(1)[:8, :8]])
def test_without_a_background_it_is_all_of_it(image: np.ndarray) -> None:
    assert object_region(image).all()
