"""Tag directories, as TIFF files and EXIF data hold them (TIFF 6.0, section 2; BigTIFF)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from kizu.images.formats._base import Bytes, UnusableError, cut_short, damaged, take

ORIENTATION = 274

_SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
_INTEGERS = {3: "H", 4: "I", 16: "Q"}


@dataclass(frozen=True)
class Directory:
    """A directory: integer values by tag, where in the file each value starts, and the next directory (0: none)."""

    values: dict[int, tuple[int, ...]]
    places: dict[int, int]
    following: int = 0

    def first(self, tag: int, default: int) -> int:
        """The first value of a tag, or ``default`` where the tag is absent."""
        return self.values.get(tag, (default,))[0]


@dataclass(frozen=True)
class _Layout:
    """Byte order and field widths: classic TIFF has 4-byte offsets, BigTIFF 8-byte ones."""

    order: str
    offset: str
    count: str
    start: int

    def number(self, code: str, raw: bytes) -> int:
        return int(struct.unpack(self.order + code, raw)[0])


def read_directory(data: Bytes, *, strict: bool = True, at: int | None = None) -> Directory:
    """Read the first directory, or the one ``at`` a byte. Strict: a value beyond the end of the file raises
    `UnusableError`.
    """
    layout = _layout(data)
    width = struct.calcsize("=" + layout.offset)
    first = take(data, layout.start, width, "the first directory")
    start = layout.number(layout.offset, first) if at is None else at
    head = struct.calcsize("=" + layout.count)
    entries = layout.number(layout.count, take(data, start, head, "the tag directory"))
    size = 4 + 2 * width
    table = take(data, start + head, entries * size, "the tag directory")
    following = 0
    if strict:
        end = take(data, start + head + entries * size, width, "the end of the tag directory")
        following = layout.number(layout.offset, end)
    values: dict[int, tuple[int, ...]] = {}
    places: dict[int, int] = {}
    for index in range(entries):
        try:
            place = start + head + index * size
            _read_entry(data, layout, place, table[index * size :][:size], values, places)
        except UnusableError:
            if strict:
                raise
    return Directory(values, places, following)


def _layout(data: Bytes) -> _Layout:
    orders = {b"II": "<", b"MM": ">"}
    mark = take(data, 0, 4, "the header")
    order = orders.get(mark[:2])
    version = struct.unpack(f"{order}H", mark[2:])[0] if order else 0
    if order is None or version not in (42, 43):
        raise damaged("no TIFF header")
    return _Layout(order, "I", "H", 4) if version == 42 else _Layout(order, "Q", "Q", 8)


def _read_entry(
    data: Bytes,
    layout: _Layout,
    at: int,
    entry: bytes,
    values: dict[int, tuple[int, ...]],
    places: dict[int, int],
) -> None:
    """Put one entry's values, if they are integers, under its tag; ``at`` is where the entry starts."""
    width = (len(entry) - 4) // 2
    tag, kind = struct.unpack(layout.order + "HH", entry[:4])
    count = layout.number(layout.offset, entry[4 : 4 + width])
    length = count * _SIZES.get(kind, 0)
    place = at + 4 + width if length <= width else layout.number(layout.offset, entry[4 + width :])
    if place + length > len(data):
        raise cut_short(f"the value of tag {tag} is missing")
    if kind in _INTEGERS and count:
        raw = take(data, place, length, f"the value of tag {tag}")
        values[tag] = struct.unpack(f"{layout.order}{count}{_INTEGERS[kind]}", raw)
        places[tag] = place


def exif_orientation(payload: bytes) -> int:
    """The orientation in EXIF data, 1 to 8; 1 where there is none or the data are odd.

    >>> exif_orientation(b"nonsense")
    1
    """
    try:
        found = read_directory(payload.removeprefix(b"Exif\0\0"), strict=False).first(ORIENTATION, 1)
    except UnusableError:
        return 1
    return found if 1 <= found <= 8 else 1
