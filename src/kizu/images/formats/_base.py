"""What every format's file shares: the header it yields and the words for what is wrong with a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from kizu.wording import Wording


class Bytes(Protocol):
    """The bytes of a file, held in memory or read from disk as they are asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: slice, /) -> bytes: ...


class UnusableError(Exception):
    """A file kizu cannot use: why, and what to do, but not which file."""

    def __init__(self, reason: Wording, remedy: Wording) -> None:
        super().__init__(reason, remedy)
        self.reason = reason
        self.remedy = remedy


@dataclass(frozen=True)
class Header:
    """What a file says of its image before any pixel is decoded."""

    format: str
    """"PNG", "JPEG", "BMP", "TIFF" or "WebP"."""
    width: int
    """Columns as stored, before EXIF orientation."""
    height: int
    """Rows as stored, before EXIF orientation."""
    bits: int = 8
    """Bits a sample."""
    orientation: int = 1
    """EXIF orientation, 1 to 8; 1 is upright."""
    lossy: bool = False
    """Whether compression may have changed pixel values (JPEG, lossy WebP)."""
    inverted: bool = False
    """Whether the decoder leaves zero meaning white (16-bit TIFF)."""
    blank: tuple[int, int] | None = None
    """Bytes ``[start, stop)`` to zero before decoding, lest the decoder multiply colours by alpha (TIFF)."""
    opaque: bool = False
    """Whether the decoder gives an alpha that the file does not have (CMYK TIFF)."""
    more_pages: bool = False
    """Whether pages follow the first (TIFF)."""

    @property
    def size(self) -> tuple[int, int]:
        """``(height, width)`` in pixels as the image is shown, after orientation.

        >>> Header("JPEG", width=640, height=480, orientation=6).size
        (640, 480)
        """
        return (self.width, self.height) if self.orientation >= 5 else (self.height, self.width)


@dataclass(frozen=True)
class Format:
    """One file format: how to know it, what its header says, whether a file is whole."""

    name: str
    matches: Callable[[bytes], bool]
    """Given the first 16 bytes."""
    header: Callable[[Bytes], Header]
    """Reads little; raises `UnusableError`."""
    verify: Callable[[bytes, Header], Header]
    """Reads the whole file; raises `UnusableError` when part is missing; the header again, completed."""
    decoder_turns: bool = False
    """Whether the decoder applies the orientation by itself."""


def cut_short(detail: str) -> UnusableError:
    """The file ends before its image does."""
    return UnusableError(Wording("file_cut_short", {"detail": detail}), Wording("copy_again"))


def damaged(detail: str) -> UnusableError:
    """The file contradicts itself."""
    return UnusableError(Wording("file_damaged", {"detail": detail}), Wording("copy_again"))


def unsupported(detail: str, remedy: str = "save_as_png") -> UnusableError:
    """A sound file of a kind kizu does not read; ``remedy``: the key of what to do."""
    return UnusableError(Wording("file_unsupported", {"detail": detail}), Wording(remedy))


def take(data: Bytes, start: int, count: int, what: str) -> bytes:
    """``count`` bytes from ``start``; raises `UnusableError` naming ``what`` where the file ends before."""
    piece = data[start : start + count] if start >= 0 else b""
    if len(piece) < count:
        raise cut_short(f"{what} is missing")
    return piece
