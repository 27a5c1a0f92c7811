"""Small data sets on disk, for tests."""

from __future__ import annotations

from pathlib import Path

from images.making import HEIGHT, WIDTH, blocks, encode

KINDS = {".png": "PNG", ".jpg": "JPEG", ".bmp": "BMP", ".tif": "TIFF", ".webp": "WEBP"}


def put(root: Path, *names: str, size: tuple[int, int] = (HEIGHT, WIDTH)) -> None:
    """Write a small image at each of ``names`` under ``root``, in the format its suffix says."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = blocks()[: size[0], : size[1]]
        path.write_bytes(encode(image, KINDS[path.suffix.lower()]))


def relative(root: Path, path: Path | None) -> str | None:
    """A path under ``root`` with forward slashes."""
    return None if path is None else path.relative_to(root).as_posix()
