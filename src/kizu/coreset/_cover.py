"""How far rows are from their nearest centre: an upper bound for all, exact for the farthest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kizu.coreset._groups import GROUPS, Groups
from kizu.coreset._run import Run, one_by_one

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

UNIT_ROUNDOFF = float(np.finfo(np.float32).eps) / 2

TILE_ROWS = 1024
"""Rows that are multiplied at a time: bounds a thread's scratch memory to TILE_ROWS × BLOCK_ROWS."""

WAVE_ROWS = 4096
"""Rows brought up to date together: fewer leave more of them to the next wave, more look at rows in vain."""

SORTED_ROWS = 65_536
"""Rows of a wave that are put in order together."""

BLOCKS_AT_A_TIME = 4
"""Blocks of centres held ready for products."""

GROUPED_ROWS = 32_768
"""Rows from which groups are worth making."""

WORTH_TRYING = 0.7
"""Share of the largest squared distance below which rows are covered well enough for now."""

PAIRS_AT_A_TIME = 1024
"""Pairs of a row and a centre whose difference is held at a time."""


@dataclass(frozen=True)
class Block:
    """Centres added together: those of ``points`` ``(n, D)`` that ``which`` says. No copy is held."""

    points: Float32
    which: Indices | slice

    def centres(self) -> Float32:
        found: Float32 = self.points[self.which]
        return found


@dataclass(frozen=True)
class _Ready:
    """``centres`` ``(p, D)``; ``right`` ``(p, D + 1)``: the same about the rows' mean, times −2, and their norms."""

    centres: Float32
    right: Float32

    def some(self, columns: Indices) -> _Ready:
        return _Ready(self.centres[columns], self.right[columns])


