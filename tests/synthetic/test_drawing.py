"""What every kind of defect must hold to, on images of every sort."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kizu.errors import ParameterError
from kizu.synthetic import KINDS, VISIBLE, SyntheticDefect, draw_defect, draw_defects
from workflows.tiles import tile


def grey(side: int, seed: int = 0) -> np.ndarray:
    """Noise about a slope, the same in all channels."""
    rng = np.random.default_rng(seed)
    slope = np.linspace(80, 170, side)[:, None] + rng.normal(0, 4, (side, side))
    return np.repeat(slope.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


IMAGES = {
    "coloured": tile(1),
    "grey": grey(120),
    "wide": tile(2)[:40],
    "tiny": tile(3)[:8, :8],
    "uniform": np.full((64, 64, 3), 128, np.uint8),
    "black": np.zeros((64, 64, 3), np.uint8),
    "white": np.full((64, 64, 3), 255, np.uint8),
}


def change(image: np.ndarray, defect: SyntheticDefect) -> np.ndarray:
    """Levels by which a pixel's most changed channel differs."""
    return np.abs(defect.image.astype(int) - image).max(axis=2)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=IMAGES)
def image(request: pytest.FixtureRequest) -> np.ndarray:
    return IMAGES[request.param]


@pytest.mark.parametrize("seed", range(4))
def test_the_mask_is_where_the_image_changed(image: np.ndarray, kind: str, seed: int) -> None:
    before = image.copy()
    defect = draw_defect(image, np.random.default_rng(seed), kind=kind)
    changed = change(image, defect)
    assert (defect.image.shape, defect.image.dtype) == (image.shape, np.uint8)
    assert (defect.mask.shape, defect.mask.dtype, defect.kind) == (image.shape[:2], np.bool_, kind)
    assert defect.mask.any()
    assert (changed[~defect.mask] == 0).all()
    assert (changed[defect.mask] >= VISIBLE).mean() > 0.3  # the rest they enclose
    assert (image == before).all()


def test_every_part_of_the_mask_holds_something_that_shows(kind: str) -> None:
    import cv2

    for seed in range(10):
        image = tile(seed)
        defect = draw_defect(image, np.random.default_rng(seed), kind=kind)
        count, parts = cv2.connectedComponents(defect.mask.astype(np.uint8))
        assert all(change(image, defect)[parts == part].max() >= VISIBLE for part in range(1, count))


def test_the_same_seed_gives_the_same_defect(image: np.ndarray, kind: str) -> None:
    one, same, other = (draw_defect(image, np.random.default_rng(seed), kind=kind) for seed in (5, 5, 6))
    assert (one.image == same.image).all()
    assert (one.mask == same.mask).all()
    assert (one.image != other.image).any()


def test_grey_stays_grey(kind: str) -> None:
    image = grey(150)
    donors = (None, grey(200, seed=1), tile(0))
    for seed in range(6):
        drawn = draw_defect(image, np.random.default_rng(seed), kind=kind, donor=donors[seed % 3]).image
        assert (drawn == drawn[..., :1]).all()


def test_it_stays_in_the_region(kind: str) -> None:
    region = np.zeros((96, 96), np.bool_)
    region[30:60, 20:70] = True
    for seed in range(8):
        defect = draw_defect(tile(seed), np.random.default_rng(seed), kind=kind, region=region, size=2.0)
        assert not (defect.mask & ~region).any()


def test_it_stays_on_the_object(kind: str) -> None:
    image = np.full((128, 128, 3), 240, np.uint8)
    image[40:90, 30:100] = np.random.default_rng(0).normal(90, 8, (50, 70, 3)).clip(0, 255).astype(np.uint8)
    for seed in range(8):
        marked = draw_defect(image, np.random.default_rng(seed), kind=kind).mask
        assert not marked[:39].any()
        assert not marked[:, :29].any()
        assert marked[40:90, 30:100].any()


def spread(strength: float, size: float, kind: str) -> tuple[float, float]:
    """Mean change inside masks, and the median share of the image they mark."""
    image = grey(200)
    drawn = [draw_defect(image, np.random.default_rng(s), kind=kind, strength=strength, size=size) for s in range(40)]
    return float(np.mean([change(image, d)[d.mask].mean() for d in drawn])), float(
        np.median([d.mask.mean() for d in drawn])
    )


def test_stronger_ones_change_more(kind: str) -> None:
    weak, strong = spread(0.4, 1, kind), spread(1.6, 1, kind)
    assert strong[0] > 1.2 * weak[0]


def test_larger_ones_cover_more(kind: str) -> None:
    small, large = spread(1, 0.7, kind), spread(1, 2.5, kind)
    assert large[1] > 1.8 * small[1]


