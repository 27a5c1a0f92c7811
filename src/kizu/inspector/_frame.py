"""What of an image of one size is looked at, and what part of it each patch and each pixel of the map is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from kizu import maps
from kizu.images import Area, Box, Preprocessing, TileSpan, Tiling

Float32 = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]
Size = tuple[int, int]
_Pixel = TypeVar("_Pixel", bound=np.generic)

HALF = 0.5
"""Share of a patch's square that must lie in the inspected area for it to count."""


@dataclass(frozen=True)
class Sight:
    """How images of any size are looked at: the box around the ``area`` is cut out, then resized as
    ``preprocessing`` says or cut into tiles, which gives a grid of patches, of which those in the area count.

    ``cells``: rows and columns of what the backbone gives at a time.
    """

    preprocessing: Preprocessing
    cells: Size
    tiling: Tiling | None = None
    area: Area | None = None

    def frame(self, size: Size) -> Frame:
        """For images of ``size`` (H, W). Raises `DataError` where the area is of images of another size."""
        return _frame(self, size)


@dataclass(frozen=True)
class Tile:
    """Where a tile lies in what tiles are cut from, and the cells of the whole grid that are taken from it."""

    rows: TileSpan
    columns: TileSpan

    def cut(self, image: npt.NDArray[_Pixel], side: int) -> npt.NDArray[_Pixel]:
        """Its pixels ``(side, side, …)``."""
        top, left = self.rows.start, self.columns.start
        return image[top : top + side, left : left + side]

    def taken(self, cells: npt.NDArray[_Pixel], patch: int) -> npt.NDArray[_Pixel]:
        """Of its own ``cells`` those that are taken."""
        top, left = self.rows.start // patch, self.columns.start // patch
        return cells[
            self.rows.first - top : self.rows.last - top, self.columns.first - left : self.columns.last - left
        ]

    @property
    def columns_taken(self) -> slice:
        """Their columns in the whole grid."""
        return slice(self.columns.first, self.columns.last)


@dataclass(frozen=True, eq=False)
class Frame:
    """For images of one ``size`` (H, W).

    ``crop``: the box around the area; ``seen``: the part of the image that the map shows; ``map_size`` and ``grid``:
    of the map in pixels and of all patches. ``counts`` ``grid`` bool, the patches that count; ``inside``
    ``map_size`` bool, the pixels of the map in the area; both None where all do. ``nearest`` ``grid``: of those that
    count the place of each patch's nearest.
    """

    sight: Sight
    size: Size
    crop: Box
    seen: Box
    map_size: Size
    grid: Size
    counts: Bools | None = None
    inside: Bools | None = None
    nearest: Indices | None = None

    @property
    def covered(self) -> float:
        """The share of the inspected area that lies in patches which count; 0 where no pixel of the map is in it."""
        if self.inside is None or self.counts is None:
            return 1.0 if self.inside is None else float(self.inside.any())
        shares = _shares(self.inside, self)
        return float(shares[self.counts].sum() / shares.sum())

    @property
    def inspected(self) -> Bools:
        """Where such images are looked at, ``size`` bool: of the area, as it was drawn, what the map shows."""
        looked = np.zeros(self.size, np.bool_)
        rows, columns = self.seen.rows, self.seen.columns
        looked[rows, columns] = True if self.sight.area is None else self.sight.area.of(self.size)[rows, columns]
        return looked

    def alike(self, other: Frame) -> bool:
        """Whether both have the same patches: one grid, and the same places of it count."""
        if self.counts is None or other.counts is None:
            return self.grid == other.grid and self.counts is other.counts
        return bool(np.array_equal(self.counts, other.counts))

    def cropped(self, image: npt.NDArray[_Pixel]) -> npt.NDArray[_Pixel]:
        """The box around the area."""
        return image[self.crop.rows, self.crop.columns]

    def apply_mask(self, mask: Bools) -> Bools:
        """A mask ``(H, W)`` of the image → one of the map."""
        by = self.sight.tiling or self.sight.preprocessing
        return by.apply_mask(self.cropped(mask))

    def rows_of_tiles(self) -> Iterator[tuple[Tile, ...]]:
        """The tiles that have patches which count, one row of tiles after another."""
        if self.sight.tiling is None:
            raise ValueError("this sight has no tiles")
        rows, columns = self.sight.tiling.spans((self.crop.height, self.crop.width))
        for row in rows:
            yield tuple(tile for tile in (Tile(row, column) for column in columns) if self._any(tile))

    def _any(self, tile: Tile) -> bool:
        return self.counts is None or bool(self.counts[tile.rows.first : tile.rows.last, tile.columns_taken].any())

    def counting(self, patches: npt.NDArray[_Pixel], first: int = 0) -> npt.NDArray[_Pixel]:
        """Of rows of patches ``(r, w, …)`` from row ``first`` on those that count, ``(1, n, …)``; all as they are
        where all do.
        """
        if self.counts is None:
            return patches
        return patches[self.counts[first : first + len(patches)]][None]

    def anomaly_map(self, patches: Float32, sigma: float) -> Float32:
        """The map ``map_size`` of the scores of patches that count, ``grid`` or ``(1, n)``; 0 outside the area.

        Patches that do not count stand in the map with the score of the nearest that does, so that scores go on
        unchanged up to the edge of the area.
        """
        whole = patches if self.nearest is None else patches.reshape(-1)[self.nearest]
        if self.sight.tiling is None:
            found = maps.anomaly_map(whole, self.map_size, sigma)
        else:
            patch = self.sight.tiling.patch
            full = maps.anomaly_map(whole, (self.grid[0] * patch, self.grid[1] * patch), sigma)
            found = np.ascontiguousarray(full[: self.map_size[0], : self.map_size[1]])
        if self.inside is not None:
            found[~self.inside] = 0
        return found


