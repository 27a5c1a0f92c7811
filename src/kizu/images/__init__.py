"""Image files and arrays: the one reader, the one resize, and what finds and fetches files for them."""

from kizu.images.area import Area, area_of
from kizu.images.foreground import Foreground, learn_foreground
from kizu.images.formats import Header
from kizu.images.listing import SUFFIXES, find_images, is_image, sort_key
from kizu.images.prefetch import Fetched, read_ahead
from kizu.images.preprocessing import Box, Preprocessing
from kizu.images.reading import (
    DEFAULT_MAX_PIXELS,
    MIN_SIDE,
    decode_image,
    decode_samples,
    read_bytes,
    read_header,
    read_image,
    read_mask,
    read_samples,
)
from kizu.images.resizing import resize, resize_mask
from kizu.images.samples import Reading, check_sides, learn_window, not_an_image
from kizu.images.tiling import TileSpan, Tiling, tiling_of

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "MIN_SIDE",
    "SUFFIXES",
    "Area",
    "Box",
    "Fetched",
    "Foreground",
    "Header",
    "Preprocessing",
    "Reading",
    "TileSpan",
    "Tiling",
    "area_of",
    "check_sides",
    "decode_image",
    "decode_samples",
    "find_images",
    "is_image",
    "learn_foreground",
    "learn_window",
    "not_an_image",
    "read_ahead",
    "read_bytes",
    "read_header",
    "read_image",
    "read_mask",
    "read_samples",
    "resize",
    "resize_mask",
    "sort_key",
    "tiling_of",
]
