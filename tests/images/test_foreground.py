"""A foreground is learnt from all good images together, and is None where there is none."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from kizu.images import Foreground
from kizu.images import learn_foreground as learn
from workflows.tiles import tile


def disc(x: int, y: int, *, background: int = 30, noise: float = 4, radius: int = 60, seed: int = 0) -> np.ndarray:
    """``(300, 400, 3)``: a textured disc on a plain, slightly noisy background."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:300, :400]
    inside = np.hypot(rows - y, columns - x) < radius
    image = np.where(inside, 150 + 30 * np.sin(columns / 7), background) + rng.normal(0, noise, (300, 400))
    return np.repeat(image.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def learn_foreground(images: Iterable[np.ndarray], size: tuple[int, int] = (300, 400)) -> Foreground:
    """Of pictures as they are drawn here."""
    return learn(images, size)


def labelled(*, fall: float = 0) -> np.ndarray:
    """A dark disc with a bright label in its middle; the light on the background ``fall`` levels apart."""
    rows, columns = np.mgrid[:300, :400]
    away = np.hypot(rows - 150, columns - 200)
    rng = np.random.default_rng(0)
    image = fall * (1 - away / away.max()) ** 2 + rng.normal(8, 3, (300, 400))
    image[away < 100] = rng.normal(70, 8, (300, 400))[away < 100]
    image[away < 40] = 250
    return np.repeat(image.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def test_a_bright_label_does_not_hide_the_dark_part_around_it() -> None:
    found = learn_foreground([labelled()])
    rows, columns = np.mgrid[:300, :400]
    away = np.hypot(rows - 150, columns - 200)
    assert found.area is not None
    assert found.area.mask[away < 100].all()
    assert not found.area.mask[away > 120].any()


def test_light_that_falls_off_evenly_is_no_part() -> None:
    image = labelled(fall=40)
    rows, columns = np.mgrid[:300, :400]
    away = np.hypot(rows - 150, columns - 200)
    image[(away >= 40) & (away < 100)] = image[(away >= 100) & (away < 110)].mean().astype(np.uint8)
    found = learn_foreground([image])
    assert found.area is not None
    assert not found.area.mask[away > 80].any()


def test_a_stray_small_image_does_not_make_it_coarse() -> None:
    image = np.full((300, 400, 3), 20, np.uint8)
    image[20:280, 200:208] = 200
    images = [image[::15, ::15], *[image] * 12]
    assert learn_foreground(images).area is not None


def test_it_is_where_any_of_the_good_images_has_its_part() -> None:
    found = learn_foreground(disc(x, 150, seed=x) for x in (120, 150, 200, 240))
    assert found.area is not None
    assert found.area.scales
    rows, columns = np.mgrid[:300, :400]
    for x in (120, 150, 200, 240):
        assert found.area.mask[np.hypot(rows - 150, columns - x) < 60].all()
    far = np.min([np.hypot(rows - 150, columns - x) for x in range(120, 241)], axis=0) > 60 + 400 / 32 + 6
    assert not found.area.mask[far].any()


def test_a_hole_in_a_later_image_stays_inspected() -> None:
    found = learn_foreground([disc(200, 150)])
    broken = disc(200, 150)
    broken[140:160, 190:210] = 30  # looks like background: in a foreground of its own it would not be looked at
    assert found.area is not None
    assert found.area.mask[140:160, 190:210].all()
    own = np.abs(broken[..., 0].astype(int) - 30) > 60
    assert not own[140:160, 190:210].any()


def test_a_part_that_fills_most_of_the_picture_is_found_and_a_margin_around_it() -> None:
    """The background is what the rim shows, not what most of the picture does."""
    image = np.repeat(np.random.default_rng(0).integers(20, 40, (300, 400, 1), dtype=np.uint8), 3, axis=2)
    image[30:270, 30:370] += np.random.default_rng(1).integers(100, 180, (240, 340, 1), dtype=np.uint8)
    found = learn_foreground([image])
    assert found.area is not None
    box = found.area.box((300, 400))  # 400 / 32 pixels around the part, to two
    assert np.abs([box.top - 17.5, box.left - 17.5, box.height - 265, box.width - 365]).max() <= 2
    assert found.area.mask[box.top, 40:360].mean() > 0.9


def test_one_odd_image_does_not_undo_it() -> None:
    images = [disc(200, 150, seed=n) for n in range(20)]
    images[3] = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    assert learn_foreground(images).area is not None


@pytest.mark.parametrize(
    ("images", "why"),
    [
        ([np.full((300, 400, 3), 90, np.uint8)], "in 1 of 1 images 0 % differ from the rim"),
        ([np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)], "in 1 of 1 images"),
        ([tile(1), tile(2)], "in 2 of 2 images"),
        ([disc(x, y) for x in range(0, 401, 80) for y in range(0, 301, 60)], ""),
    ],
)
def test_no_clear_foreground(images: list[np.ndarray], why: str) -> None:
    found = learn_foreground(images)
    assert found.area is None
    assert why in found.why


def test_images_of_other_sizes_count_in_proportion() -> None:
    found = learn_foreground([disc(200, 150), disc(200, 150)[::2, ::2]])
    assert found.area is not None
    assert found.area.size == (300, 400)