@lru_cache(maxsize=4)
def _frame(sight: Sight, size: Size) -> Frame:
    crop = Box(0, 0, *size) if sight.area is None else sight.area.box(size)
    inner = crop.height, crop.width
    if sight.tiling is None:
        side, seen = sight.preprocessing.image_size, sight.preprocessing.seen(inner)
        map_size, grid = (side, side), sight.cells
    else:
        seen, map_size, grid = Box(0, 0, *inner), sight.tiling.scaled(inner), sight.tiling.grid(inner)
    seen = Box(crop.top + seen.top, crop.left + seen.left, seen.height, seen.width)
    frame = Frame(sight, size, crop, seen, map_size, grid)
    return frame if sight.area is None else _within(frame, sight.area)


def _within(frame: Frame, area: Area) -> Frame:
    inside = frame.apply_mask(area.of(frame.size))
    drawn = None if frame.size == area.size else _frame(frame.sight, area.size)
    if drawn is not None and _show_the_same(frame, drawn):
        counts, nearest = drawn.counts, drawn.nearest  # positions compare then, however a small image rounds them
    else:
        counts = _counting(inside, frame)
        counts = None if counts.all() else counts
        nearest = None if counts is None else maps.nearest(counts)
    return replace(frame, counts=counts, nearest=nearest, inside=None if inside.all() else inside)


def _show_the_same(one: Frame, other: Frame) -> bool:
    """Whether one square shows the same part of the box around the area for both sizes, to half a patch: not so with
    ``keep_aspect`` for boxes of different shapes, nor with tiles.
    """
    if one.sight.tiling is not None:
        return False
    preprocessing = one.sight.preprocessing
    mine, yours = (preprocessing.resized((frame.crop.height, frame.crop.width)) for frame in (one, other))
    apart = max(abs(mine[0] - yours[0]), abs(mine[1] - yours[1]))
    return 2 * apart * one.grid[0] <= preprocessing.image_size


def _counting(inside: Bools, frame: Frame) -> Bools:
    """Patches at least `HALF` of which lie ``inside``; the fullest one where none does."""
    share = _shares(inside, frame)
    return np.asarray(share >= min(HALF, float(share.max())))


def _shares(inside: Bools, frame: Frame) -> Float32:
    """Of each patch the share that lies ``inside``, ``(h, w)``."""
    import cv2

    rows, columns = frame.grid
    tiling = frame.sight.tiling
    whole = inside.astype(np.float32)
    if tiling is not None:  # the last patches may reach beyond the image
        more = [(0, cells * tiling.patch - length) for cells, length in zip(frame.grid, inside.shape, strict=True)]
        whole = np.pad(whole, more)
    return np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), dtype=np.float32)
