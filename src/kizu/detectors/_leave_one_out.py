"""What PatchCore's memory bank would be without one of its images, and how that image scores then, without a refit.

An image that helped to fill the bank scores too low against it: whatever is unusual about it was picked. Dropping its
own rows is not enough either, it then scores too high: greedy selection would have picked others where those rows
are missing. So, for image i:

1. Its own bank rows go.
2. The patches of other images that were nearest to one of these rows, and lie farther than the cover radius R from
   all other rows, are uncovered now. Greedy k-center goes on among them until they are covered within R again, as it
   would have done without i. What it picks are the **stand-ins**.
3. Its patches are searched in what is left and the stand-ins.

With the whole bank kept (``coreset_ratio`` 1) nothing is ever uncovered, and the scores are those of a refit
exactly; then thresholds from them hold for certain: adding the new image to the others could only lower their
scores, so they are at least as high as in full conformal prediction (`kizu.calibration.conformal`). With a coreset
they follow those of a refit closely (docs/decisions/0016).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from kizu.errors import DataError
from kizu.neighbors import ExactNeighbors, Neighbors
from kizu.progress import Advance

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]
Indices = npt.NDArray[np.int64]

SPARE = 7
"""Bank rows looked up beyond those asked for: mostly enough to find some that are not the image's own."""


class Without:
    """A bank without some of its rows and with others in their place, searched exactly.

    Row numbers are those of ``rows``: the bank as it was, then the stand-ins.
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

    @property
    def rows(self) -> Float32:
        """All rows by number ``(M + S, D)``, those left out among them; a copy."""
        return np.concatenate([self._bank, self.stand_ins])

    def search(self, queries: Float32, k: int) -> tuple[Float32, Indices]:
        """As `kizu.neighbors.Neighbors`; no columns where no row is left."""
        none = np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        found = [(first, *part.search(queries, k)) for first, part in self._parts]
        distances = np.concatenate([none[0], *(near for _, near, _ in found)], axis=1)
        indices = np.concatenate([none[1], *(first + rows for first, _, rows in found)], axis=1)
        order = np.argsort(distances, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(distances, order, 1), np.take_along_axis(indices, order, 1)


@dataclass(frozen=True)
class News:
    """The images learnt last: from number ``first`` on, covered within ``cover_radius``, a plain distance."""

    first: int
    cover_radius: float


def require_two(images: int) -> None:
    """Raises `DataError` where there are fewer."""
    if images < 2:
        raise DataError("leaving one image out needs at least 2 good images; add images.")


@dataclass(frozen=True)
class LeftOut:
    """One image against the bank without it.

    ``queries`` ``(P, D)``: its patches. ``distances`` ``(P, k)`` and ``nearest`` ``(P,)``: the nearest rows that are
    not its own, as the search found them, so never too small. ``bank``: the same bank, for exact search.
    """

    queries: Float32
    distances: Float32
    nearest: Indices
    bank: Without


def leave_one_out(
    rows: Float32,
    starts: Indices,
    owners: Int32,
    exact: ExactNeighbors,
    search: Neighbors,
    *,
    radius: float | None,
    neighbors: int,
    advance: Advance,
) -> Iterator[LeftOut]:
    """Every image left out once, in order.

    ``rows`` ``(N, D)``: all patches the bank was selected from, image by image; ``starts`` ``(n + 1,)``: each image's
    first one, and N. ``owners`` ``(M,)``, ascending: the image of each bank row. ``exact`` and ``search`` find bank
    rows; ``radius`` is the cover radius, a plain distance; None: that of ``rows`` as searched, for a bank that was
    selected in a projection. ``advance`` is called twice an image.
    """
    looked, held = [], []
    for image, queries in enumerate(_images(rows, starts)):
        found = search.search(queries, neighbors + SPARE)
        looked.append(_others(*found, owners, image, neighbors))
        held.append(_held(*found, owners, image))
        advance(1)
    banks = _banks(rows, owners, exact, np.concatenate(held), len(starts) - 1, radius)
    for image, (queries, bank) in enumerate(zip(_images(rows, starts), banks, strict=True)):
        yield LeftOut(queries, *_with_stand_ins(queries, *looked[image], bank, neighbors), bank)
        advance(1)


def stand_ins(
    rows: Float32,
    starts: Indices,
    owners: Int32,
    exact: ExactNeighbors,
    search: Neighbors,
    *,
    radius: float | None,
    neighbors: int,
    advance: Advance,
) -> Iterator[Float32]:
    """Of every image in order the stand-ins ``(S, D)`` for its rows; arguments as of `leave_one_out`."""
    held = []
    for image, queries in enumerate(_images(rows, starts)):
        held.append(_held(*search.search(queries, neighbors + SPARE), owners, image))
        advance(1)
    for bank in _banks(rows, owners, exact, np.concatenate(held), len(starts) - 1, radius):
        yield bank.stand_ins
        advance(1)


def _images(rows: Float32, starts: Indices) -> Iterator[Float32]:
    """The patches of one image after another."""
    for first, last in pairwise(starts.tolist()):
        yield np.ascontiguousarray(rows[first:last])


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
        found = _others(*self._search.search(queries, k + SPARE), self._owners, self._image, k)
        distances, nearest = _with_stand_ins(queries, *found, self.exact, k)
        return distances, nearest[:, None]


def _banks(
    rows: Float32,
    owners: Int32,
    exact: ExactNeighbors,
    held: npt.NDArray[np.void],
    images: int,
    radius: float | None,
) -> Iterator[Without]:
    """For each image the bank without it, in order."""
    radius = float(held["nearest"].max()) if radius is None else radius
    freed = _freed(held, radius, images)
    for image in range(images):
        own = slice(*np.searchsorted(owners, [image, image + 1]).tolist())
        rest = Without(exact, own, rows[:0])
        yield Without(exact, own, _stand_ins(rows[freed[image]], rest, radius))


def _others(
    distances: Float32, indices: Indices, owners: Int32, image: int, neighbors: int
) -> tuple[Float32, Indices]:
    """Of the rows found, ``(P, K)``, the nearest not the image's own: ``(P, neighbors)``, inf where unknown."""
    own = owners[indices] == image
    order = np.argsort(own, axis=1, kind="stable")[:, :neighbors]
    distances = np.where(
        np.take_along_axis(own, order, 1), np.float32(np.inf), np.take_along_axis(distances, order, 1)
    )
    return distances, np.take_along_axis(indices, order, 1)


