"""Ruling out new centres for whole groups of rows at once.

Of a group with the centre c, whose rows lie within R of it and have their nearest centre within K so far, no row can
have a new centre p nearer than before where |p − c| ≥ R + K: for each row x, |x − p| ≥ |p − c| − |x − c| ≥ K.

The first centres that greedy k-center picks lie as far apart as points of the data can, so each row joins the nearest
of these. On patches of images a group needs to look at a fifth to a third of the new centres.
"""

from __future__ import annotations

from dataclasses import dataclass

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
class Groups:
    """``around`` ``(G, D)``: the centres, about the rows' mean, and ``norms`` ``(G,)``, their squared lengths less what
    products may err by; ``reach`` ``(G,)``: R of each; ``members``: the numbers of its rows, ascending.
    """

    around: Float32
    norms: Float32
    reach: Float64
    members: tuple[Indices, ...]

    @classmethod
    def of(cls, rows: Float32, mean: Float32, around: Float32, norms: Float32) -> Groups:
        """Each of ``rows`` ``(N, D)`` to the nearest centre, as float32 products see it: any division will do, since
        R is found from differences.
        """
        joined = np.empty(len(rows), dtype=np.int64)
        away = np.empty(len(rows), dtype=np.float64)
        lengths = np.einsum("gd,gd->g", around, around)
        for first in range(0, len(rows), ROWS_AT_A_TIME):
            part = slice(first, first + ROWS_AT_A_TIME)
            points = rows[part] - mean
            joined[part] = (lengths - 2 * points @ around.T).argmin(axis=1)
            points -= around[joined[part]]
            away[part] = np.sqrt(np.square(points, dtype=np.float64).sum(axis=1))
        order = np.argsort(joined, kind="stable")
        bounds = np.searchsorted(joined[order], np.arange(len(around) + 1))
        members = [order[bounds[group] : bounds[group + 1]] for group in range(len(around))]
        filled = [group for group, numbers in enumerate(members) if len(numbers)]
        reach = np.array([away[members[group]].max() for group in filled])
        return cls(around[filled], norms[filled], reach, tuple(members[group] for group in filled))

    def near(self, doubled: Float32, norms: Float32, squared: Float64) -> list[tuple[Indices, Indices | None]]:
        """Each group's rows, and the numbers of the new centres that may matter to one of them; groups without any
        are left out, the largest come first.

        ``doubled`` ``(p, D)``: −2 times the new centres, about the rows' mean; ``norms`` ``(p,)`` as those of the
        groups; ``squared`` ``(N,)``: the rows' squared distances to their nearest centre so far.
        """
        least = self.around @ doubled.T  # with the norms a lower bound of squared distances
        least += norms
        least += self.norms[:, None]
        farthest = np.sqrt(np.array([squared[numbers].max() for numbers in self.members]))
        within = np.square((self.reach + farthest) * (1 + ROUNDING))
        matters = least < within[:, None]
        found = [(numbers, np.flatnonzero(row)) for numbers, row in zip(self.members, matters, strict=True)]
        parts = [(numbers, columns) for numbers, columns in found if len(columns)]
        return sorted(parts, key=lambda part: -len(part[0]) * len(part[1]))
