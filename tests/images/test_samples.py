"""Samples at the depth a file has: which channels are taken, and the levels a window makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from images.making import HEIGHT, WIDTH, blocks, encode, png, tiff
from kizu.errors import ImageError, ParameterError
from kizu.images import Reading, decode_samples, learn_window, read_image, read_samples
from kizu.images.samples import MARGIN

DEEP = (blocks(dtype=np.uint16) // 16).astype(np.uint16)
FOUR = np.concatenate([DEEP, 4095 - DEEP[..., :1]], axis=2)


def as_bytes(values: np.ndarray) -> np.ndarray:
    """Rows of bytes of 16-bit samples, high byte first."""
    return values.reshape(HEIGHT, -1).astype(">u2").view(np.uint8)


def pages(*planes: np.ndarray, **options: Any) -> bytes:
    first, *others = (Image.fromarray(plane) for plane in planes)
    return encode(first, "TIFF", save_all=True, append_images=others, **options)


FILES = {
    "a.png": (png(as_bytes(DEEP), 2, 16), DEEP),
    "four.png": (png(as_bytes(FOUR), 6, 16), FOUR),
    "grey.png": (encode(DEEP[..., 0], "PNG"), DEEP[..., :1]),
    "a.tif": (tiff(DEEP, 2), DEEP),
    "four.tif": (tiff(FOUR, 2, t338=2), FOUR),
    "unspecified.tif": (tiff(FOUR, 2, t338=0, big_endian=True), FOUR),
    "white is zero.tif": (tiff(65535 - DEEP[..., 0], 0), DEEP[..., :1]),
    "pages.tif": (pages(*np.moveaxis(FOUR, 2, 0)), FOUR),
    "pages of 8 bits.tif": (pages(*np.moveaxis(blocks(4), 2, 0)), blocks(4)),
    "pages of colours.tif": (pages(blocks(3), blocks(3, seed=1)), np.dstack([blocks(3), blocks(3, seed=1)])),
    "8 bits.png": (encode(blocks(4), "PNG"), blocks(4)),
    "8 bits.tif": (tiff(blocks(4), 2, t338=2), blocks(4)),
    "8 bits.bmp": (encode(blocks(3), "BMP"), blocks(3)),
    "8 bits.webp": (encode(blocks(4), "WEBP"), blocks(4)),
}


def written(folder: Path, name: str) -> tuple[Path, np.ndarray]:
    data, planes = FILES[name]
    (folder / name).write_bytes(data)
    return folder / name, planes


@pytest.mark.parametrize("name", FILES)
def test_every_channel_can_be_taken_and_no_other(name: str, tmp_path: Path) -> None:
    path, planes = written(tmp_path, name)
    count = planes.shape[2]
    for channel in range(count):
        found = read_samples(path, channels=[channel])
        assert (found.dtype, found.shape) == (planes.dtype, (HEIGHT, WIDTH, 3))
        np.testing.assert_array_equal(found, np.repeat(planes[..., channel : channel + 1], 3, axis=2))
    chosen = [count - 1, 0, min(1, count - 1)]
    np.testing.assert_array_equal(read_samples(path, channels=chosen), planes[..., chosen])
    with pytest.raises(ImageError, match=rf"has {count} channels?, numbered from 0; channel {count} was asked for"):
        read_samples(path, channels=[0, count, 0])


@pytest.mark.parametrize("name", [name for name in FILES if "pages" not in name])
def test_colours_come_as_they_are_stored(name: str, tmp_path: Path) -> None:
    path, planes = written(tmp_path, name)
    found = read_samples(path)
    expected = planes[..., :3] if planes.shape[2] >= 3 else np.repeat(planes, 3, axis=2)
    np.testing.assert_array_equal(found, expected)
    as_eight = np.round(expected / 257) if found.dtype == np.uint16 else expected
    np.testing.assert_array_equal(read_image(path), as_eight)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_channels_of_turned_pages_are_upright(orientation: int, tmp_path: Path) -> None:
    """As the colours of the same file are."""
    whole = tmp_path / "whole.tif"
    whole.write_bytes(tiff(DEEP, 2, t274=orientation))
    for channel in range(3):
        found = read_samples(whole, channels=[channel])
        np.testing.assert_array_equal(found[..., 0], read_samples(whole)[..., channel])
    apart = tmp_path / "apart.tif"
    apart.write_bytes(pages(*np.moveaxis(DEEP, 2, 0), tiffinfo={274: orientation}))
    np.testing.assert_array_equal(read_samples(apart, channels=[0]), read_samples(apart))
    assert read_samples(apart, channels=[0, 1, 2]).shape == read_samples(apart).shape


@pytest.mark.parametrize("form", ["TIFF", "JPEG"])
def test_cmyk_has_no_alpha(form: str, tmp_path: Path) -> None:
    """The decoder gives one of 255 everywhere for TIFF: nothing to inspect."""
    path = tmp_path / "a"
    path.write_bytes(encode(Image.fromarray(blocks(4), "CMYK"), form))
    np.testing.assert_array_equal(read_samples(path, channels=[0, 1, 2]), read_samples(path))
    with pytest.raises(ImageError, match="has 3 channels, numbered from 0; channel 3 was asked for"):
        read_samples(path, channels=[3])


def test_a_page_cut_short_is_refused_only_where_it_is_asked_for(tmp_path: Path) -> None:
    path, planes = written(tmp_path, "pages.tif")
    data = path.read_bytes()
    start = data.rindex(planes[..., 3].astype("<u2").tobytes())
    offset, short = start.to_bytes(4, "little"), (len(data) + 9).to_bytes(4, "little")
    path.write_bytes(data.replace(offset, short))
    assert read_samples(path, channels=[0, 1, 2]).shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(ImageError, match="cut short"):
        read_samples(path, channels=[3])


def test_pages_of_another_size_or_depth_are_refused(tmp_path: Path) -> None:
    for other in (blocks(1, np.uint16)[:, ::2, 0], blocks(1)[..., 0]):
        path = tmp_path / "a.tif"
        path.write_bytes(pages(DEEP[..., 0], other))
        assert read_samples(path).dtype == np.uint16
        with pytest.raises(ImageError, match="page 1, of another size or kind than the first, cannot be used"):
            read_samples(path, channels=[0, 0, 1])


@pytest.mark.parametrize("channels", [3, 4])
def test_grey_samples_side_by_side_are_refused(channels: int, tmp_path: Path) -> None:
    """The decoder scrambles them."""
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(blocks(channels, np.uint16), 1))
    for chosen in (None, [0]):
        with pytest.raises(ImageError, match="save it as RGB or as one page a channel"):
            read_samples(path, channels=chosen)


@given(arrays(np.uint16, (3, 4, 3)), st.integers(0, 60_000), st.integers(1, 65_535))
def test_levels_are_linear_clipped_and_not_rounded(samples: np.ndarray, low: int, width: int) -> None:
    reading = Reading((low, low + width))
    found = reading.levels(samples)
    expected = np.clip((samples.astype(np.float64) - low) * 255 / width, 0, 255)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.abs(reading.view(samples) - expected).max() <= 0.5001
    assert np.shares_memory(found, samples) is False


def test_a_window_of_all_8_bits_gives_the_levels_themselves() -> None:
    image = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    np.testing.assert_array_equal(Reading((0, 255)).levels(image), image.astype(np.float32))
    assert Reading().levels(image) is image
    assert Reading().view(image) is image


def test_what_is_too_shallow_is_refused(tmp_path: Path) -> None:
    path, _ = written(tmp_path, "8 bits.png")
    assert Reading((0, 255)).read(path).dtype == np.uint8
    with pytest.raises(
        ImageError, match=r"samples of 8 bits, too few for the window 0 to 4095; give the files as the"
    ):
        Reading((0, 4095)).read(path)
    assert Reading((0, 255)).read(written(tmp_path, "a.png")[0]).dtype == np.uint16


def test_arrays_are_taken_as_the_camera_gives_them() -> None:
    deep = Reading((100, 4000))
    for dtype in (np.uint16, np.float32, np.float64):
        assert deep.checked(DEEP.astype(dtype)).dtype == dtype
    assert deep.checked(DEEP[..., 0]).shape == DEEP.shape
    assert Reading((0, 200)).checked(blocks()).dtype == np.uint8
    broken = DEEP.astype(np.float32)
    broken[0, 0, 0] = np.nan
    for wrong in (blocks(), broken, DEEP[..., :2], DEEP.astype(np.int32), DEEP[..., 0, 0]):
        with pytest.raises(ParameterError, match="samples that the window 100 to 4000 is of, as uint16 or finite"):
            deep.checked(wrong)
    with pytest.raises(ParameterError, match=r"\(H, W\), uint8; got .* uint16.*fit with a window to have them used"):
        Reading().checked(DEEP)
    assert Reading(channels=(0,)).checked(blocks()[..., 0]).shape == (HEIGHT, WIDTH, 3)


def test_a_window_is_learnt_from_what_most_samples_are() -> None:
    """Against NumPy's quantiles; pixels that stick do not stretch it."""
    rng = np.random.default_rng(0)
    images = [rng.normal(1000, 50, (100, 120, 3)).astype(np.uint16) for _ in range(5)]
    images[2][7, 9], images[3][1, 1] = 0, 65_535
    low, high = np.quantile(np.stack(images), [0.001, 0.999], method="inverted_cdf")
    margin = round(MARGIN * float(high - low))
    assert learn_window(iter(images)) == (low - margin, high + margin)