def test_sizes_are_relative_to_the_image(kind: str) -> None:
    """The same share of an image four times as large, within what chance does to 40 of them."""
    shares = []
    for side in (150, 600):
        image = grey(side)
        drawn = [draw_defect(image, np.random.default_rng(seed), kind=kind) for seed in range(40)]
        shares.append(np.median([defect.mask.mean() for defect in drawn]))
    assert 0.5 < shares[0] / shares[1] < 2


def test_a_large_image_takes_no_large_time() -> None:
    image = np.full((2400, 3200, 3), 90, np.uint8)
    for kind in KINDS:
        assert draw_defect(image, np.random.default_rng(0), kind=kind).mask.any()


@pytest.mark.parametrize("shape", [(600, 600), (150, 2400)])
def test_large_defects_take_no_more_memory_than_the_image(kind: str, shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    tracemalloc.start()
    try:
        for seed in range(3):
            draw_defect(image, np.random.default_rng(seed), kind=kind, size=10)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 15 * 4 * image.size  # so many copies in float32


@settings(max_examples=40, deadline=None)
@given(st.integers(8, 70), st.integers(8, 70), st.integers(0, 2**20), st.floats(0.05, 5), st.floats(0.05, 5))
def test_any_size_of_image_and_defect(height: int, width: int, seed: int, strength: float, size: float) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    defect = draw_defect(image, rng, strength=strength, size=size)
    assert defect.mask.any()
    assert (change(image, defect)[~defect.mask] == 0).all()


def test_defects_on_many_images() -> None:
    images = [tile(seed) for seed in range(4)]
    drawn = list(draw_defects(images, kinds=("blob", "scratch"), each=2, seed=3))
    assert [defect.kind for defect in drawn] == ["blob", "scratch"] * 4
    assert len({defect.mask.tobytes() for defect in drawn}) == 8
    again = list(draw_defects(iter(images), kinds=("blob", "scratch"), each=2, seed=3))
    assert all((one.image == other.image).all() for one, other in zip(drawn, again, strict=True))
    for place, defect in enumerate(drawn):
        assert (change(images[place // 2], defect)[~defect.mask] == 0).all()


def test_defects_on_many_images_where_it_is_said() -> None:
    def lower_half(image: np.ndarray) -> np.ndarray:
        region = np.zeros(image.shape[:2], np.bool_)
        region[len(region) // 2 :] = True
        return region

    for defect in draw_defects([tile(seed) for seed in range(6)], where=lower_half):
        assert defect.mask.any()
        assert not (defect.mask & ~lower_half(defect.image)).any()


def test_nothing_is_read_ahead() -> None:
    """A stream of images may be long: one is asked for at a time."""
    asked = []

    def images():
        for seed in range(100):
            asked.append(seed)
            yield tile(seed)

    drawn = draw_defects(images())
    next(drawn)
    assert asked == [0]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"kind": "scrach"}, r"unknown kind of defect 'scrach'\. Did you mean 'scratch'\?"),
        ({"strength": 0}, r"`strength` must be in \(0, 10\]; got 0\."),
        ({"size": -1.0}, r"`size` must be in \(0, 10\]; got -1\.0\."),
        ({"region": np.zeros((96, 96), np.bool_)}, r"`region` must be \(96, 96\) bool with something marked"),
        ({"region": np.ones((5, 5), np.bool_)}, r"`region` must be \(96, 96\) bool"),
    ],
)
def test_refusals(options, problem: str) -> None:
    with pytest.raises(ParameterError, match=problem):
        draw_defect(tile(0), np.random.default_rng(0), **options)


def test_a_seed_below_zero() -> None:
    with pytest.raises(ParameterError, match=r"`seed` must be 0 or more; got -1\."):
        next(draw_defects([tile(0)], seed=-1))


@pytest.mark.parametrize("wrong", [tile(0)[..., 0], tile(0).astype(float), tile(0)[:4]])
def test_images_that_are_none(wrong: np.ndarray) -> None:
    with pytest.raises(ParameterError, match=r"`image` must be \(H, W, 3\) uint8"):
        draw_defect(wrong, np.random.default_rng(0))


def test_a_region_too_small() -> None:
    region = np.zeros((96, 96), np.bool_)
    region[5, 5] = True
    with pytest.raises(ParameterError, match="leaves no room for a defect of `strength` 1 and `size` 1 that shows"):
        draw_defect(tile(0), np.random.default_rng(0), kind="blob", region=region)


@pytest.mark.parametrize("kind", ["scratch", "blob", "cut_paste", "texture"])
def test_a_strength_that_shows_nothing_is_told(kind: str) -> None:
    image = np.random.default_rng(0).integers(100, 140, (64, 64, 3), np.uint8)
    with pytest.raises(ParameterError, match="of `strength` 1e-05 and `size` 1 that shows; give a larger strength"):
        draw_defect(image, np.random.default_rng(0), kind=kind, strength=1e-5)


def test_a_kind_alone_is_one():
    from kizu.synthetic import check_kinds

    assert check_kinds("blob") == ("blob",)
