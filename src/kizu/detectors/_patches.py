"""Patches of many images as the rows of one matrix, in memory that is taken once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kizu.detectors._base import Float32, finite
from kizu.errors import DataError

PROBES = 2048
"""Queries on which the accuracy of the approximate search is measured."""


@dataclass(frozen=True)
class Grids:
    """The grid ``(h, w)`` of each of the images whose patches are rows of one matrix, image by image."""

    each: tuple[tuple[int, int], ...]

    @property
    def one(self) -> tuple[int, int]:
        """The grid of all of them. Raises `DataError` where they differ."""
        if len(set(self.each)) > 1:
            raise DataError(different_grids(*sorted(set(self.each))[:2]))
        return self.each[0]

    @property
    def starts(self) -> npt.NDArray[np.int64]:
        """Each image's first row, and the number of all rows: ``(n + 1,)``."""
        return np.cumsum([0, *(height * width for height, width in self.each)])

    def owners(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """The image of each of ``rows``."""
        return (np.searchsorted(self.starts, rows, side="right") - 1).astype(np.int32)


def different_grids(one: tuple[int, int], other: tuple[int, int]) -> str:
    """That images must be of one size where positions count."""
    shown = [f"{width} x {height}" for height, width in (one, other)]
    return (
        f"images give grids of {shown[0]} and of {shown[1]} patches, but are compared position by position here. "
        "Give images of one size, or use --detector patchcore, without --robust."
    )


def gathered(embeddings: Iterable[Float32], images: int | None) -> tuple[Float32, Grids]:
    """All patches as rows ``(N, D)``, and the grids of the images; memory for ``images`` images is taken once, grown
    when more come.
    """
    rows = np.empty((0, 0), dtype=np.float32)
    filled, grids = 0, list[tuple[int, int]]()
    for batch in map(finite, embeddings):
        patches = batch.reshape(-1, batch.shape[-1])
        if not filled:
            expected = (images or len(batch)) * batch.shape[1] * batch.shape[2]
            rows = np.empty((expected, batch.shape[-1]), dtype=np.float32)
        if filled + len(patches) > len(rows):
            rows.resize((max(filled + len(patches), len(rows) * 5 // 4), rows.shape[1]), refcheck=False)
        rows[filled : filled + len(patches)] = patches
        filled += len(patches)
        grids += [(batch.shape[1], batch.shape[2])] * len(batch)
    if not filled:
        raise DataError("no embeddings to fit on; give at least one good image.")
    rows.resize((filled, rows.shape[1]), refcheck=False)
    return rows, Grids(tuple(grids))


def thinned(rows: Float32, keep: npt.NDArray[np.int64]) -> Float32:
    """Only the rows ``keep`` (ascending), moved to the front of the same memory; the rest is given back."""
    for first in range(0, len(keep), 4096):
        part = keep[first : first + 4096]
        rows[first : first + len(part)] = rows[part]
    rows.resize((len(keep), rows.shape[1]), refcheck=False)
    return rows


def probes_of(rows: Float32, rng: np.random.Generator) -> Float32:
    """Queries ``(≤ PROBES, D)`` to measure recall on: half good patches, half like no good patch.

    Near its rows a graph finds nearly everything; defects lie far from them. The second half takes about half its
    channels from one good patch and the rest from another, which lies about as far out as real defects do.
    """
    count = min(PROBES // 2, len(rows))
    good, other = (rows[rng.choice(len(rows), count, replace=False)] for _ in range(2))
    strange = np.where(rng.random(rows.shape[1]) < 0.5, good, other)
    return np.concatenate([good, strange])
