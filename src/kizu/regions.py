"""The regions of an anomaly map: where a part differs, how large, how much."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kizu.errors import ParameterError, bad_parameter
from kizu.maps import predicted_mask

Map = NDArray[np.float32]


@dataclass(frozen=True)
class Region:
    """One region of a map above its threshold, in pixels of that map.

    ``x``, ``y``, ``width`` and ``height`` are its bounding box (``x`` to the right, ``y`` down, from the upper left
    corner), ``area`` the pixels it has, ``peak`` its highest score, found at (``peak_x``, ``peak_y``).
    (``centroid_x``, ``centroid_y``): the mean of its pixels; the upper left pixel of the map is at (0, 0). ``mask``
    ``(height, width)`` bool: which pixels of the box are its own.

    Raises `ParameterError` when box, mask and peak do not belong together.
    """

    x: int
    y: int
    width: int
    height: int
    area: int
    peak: float
    peak_x: int
    peak_y: int
    centroid_x: float
    centroid_y: float
    mask: NDArray[np.bool_] = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if not (self.x <= self.peak_x < self.x + self.width and self.y <= self.peak_y < self.y + self.height):
            raise ParameterError(f"the peak of a region must lie in its box; got {self}.")
        if self.mask.shape != (self.height, self.width) or self.mask.dtype != np.bool_:
            got = f"{self.mask.shape} {self.mask.dtype}"
            raise ParameterError(f"the mask of a region must be bool and as large as its box; got {got}.")

    def to_dict(self) -> dict[str, Any]:
        """The fields by name but for the mask: plain floats and ints, ready for JSON."""
        return {name: value for name, value in vars(self).items() if name != "mask"}


def find_regions(anomaly_map: Map, threshold: float, *, min_area: int = 1) -> tuple[Region, ...]:
    """The 8-connected regions of a map ``(H, W)`` above ``threshold``, highest peak first.

    Those of fewer than ``min_area`` pixels are left out. Regions of equal peak, and pixels of equal score in a
    region, come in reading order.

    Raises `ParameterError` when ``threshold`` is NaN or ``min_area`` below 1, `DataError` when ``anomaly_map`` is no
    grid.

    >>> found = find_regions(np.array([[0, 5, 0, 0], [0, 5, 0, 7]], np.float32), 1.0)
    >>> [(r.peak, r.x, r.y, r.area) for r in found]
    [(7.0, 3, 1, 1), (5.0, 1, 0, 2)]
    """
    import cv2

    check_min_area(min_area)
    grid = np.asarray(anomaly_map, np.float32)
    mask = predicted_mask(grid, threshold)
    if not mask.any():
        return ()
    count, labels, stats, centroids = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    large = [k for k in range(1, count) if stats[k, cv2.CC_STAT_AREA] >= min_area]
    found = [_region(grid, np.asarray(labels), k, stats[k].tolist(), centroids[k].tolist()) for k in large]
    return tuple(sorted(found, key=lambda region: (-region.peak, region.peak_y, region.peak_x)))


def check_min_area(pixels: int) -> int:
    """The smallest area of a region to be listed; raises `ParameterError` below 1 pixel."""
    if pixels < 1:
        raise bad_parameter("min_area", "1 pixel or more", pixels)
    return pixels


def _region(grid: Map, labels: NDArray[np.int32], label: int, stats: list[int], centroid: list[float]) -> Region:
    """The region of one label; ``stats`` is its left, top, width, height and area."""
    x, y, width, height, area = stats
    box = (slice(y, y + height), slice(x, x + width))
    mask = labels[box] == label
    row, column = divmod(int(np.where(mask, grid[box], -np.inf).argmax()), width)
    peak = float(grid[y + row, x + column])
    return Region(x, y, width, height, area, peak, x + column, y + row, centroid[0], centroid[1], mask)
