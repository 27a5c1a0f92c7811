"""Files cut anywhere are refused, in every format: no decoder's half-grey image gets through."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from images.making import blocks, encode, tiff
from kizu.errors import ImageError
from kizu.images import decode_image

NOISE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
RGB = blocks()
EXIF = Image.Exif()
EXIF[274] = 1


def by_opencv(suffix: str, image: np.ndarray) -> bytes:
    return cv2.imencode(suffix, image)[1].tobytes()


WHOLE = {
    "PNG": encode(NOISE, "PNG"),
    "PNG by OpenCV": by_opencv(".png", NOISE),
    "PNG of 16 bits": by_opencv(".png", NOISE.astype(np.uint16) * 257),
    "JPEG": encode(NOISE, "JPEG"),
    "JPEG, progressive": encode(NOISE, "JPEG", progressive=True),
    "JPEG, restarts": encode(NOISE, "JPEG", restart_marker_blocks=2),
    "JPEG by OpenCV": by_opencv(".jpg", NOISE),
    "BMP": encode(NOISE, "BMP"),
    "BMP by OpenCV": by_opencv(".bmp", NOISE[..., 0]),
    "TIFF": tiff(NOISE, 2),
    "TIFF by Pillow": encode(NOISE, "TIFF"),
    "TIFF, LZW": encode(NOISE, "TIFF", compression="tiff_lzw"),
    "TIFF, deflate": encode(NOISE, "TIFF", compression="tiff_adobe_deflate"),
    "TIFF, BigTIFF": encode(NOISE, "TIFF", big_tiff=True),
    "TIFF by OpenCV": by_opencv(".tiff", NOISE.astype(np.uint16)),
    "WebP": encode(NOISE, "WEBP"),
    "WebP, lossy": encode(NOISE, "WEBP", lossless=False),
    "WebP with EXIF": encode(NOISE, "WEBP", exif=EXIF),
    "WebP by OpenCV": by_opencv(".webp", NOISE),
}


def test_whole_files_are_read() -> None:
    for name, data in WHOLE.items():
        assert decode_image(data, name).shape == NOISE.shape


@pytest.mark.parametrize("name", WHOLE)
def test_cut_files_are_refused(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    data = WHOLE[name]
    percents = {len(data) * percent // 100 for percent in (1, 5, 10, 25, 50, 75, 90, 95, 99)}
    cuts = percents | set(range(30)) | set(range(30, len(data), 97)) | set(range(len(data) - 30, len(data)))
    for cut in sorted(cuts):
        with pytest.raises(ImageError) as caught:
            decode_image(data[:cut], name)
        if cut >= 200:
            assert "the file is cut short (" in caught.value.problem, cut
            assert "; copy it again from its source, or take it out" in caught.value.problem
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF", "WEBP"])
def test_a_file_still_being_copied_is_refused(tmp_path, kind: str) -> None:
    """Copying programs may set the length first and fill in the bytes later."""
    data = encode(RGB, kind)
    path = tmp_path / "copying"
    path.write_bytes(data[: len(data) // 20].ljust(len(data), b"\0"))
    if kind == "BMP":  # has nothing to tell missing pixels from black ones
        assert decode_image(path.read_bytes(), path).shape == RGB.shape
        return
    with pytest.raises(ImageError):
        decode_image(path.read_bytes(), path)
