"""``regions.csv``: a line a region, written as the images come."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kizu.regions import Region
from kizu.report._cells import line, number_cell, path_cell, start_of
from kizu.report._growing import GrowingFile

REGION_COLUMNS = (
    *("path", "verdict", "region", "x", "y", "width", "height", "area"),
    *("peak", "peak_x", "peak_y", "centroid_x", "centroid_y"),
)
"""The columns of ``regions.csv``: ``region`` counts those of an image from 1, highest peak first; ``peak`` is a plain
distance, the rest in pixels of the image's own size."""


class RegionTable(GrowingFile):
    """Writes the regions of image after image; see `GrowingFile` for what an interrupt leaves.

    Raises:
        OutputError: the file cannot be written, or there is no space left (entering, `append`, leaving).
    """

    def __init__(self, path: Path | str) -> None:
        super().__init__(path, start_of(REGION_COLUMNS))

    def append(self, path: str, verdict: str, regions: Sequence[Region]) -> None:
        """Write the regions of one image, of which there may be none."""
        self.write(b"".join(line(_cells(path, verdict, n, region)) for n, region in enumerate(regions, start=1)))


def _cells(path: str, verdict: str, number: int, region: Region) -> tuple[str, ...]:
    values = region.to_dict()
    centroid = tuple(f"{values.pop(name):.2f}" for name in ("centroid_x", "centroid_y"))
    return (path_cell(path), verdict, str(number), *map(number_cell, values.values()), *centroid)
