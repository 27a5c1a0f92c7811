"""Patches of many images as the rows of one matrix, in memory that is taken once."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kizu.detectors._base import Float32, finite
from kizu.errors import DataError, ParameterError
from kizu.memory import available, size_text

PROBES = 2048
"""Patches on which the accuracy of the approximate search is measured, about."""

PROBE_IMAGES = 2
"""Good images that they are taken from at least."""

LARGEST_PROBE = 4096
"""Patches that are taken from one image at most: of larger ones a piece will do."""


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
    when more come. Raises `ParameterError` where this machine has not that memory.
    """
    rows = np.empty((0, 0), dtype=np.float32)
    filled, grids = 0, list[tuple[int, int]]()
    for batch in map(finite, embeddings):
        patches = batch.reshape(-1, batch.shape[-1])
        if not filled:
            expected = (images or len(batch)) * batch.shape[1] * batch.shape[2]
            _require_free(4 * expected * batch.shape[-1], images or len(batch))
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


def _require_free(needed: int, images: int) -> None:
    free = available()
    if free is not None and needed > free:
        raise ParameterError(
            f"the patches of {images:,} images take {size_text(needed)}, and {size_text(max(free, 0))} are free. Fit "
            "within a limit, `kizu fit --memory SIZE`, or give fewer images at a time or a smaller image_size."
        )


def thinned(rows: Float32, keep: npt.NDArray[np.int64]) -> Float32:
    """Only the rows ``keep`` (ascending), moved to the front of the same memory; the rest is given back."""
    for first in range(0, len(keep), 4096):
        part = keep[first : first + 4096]
        rows[first : first + len(part)] = rows[part]
    rows.resize((len(keep), rows.shape[1]), refcheck=False)
    return rows


def probes_of(rows: Float32, grids: Grids, rng: np.random.Generator) -> list[Float32]:
    """Images ``(h, w, D)`` to measure accuracy on, about `PROBES` patches: half good, half like no good image.

    Near its rows a graph finds nearly everything; defects lie far from them. The second half takes about half its
    channels from one good image and the rest from another, which lies about as far out as real defects do. Images are
    taken in one piece since neighbouring patches are searched together: whole, or of larger ones the middle.
    """
    starts = grids.starts
    patches = max(1, int(starts[-1]) // len(grids.each))
    good = []
    for image in probe_images(len(grids.each), patches, rng).tolist():
        whole = rows[starts[image] : starts[image + 1]].reshape(*grids.each[image], rows.shape[1])
        good.append(_middle(whole, LARGEST_PROBE))
    height, width = (min(image.shape[axis] for image in good) for axis in (0, 1))
    return list(probes_from(np.stack([image[:height, :width] for image in good]), rng))


def _middle(image: Float32, patches: int) -> Float32:
    """A piece of ``image`` ``(h, w, D)`` of about so many patches, as square as it is; all of a smaller one.

    >>> [_middle(np.zeros(shape), 16).shape[:2] for shape in ((8, 100, 1), (1, 64, 1), (3, 3, 1))]
    [(4, 4), (1, 16), (3, 3)]
    """
    side = math.isqrt(patches)
    height = min(image.shape[0], max(side, patches // image.shape[1]))
    width = min(image.shape[1], patches // height)
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def probe_images(images: int, patches: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Numbers, ascending, of the images that probes are taken from."""
    count = min(images, max(PROBE_IMAGES, PROBES // (2 * patches)))
    return np.sort(rng.choice(images, count, replace=False))


def probes_from(good: Float32, rng: np.random.Generator) -> Float32:
    """``good`` ``(n, h, w, D)``, and as many that are mixed from them."""
    across = 1 if good.shape[1] > 1 else 2  # patches of an area come in one row
    strange = np.where(rng.random(good.shape[-1]) < 0.5, good, np.flip(np.roll(good, 1, axis=0), across))
    return np.concatenate([good, strange])
