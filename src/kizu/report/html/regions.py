"""The regions of all images of a report as one COCO document."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from kizu._version import __version__
from kizu.report.coco import CATEGORIES, DESCRIPTION
from kizu.report.html.content import ReportContent, ReportImage


def coco_text(content: ReportContent) -> str:
    """JSON as `kizu.report.coco` describes it, images in the order they were inspected in."""
    head = _json({"description": DESCRIPTION, "version": __version__})
    images = [_image(number, image) for number, image in enumerate(content.images, 1)]
    return (
        f'{{"info": {head}, "licenses": [], "categories": {_json(CATEGORIES)},\n'
        f'"images": {_list(images)},\n"annotations": {_list(list(_annotations(content.images)))}}}\n'
    )


def _image(number: int, image: ReportImage) -> str:
    height, width = image.size
    named = {"id": number, "file_name": image.path, "width": width, "height": height}
    return _json({**named, "score": image.score, "verdict": image.verdict})


def _annotations(images: Sequence[ReportImage]) -> Iterator[str]:
    number = 0
    for image_id, image in enumerate(images, 1):
        for region in image.regions:
            number += 1
            yield f'{{"id": {number}, "image_id": {image_id}, {region.coco[1:]}'


def _list(items: Sequence[str]) -> str:
    return "[\n" + ",\n".join(items) + "]" if items else "[]"


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return text.encode(errors="backslashreplace").decode()  # a name that is no valid Unicode gets JSON's escapes
