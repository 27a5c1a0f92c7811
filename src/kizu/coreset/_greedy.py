"""Exact greedy k-center: the block, the picks inside it, and going on where an earlier selection stopped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kizu.coreset._cover import Block, Cover
from kizu.coreset._run import running
from kizu.progress import Advance, ignore

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

BLOCK_ROWS = 2048
"""Rows a block may hold: large enough that products with its picks are quick, small enough for B × B in cache."""


@dataclass(frozen=True)
class Coreset:
    """What a selection found.

    ``indices``: ``(m,)`` int64, row numbers in the order picked, all different.
    ``radii``: ``(m,)`` float64, plain distance of each pick to the nearest centre before it; never increasing.
    Infinite where there was none.
    ``cover_radius``: plain distance of the farthest row left to its nearest centre: every row lies within it.
    """

    indices: Indices
    radii: Float64
    cover_radius: float

    def __post_init__(self) -> None:
        if self.indices.shape != self.radii.shape or self.indices.ndim != 1:
            raise ValueError(f"indices {self.indices.shape} and radii {self.radii.shape} must be (m,)")


def k_center_greedy(
    rows: Float32, count: int, *, start: int = 0, advance: Advance = ignore, block_rows: int = BLOCK_ROWS
) -> Coreset:
    """Pick ``count`` rows by exact greedy k-center.

    ``rows``: ``(N, D)`` float32, finite. ``start`` is the first pick. Fewer than ``count`` rows come back when
    the rows that differ run out: a row equal to a pick is never picked. Scratch memory: some 40 bytes a row, a few
    tiles of ``TILE_ROWS × max(block_rows, D)`` float32 a thread, and ten blocks of ``block_rows × D`` float32.

    Raises ``ValueError`` when ``count`` or ``start`` is outside ``rows``.

    >>> points = np.array([[0.0], [1.0], [5.0], [6.0]], dtype=np.float32)
    >>> k_center_greedy(points, 3).indices.tolist()
    [0, 3, 1]
    """
    if not 1 <= count <= len(rows):
        raise ValueError(f"count must be in 1..{len(rows)}, got {count}")
    if not 0 <= start < len(rows):
        raise ValueError(f"start must be in 0..{len(rows) - 1}, got {start}")
    with running(len(rows)) as run:
        picked = _Picked(Cover(rows, run), advance)
        picked.take([start], [np.inf])
        picked.more(count - 1, block_rows)
        return picked.coreset()


def k_center_continued(
    rows: Float32,
    centres: Float32,
    *,
    at_least: int = 0,
    radius: float = 0.0,
    advance: Advance = ignore,
    block_rows: int = BLOCK_ROWS,
) -> Coreset:
    """Pick from ``rows`` ``(N, D)`` what exact greedy k-center picks after ``centres`` ``(M, D)``; float32, finite.

    It ends once ``at_least`` rows are picked and every row lies within ``radius`` (plain distance; 0 where it is
    negative) of a centre or a pick; and in any case when every row left equals one of these. Memory as
    `k_center_greedy`. ``advance`` is called with the picks; how many there will be is not known before.

    Raises ``ValueError`` when there are no ``centres``, or they have another number of dimensions.

    >>> points, centres = np.array([[1.0], [5.0], [6.0]], np.float32), np.array([[0.0]], np.float32)
    >>> k_center_continued(points, centres, radius=1.0).indices.tolist()
    [2]
    >>> k_center_continued(points, centres, radius=1.0, at_least=2).indices.tolist()
    [2, 0]
    """
    if not len(centres) or centres.shape[1:] != rows.shape[1:]:
        raise ValueError(f"centres must be (M, {rows.shape[1]}), M > 0; got {centres.shape}")
    if not len(rows):
        return Coreset(np.empty(0, dtype=np.int64), np.empty(0), 0.0)
    with running(len(rows)) as run:
        picked = _Picked(Cover(rows, run), advance)
        for first in range(0, len(centres), block_rows):
            picked.cover.add(Block(centres, slice(first, first + block_rows)))
        picked.more(at_least, block_rows)
        picked.more(len(rows), block_rows, within=radius)
        return picked.coreset()


class _Picked:
    """The picks so far, and the cover they make."""

    def __init__(self, cover: Cover, advance: Advance) -> None:
        self.cover = cover
        self._advance = advance
        self._indices: list[int] = []
        self._radii: list[float] = []

    def take(self, rows: list[int], radii: list[float]) -> None:
        """Add ``rows``, picked at those plain distances."""
        self.cover.add(Block(self.cover.rows, np.array(rows)))
        self._indices += rows
        self._radii += radii
        self._advance(len(rows))

    def more(self, count: int, block_rows: int, *, within: float = 0.0) -> None:
        """Up to ``count`` more picks, as long as a row lies farther than ``within`` from every centre."""
        wanted, within = len(self._indices) + count, max(within, 0.0)
        while len(self._indices) < wanted and np.sqrt(self.cover.squared.max()) > within:
            block, rival = self.cover.farthest(block_rows)
            found = _greedy_in_block(self.cover, block, rival, wanted - len(self._indices), within)
            if not found.picks:
                return
            self.take(found.picks, np.sqrt(found.squared).tolist())
            self.cover.settle(block, found.kept)

    def coreset(self) -> Coreset:
        return Coreset(
            indices=np.array(self._indices, dtype=np.int64),
            radii=np.array(self._radii, dtype=np.float64),
            cover_radius=float(np.sqrt(self.cover.squared[self.cover.farthest(1)[0]].max())),
        )


@dataclass(frozen=True)
class _Found:
    """``picks`` of a block, at ``squared`` distances, and how far all its rows are then: ``kept``."""

    picks: list[int]
    squared: list[float]
    kept: Float64


def _greedy_in_block(
    cover: Cover, block: Indices, rival: tuple[float, int], limit: int, within: float = 0.0
) -> _Found:
    """Greedy picks inside ``block`` as long as they beat ``rival`` and lie farther than ``within`` (plain) from every
    centre."""
    centred = cover.centred(cover.rows[block])
    bounds = centred @ (-2.0 * centred.T)
    bounds += cover.norms[block]
    bounds += cover.norms[block][:, None]
    kept = cover.squared[block]
    picks: list[int] = []
    squared: list[float] = []
    while len(picks) < limit:
        place = int(kept.argmax())
        distance, row = float(kept[place]), int(block[place])
        if np.sqrt(distance) <= within or distance < rival[0] or (distance == rival[0] and row > rival[1]):
            break
        picks.append(row)
        squared.append(distance)
        near = np.flatnonzero(bounds[place] < kept)
        kept[near] = np.minimum(kept[near], cover.distances(block[near], cover.rows[row]))
    return _Found(picks, squared, kept)
