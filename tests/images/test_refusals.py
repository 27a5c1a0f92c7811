"""Every bad input: one line that says which file, what is wrong and what to do; nothing else on stderr."""

from __future__ import annotations

import os
import socket
import struct
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from images.making import blocks, bmp, chunk, encode, huge_png, png, tiff
from kizu.errors import ImageError
from kizu.images import decode_image, read_bytes, read_header, read_image, read_mask

RGB = blocks()
GREY = RGB[..., 0]
PNG = encode(RGB, "PNG")
JPEG = encode(RGB, "JPEG")


def altered(data: bytes, at: int, to: bytes) -> bytes:
    return data[:at] + to + data[at + len(to) :]


def two_strip_tiff_with_a_hole() -> bytes:
    return altered(data := tiff(GREY, 1), data.rindex(struct.pack("<HHI", 273, 4, 1)) + 8, bytes(4))


BAD = {
    "empty": (b"", "the file is empty (0 bytes); copy it again from its source, or take it out"),
    "text": (
        b"path,label\n",
        "not an image kizu reads (PNG, JPEG, BMP, TIFF, WebP); save it as one of these, or take it out",
    ),
    "gif": (encode(Image.fromarray(GREY), "GIF"), "not an image kizu reads"),
    "zeros": (bytes(5000), "not an image kizu reads"),
    "1×1 png": (
        encode(RGB[:1, :1], "PNG"),
        "1×1 pixels are too few to inspect; each side must be at least 8; take the file out",
    ),
    "1×1 jpeg": (encode(RGB[:1, :1], "JPEG"), "1×1 pixels are too few"),
    "1×1 bmp": (encode(RGB[:1, :1], "BMP"), "1×1 pixels are too few"),
    "1×1 tiff": (encode(RGB[:1, :1], "TIFF"), "1×1 pixels are too few"),
    "1×1 webp": (encode(RGB[:1, :1], "WEBP"), "1×1 pixels are too few"),
    "narrow": (encode(RGB[:, :7], "PNG"), "7×24 pixels are too few"),
    "30,000² png": (
        huge_png(30_000),
        "30000×30000 is 900,000,000 pixels, more than the limit of 100,000,000; "
        "scale it down, or raise the limit with --max-pixels 900000000",
    ),
    "30,000² bmp": (bmp(30_000, 30_000, 24, b""), "30000×30000 is 900,000,000 pixels"),
    "30,000² jpeg": (
        altered(JPEG, JPEG.index(b"\xff\xc0") + 5, struct.pack(">HH", 30_000, 30_000)),
        "30000×30000 is 900,000,000 pixels",
    ),
    "beyond the decoder": (
        huge_png(2**31 - 1),
        "2147483647×2147483647 is 4,611,686,014,132,420,609 pixels, more than the limit of 100,000,000; "
        "scale it down",
    ),
    "no size": (huge_png(0), "the file is damaged (its size reads 0×0)"),
    "png checksum": (
        altered(PNG, PNG.index(b"IDAT") + 9, bytes([PNG[PNG.index(b"IDAT") + 9] ^ 1])),
        "the file is damaged (the checksum of IDAT is wrong); copy it again from its source, or take it out",
    ),
    "png too few data": (huge_png(9_000), "the file is damaged (too few data for 9000×9000 pixels)"),
    "png first chunk": (altered(PNG, 12, b"IDAT"), "its first chunk is not IHDR"),
    "jpeg stray bytes": (altered(JPEG, 20, b"\0\0"), "the file is damaged (no marker at byte 20)"),
    "jpeg without image": (JPEG[:20] + b"\xff\xd9", "it ends before any image data"),
    "jpeg without frame": (
        b"\xff\xd8" + JPEG[JPEG.index(b"\xff\xda") :],
        "no image size before the image data",
    ),
    "jpeg of 12 bits": (
        altered(JPEG, JPEG.index(b"\xff\xc0") + 4, b"\x0c"),
        "a JPEG of 12 bits a sample cannot be used; save it as 8-bit JPEG or 16-bit PNG",
    ),
    "bmp compression": (bmp(32, 24, 24, b"", packing=4), "a BMP of compression 4 cannot be used"),
    "bmp depth": (bmp(32, 24, 7, b""), "7 bits a pixel"),
    "bmp header": (altered(bmp(32, 24, 24, b""), 14, b"\x11"), "an unknown header of 17 bytes"),
    "float tiff": (
        tiff(GREY.astype(np.float32), 1),
        "a TIFF of 32-bit floating-point samples cannot be used; save it as 8- or 16-bit PNG",
    ),
    "signed tiff": (tiff(GREY.astype(np.int16), 1), "a TIFF of 16-bit signed samples cannot be used"),
    "32-bit tiff": (tiff(GREY.astype(np.uint32), 1), "a TIFF of 32 bits a sample cannot be used"),
    "12-bit tiff": (tiff(GREY, 1, t258=12), "a TIFF of 12 bits a sample cannot be used"),
    "16-bit cmyk tiff": (
        tiff(blocks(4, np.uint16), 5),
        "a 16-bit TIFF that is neither grey nor RGB cannot be used",
    ),
    "16-bit planes": (
        tiff(blocks(3, np.uint16), 2, t284=2),
        "a 16-bit TIFF with its colours in separate planes cannot be used",
    ),
    "lab tiff": (
        encode(Image.fromarray(RGB).convert("LAB"), "TIFF"),
        "a TIFF of CIELab colours cannot be used; save it as 8- or 16-bit PNG",
    ),
    "packed lab tiff": (
        encode(Image.fromarray(RGB).convert("LAB"), "TIFF", compression="tiff_lzw"),
        "a TIFF of CIELab colours cannot be used",
    ),
    "icc lab tiff": (tiff(RGB, 9), "a TIFF of ICC Lab colours cannot be used"),
    "raw tiff": (tiff(GREY, 32803), "a TIFF of photometric interpretation 32803 cannot be used"),
    "tiff hole": (two_strip_tiff_with_a_hole(), "a part of the image was never written"),
    "tiff without data": (
        b"II*\0\x08\0\0\0\2\0" + struct.pack("<HHIIHHIII", 256, 3, 1, 32, 257, 3, 1, 24, 0),
        "no image data",
    ),
    "tiff without size": (b"II*\0\x08\0\0\0\0\0\0\0\0\0", "no image size"),
    "animated webp": (
        encode(RGB, "WEBP", save_all=True, append_images=[Image.fromarray(255 - RGB)]),
        "an animated WebP cannot be used; save the one picture that counts as PNG",
    ),
    "webp without image": (b"RIFF\x04\0\0\0WEBP", "the file is damaged (no image data)"),
    "webp rubbish": (
        altered(data := encode(RGB, "WEBP"), 25, bytes(len(data) - 25)),
        "cannot be decoded, though it looks like WebP; copy it again from its source, save it anew, or take",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused(tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    data, problem = BAD[name]
    path = tmp_path / "部品.png"
    path.write_bytes(data)
    for read in (read_image, read_mask, lambda path: decode_image(data, path)):
        with pytest.raises(ImageError) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert problem in caught.value.problem
        assert "\n" not in str(caught.value)
        assert caught.value.path == path
    assert capfd.readouterr().err == ""


def test_the_limit_can_be_moved(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    assert read_image(path, max_pixels=24 * 32).shape == (24, 32, 3)
    with pytest.raises(ImageError, match=r"32×24 is 768 pixels, more than the limit of 767; .* --max-pixels 768"):
        read_image(path, max_pixels=767)


def test_what_opencv_cannot_decode_is_not_offered_the_switch(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(huge_png(40_000))
    with pytest.raises(ImageError, match=r"more than the limit of 1,073,741,824; scale it down$"):
        read_image(path, max_pixels=10**12)


@pytest.mark.parametrize("name", ["30,000² png", "30,000² bmp", "30,000² jpeg"])
def test_huge_images_take_no_memory(tmp_path: Path, name: str) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as file:  # a sparse file, which occupies almost nothing
        file.write(BAD[name][0])
        file.truncate(200_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match="900,000,000 pixels"):
            read_image(path)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_no_such_file(tmp_path: Path) -> None:
    path = tmp_path / "無い.png"
    expected = f"{path}: no such file; check the name, or whether the drive is connected"
    for read in (read_image, read_mask, read_header):
        with pytest.raises(ImageError) as caught:
            read(path)
        assert str(caught.value) == expected


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "folder.png"
    path.mkdir()
    with pytest.raises(ImageError, match=r"is a folder, not an image|no permission"):
        read_image(path)
    with pytest.raises(ImageError, match=r"is a folder, not an image|no permission"):
        read_bytes(path)


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(path.name)  # whole paths may be longer than the system takes


def link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def link_to_a_pipe(path: Path) -> None:
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to("pipe")


@pytest.mark.skipif(sys.platform == "win32", reason="no such files there")
@pytest.mark.parametrize("make", [make_pipe, make_socket, link_to_a_device, link_to_a_pipe])
def test_what_is_no_ordinary_file_is_never_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None]
) -> None:
    monkeypatch.chdir(tmp_path)
    make(path := tmp_path / "a.png")
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("opening it may wait for ever"))
    for read in (read_image, read_mask, read_header, read_bytes):
        with pytest.raises(ImageError) as caught:
            read(path)
        assert str(caught.value) == f"{path}: is not an ordinary file; remove it, or leave it out"


def test_a_link_to_an_image_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "b.png").symlink_to("a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "b.png"), RGB)
    assert read_bytes(tmp_path / "b.png") == PNG


def test_a_link_to_itself_is_named(tmp_path: Path) -> None:
    path = tmp_path / "loop.png"
    path.symlink_to("loop.png")
    with pytest.raises(ImageError, match=r"loop\.png: cannot be read \(.+\); check the drive"):
        read_image(path)


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (PermissionError(13, "Permission denied"), "no permission to read it; change its permissions"),
        (
            OSError(5, "Input/output error"),
            r"cannot be read \(Input/output error\); check the drive or network",
        ),
        (OSError(116, "Stale file handle"), r"cannot be read \(Stale file handle\)"),
    ],
)
def test_what_the_system_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, problem: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Path, "open", refuse)
    for read in (read_image, read_mask, read_header):
        with pytest.raises(ImageError, match=problem):
            read(tmp_path / "a.png")


