"""JPEG (ITU-T T.81, annex B): segments, then scans of entropy-coded data, then the end mark EOI.

Decoders fill what is missing of a JPEG file with grey and say nothing, so completeness is checked here: a
whole file has an EOI after its last scan. Bytes behind EOI (a second picture, padding) are allowed.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from kizu.images.formats._base import Bytes, Format, Header, cut_short, damaged, take, unsupported
from kizu.images.formats._ifd import exif_orientation

_SOS, _EOI, _APP1 = 0xDA, 0xD9, 0xE1
_ALONE = {0x01, *range(0xD0, 0xD8)}
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_MARK_AFTER_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


def _segments(data: Bytes) -> Iterator[tuple[int, int, int]]:
    """Yield ``(marker, start, length)`` of the segments up to the first scan, that included."""
    at = 2
    while True:
        marker, at = _marker(data, at)
        if marker in _ALONE:
            continue
        if marker == _EOI:
            raise damaged("it ends before any image data")
        length = int.from_bytes(take(data, at, 2, "the image data"), "big")
        yield marker, at + 2, length - 2
        if marker == _SOS:
            return
        at += length


def _marker(data: Bytes, at: int) -> tuple[int, int]:
    """The marker at ``at`` and where it ends; fill bytes before it are skipped."""
    pair = take(data, at, 2, "the end mark EOI")
    if pair[0] != 0xFF:
        raise damaged(f"no marker at byte {at}")
    while pair[1] == 0xFF:
        at += 1
        pair = take(data, at, 2, "the end mark EOI")
    return pair[1], at + 2


def _header(data: Bytes) -> Header:
    frame: tuple[int, int, int] | None = None
    orientation = 1
    for marker, start, length in _segments(data):
        if marker in _FRAMES:
            frame = struct.unpack(">BHH", take(data, start, 5, "the header"))
        elif marker == _APP1 and orientation == 1:
            payload = data[start : start + length]
            orientation = exif_orientation(payload) if payload.startswith(b"Exif\0\0") else 1
    if frame is None:
        raise damaged("no image size before the image data")
    bits, height, width = frame
    if bits != 8:
        raise unsupported(f"a JPEG of {bits} bits a sample", "save_as_jpeg_or_png")
    return Header("JPEG", width, height, bits=bits, orientation=orientation, lossy=True)


def _verify(data: bytes, header: Header) -> Header:
    at = 2
    while True:
        marker, at = _marker(data, at)
        if marker == _EOI:
            return header
        if marker in _ALONE:
            continue
        at += int.from_bytes(take(data, at, 2, "the end mark EOI"), "big")
        if marker == _SOS:
            found = _MARK_AFTER_SCAN.search(data, at)
            if found is None:
                raise cut_short("the end mark EOI is missing")
            at = found.start()


FORMAT = Format("JPEG", lambda start: start.startswith(b"\xff\xd8\xff"), _header, _verify)
