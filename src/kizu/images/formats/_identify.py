"""Which format a file is, by its content: the suffix of its name is not trusted."""

from __future__ import annotations

from kizu.images.formats import bmp, jpeg, png, tiff, webp
from kizu.images.formats._base import Bytes, Format, Header, UnusableError, damaged
from kizu.wording import Wording

FORMATS: tuple[Format, ...] = (png.FORMAT, jpeg.FORMAT, bmp.FORMAT, tiff.FORMAT, webp.FORMAT)


def identify(data: Bytes) -> tuple[Format, Header]:
    """The format and header of an image file; raises `UnusableError` for anything else."""
    if len(data) == 0:
        raise UnusableError(Wording("file_empty"), Wording("copy_again"))
    start = data[0:16]
    for known in FORMATS:
        if known.matches(start):
            header = known.header(data)
            if header.width < 1 or header.height < 1:
                raise damaged(f"its size reads {header.width}×{header.height}")
            return known, header
    formats = ", ".join(known.name for known in FORMATS)
    raise UnusableError(Wording("file_unknown", {"formats": formats}), Wording("save_as_one_of_these"))
