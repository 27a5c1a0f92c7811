"""The one reader: PNG, JPEG, BMP, TIFF and WebP files to upright 8-bit RGB.

- Files are opened by Python, so names may be in any script on any system.
- Pipes, sockets and devices are refused before they are opened: opening one may wait for ever.
- The header is read first: what is too large, too small or of an unknown kind is refused before anything is
  decoded.
- A file that ends early is refused; decoders would fill the rest with grey and say nothing. (Altered bytes
  inside pixel data are found in PNG alone: the other formats carry no checksums.)
- `read_image` makes 8-bit samples of 16-bit ones by full range, ``round(x / 257)``, whatever part of the range a
  camera fills; `read_samples` leaves them as they are (`kizu.images.samples` says what becomes of them).
- Alpha is dropped, not blended: the colours are those stored.
- EXIF orientation is applied, in every format that can carry it.
- Of a file with several pages or pictures, the first is read, unless channels are asked for that lie on others.
"""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from kizu.errors import ImageError
from kizu.images._decoding import decode, reduction_of
from kizu.images.formats import Bytes, Format, Header, UnusableError, check_pages, identify
from kizu.wording import Wording

DEFAULT_MAX_PIXELS = 100_000_000
"""Images of more pixels than this are refused unless the caller says otherwise."""

MIN_SIDE = 8
"""Images with a side of fewer pixels than this are refused."""


_DECODER_LIMIT = 2**30  # OpenCV decodes no more


