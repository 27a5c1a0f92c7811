"""Image files for tests: made by Pillow where it can, byte by byte where it cannot."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 24, 32


def blocks(channels: int = 3, dtype: Any = np.uint8, seed: int = 0) -> np.ndarray:
    """``(24, 32, channels)`` of 8×8 blocks of random colours, which lossy formats keep almost exactly."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, np.iinfo(dtype).max, (3, 4, channels), dtype, endpoint=True)
    return np.kron(small, np.ones((8, 8, 1), dtype))


def corner_marks() -> np.ndarray:
    """``(24, 32, 3)`` that looks different in each of the eight orientations."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[:8, :16] = (250, 10, 10)
    image[-8:, :8] = (10, 250, 10)
    return image


def encode(image: Image.Image | np.ndarray, kind: str, **options: Any) -> bytes:
    """Pillow's encoding, lossless or as near as the format comes."""
    defaults: dict[str, dict[str, Any]] = {
        "JPEG": {"quality": 95, "subsampling": 0},
        "WEBP": {"lossless": True, "exact": True},
    }
    buffer = io.BytesIO()
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(buffer, kind, **{**defaults.get(kind, {}), **options})
    return buffer.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    """One PNG chunk."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(
    rows: np.ndarray,
    colour: int,
    bits: int,
    *,
    size: tuple[int, int] = (HEIGHT, WIDTH),
    before: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """A PNG of packed rows ``(H, bytes)``; ``before`` and ``after`` are chunks around the pixels."""
    header = struct.pack(">IIBBBBB", size[1], size[0], bits, colour, 0, 0, 0)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    body = chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(raw)) + after
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def packed(values: np.ndarray, bits: int) -> np.ndarray:
    """Pack ``(H, W)`` samples of fewer than 8 bits into bytes, the first in the highest bits."""
    per = 8 // bits
    shifts = 8 - bits * (1 + np.arange(per))
    return (values.reshape(len(values), -1, per) << shifts).sum(axis=2).astype(np.uint8)


def tiff(pixels: np.ndarray, photometric: int, *, big_endian: bool = False, **tags: int) -> bytes:
    """An uncompressed TIFF of one strip; ``tags`` are further short tags, written ``t274=6``.

    Longer values lie before the pixels, the directory behind them.
    """
    order = ">" if big_endian else "<"
    height, width = pixels.shape[:2]
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    raw = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    kind = {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    bits = struct.pack(f"{order}{channels}H", *[pixels.dtype.itemsize * 8] * channels)
    values: dict[int, tuple[int, int, bytes]] = {
        number: (3, 1, struct.pack(order + "HH", value, 0))
        for number, value in {
            256: width, 257: height, 259: 1, 262: photometric, 277: channels, 278: height, 339: kind,
        }.items()
    }  # fmt: skip
    values[258] = (3, channels, bits)
    values[273] = (4, 1, struct.pack(order + "I", 8 + len(bits)))
    values[279] = (4, 1, struct.pack(order + "I", len(raw)))
    for name, value in tags.items():
        values[int(name[1:])] = (3, 1, struct.pack(order + "HH", value, 0))
    entries = b"".join(
        struct.pack(order + "HHI", number, code, count)
        + (value.ljust(4, b"\0") if len(value) <= 4 else struct.pack(order + "I", 8))
        for number, (code, count, value) in sorted(values.items())
    )
    directory = struct.pack(order + "H", len(values)) + entries + bytes(4)
    start = (b"MM\0*" if big_endian else b"II*\0") + struct.pack(order + "I", 8 + len(bits) + len(raw))
    return start + bits + raw + directory


def bmp(width: int, height: int, depth: int, pixels: bytes, *, packing: int = 0, between: bytes = b"") -> bytes:
    """A BMP of rows as given (a negative height: top down); ``between`` holds masks or a palette."""
    start = 14 + 40 + len(between)
    information = struct.pack("<IiiHHIIiiII", 40, width, height, 1, depth, packing, len(pixels), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + information + between + pixels


def huge_png(side: int) -> bytes:
    """A small file whose sound header promises ``side × side`` pixels."""
    return png(np.zeros((1, 10), np.uint8), 2, 8, size=(side, side))
