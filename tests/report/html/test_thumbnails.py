from __future__ import annotations

import cv2
import numpy as np
import pytest

from kizu.report import View
from kizu.report.html.thumbnails import TOTAL_BYTES, bytes_for, thumbnails
from report.viewing import blob, truth, view

PAGE_BYTES = 60_000_000
PLOTLY_BYTES = 5_000_000


def decoded(data: bytes, flags: int = cv2.IMREAD_COLOR) -> np.ndarray:
    found = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    assert found is not None
    return found


def noise(size: tuple[int, int], peak: float = 30.0) -> View:
    """The image that compresses worst."""
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3)).astype(np.uint8)
    grain = np.random.default_rng(2).random((256, 256)).astype(np.float32) * np.float32(peak)
    marked = np.random.default_rng(3).random(size) < 0.5
    return View(pixels, grain, peak, 20.0, 15.0, "ng", truth=marked)


def test_pictures_show_image_heat_and_masks() -> None:
    shown = view(truth=truth((120, 160)))
    small = thumbnails(shown, 200_000)
    image, heat = decoded(small.image), decoded(small.heat)
    assert image.shape == heat.shape == (120, 160, 3)
    assert abs(image[..., ::-1].astype(int) - shown.image).mean() < 6
    assert small.found is not None
    assert small.truth is not None
    assert ((decoded(small.found, cv2.IMREAD_GRAYSCALE) > 0) == shown.mask).all()
    assert ((decoded(small.truth, cv2.IMREAD_GRAYSCALE) > 0) == shown.truth).all()
    hot = heat[shown.mask].astype(int)
    assert (hot[:, 2] - hot[:, 0]).mean() > 80, "above the threshold it is yellow to red"
    assert small.size == sum(map(len, (small.image, small.heat, small.found, small.truth)))


def test_nothing_marked_is_no_picture() -> None:
    quiet = thumbnails(view(peak=6.0, truth=np.zeros((120, 160), np.bool_)), 200_000)
    assert quiet.found is None
    assert quiet.truth is None


@pytest.mark.parametrize("count", [1, 100, 1000, 10_000])
def test_noise_of_any_size_stays_within_its_bytes(count: int) -> None:
    most = bytes_for(count)
    small = thumbnails(noise((600, 900)), most)
    if count <= 1000:
        assert small.size <= most
    assert max(decoded(small.image).shape[:2]) >= 96


def test_a_thousand_images_stay_under_60_megabytes_whatever_they_show() -> None:
    each = thumbnails(noise((3000, 4000)), bytes_for(1000)).size
    in_base64 = 4 * each / 3 + 16
    assert 1000 * in_base64 + PLOTLY_BYTES < PAGE_BYTES
    assert TOTAL_BYTES * 4 / 3 + PLOTLY_BYTES < PAGE_BYTES


def test_large_images_are_brought_down_and_small_ones_stay() -> None:
    large = View(np.full((3000, 4000, 3), 99, np.uint8), blob((64, 64), 1.0, 9.0), 9.0, 20.0, 20.0, "ok")
    assert decoded(thumbnails(large, 240_000).image).shape == (480, 640, 3)
    tiny = View(np.full((1, 3, 3), 99, np.uint8), blob((64, 64), 1.0, 9.0), 9.0, 20.0, 20.0, "ok")
    assert decoded(thumbnails(tiny, 240_000).image).shape == (1, 3, 3)


def test_a_pixel_that_is_marked_is_seen_in_a_small_picture_too() -> None:
    marked = np.zeros((2000, 2000), np.bool_)
    marked[1234, 567] = True
    large = View(np.zeros((2000, 2000, 3), np.uint8), blob((64, 64), 1.0, 9.0), 9.0, 20.0, 20.0, "ok", truth=marked)
    small = thumbnails(large, 6_000)
    assert small.truth is not None
    assert decoded(small.truth, cv2.IMREAD_GRAYSCALE).any()


def test_where_the_model_did_not_look_is_pale() -> None:
    looked = np.ones((120, 160), np.bool_)
    looked[:, :40] = False
    black = View(np.zeros((120, 160, 3), np.uint8), blob((64, 64), 1.0, 9.0), 9.0, 20.0, 20.0, "ok", inspected=looked)
    heat = decoded(thumbnails(black, 240_000).heat)
    assert heat[:, :36].mean() > 150
    assert heat[:, 44:].mean() < 20
