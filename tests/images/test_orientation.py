"""EXIF orientation, in every format that can carry it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from images.making import chunk, corner_marks, encode, png, tiff
from kizu.images import decode_image, read_header, read_mask

MARKS = corner_marks()
SHOWN = {
    1: MARKS,
    2: MARKS[:, ::-1],
    3: MARKS[::-1, ::-1],
    4: MARKS[::-1],
    5: MARKS.swapaxes(0, 1),
    6: np.rot90(MARKS, -1),
    7: np.rot90(MARKS.swapaxes(0, 1), 2),
    8: np.rot90(MARKS, 1),
}


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[274] = orientation
    return tags


def turned(kind: str, orientation: int) -> bytes:
    if kind == "PNG, behind the pixels":
        tags = chunk(b"eXIf", exif(orientation).tobytes().removeprefix(b"Exif\0\0"))
        return png(MARKS.reshape(len(MARKS), -1), 2, 8, after=tags)
    if kind == "TIFF":
        return encode(MARKS, "TIFF", tiffinfo={274: orientation})
    if kind == "TIFF, 16 bits":
        return tiff(MARKS.astype(np.uint16) * 257, 2, t274=orientation)
    return encode(MARKS, kind, exif=exif(orientation))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "PNG, behind the pixels", "WEBP", "TIFF", "TIFF, 16 bits"])
def test_images_come_upright(kind: str, orientation: int) -> None:
    image = decode_image(turned(kind, orientation), "turned")
    expected = SHOWN[orientation]
    assert image.shape == expected.shape
    assert image.flags.c_contiguous
    assert np.abs(image.astype(int) - expected).max() <= (4 if kind == "JPEG" else 0)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_means_what_pillow_means(orientation: int) -> None:
    data = turned("PNG", orientation)
    reference = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(decode_image(data, "turned"), np.asarray(reference))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_header_gives_the_size_as_shown(tmp_path, kind: str) -> None:
    path = tmp_path / "turned"
    path.write_bytes(turned(kind, 6))
    assert read_header(path).size == (MARKS.shape[1], MARKS.shape[0])


def test_masks_are_turned_too(tmp_path) -> None:
    path = tmp_path / "mask.png"
    path.write_bytes(turned("PNG", 8))
    np.testing.assert_array_equal(read_mask(path), SHOWN[8].any(axis=2))


@pytest.mark.parametrize("value", [0, 9, 255])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF, 16 bits"])
def test_values_without_meaning_leave_the_image_as_it_is(kind: str, value: int) -> None:
    assert decode_image(turned(kind, value), "odd").shape == MARKS.shape


def test_nonsense_instead_of_exif_is_ignored() -> None:
    data = encode(MARKS, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert decode_image(data, "odd.jpg").shape == MARKS.shape
