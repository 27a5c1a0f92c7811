"""How PatchCore's coreset is selected: how many rows, from which on, in which projection; and how it goes on
later.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kizu.coreset import Coreset, k_center_continued, k_center_greedy
from kizu.detectors._base import Float32
from kizu.errors import ModelFileError
from kizu.progress import Progress
from kizu.projection import projection_matrix, safe_dimensions


@dataclass(frozen=True)
class Selection:
    """The parameters of `kizu.detectors.patchcore.PatchCore` that decide it; ``start``: ``random`` or ``first``."""

    ratio: float
    count: int | None
    start: str
    projection: str
    dimensions: int | None
    eps: float | None

    def select(self, rows: Float32, rng: np.random.Generator, progress: Progress) -> tuple[Coreset, Float32 | None]:
        """What is picked of ``rows`` ``(N, D)``, and the projection ``(D, d)`` that was made for it."""
        count = self.wanted(len(rows))
        start = self.first(len(rows), rng)
        if count == len(rows):
            return Coreset(np.arange(count), np.full(count, np.inf), 0.0), None
        projection = self.matrix(len(rows), rows.shape[1], rng)
        with progress.stage("Selecting the coreset", count) as advance:
            return k_center_greedy(self.seen(rows, projection), count, start=start, advance=advance), projection

    def wanted(self, patches: int) -> int:
        """How many of so many patches are picked."""
        return min(self.count or max(1, round(self.ratio * patches)), patches)

    def first(self, patches: int, rng: np.random.Generator) -> int:
        """The patch that is picked first."""
        return int(rng.integers(patches)) if self.start == "random" else 0

    def matrix(self, patches: int, channels: int, rng: np.random.Generator) -> Float32 | None:
        """A new projection ``(D, d)`` for so many patches; None: there is none."""
        dimensions = self.projected(patches, channels)
        return None if dimensions is None else projection_matrix(self.projection, channels, dimensions, rng)

    def seen(self, rows: Float32, projection: Float32 | None) -> Float32:
        """``rows`` as selection sees them."""
        return rows if projection is None else rows @ projection

    def go_on(
        self, rows: Float32, bank: Float32, projection: Float32 | None, radius: float, progress: Progress
    ) -> Coreset:
        """What is picked of new ``rows``, after the ``bank`` as it is, until all lie within ``radius``."""
        at_least = 0 if self.count else round(self.ratio * len(rows))
        points, centres = self.seen(rows, projection), self.seen(bank, projection)
        with progress.stage("Selecting from the new patches", 0) as advance:
            return k_center_continued(points, centres, at_least=at_least, radius=radius, advance=advance)

    def projected(self, patches: int, channels: int) -> int | None:
        """Dimensions that so many patches are projected to; None: they are not."""
        if self.eps is None:
            return self.dimensions
        dimensions = safe_dimensions(patches, self.eps)
        return None if dimensions >= channels else dimensions


def require_projection(known: npt.NDArray[np.float32] | None, wanted: int | None, cover_radius: float) -> None:
    """Raises `ModelFileError` where a coreset was selected in a projection that is not ``known`` any more."""
    if known is None and wanted is not None and cover_radius > 0:
        raise ModelFileError(
            "the model does not hold the projection its coreset was selected in (an older kizu wrote it), so it "
            "cannot be updated; fit again with all images."
        )
