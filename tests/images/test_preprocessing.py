"""From image to square and back, against torchvision's rules and plain slices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kizu.errors import ParameterError
from kizu.images import Box, Preprocessing, resize, resize_mask


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_without_a_cut_it_is_the_plain_resize() -> None:
    image = picture(70, 90)
    np.testing.assert_array_equal(Preprocessing(64).apply(image), resize(image, (64, 64)))
    assert Preprocessing(64).seen((70, 90)) == Box(0, 0, 70, 90)


def test_the_middle_is_cut_out() -> None:
    image = picture(70, 90)
    expected = resize(image, (256, 256))[16:240, 16:240]
    np.testing.assert_array_equal(Preprocessing(224, resize=256).apply(image), expected)


@pytest.mark.parametrize(
    ("size", "resized"), [((60, 90), (256, 384)), ((91, 60), (388, 256)), ((300, 300), (256, 256))]
)
def test_the_shorter_side_decides_as_in_torchvision(size: tuple[int, int], resized: tuple[int, int]) -> None:
    image = picture(*size)
    whole = resize(image, resized)
    top, left = ((length - 224) // 2 for length in resized)
    found = Preprocessing(224, resize=256, keep_aspect=True).apply(image)
    np.testing.assert_array_equal(found, whole[top : top + 224, left : left + 224])


def test_masks_go_the_same_way() -> None:
    mask = picture(70, 90)[..., 0] > 100
    found = Preprocessing(224, resize=256).apply_mask(mask)
    np.testing.assert_array_equal(found, resize_mask(mask, (256, 256))[16:240, 16:240])


def test_the_part_seen() -> None:
    assert Preprocessing(224, resize=256).seen((512, 1024)) == Box(32, 64, 448, 896)
    assert Preprocessing(224, resize=256, keep_aspect=True).seen((512, 1024)) == Box(32, 288, 448, 448)


@given(
    height=st.integers(1, 400),
    width=st.integers(1, 400),
    side=st.integers(32, 64),
    margin=st.integers(0, 30),
    keep_aspect=st.booleans(),
)
def test_any_image_gives_the_square_and_a_part_inside_it(
    height: int, width: int, side: int, margin: int, keep_aspect: bool
) -> None:
    preprocessing = Preprocessing(side, side + margin, keep_aspect)
    assert preprocessing.apply(np.zeros((height, width), np.uint8)).shape == (side, side)
    box = preprocessing.seen((height, width))
    assert 0 <= box.top < box.top + box.height <= height
    assert 0 <= box.left < box.left + box.width <= width


def test_a_cut_larger_than_the_image_is_refused() -> None:
    with pytest.raises(ParameterError, match="`resize` must be at least image_size, 256 pixels; got 224"):
        Preprocessing(256, resize=224)
