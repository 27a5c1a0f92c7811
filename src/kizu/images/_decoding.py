"""Bytes of a file → upright arrays, by OpenCV, with what is wrong with it said in `ImageError`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from kizu.errors import ImageError
from kizu.images._quiet import quiet_decoder
from kizu.images.formats import Format, Header, UnusableError
from kizu.wording import Wording


def reduction_of(header: Header, least: int | None) -> int:
    """How many times smaller a file is decoded, 1 for not at all."""
    if least is None or header.format != "JPEG":
        return 1
    return max((by for by in (1, 2, 4, 8) if min(header.size) >= least * by), default=1)


def decode(
    data: bytes, kind: Format, header: Header, path: Path, page: int | None = None, *, reduction: int = 1
) -> tuple[NDArray[Any], Header]:
    """Decode to upright ``(H, W, 3)`` BGR, of a ``page`` to all the ``(H, W, C)`` it has, ``uint8`` or ``uint16`` as
    stored; the header, completed. ``reduction``: sides that many times smaller, of JPEG alone.
    """
    try:
        header = kind.verify(data, header)
    except UnusableError as problem:
        raise ImageError(path, problem.reason, problem.remedy) from None
    decoded = _run_decoder(_blanked(data, header), page, reduction)
    if decoded is not None and not kind.decoder_turns:
        decoded = _upright(decoded, header.orientation)
    wanted = (3,) if page is None else (1, 3, 4)
    size = tuple(-(-side // reduction) for side in header.size)
    right = decoded is not None and decoded.shape[:2] == size and decoded.shape[2] in wanted
    if decoded is None or not right or decoded.dtype not in (np.uint8, np.uint16):
        reason = Wording("file_undecodable", {"format": header.format})
        raise ImageError(path, reason, Wording("copy_or_save_again"))
    return (np.invert(decoded) if header.inverted else decoded), header


def _blanked(data: bytes, header: Header) -> bytes:
    """The data with the bytes that would lead the decoder astray set to zero."""
    if header.blank is None:
        return data
    start, stop = header.blank
    return data[:start] + bytes(stop - start) + data[stop:]


def _run_decoder(data: bytes, page: int | None, reduction: int) -> NDArray[Any] | None:
    """Three channels of the first page; all of another ``page``."""
    import cv2

    colours = {
        1: cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH,
        2: cv2.IMREAD_REDUCED_COLOR_2,
        4: cv2.IMREAD_REDUCED_COLOR_4,
        8: cv2.IMREAD_REDUCED_COLOR_8,
    }
    flags = colours[reduction] | cv2.IMREAD_IGNORE_ORIENTATION
    buffer = np.frombuffer(data, np.uint8)
    with quiet_decoder():
        try:
            if page is None:
                decoded: Any = cv2.imdecode(buffer, flags)
            elif page == 0:
                decoded = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
            else:
                pages = cv2.imdecodemulti(buffer, cv2.IMREAD_UNCHANGED, range=(page, page + 1))[1]
                decoded = pages[0] if pages else None
        except cv2.error:
            return None
    if decoded is not None and decoded.ndim == 2:
        decoded = decoded[..., None]
    return cast("NDArray[Any] | None", decoded)


def _upright(image: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Undo EXIF orientation 1 to 8 (Exif 2.32, tag 274): 5 to 8 swap rows and columns, then mirror."""
    if orientation >= 5:
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return image
