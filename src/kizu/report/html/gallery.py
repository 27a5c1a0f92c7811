"""The images of a report as its script takes them: figures and words an image, and pictures a line."""

from __future__ import annotations

import base64
from typing import Any

from kizu.report.html.charts import kind_name
from kizu.report.html.content import ReportContent, ReportImage
from kizu.report.html.words import Words, legible

MOST_PICTURES = 10_000
"""Images whose pictures a report holds, those that matter most."""

MOST_REGIONS = 20
"""Regions of one image that its enlarged view lists."""

WIDE = 1.5
"""Times its height from which on an image's pictures stand two by two, not all four in a row."""

SCRIPT_WORDS = (
    *("ok", "review", "ng", "missed", "false_alarm", "to_review", "caught", "passed", "unjudged"),
    *("score", "p_value", "shown_of", "position", "none_match", "no_picture", "nothing_found", "nothing_marked"),
    *("panel_image", "panel_heat", "panel_found", "panel_truth", "enlarge", "save_chart", "trace_good", "trace_bad"),
)
"""Texts that the page's script writes."""


def entries(content: ReportContent, words: Words) -> list[dict[str, Any]]:
    """An entry an image, in the order of `ReportContent.ranked`."""
    places = {(kind.label, kind.kind): place for place, kind in enumerate(content.kinds)}
    return [_entry(image, places[image.label, image.kind], words) for image in content.ranked]


def _entry(image: ReportImage, kind_place: int, words: Words) -> dict[str, Any]:
    """``kind_place``: of its kind in `ReportContent.kinds`, by which the page filters."""
    height, width = image.size
    return {
        "name": legible(image.name),
        "label": image.label,
        "kind": legible(kind_name(image.label, image.kind, words)),
        "kindPlace": kind_place,
        "verdict": image.verdict,
        "outcome": image.outcome,
        "score": image.score,
        "scoreText": words.score(image.score),
        "pText": f"{image.p_value:.3g}",
        "size": words("size_pixels", width=str(width), height=str(height)),
        "wide": width > WIDE * height,
        "regions": [[r.x, r.y, r.width, r.height, r.area, words.score(r.peak)] for r in image.regions[:MOST_REGIONS]],
    }


def picture_lines(content: ReportContent) -> list[str]:
    """The pictures of the first `MOST_PICTURES` entries, a line each.

    Input, heat map, found and truth in Base64 with blanks between; ``-`` for one that is not there.
    """
    return [_line(image) for image in content.ranked[:MOST_PICTURES]]


def _line(image: ReportImage) -> str:
    small = image.thumbnails
    if small is None:
        return "- - - -"
    files = (small.image, small.heat, small.found, small.truth)
    return " ".join("-" if data is None else base64.b64encode(data).decode() for data in files)
