"""Patches of many images as the rows of one matrix, in memory that is taken once."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from kizu.detectors._base import Float32, finite
from kizu.errors import DataError

PROBES = 2048
"""Patches on which the accuracy of the approximate search is measured, about."""

PROBE_IMAGES = 2
"""Good images that they are taken from at least."""


def gathered(embeddings: Iterable[Float32], images: int | None) -> tuple[Float32, tuple[int, int]]:
    """All patches as rows ``(N, D)``, and the grid ``(h, w)`` of an image; memory for ``images`` images is taken
    once, grown when more come.
    """
    rows = np.empty((0, 0), dtype=np.float32)
    filled, grid = 0, (0, 0)
    for batch in map(finite, embeddings):
        patches = batch.reshape(-1, batch.shape[-1])
        if not filled:
            grid = batch.shape[1], batch.shape[2]
            expected = (images or len(batch)) * batch.shape[1] * batch.shape[2]
            rows = np.empty((expected, batch.shape[-1]), dtype=np.float32)
        if filled + len(patches) > len(rows):
            rows.resize((max(filled + len(patches), len(rows) * 5 // 4), rows.shape[1]), refcheck=False)
        rows[filled : filled + len(patches)] = patches
        filled += len(patches)
    if not filled:
        raise DataError("no embeddings to fit on; give at least one good image.")
    rows.resize((filled, rows.shape[1]), refcheck=False)
    return rows, grid


def thinned(rows: Float32, keep: npt.NDArray[np.int64]) -> Float32:
    """Only the rows ``keep`` (ascending), moved to the front of the same memory; the rest is given back."""
    for first in range(0, len(keep), 4096):
        part = keep[first : first + 4096]
        rows[first : first + len(part)] = rows[part]
    rows.resize((len(keep), rows.shape[1]), refcheck=False)
    return rows


def probes_of(rows: Float32, grid: tuple[int, int], rng: np.random.Generator) -> Float32:
    """Images ``(n, h, w, D)`` to measure accuracy on, about `PROBES` patches: half good, half like no good image.

    Near its rows a graph finds nearly everything; defects lie far from them. The second half takes about half its
    channels from one good image and the rest from another, which lies about as far out as real defects do. Images are
    taken whole since neighbouring patches are searched together.
    """
    images = rows.reshape(-1, *grid, rows.shape[1])
    return probes_from(images[probe_images(len(images), grid[0] * grid[1], rng)], rng)


def probe_images(images: int, patches: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Numbers, ascending, of the images that probes are taken from."""
    count = min(images, max(PROBE_IMAGES, PROBES // (2 * patches)))
    return np.sort(rng.choice(images, count, replace=False))


def probes_from(good: Float32, rng: np.random.Generator) -> Float32:
    """``good`` ``(n, h, w, D)``, and as many that are mixed from them."""
    strange = np.where(rng.random(good.shape[-1]) < 0.5, good, np.roll(good, 1, axis=0)[:, ::-1])
    return np.concatenate([good, strange])