def read_image(path: Path | str, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> NDArray[np.uint8]:
    """Read one image file.

    Returns:
        ``(H, W, 3)`` RGB ``uint8``, upright, C-contiguous and writable.

    Raises:
        ImageError: the file cannot be opened, is no ordinary one, is empty, cut short, damaged, not an image, of a
            kind of sample that is not supported, smaller than `MIN_SIDE` or larger than ``max_pixels``.
    """
    return eight_bits(read_samples(path, max_pixels=max_pixels))


def decode_image(data: bytes, path: Path | str, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> NDArray[np.uint8]:
    """Like `read_image`, from the bytes of a file; ``path`` is the name for messages."""
    return eight_bits(decode_samples(data, path, max_pixels=max_pixels))


def read_samples(
    path: Path | str,
    *,
    channels: Sequence[int] | None = None,
    least: int | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> NDArray[Any]:
    """Read one image file at the depth it has.

    ``channels``: the three that become the planes, or one for all three, numbered from 0: red, green, blue, alpha, or
    a grey one; those of a TIFF's second page go on after those of its first. None: its colours, or its grey thrice.
    ``least``: JPEG files are decoded at a half, a quarter or an eighth of their size (rounded up), the smallest whose
    sides have ``least`` pixels or more; None, or with ``channels``: at full size.

    Returns:
        ``(H, W, 3)`` RGB ``uint8`` or ``uint16``, upright, C-contiguous and writable.

    Raises:
        ImageError: as `read_image`, and where the file has no such channel.
    """
    data, kind, header = _load(Path(path), max_pixels)
    if channels is not None:
        return _chosen(data, kind, header, Path(path), channels)
    return _colours(data, kind, header, Path(path), reduction_of(header, least))


def decode_samples(data: bytes, path: Path | str, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> NDArray[Any]:
    """Like `read_samples`, from the bytes of a file; ``path`` is the name for messages."""
    kind, header = _inspect(data, Path(path), max_pixels)
    return _colours(data, kind, header, Path(path))


def eight_bits(samples: NDArray[Any]) -> NDArray[np.uint8]:
    """``uint16`` samples as ``uint8``, by full range: ``round(x / 257)``, exactly; ``uint8`` ones as they are."""
    if samples.dtype == np.uint16:
        wide = samples.astype(np.uint32)
        wide *= 255
        wide += 32_895
        wide >>= 16
        samples = wide.astype(np.uint8)
    return cast(NDArray[np.uint8], samples)


def read_mask(path: Path | str, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> NDArray[np.bool_]:
    """Read a mask file: true where a pixel is marked.

    Marked is any value above 0 in any channel (0/1 and 0/255 masks, palettes, 16 bits); alpha does not count.
    In lossy files (JPEG) it is 128 and above, since compression leaves faint marks around edges.

    Returns:
        ``(H, W)`` ``bool``, upright.

    Raises:
        ImageError: as `read_image`.
    """
    data, kind, header = _load(Path(path), max_pixels)
    decoded, header = decode(data, kind, header, Path(path))
    return cast(NDArray[np.bool_], (decoded > (127 if header.lossy else 0)).any(axis=2))


def read_header(path: Path | str) -> Header:
    """What a file says of its image, from a few of its bytes: format, size, bits a sample.

    Raises:
        ImageError: the file cannot be opened, or its header not be understood.
    """
    path = Path(path)
    try:
        with _opened(path) as file:
            return identify(_Window(file))[1]
    except UnusableError as problem:
        raise ImageError(path, problem.reason, problem.remedy) from None
    except (OSError, ValueError) as error:
        raise _unopened(path, error) from None


def read_bytes(path: Path | str) -> bytes:
    """A file as it is. Raises `ImageError` where it cannot be opened."""
    try:
        with _opened(Path(path)) as file:
            return file.read()
    except (OSError, ValueError) as error:
        raise _unopened(Path(path), error) from None


class _Window:
    """A file's bytes, read from disk as they are asked for."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._length = file.seek(0, 2)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, key: slice, /) -> bytes:
        start, stop, _ = key.indices(self._length)
        self._file.seek(start)
        return self._file.read(max(0, stop - start))


def _load(path: Path, max_pixels: int) -> tuple[bytes, Format, Header]:
    """The whole file, once its header has passed."""
    try:
        with _opened(path) as file:
            kind, header = _inspect(_Window(file), path, max_pixels)
            file.seek(0)
            return file.read(), kind, header
    except (OSError, ValueError) as error:
        raise _unopened(path, error) from None


def _opened(path: Path) -> BinaryIO:
    if _is_special(path):
        raise ImageError(path, Wording("file_special"), Wording("remove_or_leave_out"))
    return path.open("rb")


def _is_special(path: Path) -> bool:
    """Whether a path leads to a pipe, a socket or a device."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False  # opening it says what is wrong
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _unopened(path: Path, error: OSError | ValueError) -> ImageError:
    if isinstance(error, FileNotFoundError):
        return ImageError(path, Wording("file_missing"), Wording("check_name"))
    if isinstance(error, IsADirectoryError):
        return ImageError(path, Wording("file_is_folder"), Wording("give_file"))
    if isinstance(error, PermissionError):
        return ImageError(path, Wording("file_forbidden"), Wording("change_permissions"))
    detail = getattr(error, "strerror", None) or str(error)
    return ImageError(path, Wording("file_unopened", {"detail": detail}), Wording("check_drive"))


def _inspect(data: Bytes, path: Path, max_pixels: int) -> tuple[Format, Header]:
    try:
        kind, header = identify(data)
    except UnusableError as problem:
        raise ImageError(path, problem.reason, problem.remedy) from None
    _check_size(header, path, max_pixels)
    return kind, header


def _check_size(header: Header, path: Path, max_pixels: int) -> None:
    height, width = header.size
    pixels, limit = height * width, min(max_pixels, _DECODER_LIMIT)
    size = {"width": width, "height": height}
    if pixels > limit:
        allow = Wording("scale_down_or_allow", {"pixels": pixels})
        remedy = allow if pixels <= _DECODER_LIMIT else Wording("scale_down")
        raise ImageError(path, Wording("image_too_large", {**size, "pixels": pixels, "limit": limit}), remedy)
    if min(height, width) < MIN_SIDE:
        raise ImageError(path, Wording("image_too_small", size), Wording("take_out_small", {"side": MIN_SIDE}))


def _colours(data: bytes, kind: Format, header: Header, path: Path, reduction: int = 1) -> NDArray[Any]:
    import cv2

    decoded, _ = decode(data, kind, header, path, reduction=reduction)
    return cast(NDArray[Any], cv2.cvtColor(np.ascontiguousarray(decoded), cv2.COLOR_BGR2RGB))


def _chosen(data: bytes, kind: Format, header: Header, path: Path, channels: Sequence[int]) -> NDArray[Any]:
    """The planes that ``channels`` names, of whatever page."""
    first = _all_channels(data, kind, header, path, 0)
    each = first.shape[2]
    numbers = {channel // each for channel in channels}
    try:
        count = check_pages(data, numbers) if header.format == "TIFF" else 1
    except UnusableError as problem:
        raise ImageError(path, problem.reason, problem.remedy) from None
    missing = [channel for channel in channels if channel // each >= count]
    if missing:
        reason = Wording("too_few_channels", {"n": count * each, "channel": missing[0]})
        raise ImageError(path, reason, Wording("ask_for_other_channels"))
    pages = {n: _all_channels(data, kind, header, path, n) if n else first for n in sorted(numbers)}
    three = list(channels) * (3 if len(channels) == 1 else 1)
    return np.stack([pages[channel // each][..., channel % each] for channel in three], axis=2)


def _all_channels(data: bytes, kind: Format, header: Header, path: Path, page: int) -> NDArray[Any]:
    """``(H, W, C)``, the colours in the order red, green, blue, alpha."""
    decoded, header = decode(data, kind, header, path, page)
    decoded = decoded[..., :3] if header.opaque else decoded
    return decoded[..., [2, 1, 0, 3][: decoded.shape[2]]] if decoded.shape[2] > 1 else decoded