def test_a_name_no_system_allows() -> None:
    with pytest.raises(ImageError, match="cannot be read"):
        read_image("a\0b.png")


@pytest.mark.parametrize("name", ["text", "empty", "float tiff", "jpeg without image"])
def test_headers_are_refused_in_the_same_words(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(BAD[name][0])
    with pytest.raises(ImageError) as caught:
        read_header(path)
    assert BAD[name][1] in caught.value.problem


def test_a_header_beyond_any_limit_is_still_read(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(huge_png(30_000))
    assert read_header(path).size == (30_000, 30_000)


def test_opencv_keeps_its_own_log_level() -> None:
    from kizu.images._quiet import _log_module

    log = _log_module()
    before = log.getLogLevel()
    with pytest.raises(ImageError):
        decode_image(BAD["webp rubbish"][0], "a.webp")
    assert log.getLogLevel() == before


SOUND = {
    "PNG": PNG,
    "JPEG": JPEG,
    "BMP": encode(RGB, "BMP"),
    "TIFF": encode(RGB, "TIFF", compression="tiff_lzw"),
    "WebP": encode(RGB, "WEBP", exif=Image.Exif()),
}


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(sorted(SOUND)), st.data())
def test_altered_files_give_an_image_or_our_error(kind: str, draw: st.DataObject) -> None:
    data = bytearray(SOUND[kind])
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        image = decode_image(bytes(data), "altered", max_pixels=1_000_000)
    except ImageError:
        return
    assert image.ndim == 3
    assert image.dtype == np.uint8


@settings(deadline=None)
@given(
    st.sampled_from([b"", b"II*\0", b"MM\0*", b"II+\0", b"\xff\xd8\xff", b"BM", PNG[:16], b"RIFF"]),
    st.binary(),
)
def test_rubbish_gives_our_error(start: bytes, rest: bytes) -> None:
    with pytest.raises(ImageError):
        decode_image(start + rest, "rubbish")


def test_private_chunks_may_be_wrong() -> None:
    extra = chunk(b"teSt", b"abc")
    data = png(RGB.reshape(len(RGB), -1), 2, 8, before=extra[:-1] + bytes([extra[-1] ^ 1]))
    np.testing.assert_array_equal(decode_image(data, "a.png"), RGB)


def test_reading_leaves_no_file_open(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    read_image(path)
    read_header(path)
    path.replace(tmp_path / "b.png")
