"""Defects drawn on good images, with their masks: for tests, and to choose settings by where no real one is known."""

from kizu.synthetic._drawing import (
    DEFAULT_SIZE,
    DEFAULT_STRENGTH,
    VISIBLE,
    SyntheticDefect,
    check_numbers,
    draw_defect,
    draw_defects,
)
from kizu.synthetic._region import object_region
from kizu.synthetic._registry import KINDS, check_kinds

__all__ = [
    "DEFAULT_SIZE",
    "DEFAULT_STRENGTH",
    "KINDS",
    "VISIBLE",
    "SyntheticDefect",
    "check_kinds",
    "check_numbers",
    "draw_defect",
    "draw_defects",
    "object_region",
]
