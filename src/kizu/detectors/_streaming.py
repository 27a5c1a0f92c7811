"""PatchCore's coreset of more patches than memory holds: blocks reduced one by one, what is left of them merged.

Patches come in blocks of as many images as fit. Greedy k-center picks some of each block, so that each of its patches
lies within r₁ of a pick; of all picks together greedy picks the bank, so that each pick lies within r₂ of a row. By
the triangle inequality every patch then lies within **r₁ + r₂** of a row of the bank, the largest r₁ of all blocks
counting: the two-round k-center of Malkomes, Kusner, Chen, Weinberger, Moseley, "Fast Distributed k-Center Clustering
with Outliers on Massive Data" (NeurIPS 2015). Its blocks keep as many rows each as the bank has; here they keep
together at least `OVERSAMPLED` times as many.

How large blocks are depends on the budget and the data alone, not on what the machine has free: the same fit gives
the same bank.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from kizu.coreset import k_center_greedy
from kizu.detectors._base import Float32, finite
from kizu.detectors._patches import probe_images, probes_from, thinned
from kizu.detectors._selection import Selection
from kizu.errors import DataError, KizuWarning, ParameterError
from kizu.memory import size_text
from kizu.progress import Progress

Int32 = npt.NDArray[np.int32]

SCRATCH = 80
"""Bytes a row that selecting takes beside it."""

FIXED = 150_000_000
"""Bytes that a fit takes whatever the number of images: images on their way, tiles of distances, probes."""

OVERSAMPLED = 2
"""Rows kept of all blocks together, for each row of the bank, at least."""

AT_MOST = 4
"""Rows kept for each row of the bank, at most."""

BLOCK_ROWS = 131_072
"""Rows of a block: of each some share stays, so what thinning costs grows with the square of these."""

FEWEST_IMAGES = 4
"""Images in a block, at least."""

FEWEST_ROWS = 1024
"""Rows of a bank, at least, where as many are asked for."""

_OF_ONE_SIZE = (
    "images give grids of {} and of {} patches, but a fit that learns them block by block takes them of one size. "
    "Give images of one size, or more --memory."
)


@dataclass(frozen=True)
class Plan:
    """``blocks`` of ``block`` rows, of each of which ``per_block`` stay; ``count`` of what stays make the bank, where
    ``wanted`` rows were asked for.
    """

    block: int
    per_block: int
    blocks: int
    count: int
    wanted: int


def whole(patches: int, channels: int, count: int) -> int:
    """Bytes that a bank of ``count`` rows takes which is picked of all ``patches`` at once."""
    return FIXED + (patches + count) * (4 * channels + SCRATCH)


def plan(budget: int, images: int, patches: int, channels: int, count: int) -> Plan | None:
    """How a bank of ``count`` rows comes about within ``budget`` bytes; None: everything fits at once.

    ``patches`` an image, ``channels`` a patch, or of all its parts together where these are more. Raises
    `ParameterError` where the budget is too small.
    """
    row = 4 * channels + SCRATCH
    total, free = images * patches, budget - FIXED
    if budget >= whole(total, channels, count):
        return None
    held = max(FEWEST_IMAGES * patches + OVERSAMPLED * min(count, FEWEST_ROWS), math.isqrt(total) + patches)
    least = FIXED + 2 * row * held
    if budget < least:
        raise ParameterError(
            f"`memory` must be {size_text(least - budget)} larger: for {images:,} images the detector takes "
            f"{size_text(least)} or more, and {size_text(max(budget, 0))} are left for it."
        )
    rows = free // row
    images_at_once = max(FEWEST_IMAGES, BLOCK_ROWS // patches, -(-math.isqrt(total) // patches))
    block = min(images_at_once, rows // 2 // patches) * patches
    blocks = -(-total // block)
    per_block = max(min(rows - block, AT_MOST * count) // blocks, 1)
    return Plan(block, per_block, blocks, min(count, max(1, blocks * per_block // OVERSAMPLED)), count)


def peeked(embeddings: Iterable[Float32]) -> tuple[Float32, Iterable[Float32]]:
    """The first batch ``(b, h, w, D)``, of no image where there is none, and all batches."""
    batches = iter(embeddings)
    first = next(batches, np.empty((0, 1, 1, 1), np.float32))
    return first, chain([first] if len(first) else [], batches)


@dataclass(frozen=True)
class Streamed:
    """``bank`` ``(M, D)``, ``owners`` ``(M,)`` the image of each row, ascending; ``projection`` ``(D, d)`` it was
    selected in or None. Every patch lies within ``cover_radius``, a plain distance, of a row. ``patches``: how many
    there were; ``probes`` as `kizu.detectors._patches.probes_of` gives them.
    """

    bank: Float32
    owners: Int32
    projection: Float32 | None
    cover_radius: float
    patches: int
    probes: Float32


def require_no_leaving_out(leave_one_out: bool) -> None:
    """Raise `ParameterError` where images are to be left out of a fit that streams."""
    if leave_one_out:
        raise ParameterError(
            "`memory` is too small to leave images out, for which all patches are held at once. Give more, or leave "
            "`leave_one_out` out and hold images out for the threshold."
        )


def planned(
    budget: int, images: int, grid: tuple[int, ...], channels: int, selection: Selection, *, robust: bool
) -> Plan | None:
    """`plan` for images of ``grid`` and what ``selection`` picks of them. Raises `ParameterError` as it does, and
    where the fit is to be ``robust`` and would stream.
    """
    patches = grid[0] * grid[1]
    total = images * patches
    count = selection.wanted(total)
    channels += selection.projected(total, channels) or 0  # the projected copy of what is picked from
    least = whole(total, channels, count)
    if robust and budget < least:
        raise ParameterError(
            f"`memory` must be {size_text(least - budget)} larger for --robust, which looks at all patches at once; "
            "or leave --robust out."
        )
    return plan(budget, images, patches, channels, count)


def streamed(
    embeddings: Iterable[Float32],
    chosen: Plan,
    selection: Selection,
    images: int,
    rng: np.random.Generator,
    progress: Progress,
    parts: Sequence[slice] = (slice(None),),
) -> list[Streamed]:
    """The bank of each of ``parts`` of the channels, of ``images`` images, by a `Plan`; ``embeddings``
    ``(b, h, w, D)`` a batch.
    """
    stream = _Blocks(embeddings, chosen, images, rng)
    banks = [_Part(part, chosen, selection, rng) for part in parts]
    for rows, numbers in stream:
        for bank in banks:
            bank.thin(rows, numbers, images, stream.patches)
        del rows
    stream.free()
    return [bank.merged(stream, progress) for bank in banks]


def tell(chosen: Plan, budget: int) -> None:
    """Warn where the bank is smaller than it was to be."""
    if chosen.count < chosen.wanted:
        warnings.warn(
            f"{size_text(budget)} of memory hold a bank of {chosen.count:,} rows, not the {chosen.wanted:,} asked "
            "for. Give more memory, or a smaller coreset_ratio.",
            KizuWarning,
            stacklevel=4,
        )


class _Blocks:
    """Blocks ``(n, D)`` of whole images, with the images' numbers ``(n / P,)``; the memory is one block's."""

    def __init__(self, embeddings: Iterable[Float32], chosen: Plan, images: int, rng: np.random.Generator) -> None:
        self._embeddings, self._size = embeddings, chosen.block
        self._rows: Float32 | None = None
        self._images, self._rng = images, rng
        self.patches = self.read = 0
        self.probes: list[Float32] = []

    def __iter__(self) -> Iterator[tuple[Float32, Int32]]:
        wanted: set[int] = set()
        filled, image, grid = 0, 0, (0, 0)
        for batch in map(finite, self._embeddings):
            for one in batch:
                if self._rows is None:
                    grid = (one.shape[0], one.shape[1])
                    self.patches = grid[0] * grid[1]
                    self._rows = np.empty((self._size, one.shape[2]), np.float32)
                    wanted = {0, *probe_images(self._images, self.patches, self._rng).tolist()}
                if one.shape[:2] != grid:
                    raise DataError(_OF_ONE_SIZE.format(*(f"{g[1]} x {g[0]}" for g in (grid, one.shape[:2]))))
                if filled == len(self._rows):
                    yield self._rows, _numbers(image, filled // self.patches)
                    filled = 0
                if image in wanted:
                    self.probes.append(one.copy())
                self._rows[filled : filled + self.patches] = one.reshape(-1, one.shape[2])
                filled, image = filled + self.patches, image + 1
        self.read = image * self.patches
        if self._rows is not None:
            yield self._rows[:filled], _numbers(image, filled // self.patches)

    def free(self) -> None:
        """Give the block's memory back."""
        self._rows = None


