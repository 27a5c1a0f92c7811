"""The HTML report: one file that works offline, in English or Japanese."""

from kizu.report.html.content import FoundRegion, ReportContent, ReportImage
from kizu.report.html.page import render
from kizu.report.html.regions import coco_text
from kizu.report.html.thumbnails import Thumbnails, bytes_for, thumbnails
from kizu.report.html.words import check_language
from kizu.wording import LANGUAGES

__all__ = [
    "LANGUAGES",
    "FoundRegion",
    "ReportContent",
    "ReportImage",
    "Thumbnails",
    "bytes_for",
    "check_language",
    "coco_text",
    "render",
    "thumbnails",
]