class Cover:
    """The squared distance of every row to its nearest centre, as far as it is known.

    ``squared`` ``(N,)``: to the nearest of the centres that the row was compared with, exact in float64 and so never
    below the true one. ``seen`` ``(N,)``: of the blocks of centres, in the order added, how many the row was compared
    with in full.
    """

    def __init__(self, rows: Float32, run: Run = one_by_one) -> None:
        self.rows = rows
        self.squared: Float64 = np.full(len(rows), np.inf)
        self.seen = np.zeros(len(rows), dtype=np.int32)
        self.mean = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
        # The float32 estimate |x|² + |y|² − 2x·y of centred rows errs by at most (D + c)·u·(|x|² + |y|²): D for
        # the product (Higham, Accuracy and Stability of Numerical Algorithms, eq. 3.5), c for centring, norms and
        # the comparison itself. Shrinking the norms by that much turns the estimate into a lower bound; the
        # second term stands for products so small that they underflow. Where |y|² is a term of the product, as
        # for new centres, D applies to it as well, and it shrinks by twice as much.
        self.roundoff = (rows.shape[1] + 64) * UNIT_ROUNDOFF
        self.underflow = (rows.shape[1] + 64) * float(np.finfo(np.float32).tiny)
        self.norms = np.empty(len(rows), dtype=np.float32)
        self._run = run
        self._run(self._measure, tiles(len(rows)))
        self._blocks: list[Block] = []
        self._groups: Groups | None = None

    def _measure(self, tile: slice) -> None:
        self.norms[tile] = self.norms_of(self.centred(self.rows[tile]))

    def centred(self, points: Float32) -> Float32:
        """``points`` about the rows' mean: cancellation grows with the norms, and centring makes them small."""
        difference: Float32 = points - self.mean
        return difference

    def norms_of(self, centred: Float32, times: int = 1) -> Float32:
        """Squared norms less what the float32 estimate may err by, ``times`` that."""
        lengths: Float64 = np.square(centred, dtype=np.float64).sum(axis=1)
        lengths *= 1 - times * self.roundoff
        lengths -= self.underflow
        return lengths.astype(np.float32)

    def distances(self, left: Indices, points: Float32) -> Float64:
        """The distance that counts: squared, row by row (or all to one point), float64, from differences."""
        difference = self.rows[left].astype(np.float64)
        difference -= points
        np.square(difference, out=difference)
        total: Float64 = difference.sum(axis=1)
        return total

    def add(self, block: Block) -> None:
        """Know of new centres. Once there are groups, rows near them are compared now; others when they matter."""
        self._blocks.append(block)
        if self._groups is not None:
            self._try(block, self._groups)
        elif len(self.rows) >= GROUPED_ROWS:
            self._divide()

    def settle(self, rows: Indices, squared: Float64) -> None:
        """Rows compared with all centres elsewhere, and how far they were found to be."""
        self.squared[rows] = squared
        self.seen[rows] = len(self._blocks)

    def farthest(self, count: int) -> tuple[Indices, tuple[float, int]]:
        """The ``count`` rows that greedy would rank first, ascending by index, and what it ranks after them at best.

        Ranked by distance, then by lowest index. These rows' distances are the true ones afterwards. The second value
        is the next row as ``(squared distance, index)``, known or bounded; ``(-1.0, N)`` when there is none.
        """
        wave = max(count + 1, WAVE_ROWS)
        while True:
            least = _largest(self.squared, wave)
            within = np.flatnonzero(self.squared >= least)
            block, rival = _first(self.squared, within, count)
            if (self.seen[block] == len(self._blocks)).all():
                return block, rival
            for first in range(0, len(within), SORTED_ROWS):
                self._bring_up(within[first : first + SORTED_ROWS], least)
            wave *= 2  # many rows came to be nearer than others that were left out

    def _bring_up(self, rows: Indices, least: float) -> None:
        """Compare ``rows`` with the centres they have not seen, each as long as it is not nearer than ``least``."""
        behind = rows[self.seen[rows] < len(self._blocks)]
        if not len(behind):
            return
        behind = behind[np.argsort(self.seen[behind], kind="stable")]
        for first in range(int(self.seen[behind[0]]), len(self._blocks), BLOCKS_AT_A_TIME):
            self._compare_with_blocks(behind, first, least)

    def _compare_with_blocks(self, behind: Indices, first: int, least: float) -> None:
        """The next `BLOCKS_AT_A_TIME` blocks from ``first`` on; made ready here, and held no longer."""
        blocks = self._blocks[first : first + BLOCKS_AT_A_TIME]
        ready = [(number, self._ready(block)) for number, block in enumerate(blocks, first)]

        def look(tile: slice) -> None:
            rows = behind[tile]
            for number, new in ready:
                now = rows[(self.seen[rows] == number) & (self.squared[rows] >= least)]
                if len(now):
                    self._compare(now, new)
                    self.seen[now] = number + 1

        self._run(look, tiles(len(behind)))

    def _try(self, block: Block, groups: Groups) -> None:
        """Compare the rows of each group with the new centres near it."""
        worth = WORTH_TRYING * float(self.squared.max())
        new = self._ready(block)

        def look(pair: tuple[Indices, Indices]) -> None:
            rows, columns = pair
            rows, near = rows[self.squared[rows] >= worth], new.some(columns)
            for tile in tiles(len(rows)):
                self._compare(rows[tile], near)

        self._run(look, groups.near(new.centres))

    def _divide(self) -> None:
        """Divide the rows into groups once there are centres enough."""
        centres = np.concatenate([block.centres() for block in self._blocks])
        if len(centres) >= GROUPS:
            self._groups = Groups.of(self.rows, centres[:GROUPS].copy(), self._run)

    def _ready(self, block: Block) -> _Ready:
        centres = block.centres()
        centred = self.centred(centres)
        return _Ready(centres, np.column_stack([-2 * centred, self.norms_of(centred, 2)]))

    def _compare(self, rows: Indices, new: _Ready) -> None:
        """Lower the distances of ``rows``, all different, by new centres."""
        kept, norms = self.squared[rows], self.norms[rows]
        left = np.ones((len(rows), len(self.mean) + 1), np.float32)
        np.subtract(self.rows[rows], self.mean, out=left[:, :-1])
        with np.errstate(invalid="ignore"):  # OpenBLAS raises it by chance at 5 columns, where it adds unused lanes
            bounds = left @ new.right.T  # with the rows' norms a lower bound of squared distances
        changed = np.flatnonzero(bounds.min(axis=1) + norms < kept)
        rest = bounds[changed]
        nearest = rest.argmin(axis=1)
        kept[changed] = np.minimum(kept[changed], self.distances(rows[changed], new.centres[nearest]))
        rest[np.arange(len(changed)), nearest] = np.inf
        row, centre = np.nonzero(rest < (kept[changed] - norms[changed])[:, None])
        for first in range(0, len(row), PAIRS_AT_A_TIME):  # many where distances are lost in rounding
            pairs = slice(first, first + PAIRS_AT_A_TIME)
            place = changed[row[pairs]]
            np.minimum.at(kept, place, self.distances(rows[place], new.centres[centre[pairs]]))
        self.squared[rows] = kept


def _largest(squared: Float64, count: int) -> float:
    """The ``count``-th largest; below all where there are not as many."""
    return -1.0 if count > len(squared) else float(np.partition(squared, len(squared) - count)[len(squared) - count])


def _first(squared: Float64, rows: Indices, count: int) -> tuple[Indices, tuple[float, int]]:
    """The ``count`` rows of largest distance, of equal ones the first, ascending by index; and the one after them.

    ``rows``, ascending, holds all of them.
    """
    if count >= len(squared):
        return rows, (-1.0, len(squared))
    kept = squared if len(rows) == len(squared) else squared[rows]
    tau = _largest(kept, count + 1)
    above = rows[kept > tau]
    tied = rows[kept == tau]
    inside = count - len(above)
    return np.sort(np.concatenate([above, tied[:inside]])), (tau, int(tied[inside]))


def tiles(count: int) -> list[slice]:
    """``count`` rows, `TILE_ROWS` at a time."""
    return [slice(first, min(first + TILE_ROWS, count)) for first in range(0, count, TILE_ROWS)]
