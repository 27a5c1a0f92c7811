"""WebP (RFC 9649): a RIFF container; its first chunk is ``VP8 `` (lossy), ``VP8L`` or ``VP8X`` (extended)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from kizu.images.formats._base import Bytes, Format, Header, cut_short, damaged, take, unsupported
from kizu.images.formats._ifd import exif_orientation

_ANIMATED = 0x02


def _chunks(data: Bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield ``(name, start, length)`` of every chunk's data, up to the end the container states."""
    end = min(len(data), _end(data))
    at = 12
    while at + 8 <= end:
        name, length = struct.unpack("<4sI", take(data, at, 8, "the header"))
        yield name, at + 8, length
        at += 8 + length + length % 2


def _end(data: Bytes) -> int:
    return 8 + int.from_bytes(take(data, 4, 4, "the header"), "little")


def _header(data: Bytes) -> Header:
    canvas: tuple[int, int] | None = None
    orientation, lossy = 1, False
    for name, start, length in _chunks(data):
        if name == b"VP8X" and take(data, start, 1, "the header")[0] & _ANIMATED:
            raise unsupported("an animated WebP", "save_one_picture")
        if name in _SIZES:
            canvas = canvas or _SIZES[name](take(data, start, 10, "the header"))
            lossy = lossy or name == b"VP8 "
        elif name == b"EXIF":
            orientation = exif_orientation(data[start : start + length])
    if canvas is None:
        raise damaged("no image data")
    return Header("WebP", *canvas, orientation=orientation, lossy=lossy)


def _size_extended(raw: bytes) -> tuple[int, int]:
    return 1 + int.from_bytes(raw[4:7], "little"), 1 + int.from_bytes(raw[7:10], "little")


def _size_lossy(raw: bytes) -> tuple[int, int]:
    width, height = struct.unpack("<HH", raw[6:10])
    return width & 0x3FFF, height & 0x3FFF


def _size_lossless(raw: bytes) -> tuple[int, int]:
    packed = int.from_bytes(raw[1:5], "little")
    return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)


_SIZES = {b"VP8X": _size_extended, b"VP8 ": _size_lossy, b"VP8L": _size_lossless}


def _verify(data: bytes, header: Header) -> Header:
    end = _end(data)
    if len(data) < end:
        raise cut_short(f"{len(data):,} of {end:,} bytes")
    for name, start, length in _chunks(data):
        if start + length > end:
            raise damaged(f"chunk {name.decode('latin-1').strip()} is longer than the file")
    return header


FORMAT = Format("WebP", lambda start: start[:4] == b"RIFF" and start[8:12] == b"WEBP", _header, _verify)
