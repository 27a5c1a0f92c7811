"""Tiles through the backbone: the embedding of a large image, a row of tiles at a time, or of a few tiles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kizu.backbones import Engine
from kizu.images import Tiling
from kizu.inspector._frame import Frame, Tile

Image = npt.NDArray[Any]
Float32 = npt.NDArray[np.float32]

PIXELS_AT_A_TIME = 2**20
"""Pixels that the backbone is given at a time; one tile at least."""


def strips(engine: Engine, frame: Frame, image: Image) -> Iterator[tuple[int, Float32]]:
    """The embedding of an image, one row of tiles after another: its first row of patches, and the patches.

    These are ``(r, w, D)``, all columns of the grid; or ``(1, n, D)``, those that count, where not all do. Rows
    without any are left out.
    """
    tiling = _tiling(frame)
    whole = tiling.apply(frame.cropped(image))
    for tiles in frame.rows_of_tiles():
        if not tiles:
            continue
        rows = tiles[0].rows
        strip = np.zeros((rows.last - rows.first, frame.grid[1], engine.channels), np.float32)
        for tile, cells in _embedded(engine, tiling, tiles, whole):
            strip[:, tile.columns_taken] = cells
        yield rows.first, frame.counting(strip, rows.first)


def some_tiles(engine: Engine, frame: Frame, image: Image, count: int, rng: np.random.Generator) -> Float32:
    """``count`` tiles drawn by ``rng`` from those that `strips` goes through, all where there are fewer:
    ``(1, 1, n, D)``, the patches it takes from them.
    """
    tiling = _tiling(frame)
    tiles = [tile for row in frame.rows_of_tiles() for tile in row]
    chosen = sorted(rng.choice(len(tiles), min(count, len(tiles)), replace=False).tolist())
    whole, parts = tiling.apply(frame.cropped(image)), []
    for tile, cells in _embedded(engine, tiling, [tiles[number] for number in chosen], whole):
        taken = cells.reshape(-1, engine.channels)
        if frame.counts is not None:
            taken = taken[frame.counts[tile.rows.first : tile.rows.last, tile.columns_taken].reshape(-1)]
        parts.append(taken)
    return np.concatenate(parts)[None, None]


def middle_tile(frame: Frame, image: Image) -> Image:
    """The pixels ``(N, N, 3)`` of the tile in the middle of those that `strips` goes through."""
    tiling = _tiling(frame)
    tiles = [tile for row in frame.rows_of_tiles() for tile in row]
    return tiles[len(tiles) // 2].cut(tiling.apply(frame.cropped(image)), tiling.side)


def _embedded(engine: Engine, tiling: Tiling, tiles: Sequence[Tile], whole: Image) -> Iterator[tuple[Tile, Float32]]:
    """Each tile with the patches that are taken from it, ``(r, c, D)``."""
    at_a_time = max(1, PIXELS_AT_A_TIME // tiling.side**2)
    for first in range(0, len(tiles), at_a_time):
        batch = tiles[first : first + at_a_time]
        embedded = engine.embed(np.stack([tile.cut(whole, tiling.side) for tile in batch]))
        for tile, cells in zip(batch, embedded, strict=True):
            yield tile, tile.taken(cells, tiling.patch)


def _tiling(frame: Frame) -> Tiling:
    if frame.sight.tiling is None:
        raise ValueError("this inspector cuts no tiles")
    return frame.sight.tiling