def test_a_window_stays_within_what_samples_can_be() -> None:
    ends = np.zeros((10, 10, 3), np.uint8)
    ends[5:] = 255
    assert learn_window([ends]) == (0.0, 255.0)
    assert learn_window([ends.astype(np.uint16) * 257]) == (0.0, 65_535.0)
    assert learn_window([np.full((10, 10, 3), 700, np.uint16)]) == (699.0, 701.0)
    assert learn_window([np.zeros((10, 10, 3), np.uint16)]) == (0.0, 1.0)


def test_samples_of_a_model_file_come_back(tmp_path: Path) -> None:
    from kizu.report import encode_image

    np.testing.assert_array_equal(decode_samples(encode_image(DEEP, ".png"), "a.png"), DEEP)
    with pytest.raises(ParameterError, match="uint8"):
        encode_image(DEEP, ".jpg")


def test_arrays_have_sides_as_files_have() -> None:
    for reading, image in ((Reading((100, 4000)), DEEP), (Reading(), blocks())):
        for small in (image[:7], image[:0], image[:, :7], image[:, :7, 0]):
            with pytest.raises(ParameterError, match=r"\d+×\d+ pixels are too few to inspect: each side"):
                reading.checked(small)
        assert reading.checked(image[:8, :8]).shape == (8, 8, 3)
