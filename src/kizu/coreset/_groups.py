"""Ruling out new centres for whole groups of rows at once.

A row x of a group around c has its nearest centre at the distance k so far. Of a new centre p, |x − p| ≥ |p − c| −
|x − c|, so p matters to no row of the group where |p − c| is at least the largest |x − c| + k among them.

The first centres that greedy k-center picks lie as far apart as points of the data can, so each row joins the nearest
of these. On patches of images a group needs to look at a third of the new centres.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

GROUPS = 512
"""More rule out more, but each takes a product of its own, too small to be quick."""

ROWS_AT_A_TIME = 4096
"""Rows whose distances to all centres are held at a time."""

ROUNDING = 1e-5
"""Share by which the square roots and sums below are widened: far more than float64 loses in them."""


@dataclass(frozen=True)
class Part:
    """Rows by their ``numbers``, and of the new centres the ``columns`` that may matter to them (None: all)."""

    numbers: Indices
    columns: Indices | None = None

    @property
    def pairs(self) -> int:
        """Of a row and a new centre, where the ``columns`` are known."""
        return 0 if self.columns is None else len(self.numbers) * len(self.columns)


@dataclass(frozen=True)
class Groups:
    """``around`` ``(G, D)``: the centres, about the rows' mean, and ``norms`` ``(G,)``, their squared lengths less
    what products may err by; ``away`` ``(N,)``: how far each row is from the centre of its group; ``parts``: the rows
    of each, ascending.
    """

    around: Float32
    norms: Float32
    away: Float64
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, rows: Float32, mean: Float32, around: Float32, norms: Float32) -> Groups:
        """Each of ``rows`` ``(N, D)`` to the nearest centre, as float32 products see it: any division will do, since
        how far the rows are from it is found from differences.
        """
        joined, away = _nearest(rows, mean, around)
        order = np.argsort(joined, kind="stable")
        bounds = np.searchsorted(joined[order], np.arange(len(around) + 1))
        parts = (Part(order[first:last]) for first, last in pairwise(bounds.tolist()))
        return cls(around, norms, away, tuple(parts))

    def near(self, doubled: Float32, norms: Float32, squared: Float64) -> list[Part]:
        """Each group's rows, and which new centres may matter to one of them; groups without any are left out, the
        largest come first.

        ``doubled`` ``(p, D)``: −2 times the new centres, about the rows' mean; ``norms`` ``(p,)`` as those of the
        groups; ``squared`` ``(N,)``: the rows' squared distances to their nearest centre so far.
        """
        least = self.around @ doubled.T  # with the norms a lower bound of squared distances
        least += norms
        least += self.norms[:, None]
        within = self.away + np.sqrt(squared)
        farthest = np.array([within[part.numbers].max(initial=0) for part in self.parts])
        matters = least < np.square(farthest * (1 + ROUNDING))[:, None]
        near = [replace(part, columns=np.flatnonzero(row)) for part, row in zip(self.parts, matters, strict=True)]
        return sorted((part for part in near if part.pairs), key=lambda part: -part.pairs)


def _nearest(rows: Float32, mean: Float32, around: Float32) -> tuple[Indices, Float64]:
    """Of each row the nearest of the centres, as products see it, and how far it is, as differences do."""
    joined = np.empty(len(rows), dtype=np.int64)
    away = np.empty(len(rows), dtype=np.float64)
    lengths = np.einsum("gd,gd->g", around, around)
    for first in range(0, len(rows), ROWS_AT_A_TIME):
        part = slice(first, first + ROWS_AT_A_TIME)
        points = rows[part] - mean
        joined[part] = (lengths - 2 * points @ around.T).argmin(axis=1)
        points -= around[joined[part]]
        away[part] = np.sqrt(np.square(points, dtype=np.float64).sum(axis=1))
    return joined, away
