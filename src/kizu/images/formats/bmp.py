"""BMP: a file header, an information header of one of several lengths, rows padded to four bytes."""

from __future__ import annotations

import struct

from kizu.images.formats._base import Bytes, Format, Header, cut_short, damaged, take, unsupported

_PLAIN, _RUN_LENGTHS, _MASKED = {0}, {1, 2}, {3, 6}


def _information(data: Bytes) -> tuple[int, int, int, int, int]:
    """``(width, height, bits a pixel, compression, bytes of pixels as stated)``; height < 0 is top down."""
    length = int.from_bytes(take(data, 14, 4, "the header"), "little")
    if length == 12:
        width, height, _, depth = struct.unpack("<HHHH", take(data, 18, 8, "the header"))
        return width, height, depth, 0, 0
    if length < 40:
        raise damaged(f"an unknown header of {length} bytes")
    width, height, _, depth, packing, size = struct.unpack("<iiHHII", take(data, 18, 20, "the header"))
    return width, height, depth, packing, size


def _header(data: Bytes) -> Header:
    width, height, depth, packing, _ = _information(data)
    if packing not in _PLAIN | _RUN_LENGTHS | _MASKED:
        raise unsupported(f"a BMP of compression {packing}")
    if depth not in (1, 4, 8, 16, 24, 32):
        raise damaged(f"{depth} bits a pixel")
    return Header("BMP", width, abs(height))


def _verify(data: bytes, header: Header) -> Header:
    width, height, depth, packing, stated = _information(data)
    start = int.from_bytes(data[10:14], "little")
    if packing in _RUN_LENGTHS:
        end = start + stated if stated else int.from_bytes(data[2:6], "little")
    else:
        end = start + (width * depth + 31) // 32 * 4 * abs(height)
    if len(data) < end:
        raise cut_short(f"{len(data):,} of {end:,} bytes")
    return header


FORMAT = Format("BMP", lambda start: start.startswith(b"BM"), _header, _verify)
