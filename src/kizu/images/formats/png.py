"""PNG (https://www.w3.org/TR/png-3/): length, name, data, checksum, chunk after chunk up to IEND."""

from __future__ import annotations

import dataclasses
import struct
import zlib
from collections.abc import Iterator

from kizu.images.formats._base import Bytes, Format, Header, cut_short, damaged, take
from kizu.images.formats._ifd import exif_orientation

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_LARGEST_RATIO = 1032  # deflate cannot pack more than this many bytes into one


def _chunks(data: Bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield ``(name, start, length)`` of every chunk's data, in order, up to and with IEND."""
    at = len(SIGNATURE)
    while True:
        length, name = struct.unpack(">I4s", take(data, at, 8, "the end mark IEND"))
        if at + 12 + length > len(data):
            raise cut_short("the end mark IEND is missing")
        yield name, at + 8, length
        if name == b"IEND":
            return
        at += 12 + length


def _header(data: Bytes) -> Header:
    length, name = struct.unpack(">I4s", take(data, len(SIGNATURE), 8, "the header"))
    if name != b"IHDR" or length != 13:
        raise damaged("its first chunk is not IHDR")
    width, height, bits = struct.unpack(">IIB", take(data, 16, 17, "the header")[:9])
    return Header("PNG", width, height, bits=bits, orientation=_orientation(data))


def _orientation(data: Bytes) -> int:
    """The orientation of an eXIf chunk before the pixels; one behind them is found by `_verify`."""
    for name, start, length in _chunks(data):
        if name == b"eXIf":
            return exif_orientation(data[start : start + length])
        if name == b"IDAT":
            break
    return 1


def _verify(data: bytes, header: Header) -> Header:
    packed = 0
    view = memoryview(data)
    for name, start, length in _chunks(data):
        if name[:1].isupper():  # chunks that decoding needs
            _check_sum(view, name, start, length)
        if name == b"IDAT":
            packed += length
        if name == b"eXIf":
            orientation = exif_orientation(data[start : start + length])
            header = dataclasses.replace(header, orientation=orientation)
    if _unpacked_bytes(data) > packed * _LARGEST_RATIO:
        raise damaged(f"too few data for {header.width}×{header.height} pixels")
    return header


def _check_sum(view: memoryview, name: bytes, start: int, length: int) -> None:
    stored = int.from_bytes(view[start + length : start + length + 4], "big")
    if zlib.crc32(view[start - 4 : start + length]) != stored:
        raise damaged(f"the checksum of {name.decode('latin-1')} is wrong")


def _unpacked_bytes(data: bytes) -> int:
    """Bytes of the pixels, by the header."""
    width, height, bits, kind = struct.unpack(">IIBB", data[16:26])
    return int(height) * ((int(width) * int(bits) * _CHANNELS.get(kind, 1) + 7) // 8)


FORMAT = Format("PNG", lambda start: start.startswith(SIGNATURE), _header, _verify)
