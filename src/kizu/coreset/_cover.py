"""How far every row is from its nearest centre, kept exact while centres are added."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kizu.coreset._components import UNIT_ROUNDOFF, Components, Near
from kizu.coreset._groups import GROUPS, Groups, Part
from kizu.threads import side_by_side

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

TILE_ROWS = 1024
"""Rows of the data that a thread multiplies at a time: bounds its scratch memory to TILE_ROWS × BLOCK_ROWS."""

THREADED_ROWS = 32_768
"""Rows from which threads are worth starting."""

PAIRS_AT_A_TIME = 4096
"""Pairs of a row and a centre whose difference is held at a time."""


@dataclass
class _New:
    """``centres`` ``(p, D)`` to add; about the rows' mean, ``doubled`` and negative, with their ``norms``; and what
    rules out pairs with them, as long as it does.
    """

    centres: Float32
    doubled: Float32
    norms: Float32
    near: Near | None


class Cover:
    """The squared distance of every row to its nearest centre, exact in float64, as centres are added."""

    def __init__(self, rows: Float32) -> None:
        self.rows = rows
        self.squared: Float64 = np.full(len(rows), np.inf)
        self.mean = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
        # The float32 estimate |x|² + |y|² − 2x·y of centred rows errs by at most (D + c)·u·(|x|² + |y|²): D for
        # the product (Higham, Accuracy and Stability of Numerical Algorithms, eq. 3.5), c for centring, norms and
        # the comparison itself. Shrinking the norms by that much turns the estimate into a lower bound; the
        # second term stands for products so small that they underflow.
        self.roundoff = (rows.shape[1] + 64) * UNIT_ROUNDOFF
        self.underflow = (rows.shape[1] + 64) * float(np.finfo(np.float32).tiny)
        self.norms = np.empty(len(rows), dtype=np.float32)
        for tile in tiles(len(rows)):
            self.norms[tile] = self.norms_of(self.centred(rows[tile]))
        self._components = Components.of(rows, self.mean)
        self._first: list[Float32] = []
        self._groups: Groups | None = None

    def centred(self, points: Float32) -> Float32:
        """``points`` about the rows' mean: cancellation grows with the norms, and centring makes them small."""
        difference: Float32 = points - self.mean
        return difference

    def norms_of(self, centred: Float32) -> Float32:
        """Squared norms less what the float32 estimate may err by."""
        norms: Float64 = (1 - self.roundoff) * np.square(centred, dtype=np.float64).sum(axis=1) - self.underflow
        return norms.astype(np.float32)

    def distances(self, left: Indices, points: Float32) -> Float64:
        """The distance that counts: squared, row by row (or all to one point), float64, from differences."""
        difference = self.rows[left].astype(np.float64)
        difference -= points
        np.square(difference, out=difference)
        total: Float64 = difference.sum(axis=1)
        return total

    def add(self, centres: Float32) -> None:
        """Bring every row up to date with new ``centres`` ``(p, D)``, part by part.

        Parts do not depend on each other: a thread takes one at a time, and divides no product further.
        """
        new = self._new(centres)
        parts = self._parts(new)
        if len(self.rows) < THREADED_ROWS:
            for part in parts:
                self._bring_up(part, new)
        else:
            with closing(side_by_side(lambda part: self._bring_up(part, new), parts)) as done:
                for _ in done:
                    pass
        self._divide(centres)

    def _parts(self, new: _New) -> list[Part]:
        """All rows to which one of the new centres may matter."""
        if self._groups is None:
            return [Part(np.arange(tile.start, tile.stop)) for tile in tiles(len(self.rows))]
        return self._groups.near(new.doubled, new.norms, self.squared)

    def _divide(self, centres: Float32) -> None:
        """Divide the rows into groups once there are centres enough."""
        if self._components is None or self._groups is not None:
            return
        self._first.append(centres)
        if sum(map(len, self._first)) >= GROUPS:
            around = self.centred(np.concatenate(self._first)[:GROUPS])
            self._groups = Groups.of(self.rows, self.mean, around, self.norms_of(around))
            self._first.clear()

    def _new(self, centres: Float32) -> _New:
        centred = self.centred(centres)
        first = bool(np.isinf(self.squared[:1]).any())  # every row is still infinitely far: nothing to rule out
        near = None if first or self._components is None else self._components.near(centred)
        return _New(centres, -2 * centred, self.norms_of(centred), near)

    def _bring_up(self, part: Part, new: _New) -> None:
        """Pairs are ruled out by components where that leaves few, by a product of all channels where not."""
        numbers, columns = part.numbers, part.columns
        points, kept = self.centred(self.rows[numbers]), self.squared[numbers]
        near = new.near  # looked up once: another thread may take it away
        pairs = None if near is None else near.pairs(points, kept, columns)
        if pairs is not None:
            self._settle(numbers, kept, *pairs, new.centres)
        else:
            if columns is None:
                new.near = None  # it would leave too many of the other parts too
            chosen = slice(None) if columns is None else columns
            bounds = points @ new.doubled[chosen].T
            bounds += new.norms[chosen]
            self._lower(numbers, kept, bounds, new.centres[chosen])
        self.squared[numbers] = kept

    def _lower(self, numbers: Indices, kept: Float64, bounds: Float32, centres: Float32) -> None:
        """Lower the ``kept`` distances of these rows; ``bounds + norms`` is below each squared distance."""
        norms = self.norms[numbers]
        nearest = bounds.argmin(axis=1)
        changed = np.flatnonzero(np.take_along_axis(bounds, nearest[:, None], 1)[:, 0] + norms < kept)
        nearest = nearest[changed]
        kept[changed] = np.minimum(kept[changed], self.distances(numbers[changed], centres[nearest]))
        rest = bounds[changed]
        rest[np.arange(len(changed)), nearest] = np.inf
        row, centre = np.nonzero(rest < (kept[changed] - norms[changed])[:, None])
        for pairs in tiles(len(row)):  # many where distances are lost in rounding, as between equal rows
            place = changed[row[pairs]]
            np.minimum.at(kept, place, self.distances(numbers[place], centres[centre[pairs]]))

    def _settle(self, numbers: Indices, kept: Float64, row: Indices, centre: Indices, centres: Float32) -> None:
        """Lower the ``kept`` distances of these rows by pairs of them, ascending, and centres.

        Differences in float32 say which pairs may count: they err by a share of the distance alone.
        """
        squared = np.empty(len(row), dtype=np.float32)
        for start in range(0, len(row), PAIRS_AT_A_TIME):
            part = slice(start, start + PAIRS_AT_A_TIME)
            difference = self.rows[numbers[row[part]]]
            difference -= centres[centre[part]]
            np.einsum("nd,nd->n", difference, difference, out=squared[part])
        least = squared * np.float32(1 - self.roundoff) - np.float32(self.underflow)
        lower = np.flatnonzero(least < kept[row])
        row, centre, squared, least = row[lower], centre[lower], squared[lower], least[lower]
        if not len(row):
            return
        runs = np.flatnonzero(np.diff(row, prepend=-1))
        most = np.minimum.reduceat(squared, runs) * np.float32(1 + 2 * self.roundoff) + np.float32(2 * self.underflow)
        nearest = np.flatnonzero(least <= np.repeat(most, np.diff(runs, append=len(row))))
        row, centre = row[nearest], centre[nearest]
        np.minimum.at(kept, row, self.distances(numbers[row], centres[centre]))


def tiles(count: int) -> list[slice]:
    """``count`` rows, `TILE_ROWS` at a time."""
    return [slice(first, min(first + TILE_ROWS, count)) for first in range(0, count, TILE_ROWS)]
