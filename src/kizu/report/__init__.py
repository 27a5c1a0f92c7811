"""What people look at: a picture an image, and the table of predictions."""

from kizu.report._view import View
from kizu.report.naming import picture_names
from kizu.report.parts import PARTS, check_parts, parts
from kizu.report.pictures import compose
from kizu.report.tables import COLUMNS, PredictionRow, PredictionTable
from kizu.report.writing import SUFFIXES, encode_image, write_image

__all__ = [
    "COLUMNS",
    "PARTS",
    "SUFFIXES",
    "PredictionRow",
    "PredictionTable",
    "View",
    "check_parts",
    "compose",
    "encode_image",
    "parts",
    "picture_names",
    "write_image",
]
