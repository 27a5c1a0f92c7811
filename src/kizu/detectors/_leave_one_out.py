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

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kizu.detectors._patches import Grids
from kizu.detectors._without import SPARE, Float32, Indices, Int32, Without, others, with_stand_ins
from kizu.errors import DataError
from kizu.neighbors import ExactNeighbors
from kizu.progress import Advance
from kizu.threads import side_by_side

LookUp = Callable[[Float32, int], tuple[Float32, Indices]]
"""Patches ``(h, w, D)`` of one image and k → distances ``(h · w, k)`` to the nearest bank rows, and these."""


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


class LeavingOne:
    """Images that were learnt last, each to be left out of the bank.

    ``rows`` ``(N, D)``: all patches the bank was selected from, image by image, of ``grids``. ``owners`` ``(M,)``,
    ascending: the image of each bank row. ``exact`` and ``look_up`` find bank rows; ``radius`` is the cover radius, a
    plain distance; None: that of ``rows`` as looked up, for a bank that was selected in a projection. ``advance`` is
    called for each image, while it is looked up.
    """

    def __init__(
        self,
        rows: Float32,
        grids: Grids,
        owners: Int32,
        exact: ExactNeighbors,
        look_up: LookUp,
        *,
        radius: float | None,
        neighbors: int,
        advance: Advance,
    ) -> None:
        self._rows, self._grids, self._starts = rows, grids, grids.starts.tolist()
        self._owners, self._exact, self._look_up, self._neighbors = owners, exact, look_up, neighbors
        self._found: list[tuple[Float32, Indices]] = []
        held = []
        with closing(side_by_side(self._looked_up, range(len(grids.each)))) as looked_up:
            for found, by in looked_up:
                self._found.append(found)
                held.append(by)
                advance(1)
        self._held = np.concatenate(held)
        self._radius = float(self._held["nearest"].max()) if radius is None else radius
        self._freed = _freed(self._held, self._radius, len(grids.each))

    def without(self, image: int) -> Without:
        """The bank without an image."""
        own = slice(*np.searchsorted(self._owners, [image, image + 1]).tolist())
        freed = self._freed[image]
        rest = Without(self._exact, own, self._rows[:0])
        added = _stand_ins(self._rows[freed], self._held["otherwise"][freed], rest, self._radius)
        return Without(self._exact, own, added)

    def left_out(self, image: int) -> LeftOut:
        """An image against the bank without it."""
        queries, bank = self._patches(image), self.without(image)
        return LeftOut(queries, *with_stand_ins(queries, *self._found[image], bank, self._neighbors), bank)

    def _patches(self, image: int) -> Float32:
        return np.ascontiguousarray(self._rows[self._starts[image] : self._starts[image + 1]])

    def _looked_up(self, image: int) -> tuple[tuple[Float32, Indices], npt.NDArray[np.void]]:
        """The nearest rows that are not the image's own, and what `_held` says of its patches."""
        patches = self._patches(image).reshape(*self._grids.each[image], self._rows.shape[1])
        found = self._look_up(patches, self._neighbors + SPARE)
        return others(*found, self._owners, image, self._neighbors), _held(*found, self._owners, image)


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


def _stand_ins(freed: Float32, otherwise: Float32, bank: Without, radius: float) -> Float32:
    """What greedy k-center picks of ``freed`` ``(n, D)`` until each is within ``radius`` of a row or a pick.

    ``otherwise`` ``(n,)``: how far each is from the nearest row of ``bank``, as looked up; inf: not known.
    """
    left, unknown = otherwise.copy(), np.flatnonzero(np.isinf(otherwise))
    near = bank.search(freed[unknown], 1)[0]
    if near.shape[1]:
        left[unknown] = near[:, 0]
    picks: list[int] = []
    while left.max(initial=0) > radius:
        picks.append(int(left.argmax()))
        left = np.minimum(left, np.linalg.norm(freed - freed[picks[-1]], axis=1))
        left[picks[-1]] = 0
    return freed[picks]
