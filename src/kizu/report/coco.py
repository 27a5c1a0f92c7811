"""``regions.coco.json``: the regions found, as annotations in the format of COCO.

Format: https://cocodataset.org/#format-data. One category, ``anomaly``. ``bbox`` is x, y, width, height and ``area``
counts pixels, in the image's own size; ``score`` is the region's peak, a plain distance. ``segmentation`` is a
run-length encoding (uncompressed), which is exact to the pixel and keeps holes; a polygon is neither.
``file_name`` is the path as it was given, as in ``predictions.csv``. The images' ``score`` and ``verdict`` are
kizu's own keys, and so are ``peak`` and ``centroid`` of an annotation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from kizu._version import __version__
from kizu.files import atomic_write, says_early
from kizu.regions import Region
from kizu.report._growing import GrowingFile

DESCRIPTION = "Regions found by kizu"
"""What a document says of itself."""

CATEGORIES = ({"id": 1, "name": "anomaly", "supercategory": "anomaly"},)


class CocoFile(GrowingFile):
    """Writes a line of JSON an image to ``NAME.part``, and from these the one document ``NAME`` at the end.

    What has been done when a run is interrupted is in ``NAME.part``: on each line an ``image`` and its
    ``annotations``, numbered as they would be in the whole.

    Raises:
        OutputError: the file cannot be written, or there is no space left (entering, `append`, leaving).
    """

    def __init__(self, path: Path | str) -> None:
        super().__init__(path)
        self._images = 0
        self._annotations = 0

    def append(self, path: str, size: tuple[int, int], score: float, verdict: str, regions: Sequence[Region]) -> None:
        """Write one image of ``size`` (H, W) with its regions."""
        self._images += 1
        named = {"id": self._images, "file_name": path, "width": size[1], "height": size[0]}
        numbers = range(self._annotations + 1, self._annotations + 1 + len(regions))
        self._annotations += len(regions)
        found = [
            {"id": number, "image_id": self._images, **annotation(region, size)}
            for number, region in zip(numbers, regions, strict=True)
        ]
        self.write(_json({"image": {**named, "score": score, "verdict": verdict}, "annotations": found}) + b"\n")

    def _finish(self) -> None:
        atomic_write(self.path, self._assemble)
        with suppress(OSError):
            self.part.unlink()

    def _assemble(self, file: BinaryIO) -> None:
        info = {"description": DESCRIPTION, "version": __version__}
        head = {"info": info, "licenses": [], "categories": CATEGORIES}
        file.write(_json(head)[:-1])
        for name, records in (
            ("images", (entry["image"] for entry in self._entries())),
            ("annotations", (one for entry in self._entries() for one in entry["annotations"])),
        ):
            file.write(f',\n"{name}": ['.encode())
            file.writelines(_joined(records))
            file.write(b"]")
        file.write(b"}\n")

    def _entries(self) -> Iterator[dict[str, Any]]:
        with self.part.open("rb") as lines:
            yield from map(json.loads, lines)


def is_coco_of_kizu(path: Path) -> bool:
    """Whether a file begins as `CocoFile` and reports write them; what cannot be read does not."""
    begin = _json({"info": {"description": DESCRIPTION}})[:-2]
    return says_early(path, begin, len(begin))


def annotation(region: Region, size: tuple[int, int]) -> dict[str, Any]:
    """A region of an image of ``size`` (H, W) as an annotation of COCO, without ids.

    >>> corner = Region(1, 0, 1, 2, 2, 7.0, 1, 0, 1.0, 0.5, mask=np.ones((2, 1), np.bool_))
    >>> found = annotation(corner, (2, 3))
    >>> found["bbox"], found["area"], found["segmentation"]
    ([1, 0, 1, 2], 2, {'size': [2, 3], 'counts': [2, 2, 2]})
    """
    return {
        "category_id": 1,
        "bbox": [region.x, region.y, region.width, region.height],
        "area": region.area,
        "segmentation": {"size": list(size), "counts": _runs(region, size)},
        "iscrowd": 0,
        "score": region.peak,
        "peak": [region.peak_x, region.peak_y],
        "centroid": [region.centroid_x, region.centroid_y],
    }


def _runs(region: Region, size: tuple[int, int]) -> list[int]:
    """Lengths of runs of 0, 1, 0, … of the whole image, down its columns from left to right."""
    height, width = size
    edges = np.diff(np.pad(region.mask.T.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    starts, ends = (
        (column + region.x) * height + row + region.y
        for column, row in (np.nonzero(edges == change) for change in (1, -1))
    )
    apart = starts[1:] != ends[:-1]  # a run that ends with its column may go on at the top of the next
    starts, ends = starts[np.append(True, apart)], ends[np.append(apart, True)]
    bounds = np.append(np.stack([starts, ends], axis=1).ravel(), height * width)
    runs: list[int] = np.diff(bounds, prepend=0).tolist()
    return runs if runs[-1] else runs[:-1]


def _joined(records: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    separator = b"\n"
    for record in records:
        yield separator + _json(record)
        separator = b",\n"


def _json(content: Any) -> bytes:
    """One line of JSON in UTF-8; a name that is no valid Unicode gets escapes, which JSON has."""
    return json.dumps(content, ensure_ascii=False, allow_nan=False).encode(errors="backslashreplace")
