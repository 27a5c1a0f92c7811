"""A memory bank without the rows of one image, and with stand-ins for them: searched exactly, or as the bank is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kizu.neighbors import ExactNeighbors, Neighbors

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]
Indices = npt.NDArray[np.int64]

SPARE = 7
"""Bank rows looked up beyond those asked for: mostly enough to find some that are not the image's own."""


class Without:
    """A bank without some of its rows and with others in their place, searched exactly.

    Rows are numbered through the bank as it was, then the stand-ins.
    """

    def __init__(self, bank: ExactNeighbors, own: slice, stand_ins: Float32) -> None:
        parts = [(0, bank.part(slice(0, own.start))), (own.stop, bank.part(slice(own.stop, len(bank.rows))))]
        if len(stand_ins):
            parts.append((len(bank.rows), ExactNeighbors(stand_ins)))
        self._parts = [(first, part) for first, part in parts if len(part.rows)]
        self._bank, self.stand_ins = bank.rows, stand_ins

    @property
    def first_stand_in(self) -> int:
        """The number of the first stand-in."""
        return len(self._bank)

    def take(self, numbers: Indices) -> Float32:
        """The rows ``(..., D)`` of these numbers ``(...)``; a copy."""
        stands_in = numbers >= self.first_stand_in
        found = np.empty((*numbers.shape, self._bank.shape[1]), np.float32)
        found[~stands_in] = self._bank[numbers[~stands_in]]
        found[stands_in] = self.stand_ins[numbers[stands_in] - self.first_stand_in]
        return found

    def search(self, queries: Float32, k: int) -> tuple[Float32, Indices]:
        """As `kizu.neighbors.Neighbors`; no columns where no row is left."""
        none = np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        found = [(first, *part.search(queries, k)) for first, part in self._parts]
        distances = np.concatenate([none[0], *(near for _, near, _ in found)], axis=1)
        indices = np.concatenate([none[1], *(first + rows for first, _, rows in found)], axis=1)
        order = np.argsort(distances, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(distances, order, 1), np.take_along_axis(indices, order, 1)


class SearchWithout:
    """As `kizu.neighbors.Neighbors`: the bank without the rows of one image, and with stand-ins for them.

    ``search`` finds bank rows, approximately if it likes; ``exact`` is the same bank, searched exactly.
    """

    def __init__(
        self, bank: ExactNeighbors, search: Neighbors, owners: Int32, image: int, stand_ins: Float32
    ) -> None:
        own = slice(*np.searchsorted(owners, [image, image + 1]).tolist())
        self.exact = Without(bank, own, stand_ins)
        self._search, self._owners, self._image = search, owners, image

    def search(self, queries: Float32, k: int) -> tuple[Float32, Indices]:
        """Distances ``(Q, k)``, never too small, and row numbers of `exact`, of which the first column is meant."""
        found = others(*self._search.search(queries, k + SPARE), self._owners, self._image, k)
        distances, nearest = with_stand_ins(queries, *found, self.exact, k)
        return distances, nearest[:, None]


def others(
    distances: Float32, indices: Indices, owners: Int32, image: int, neighbors: int
) -> tuple[Float32, Indices]:
    """Of the rows found, ``(P, K)``, the nearest not the image's own: ``(P, neighbors)``, inf where unknown."""
    own = owners[indices] == image
    order = np.argsort(own, axis=1, kind="stable")[:, :neighbors]
    distances = np.where(
        np.take_along_axis(own, order, 1), np.float32(np.inf), np.take_along_axis(distances, order, 1)
    )
    return distances, np.take_along_axis(indices, order, 1)


def with_stand_ins(
    queries: Float32, distances: Float32, nearest: Indices, bank: Without, neighbors: int
) -> tuple[Float32, Indices]:
    """What was found, and what the stand-ins add; patches of which too little was found are searched exactly."""
    unknown = np.flatnonzero(~np.isfinite(distances).all(axis=1))
    if len(bank.stand_ins):
        added, rows = ExactNeighbors(bank.stand_ins).search(queries, neighbors)
        distances = np.concatenate([distances, added], axis=1)
        nearest = np.concatenate([nearest, bank.first_stand_in + rows], axis=1)
        order = np.argsort(distances, axis=1, kind="stable")[:, :neighbors]
        distances, nearest = np.take_along_axis(distances, order, 1), np.take_along_axis(nearest, order, 1)
    if len(unknown):
        found, rows = bank.search(queries[unknown], neighbors)
        distances, nearest = distances[:, : found.shape[1]], nearest[:, : found.shape[1]]
        distances[unknown], nearest[unknown] = found, rows
    return distances, nearest[:, 0]
