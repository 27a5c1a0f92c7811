from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kizu.errors import ParameterError
from kizu.images import resize, resize_mask

SIDES = st.integers(1, 40)
IMAGE = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)


def test_shrinking_averages_areas() -> None:
    blocks = IMAGE.reshape(10, 3, 20, 2, 3).mean(axis=(1, 3))
    assert np.abs(resize(IMAGE, (10, 20)) - blocks).max() <= 0.5


def test_growing_interpolates_between_half_pixel_centres() -> None:
    row = np.array([[0.0, 100.0]], np.float32)
    np.testing.assert_allclose(resize(row, (1, 4)), [[0, 25, 75, 100]])


def test_mixed_shrinks_one_axis_by_area_and_grows_the_other_linearly() -> None:
    image = np.array([[0, 100], [20, 120], [40, 140], [60, 160]], np.float32)
    np.testing.assert_allclose(resize(image, (2, 4)), [[10, 35, 85, 110], [50, 75, 125, 150]], atol=1e-4)


def test_the_same_size_is_the_same_image() -> None:
    np.testing.assert_array_equal(resize(IMAGE, (30, 40)), IMAGE)


@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from([(), (1,), (3,)]), st.sampled_from(["u1", "u2", "f4"]))
def test_constants_stay_and_shape_and_dtype_are_as_asked(
    height: int, width: int, h: int, w: int, channels: tuple[int, ...], dtype: str
) -> None:
    resized = resize(np.full((height, width, *channels), 77, dtype), (h, w))
    assert resized.shape == (h, w, *channels)
    assert resized.dtype == np.dtype(dtype)
    np.testing.assert_allclose(resized, 77, rtol=1e-6)


def test_views_can_be_resized() -> None:
    np.testing.assert_array_equal(
        resize(IMAGE[:, ::-1], (10, 20)), resize(np.ascontiguousarray(IMAGE[:, ::-1]), (10, 20))
    )


@given(SIDES, SIDES, SIDES, SIDES)
def test_a_mask_pixel_is_the_one_under_its_centre(height: int, width: int, h: int, w: int) -> None:
    mask = np.random.default_rng(height * 41 + width).random((height, width)) < 0.5
    resized = resize_mask(mask, (h, w))
    assert resized.dtype == np.bool_
    assert resized.shape == (h, w)
    for y in range(h):
        for x in range(w):
            assert resized[y, x] == mask[int((y + 0.5) * height / h), int((x + 0.5) * width / w)]


def test_masks_agree_with_opencv_where_it_is_exact() -> None:
    mask = IMAGE[..., 0] > 128
    for size in ((15, 20), (60, 80), (10, 8)):
        theirs = cv2.resize(mask.astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        np.testing.assert_array_equal(resize_mask(mask, size), theirs > 0)


@pytest.mark.parametrize("size", [(0, 4), (4, -1), (4, 4, 3)])
def test_sizes_are_checked(size: tuple[int, ...]) -> None:
    for function in (resize, resize_mask):
        with pytest.raises(ParameterError, match="`size` must be \\(height, width\\), each at least 1"):
            function(IMAGE[..., 0], size)
