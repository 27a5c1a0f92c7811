"""Which rows to try a new centre on at once: those of the groups around it.

The first centres that greedy k-center picks lie as far apart as points of the data can. Each row joins the nearest of
these; a centre picked later is tried on the rows of the few groups nearest to it, which are the rows it most likely
covers. (Going on after centres in another order, whichever come first make the groups, and worse ones.) What is tried
where only decides how soon a row is known to be covered, never what is picked.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from kizu.coreset._run import Run, one_by_one

Float32 = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

GROUPS = 128
"""More find the rows around a centre more closely, but each takes a product of its own, too small to be quick."""

TRIED = 3
"""Groups that a centre is tried on."""

ROWS_AT_A_TIME = 1024
"""Rows whose distances to all groups are held at a time."""


@dataclass(frozen=True)
class Groups:
    """``around`` ``(G, D)``: what the groups are around; ``parts``: the numbers of each one's rows, ascending."""

    around: Float32
    parts: tuple[Indices, ...]

    @classmethod
    def of(cls, rows: Float32, around: Float32, run: Run = one_by_one) -> Groups:
        """Each of ``rows`` ``(N, D)`` joins the nearest of ``around`` ``(G, D)``, as float32 products see it."""
        joined = np.empty(len(rows), dtype=np.int64)

        def join(first: int) -> None:
            part = slice(first, first + ROWS_AT_A_TIME)
            joined[part] = _apart(rows[part], around).argmin(axis=1)

        run(join, range(0, len(rows), ROWS_AT_A_TIME))
        order = np.argsort(joined, kind="stable")
        bounds = np.searchsorted(joined[order], np.arange(len(around) + 1))
        return cls(around, tuple(order[first:last] for first, last in pairwise(bounds.tolist())))

    def near(self, centres: Float32) -> list[tuple[Indices, Indices]]:
        """Rows and the new ``centres`` ``(p, D)`` to try on them, by their numbers; those of most rows first.

        No row occurs twice, and each centre meets the rows of its `TRIED` nearest groups.
        """
        tried = min(TRIED, len(self.parts))
        groups = np.argpartition(_apart(centres, self.around), tried - 1, axis=1)[:, :tried].ravel()
        order = np.argsort(groups, kind="stable")
        bounds = np.searchsorted(groups[order], np.arange(len(self.parts) + 1)).tolist()
        columns = (order[first:last] // tried for first, last in pairwise(bounds))
        near = [(rows, new) for rows, new in zip(self.parts, columns, strict=True) if len(rows) and len(new)]
        return sorted(near, key=lambda pair: -len(pair[0]))


def _apart(points: Float32, around: Float32) -> Float32:
    """Of each point and group the squared distance, less the point's squared length."""
    centre = around.mean(axis=0)  # cancellation is small about it
    moved = around - centre
    apart: Float32 = (points - centre) @ (-2 * moved.T)
    apart += np.einsum("gd,gd->g", moved, moved)
    return apart
