"""What people look at: pictures of images, tables of what was found in them."""

from kizu.report._cells import csv_table
from kizu.report._drawing import paled
from kizu.report._view import View
from kizu.report.coco import CocoFile
from kizu.report.metrics_table import PIXEL_METRIC_COLUMNS, PixelMetricsTable, metrics_csv
from kizu.report.naming import picture_names
from kizu.report.parts import PARTS, check_parts, parts
from kizu.report.pictures import compose
from kizu.report.pixels import write_pixels
from kizu.report.regions_table import REGION_COLUMNS, RegionTable
from kizu.report.side_by_side import side_by_side
from kizu.report.tables import COLUMNS, PredictionRow, PredictionTable
from kizu.report.writing import SUFFIXES, encode_image, write_image

__all__ = [
    "COLUMNS",
    "PARTS",
    "PIXEL_METRIC_COLUMNS",
    "REGION_COLUMNS",
    "SUFFIXES",
    "CocoFile",
    "PixelMetricsTable",
    "PredictionRow",
    "PredictionTable",
    "RegionTable",
    "View",
    "check_parts",
    "compose",
    "csv_table",
    "encode_image",
    "metrics_csv",
    "paled",
    "parts",
    "picture_names",
    "side_by_side",
    "write_image",
    "write_pixels",
]
