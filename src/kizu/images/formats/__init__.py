"""What stands in image files, one file a format: sizes without decoding, and whether a file is whole."""

from kizu.images.formats._base import Bytes, Format, Header, UnusableError
from kizu.images.formats._identify import FORMATS, identify
from kizu.images.formats.tiff import check_pages

__all__ = ["FORMATS", "Bytes", "Format", "Header", "UnusableError", "check_pages", "identify"]
