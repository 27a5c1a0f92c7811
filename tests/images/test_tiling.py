"""Tiles: every patch once, from the nearest tile, on one lattice; an image that fits in one is seen as without."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kizu.errors import ParameterError
from kizu.images import Preprocessing, Tiling, resize, tiling_of

lengths = st.integers(1, 900)


@st.composite
def tilings(draw: st.DrawFn) -> Tiling:
    patch = draw(st.sampled_from([4, 8, 16]))
    lattice = patch * draw(st.sampled_from([1, 2, 4]))
    cells = draw(st.integers(1, 6))
    step = lattice * draw(st.integers(1, cells))
    side = lattice * cells
    return Tiling(
        side=side, size=draw(st.sampled_from([side, 2 * side, 50])), step=step, lattice=lattice, patch=patch
    )


@settings(deadline=None)
@given(tiling=tilings(), height=lengths, width=lengths)
def test_each_patch_is_taken_once_from_a_tile_whose_centre_is_nearest(
    tiling: Tiling, height: int, width: int
) -> None:
    for spans, cells in zip(tiling.spans((height, width)), tiling.grid((height, width)), strict=True):
        taken = [cell for span in spans for cell in range(span.first, span.last)]
        assert taken == list(range(cells))
        centres = np.array([span.start + tiling.side / 2 for span in spans])
        for number, span in enumerate(spans):
            assert span.start % tiling.lattice == 0
            for cell in range(span.first, span.last):
                assert span.start <= cell * tiling.patch < span.start + tiling.side
                middle = (cell + 0.5) * tiling.patch
                assert abs(centres[number] - middle) == np.abs(centres - middle).min()
        steps = np.diff([span.start for span in spans])
        assert (steps > 0).all()
        assert (steps <= tiling.step).all()


@settings(deadline=None)
@given(tiling=tilings(), height=lengths, width=lengths)
def test_tiles_lie_inside_what_they_are_cut_from(tiling: Tiling, height: int, width: int) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    whole = tiling.apply(image)
    for spans, length in zip(tiling.spans((height, width)), whole.shape, strict=False):
        assert spans[-1].start + tiling.side == length
    scaled = tiling.scaled((height, width))
    assert all(0 <= more - less < tiling.lattice for more, less in zip(whole.shape, scaled, strict=False))


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_an_image_that_fits_in_one_tile_is_seen_as_without_tiles() -> None:
    tiling = Tiling(side=64, size=64, step=32, lattice=32, patch=8)
    for size in ((64, 64), (40, 64), (64, 30), (33, 21)):
        np.testing.assert_array_equal(tiling.apply(picture(*size)), Preprocessing(64).apply(picture(*size)))
        assert [len(spans) for spans in tiling.spans(size)] == [1, 1]


def test_a_larger_image_is_not_resampled_but_mirrored_at_its_far_edges() -> None:
    image = picture(70, 100)
    whole = Tiling(side=64, size=64, step=32, lattice=32, patch=8).apply(image)
    assert whole.shape == (96, 128, 3)
    np.testing.assert_array_equal(whole[:70, :100], image)
    np.testing.assert_array_equal(whole[70:96, :100], image[-2:-28:-1])


def test_tiles_of_another_size_than_the_backbones_input_scale_the_image_once() -> None:
    tiling = Tiling(side=64, size=128, step=32, lattice=32, patch=8)
    image = picture(256, 320)
    np.testing.assert_array_equal(tiling.apply(image), resize(image, (128, 160)))


@pytest.mark.parametrize(
    ("given", "step", "unused"),
    [
        ({"stride": None, "border": None}, 192, 4),  # an eighth of 32 patches at each side
        ({"stride": None, "border": 0}, 256, 0),
        ({"stride": None, "border": 5}, 160, 6),  # 176 pixels, brought down to the lattice
        ({"stride": 150, "border": None}, 128, 8),
        ({"stride": 128, "border": 8}, 128, 8),
        ({"stride": 999, "border": None}, 256, 0),
    ],
)
def test_stride_and_border_are_two_words_for_one_thing(given: dict[str, int | None], step: int, unused: int) -> None:
    tiling, found = tiling_of(side=256, size=256, lattice=32, patch=8, **given)
    assert (tiling.step, found) == (step, unused)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"stride": 31, "border": None}, "`tile_stride` must be 32 pixels or more"),
        ({"stride": None, "border": 15}, "`tile_border` must be fewer than 15 patches"),
        ({"stride": 192, "border": 8}, "`tile_stride` must be at most 128 where tile_border is 8"),
        ({"stride": None, "border": None, "side": 250}, "`image_size` must be a multiple of 32"),
        ({"stride": None, "border": None, "lattice": 12}, "`tile_lattice` must be a multiple of 8"),
    ],
)
def test_what_leaves_gaps_or_no_lattice_is_refused(given: dict[str, int | None], message: str) -> None:
    with pytest.raises(ParameterError, match=re.escape(message)):
        tiling_of(**{"side": 256, "size": 256, "lattice": 32, "patch": 8, **given})
