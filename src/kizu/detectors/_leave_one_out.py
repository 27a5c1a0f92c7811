"""What PatchCore's memory bank would be without one of its images, and how that image scores then, without a refit.

An image that helped to fill the bank scores too low against it: whatever is unusual about it was picked. Dropping its
own rows is not enough either, it then scores too high: greedy selection would have picked others where those rows
are missing. So, for image i:

1. Its own bank rows go.
2. The patches of other images that were nearest to one of these rows, and lie farther than the cover radius R from
   all other rows, are uncovered now. Greedy k-center goes on among them until they are covered within R again, as it
   would have done without i. What it picks are the **stand-ins**.
3. Its patches are searched in what is left and the stand-ins.

With the whole bank kept (``coreset_ratio`` 1) nothing is ever uncovered, and PatchCore's scores are those of a refit
exactly; then thresholds from them hold for certain: adding the new image to the others could only lower their
scores, so they are at least as high as in full conformal prediction (`kizu.calibration.conformal`). With a coreset
they follow those of a refit closely (docs/decisions/0016).

An ensemble's do so even with whole banks: the spreads that its parts' distances are divided by are those of all
images, the one left out among them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from kizu.detectors._bank import Bank, Learnt, StandIns
from kizu.detectors._base import Scores
from kizu.detectors._search import whole
from kizu.detectors._without import SPARE, Float32, Indices, Int32, Without, others, with_stand_ins
from kizu.errors import DataError
from kizu.progress import Progress
from kizu.threads import side_by_side

COPIED = 4096
"""Patches copied at a time to be compared with one."""


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


def left_out_scores(
    learnt: Sequence[Learnt],
    score: Callable[[Sequence[LeftOut]], tuple[Float32, np.float32]],
    neighbors: int,
    progress: Progress,
) -> Scores:
    """What each image would score had it not been learnt, by one or more banks of its channels; ``score`` gives patch
    scores ``(P,)`` and the image's from what each bank finds, ``neighbors`` rows a patch.
    """
    grids = learnt[0].grids
    grid, images = grids.one, len(grids.each)
    found = Scores(np.empty((images, *grid), np.float32), np.empty(images, np.float32))
    leaving = [LeavingOne(one, neighbors, progress) for one in learnt]
    with progress.stage("Leaving each image out", images) as advance:
        scored = side_by_side(lambda image: score([one.left_out(image) for one in leaving]), range(images))
        with closing(scored):
            for image, (patches, highest) in enumerate(scored):
                found.patches[image], found.images[image] = patches.reshape(grid), highest
                advance(1)
    return found


def prepared_to_leave_out(learnt: Sequence[Learnt], neighbors: int, progress: Progress) -> list[Bank]:
    """The banks, each of which can do without an image then (`Bank.without`)."""
    return [_prepared(one, neighbors, progress) for one in learnt]


def _prepared(learnt: Learnt, neighbors: int, progress: Progress) -> Bank:
    leaving, rows, images = LeavingOne(learnt, neighbors, progress), [], len(learnt.grids.each)
    with (
        progress.stage("Preparing to leave each image out", images) as advance,
        closing(side_by_side(leaving.without, range(images))) as banks,
    ):
        for bank in banks:
            rows.append(bank.stand_ins)
            advance(1)
    return replace(learnt.bank, stand_ins=StandIns(learnt.first, rows))


class LeavingOne:
    """Images that were ``learnt`` last, each to be left out of the bank, once it is looked up, ``neighbors`` rows a
    patch.

    What is covered is so within the cover radius, a plain distance; of a bank that was selected in a projection,
    within that of the patches as looked up.
    """

    def __init__(self, learnt: Learnt, neighbors: int, progress: Progress) -> None:
        self._bank, self._patches, self._grids = learnt.bank, learnt.patches, learnt.grids
        self._owners: Int32 = learnt.bank.owners - np.int32(learnt.first)  # negative: earlier, not left out
        self._starts, self._neighbors = learnt.grids.starts.tolist(), neighbors
        self._exact = whole(learnt.bank.search)
        self._found: list[tuple[Float32, Indices]] = []
        held, images = [], len(self._grids.each)
        with (
            progress.stage("Looking each image up", images) as advance,
            closing(side_by_side(self._looked_up, range(images))) as looked_up,
        ):
            for found, by in looked_up:
                self._found.append(found)
                held.append(by)
                advance(1)
        self._held = np.concatenate(held)
        projected = learnt.bank.projection is not None
        self._radius = float(self._held["nearest"].max()) if projected else learnt.cover_radius
        self._freed = _freed(self._held, self._radius, len(self._grids.each))

    def without(self, image: int) -> Without:
        """The bank without an image."""
        own = slice(*np.searchsorted(self._owners, [image, image + 1]).tolist())
        freed = self._freed[image]
        rest = Without(self._exact, own, self._patches[:0])
        added = _stand_ins(self._patches, freed, self._held["otherwise"][freed], rest, self._radius)
        return Without(self._exact, own, added)

    def left_out(self, image: int) -> LeftOut:
        """An image against the bank without it."""
        queries, bank = self._of(image), self.without(image)
        return LeftOut(queries, *with_stand_ins(queries, *self._found[image], bank, self._neighbors), bank)

    def _of(self, image: int) -> Float32:
        return np.ascontiguousarray(self._patches[self._starts[image] : self._starts[image + 1]])

    def _looked_up(self, image: int) -> tuple[tuple[Float32, Indices], npt.NDArray[np.void]]:
        """The nearest rows that are not the image's own, and what `_held` says of its patches."""
        patches = self._of(image).reshape(*self._grids.each[image], self._patches.shape[1])
        found = self._bank.look_up(patches, self._neighbors + SPARE)
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


def _stand_ins(patches: Float32, freed: Indices, otherwise: Float32, bank: Without, radius: float) -> Float32:
    """What greedy k-center picks of the rows ``freed`` ``(n,)`` of ``patches`` ``(N, D)`` until each is within
    ``radius`` of a row of ``bank`` or a pick.

    ``otherwise`` ``(n,)``: how far each is from the nearest row of ``bank``, as looked up; inf: not known.
    """
    left, unknown = otherwise.copy(), np.flatnonzero(np.isinf(otherwise))
    near = bank.search(patches[freed[unknown]], 1)[0]
    if near.shape[1]:
        left[unknown] = near[:, 0]
    picks: list[int] = []
    freed, left = freed[left > radius], left[left > radius]
    while len(left):
        picks.append(int(freed[left.argmax()]))
        left = np.minimum(left, _distances(patches, freed, picks[-1]))
        far = (left > radius) & (freed != picks[-1])
        freed, left = freed[far], left[far]
    return patches[picks]


def _distances(patches: Float32, numbers: Indices, pick: int) -> Float32:
    """From the rows ``numbers`` of ``patches`` to one of them; few are copied at a time."""
    found = np.empty(len(numbers), np.float32)
    for first in range(0, len(numbers), COPIED):
        some = slice(first, first + COPIED)
        found[some] = np.linalg.norm(patches[numbers[some]] - patches[pick], axis=1)
    return found