_HELD = np.dtype([("by", np.int32), ("nearest", np.float32), ("otherwise", np.float32)])


def _held(distances: Float32, indices: Indices, owners: Int32, image: int) -> npt.NDArray[np.void]:
    """Of each patch: which other image's row is nearest (−1: its own), and how far the next is of yet another."""
    of = owners[indices]
    held = np.empty(len(of), _HELD)
    held["by"] = np.where(of[:, 0] == image, -1, of[:, 0])
    held["nearest"] = distances[:, 0]
    held["otherwise"] = np.where(of == of[:, :1], np.float32(np.inf), distances).min(axis=1)
    return held


def _freed(held: npt.NDArray[np.void], radius: float, images: int) -> list[Indices]:
    """For each image the patches of others that its rows alone may keep within ``radius``."""
    numbers = np.flatnonzero((held["by"] >= 0) & (held["otherwise"] > radius))
    order = numbers[np.argsort(held["by"][numbers], kind="stable")]
    bounds = np.searchsorted(held["by"][order], np.arange(images + 1))
    return [order[bounds[image] : bounds[image + 1]] for image in range(images)]


def _stand_ins(freed: Float32, bank: Without, radius: float) -> Float32:
    """What greedy k-center picks of ``freed`` ``(n, D)`` until each is within ``radius`` of a row or a pick."""
    if not len(freed):
        return freed
    near = bank.search(freed, 1)[0]
    left: Float32 = near[:, 0].copy() if near.shape[1] else np.full(len(freed), np.inf, np.float32)
    picks = []
    while left.max() > radius:
        picks.append(int(left.argmax()))
        left = np.minimum(left, np.linalg.norm(freed - freed[picks[-1]], axis=1))
        left[picks[-1]] = 0
    return freed[picks]


def _with_stand_ins(
    queries: Float32, distances: Float32, nearest: Indices, bank: Without, neighbors: int
) -> tuple[Float32, Indices]:
    """What was found, and what the stand-ins add; patches of which too little was found are searched exactly."""
    if len(bank.stand_ins):
        added, rows = ExactNeighbors(bank.stand_ins).search(queries, neighbors)
        distances = np.concatenate([distances, added], axis=1)
        nearest = np.concatenate([nearest, bank.first_stand_in + rows], axis=1)
        order = np.argsort(distances, axis=1, kind="stable")[:, :neighbors]
        distances, nearest = np.take_along_axis(distances, order, 1), np.take_along_axis(nearest, order, 1)
    unknown = np.flatnonzero(~np.isfinite(distances).all(axis=1))
    if len(unknown):
        found, rows = bank.search(queries[unknown], neighbors)
        distances, nearest = distances[:, : found.shape[1]], nearest[:, : found.shape[1]]
        distances[unknown], nearest[unknown] = found, rows
    return distances, nearest[:, 0]
