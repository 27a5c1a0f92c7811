"""Every format, depth and kind of colour, against known pixels."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from images.making import HEIGHT, WIDTH, blocks, bmp, chunk, encode, packed, png, tiff
from kizu.images import decode_image, read_header, read_image, read_mask

RGB = blocks()
GREY = RGB[..., 0]
RGB16 = blocks(dtype=np.uint16)
GREY16 = RGB16[..., 0]
INVISIBLE = np.zeros((HEIGHT, WIDTH, 1), np.uint8)
RGBA = np.concatenate([RGB, INVISIBLE], axis=2)
RGBA16 = np.concatenate([RGB16, INVISIBLE.astype(np.uint16)], axis=2)
GREY_ALPHA16 = RGBA16[..., 2:]
PALETTE = np.random.default_rng(1).integers(0, 256, (16, 3), np.uint8)


def as_grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(values[..., None], 3, axis=2)


def to_eight(values: np.ndarray) -> np.ndarray:
    return np.round(values / 257).astype(np.uint8)


def rows_of(values: np.ndarray) -> np.ndarray:
    """Rows of bytes of 16-bit samples, high byte first."""
    return values.reshape(HEIGHT, -1).astype(">u2").view(np.uint8)


def run_lengths() -> bytes:
    """`GREY` as BMP run lengths, bottom up."""
    lines = (b"".join(bytes([8, row[x]]) for x in range(0, WIDTH, 8)) + b"\0\0" for row in GREY[::-1])
    return b"".join(lines) + b"\0\1"


GREYS = b"".join(bytes([level, level, level, 0]) for level in range(256))
FIVE_SIX_FIVE = struct.pack("<III", 0xF800, 0x07E0, 0x001F)
RGB_565 = (
    ((RGB[..., 0] >> 3).astype("<u2") << 11)
    | ((RGB[..., 1] >> 2).astype("<u2") << 5)
    | (RGB[..., 2] >> 3).astype("<u2")
)

EXACT = {
    "png rgb": (encode(RGB, "PNG"), RGB),
    "png grey": (encode(GREY, "PNG"), as_grey(GREY)),
    "png rgba": (encode(RGBA, "PNG"), RGB),
    "png grey alpha": (encode(Image.fromarray(RGBA[..., 2:], "LA"), "PNG"), as_grey(RGB[..., 2])),
    "png palette": (encode(Image.fromarray(RGB).convert("P", palette=1), "PNG"), RGB),
    "png 1 bit": (encode(Image.fromarray(GREY > 99), "PNG"), as_grey((GREY > 99) * np.uint8(255))),
    "png 2 bits": (png(packed(GREY >> 6, 2), 0, 2), as_grey((GREY >> 6) * np.uint8(85))),
    "png 4 bits": (png(packed(GREY >> 4, 4), 0, 4), as_grey((GREY >> 4) * np.uint8(17))),
    "png palette of 4 bits": (
        png(packed(GREY >> 4, 4), 3, 4, before=chunk(b"PLTE", PALETTE.tobytes())),
        PALETTE[GREY >> 4],
    ),
    "png palette with alpha": (
        png(packed(GREY >> 4, 4), 3, 4, before=chunk(b"PLTE", PALETTE.tobytes()) + chunk(b"tRNS", b"\0\7")),
        PALETTE[GREY >> 4],
    ),
    "png one colour clear": (png(GREY, 0, 8, before=chunk(b"tRNS", b"\0\0")), as_grey(GREY)),
    "png gamma": (
        png(RGB.reshape(HEIGHT, -1), 2, 8, before=chunk(b"gAMA", struct.pack(">I", 100_000))),
        RGB,
    ),
    "png 16 grey": (encode(GREY16, "PNG"), as_grey(to_eight(GREY16))),
    "png 16 rgb": (png(rows_of(RGB16), 2, 16), to_eight(RGB16)),
    "png 16 rgba": (png(rows_of(RGBA16), 6, 16), to_eight(RGB16)),
    "png 16 grey alpha": (png(rows_of(GREY_ALPHA16), 4, 16), as_grey(to_eight(RGB16[..., 2]))),
    "png animated": (encode(RGB, "PNG", save_all=True, append_images=[Image.fromarray(255 - RGB)]), RGB),
    "bmp rgb": (encode(RGB, "BMP"), RGB),
    "bmp grey": (encode(GREY, "BMP"), as_grey(GREY)),
    "bmp rgba": (encode(RGBA, "BMP"), RGB),
    "bmp palette": (encode(Image.fromarray(RGB).convert("P", palette=1), "BMP"), RGB),
    "bmp 1 bit": (encode(Image.fromarray(GREY > 99), "BMP"), as_grey((GREY > 99) * np.uint8(255))),
    "bmp top down": (bmp(WIDTH, -HEIGHT, 24, RGB[..., ::-1].tobytes()), RGB),
    "bmp 16 bits": (
        bmp(WIDTH, -HEIGHT, 16, RGB_565.tobytes(), packing=3, between=FIVE_SIX_FIVE),
        RGB & np.array([0xF8, 0xFC, 0xF8], np.uint8),
    ),
    "bmp run lengths": (bmp(WIDTH, HEIGHT, 8, run_lengths(), packing=1, between=GREYS), as_grey(GREY)),
    "tiff rgb": (encode(RGB, "TIFF"), RGB),
    "tiff grey": (encode(GREY, "TIFF"), as_grey(GREY)),
    "tiff rgba": (encode(RGBA, "TIFF"), RGB),
    "tiff rgba lzw": (encode(RGBA, "TIFF", compression="tiff_lzw"), RGB),
    "tiff rgba big endian": (tiff(RGBA, 2, big_endian=True, t338=2), RGB),
    "tiff rgba associated": (tiff(RGBA, 2, t338=1), RGB),
    "tiff grey alpha": (encode(Image.fromarray(RGBA[..., 2:], "LA"), "TIFF"), as_grey(RGB[..., 2])),
    "tiff palette": (encode(Image.fromarray(RGB).convert("P", palette=1), "TIFF"), RGB),
    "tiff 1 bit": (encode(Image.fromarray(GREY > 99), "TIFF"), as_grey((GREY > 99) * np.uint8(255))),
    "tiff zero is white": (tiff(255 - GREY, 0), as_grey(GREY)),
    "tiff 16 zero is white": (tiff(65535 - GREY16, 0), as_grey(to_eight(GREY16))),
    "tiff 16 grey": (encode(GREY16, "TIFF"), as_grey(to_eight(GREY16))),
    "tiff 16 grey big endian": (tiff(GREY16, 1, big_endian=True), as_grey(to_eight(GREY16))),
    "tiff 16 rgb": (tiff(RGB16, 2), to_eight(RGB16)),
    "tiff 16 rgba": (tiff(RGBA16, 2, t338=2), to_eight(RGB16)),
    "tiff cmyk": (encode(Image.fromarray(RGB).convert("CMYK"), "TIFF"), RGB),
    "tiff big": (encode(RGB, "TIFF", big_tiff=True), RGB),
    "tiff pages": (encode(RGB, "TIFF", save_all=True, append_images=[Image.fromarray(255 - RGB)]), RGB),
    "webp rgb": (encode(RGB, "WEBP"), RGB),
    "webp grey": (encode(GREY, "WEBP"), as_grey(GREY)),
    "webp rgba": (encode(RGBA, "WEBP"), RGB),
    **{
        f"tiff {name}": (encode(RGB, "TIFF", compression=name), RGB)
        for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits")
    },
}

NEAR = {
    "tiff 16 grey alpha": (tiff(GREY_ALPHA16, 1, t338=2), as_grey(to_eight(RGB16[..., 2]))),
    "jpeg rgb": (encode(RGB, "JPEG"), RGB),
    "jpeg progressive": (encode(RGB, "JPEG", progressive=True), RGB),
    "jpeg restarts": (encode(RGB, "JPEG", restart_marker_blocks=1), RGB),
    "jpeg grey": (encode(GREY, "JPEG"), as_grey(GREY)),
    "jpeg cmyk": (encode(Image.fromarray(RGB).convert("CMYK"), "JPEG"), RGB),
    "jpeg of two": (encode(RGB, "MPO", quality=95, subsampling=0, append_images=[Image.fromarray(RGB)]), RGB),
    "jpeg padded": (encode(RGB, "JPEG") + bytes(500), RGB),
    "webp lossy": (encode(as_grey(GREY), "WEBP", lossless=False, quality=100), as_grey(GREY)),
    "webp lossy alpha": (
        encode(np.concatenate([as_grey(GREY), INVISIBLE + 9], axis=2), "WEBP", lossless=False, quality=100),
        as_grey(GREY),
    ),
    "tiff jpeg": (encode(RGB, "TIFF", compression="jpeg", quality=100), RGB),
}


@pytest.mark.parametrize("name", EXACT)
def test_pixels_are_exact(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    data, expected = EXACT[name]
    image = decode_image(data, name)
    np.testing.assert_array_equal(image, expected)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert image.flags.writeable
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", NEAR)
def test_other_pixels_are_near(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    data, expected = NEAR[name]
    image = decode_image(data, name)
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).max() <= 6
    assert capfd.readouterr().err == ""


def test_sixteen_bits_round_over_the_full_range() -> None:
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    image = decode_image(encode(every, "PNG"), "all.png")
    np.testing.assert_array_equal(image[..., 0], np.round(every / 257))


@pytest.mark.parametrize("name", ["日本語.png", "Prüfteil größe.PNG", "деталь №5.jpg", "부품 😀.bmp", "a b'c\".webp"])
def test_names_in_any_script(tmp_path, name: str) -> None:
    folder = tmp_path / "検査データ"
    folder.mkdir()
    kinds = {".png": "PNG", ".jpg": "JPEG", ".bmp": "BMP", ".webp": "WEBP"}
    path = folder / name
    path.write_bytes(encode(RGB, kinds[path.suffix.lower()]))
    assert np.abs(read_image(path).astype(int) - RGB).max() <= 3
    np.testing.assert_array_equal(read_image(str(path)), read_image(path))


def test_the_content_counts_not_the_suffix(tmp_path) -> None:
    path = tmp_path / "really.jpg"
    path.write_bytes(encode(RGB, "PNG"))
    np.testing.assert_array_equal(read_image(path), RGB)
    assert read_header(path).format == "PNG"


@pytest.mark.parametrize("name", EXACT | NEAR)
def test_header_agrees_with_the_image(tmp_path, name: str) -> None:
    data, expected = (EXACT | NEAR)[name]
    path = tmp_path / "image"
    path.write_bytes(data)
    header = read_header(path)
    assert header.size == expected.shape[:2]
    assert header.format.lower() == name.split(maxsplit=1)[0]
    assert (header.bits == 16) == (" 16 " in name and not name.startswith("bmp"))


MARKED = np.zeros((HEIGHT, WIDTH), bool)
MARKED[5:13, 7:20] = True


@pytest.mark.parametrize(
    "data",
    [
        encode(MARKED * np.uint8(255), "PNG"),
        encode(MARKED * np.uint8(1), "PNG"),
        encode(MARKED * np.uint16(1), "PNG"),
        encode(Image.fromarray(MARKED), "PNG"),
        encode(MARKED * np.uint8(255), "BMP"),
        encode(MARKED * np.uint8(255), "TIFF"),
        encode(np.dstack([MARKED * np.uint8(0), MARKED * np.uint8(0), MARKED * np.uint8(1)]), "PNG"),
        encode(np.dstack([as_grey(MARKED * np.uint8(255)), np.full_like(MARKED, 255, np.uint8)]), "PNG"),
        encode(MARKED * np.uint8(255), "WEBP"),
        encode(MARKED * np.uint8(255), "JPEG", quality=90),
        encode(as_grey(MARKED * np.uint8(255)), "WEBP", lossless=False, quality=90),
        png(MARKED.astype(np.uint8), 3, 8, before=chunk(b"PLTE", bytes([0, 0, 0, 0, 0, 1]))),
        tiff(65535 - MARKED.astype(np.uint16), 0),
    ],
)
def test_masks_of_every_kind(tmp_path, data: bytes) -> None:
    path = tmp_path / "マスク.png"
    path.write_bytes(data)
    mask = read_mask(path)
    assert mask.dtype == np.bool_
    np.testing.assert_array_equal(mask, MARKED)
