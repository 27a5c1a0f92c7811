"""What an inspector says of one image."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kizu import maps
from kizu.calibration import Verdict
from kizu.images import Box, resize_mask
from kizu.regions import Region, find_regions


@dataclass(frozen=True, eq=False)
class Prediction:
    """Score, verdict and anomaly map of one image.

    ``score``: the largest patch score, a plain distance; NG above ``threshold``, between ``review_threshold`` and
    that for a person to look at. ``p_value``: about that share of good parts scores as high. ``anomaly_map``: ``(N,
    N)`` float32 at the model's image size, with tiles ``(h, w)`` at the scale of theirs; `predicted_mask` is where it
    exceeds ``pixel_threshold``. ``size``: the image's own ``(height, width)`` in pixels, ``seen`` the part of it that
    the map shows; ``inside``, of the map's shape, where that lies in the inspected area, None where all of it does.
    ``milliseconds``: from the decoded image to score and map. ``path`` is None for an image given as an array.
    """

    path: Path | None
    score: float
    threshold: float
    review_threshold: float
    p_value: float
    pixel_threshold: float
    verdict: Verdict
    milliseconds: float
    size: tuple[int, int]
    seen: Box
    anomaly_map: npt.NDArray[np.float32] = field(repr=False)
    inside: npt.NDArray[np.bool_] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.anomaly_map.ndim != 2:
            raise ValueError(f"anomaly_map must be (h, w), got {self.anomaly_map.shape}")
        if self.inside is not None and self.inside.shape != self.anomaly_map.shape:
            raise ValueError(f"inside must be {self.anomaly_map.shape} as the map, got {self.inside.shape}")

    @property
    def full_map(self) -> npt.NDArray[np.float32]:
        """The anomaly map at the image's own size ``(H, W)``; 0 where the model does not look."""
        box = self.seen
        part = maps.resize_map(self._continued, (box.height, box.width))
        if self.whole:
            return part
        if self.inside is not None:
            part[~resize_mask(self.inside, part.shape)] = 0
        full = np.zeros(self.size, np.float32)
        full[box.rows, box.columns] = part
        return full

    @property
    def _continued(self) -> npt.NDArray[np.float32]:
        """The anomaly map, outside the area as at the nearest place inside: so it does not fade at the edge where it
        is resized.
        """
        as_large = self.anomaly_map.shape == (self.seen.height, self.seen.width)
        if self.inside is None or as_large or not self.inside.any():
            return self.anomaly_map
        return self.anomaly_map[self.inside][maps.nearest(self.inside)]

    @property
    def inspected(self) -> npt.NDArray[np.bool_]:
        """Where the model looked, at the image's own size ``(H, W)``: all of it unless ``resize`` cuts edges off, or
        a part is inspected.
        """
        looked, box = np.zeros(self.size, np.bool_), self.seen
        inside = True if self.inside is None else resize_mask(self.inside, (box.height, box.width))
        looked[box.rows, box.columns] = inside
        return looked

    @property
    def whole(self) -> bool:
        """True where the map shows the whole image."""
        return self.inside is None and (self.seen.height, self.seen.width) == self.size

    @property
    def predicted_mask(self) -> npt.NDArray[np.bool_]:
        """Where the image differs, at its own size ``(H, W)``."""
        return maps.predicted_mask(self.full_map, self.pixel_threshold)

    @property
    def regions(self) -> tuple[Region, ...]:
        """The regions of `predicted_mask`, highest peak first, in pixels of the image's own size."""
        return find_regions(self.full_map, self.pixel_threshold)

    def to_dict(self) -> dict[str, Any]:
        """The figures without the map, ready for JSON."""
        return {
            "path": None if self.path is None else str(self.path),
            "score": self.score,
            "threshold": self.threshold,
            "review_threshold": self.review_threshold,
            "verdict": self.verdict,
            "p_value": self.p_value,
            "milliseconds": round(self.milliseconds, 3),
        }