def _numbers(stop: int, count: int) -> Int32:
    return np.arange(stop - count, stop, dtype=np.int32)


class _Part:
    """The bank of the channels ``part`` on its way: what stays of each block, then of all of them."""

    def __init__(self, part: slice, chosen: Plan, selection: Selection, rng: np.random.Generator) -> None:
        self._part, self._chosen, self._selection, self._rng = part, chosen, selection, rng
        self._kept, self._radius = _Kept(chosen), 0.0
        self._projection: Float32 | None = None

    def thin(self, block: Float32, numbers: Int32, images: int, patches: int) -> None:
        """Pick of a ``block`` ``(n, D)`` of images ``numbers``, of ``patches`` rows each."""
        rows, chosen = block[:, self._part], self._chosen
        if not self._kept.count:
            self._projection = self._selection.matrix(images * patches, rows.shape[1], self._rng)
        count = min(max(1, chosen.per_block * len(rows) // chosen.block), len(rows))
        start = self._selection.first(len(rows), self._rng)
        picked = k_center_greedy(self._selection.seen(rows, self._projection), count, start=start)
        picks = np.sort(picked.indices)
        self._kept.add(rows[picks], numbers[picks // patches])
        self._radius = max(self._radius, picked.cover_radius)

    def merged(self, stream: _Blocks, progress: Progress) -> Streamed:
        """The bank, picked from what stayed."""
        union, owners = self._kept.taken()
        count = min(self._chosen.count, len(union))
        with progress.stage("Selecting the coreset", count) as advance:
            seen, start = self._selection.seen(union, self._projection), self._selection.first(len(union), self._rng)
            merged = k_center_greedy(seen, count, start=start, advance=advance)
        keep, radius = np.sort(merged.indices), self._radius + merged.cover_radius
        probes = probes_from(np.stack(stream.probes)[..., self._part], self._rng)
        return Streamed(thinned(union, keep), owners[keep], self._projection, radius, stream.read, probes)


class _Kept:
    """What stays of the blocks, in memory that is taken once."""

    def __init__(self, chosen: Plan) -> None:
        self._capacity, self.count = chosen.blocks * chosen.per_block, 0
        self._rows = np.empty((0, 0), np.float32)
        self._owners: list[Int32] = []

    def add(self, rows: Float32, owners: Int32) -> None:
        if not self.count:
            self._rows = np.empty((self._capacity, rows.shape[1]), np.float32)
        self._rows[self.count : self.count + len(rows)] = rows
        self._owners.append(owners)
        self.count += len(rows)

    def taken(self) -> tuple[Float32, Int32]:
        """All rows, and the image of each."""
        rows, self._rows = self._rows, np.empty((0, 0), np.float32)
        rows.resize((self.count, rows.shape[1]), refcheck=False)
        return rows, np.concatenate(self._owners)
