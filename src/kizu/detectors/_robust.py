"""Which of the good images hide a defect, and which of their patches to set aside.

After Jiang, Liu, Wang, Nie, Wu, Wang, Liu, Wang, Zheng: "SoftPatch: Unsupervised Anomaly Detection with Noisy Data",
NeurIPS 2022, arXiv 2403.14233: how odd a patch is shows among the patches that other images have **at the same
position**, before anything is learnt. A defect seldom meets another one there, though it may elsewhere.

Differences from the paper:

- A patch's oddness is its distance to the second nearest of these patches, averaged over 5 × 5 positions: one equal
  defect in another image does not vouch for it, and a defect covers several patches where noise covers one.
- The paper drops the oddest 15 % of patches whether or not there are defects. Here an image must stand out first: its
  highest oddness, in logarithms, against those of the images that do not, taken as normal, by Benjamini and
  Hochberg's rule ("Controlling the false discovery rate", J. R. Stat. Soc. B 57, 1995): about `FALSE_SHARE` of the
  images that stand out may be good. Where none is too odd, nothing is dropped: the fit is what it would have been.
- Of images that stand out the patches go that are odd, the rest stays. Images that went no longer vouch for others,
  and it is looked again.
- Nothing is weighted.

The parameters were chosen on the mono-crystalline solar cells (docs/decisions/0017).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kizu.errors import KizuWarning, ModelFileError
from kizu.progress import Advance, Progress, ignore

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int32 = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]

VOUCHING = 2
"""The other image, by distance, that says how odd a patch is: one like it does not make it ordinary."""

WINDOW = 5
"""Positions each way that oddness is averaged over; of the patches of an area ``(1, n)``, that many in their row."""

FALSE_SHARE = 0.2
"""Share of the images that stand out which may be good."""

AT_MOST = 0.25
"""Share of all images that may stand out: above it, what stands out is no exception."""

FEWEST = 20
"""Images below which none stands out: so few do not tell what is ordinary."""

ROUNDS = 3
"""How often it is looked, each time without the images that went before."""

ODD = 0.8
"""Of images that stand out the patches go that are odder than this share of all patches."""

REFERENCES = 512
"""Images that each is compared with at most: bounds the work to n × REFERENCES pairs a position."""

LOOKED_UP = 8
"""Nearest images remembered a patch: enough to go on when some of them went."""

LEAST_SPREAD = 0.1
"""Standard deviation of the logarithms at least: where images differ by noise alone, more of it is no defect."""

COPIED = 1e-3
"""Share of the highest oddness up to which an image is a copy of others: however many there are, they say nothing of
how much good parts differ."""

UNSURE = 1.5
"""A standard deviation from the tenth and fiftieth percentile of n numbers is off by about UNSURE/√n of itself; it is
taken that much larger."""

PAIRS = 2**20
"""Pairs of patches whose places are compared at once."""


@dataclass(frozen=True)
class Suspicion:
    """``patches`` ``(n, h, w)`` float32, how odd each is, a plain distance; ``images`` ``(n,)`` bool: those that
    stand out; ``aside`` ``(n, h, w)`` bool: patches of these that had better not be learnt.
    """

    patches: Float32
    images: Bools
    aside: Bools

    def __post_init__(self) -> None:
        if self.patches.shape != self.aside.shape or self.images.shape != self.patches.shape[:1]:
            raise ValueError(f"{self.patches.shape}, {self.images.shape} and {self.aside.shape} do not match")

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """``(s, 2)``: the number of each image that stands out, and how many of its patches go; most first."""
        numbers = np.flatnonzero(self.images)
        patches = self.aside[numbers].sum(axis=(1, 2))
        order = np.argsort(-patches, kind="stable")
        found: npt.NDArray[np.int64] = np.stack([numbers[order], patches[order]], axis=1).astype(np.int64)
        return found


def suspicion(rows: Float32, grid: tuple[int, int], advance: Advance = ignore) -> Suspicion:
    """Look for odd patches among ``rows`` ``(n · h · w, D)``, image by image; ``advance`` is called a position.

    Scratch memory: about 100 bytes a patch, and n × (`REFERENCES` + D) float32.
    """
    patches = grid[0] * grid[1]
    images = len(rows) // patches
    ordinary = np.ones(images, dtype=bool)
    if images < FEWEST:
        advance(patches)
        nothing = np.zeros((images, *grid), np.float32)
        return Suspicion(nothing, ~ordinary, nothing.astype(bool))
    distances, others = _nearest(rows.reshape(images, patches, -1), advance)
    for _ in range(ROUNDS):
        oddness = _averaged(_vouched(distances, others, ordinary).reshape(images, *grid))
        remain = ordinary & ~standing_out(oddness.max(axis=(1, 2)), ordinary)
        if (remain == ordinary).all():
            break
        ordinary = remain
    return Suspicion(oddness, ~ordinary, _odd(oddness, ~ordinary))


def doubted(rows: Float32, grid: tuple[int, int], progress: Progress) -> Suspicion:
    """As `suspicion`, told as a stage, and with a warning where there are too few images, or too many stand out."""
    images = len(rows) // (grid[0] * grid[1])
    with progress.stage("Looking for defects", grid[0] * grid[1]) as advance:
        found = suspicion(rows, grid, advance)
    many = int(found.images.sum())
    different = int(_unlike(found.patches.max(axis=(1, 2))).sum()) if images >= FEWEST else images
    if different < FEWEST:
        only = f"{different} good images" if different == images else f"{different} different good images"
        _say(f"{only} do not tell which stand out; nothing is set aside. Give {FEWEST} or more.")
    elif many >= int(AT_MOST * images):
        _say(
            f"{many} of {images} images stand out, too many for exceptions. Look at them, as with `kizu check`, and "
            "fit without those that are defects."
        )
    return found


NOTHING_ASIDE = np.empty((0, 2), np.int64)
"""No image stands out."""


def put_aside(rows: Float32, grid: tuple[int, int], progress: Progress) -> npt.NDArray[np.int64]:
    """`doubted`, and what is not to be learnt overwritten in ``rows``: the `Suspicion.counts`."""
    found = doubted(rows, grid, progress)
    overwrite(rows, found.aside)
    return found.counts


def _say(text: str) -> None:
    warnings.warn(text, KizuWarning, stacklevel=5)


def standing_out(values: npt.NDArray[np.floating], among: Bools | None = None) -> Bools:
    """``(n,)`` bool: which of ``values`` ``(n,)``, 0 or more, are too high to belong to the rest.

    What is ordinary is learnt from those ``among`` that are no copies, from their middle and what lies below it
    alone: the upper half is where defects are. None stands out below `FEWEST`, or where there is no spread.
    """
    count = len(values)
    found = np.zeros(count, dtype=bool)
    ordinary = values if among is None else values[among]
    ordinary = ordinary[_unlike(ordinary)]
    if len(ordinary) < FEWEST:
        return found
    logarithms = np.log(np.maximum(values.astype(np.float64), np.finfo(np.float64).tiny))
    tenth, middle = np.quantile(np.log(ordinary.astype(np.float64)), [0.1, 0.5])
    if middle <= tenth:
        return found
    deviation = max((middle - tenth) / 1.2816 * (1 + UNSURE / math.sqrt(len(ordinary))), LEAST_SPREAD)
    highest = np.argsort(-logarithms, kind="stable")[: int(AT_MOST * count)]
    chances = [math.erfc((logarithms[place] - middle) / deviation / math.sqrt(2)) / 2 for place in highest]
    allowed = FALSE_SHARE / count * np.arange(1, len(highest) + 1)
    last = np.flatnonzero(np.array(chances) <= allowed)
    found[highest[: last[-1] + 1 if len(last) else 0]] = True
    return found


def _unlike(values: npt.NDArray[np.floating]) -> Bools:
    """Which of ``values``, 0 or more, are no copies: these, and blank frames, are hardly odd at all."""
    unlike: Bools = values > COPIED * values.max(initial=0)
    return unlike


def overwrite(rows: Float32, aside: Bools) -> None:
    """Put in place of patches set ``aside`` ``(n, h, w)`` the nearest of the same image that is not, in ``rows``.

    Rows keep their places so, without a second copy, and greedy selection never picks the same patch twice.
    """
    images, height, width = aside.shape
    places = np.stack(np.divmod(np.arange(height * width), width), axis=1)
    by_image = rows.reshape(images, height * width, -1)
    for image in np.flatnonzero(aside.any(axis=(1, 2))):
        gone, kept = np.flatnonzero(aside[image]), np.flatnonzero(~aside[image])
        at_once = max(1, PAIRS // len(kept))
        for first in range(0, len(gone), at_once):
            some = gone[first : first + at_once]
            apart = np.square(places[some][:, None] - places[kept]).sum(axis=2)
            by_image[image, some] = by_image[image, kept[apart.argmin(axis=1)]]


def level(rows: Float32, aside: Bools) -> None:
    """Put in place of patches set ``aside`` ``(n, h, w)`` the mean of the others at their position, in ``rows``: for
    Gaussians, whose mean they do not move then, nor their covariance but for the number of samples.
    """
    by_image = rows.reshape(len(aside), -1, rows.shape[1])
    flat = aside.reshape(len(aside), -1)
    for position in np.flatnonzero(flat.any(axis=0)):
        gone = flat[:, position]
        by_image[gone, position] = by_image[~gone, position].mean(axis=0)


def described(set_aside: npt.NDArray[np.int64]) -> dict[str, float | int | str]:
    """For people: of how many images patches were set aside, and how many patches."""
    return {"images set aside": len(set_aside), "patches set aside": int(set_aside[:, 1].sum())}


def set_aside(state: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
    """What a robust detector set aside, from its state; none where it does not say. Raises `ModelFileError`."""
    found = state.get("set_aside", np.empty((0, 2), np.int64))
    if found.ndim != 2 or found.shape[1] != 2 or found.dtype != np.int64:
        raise ModelFileError("what was set aside at the fit is not a table of images; restore the model file.")
    return found


def _nearest(images: Float32, advance: Advance) -> tuple[Float32, Int32]:
    """Of each patch the nearest of other images at its position: distances and images, ``(n, P, LOOKED_UP)``."""
    count, patches, _ = images.shape
    compared = np.unique(np.linspace(0, count - 1, min(count, REFERENCES)).round().astype(np.int32))
    shape = (count, patches, min(LOOKED_UP, len(compared) - 1))
    distances, others = np.empty(shape, np.float32), np.empty(shape, np.int32)
    for position in range(patches):
        here = images[:, position] - images[:, position].mean(axis=0)
        squared = _squared(here, here[compared])
        squared[compared, np.arange(len(compared))] = np.inf
        near = np.argpartition(squared, shape[2] - 1, axis=1)[:, : shape[2]]
        near = np.take_along_axis(near, np.take_along_axis(squared, near, 1).argsort(axis=1, kind="stable"), 1)
        distances[:, position] = np.sqrt(np.take_along_axis(squared, near, 1))
        others[:, position] = compared[near]
        advance(1)
    return distances, others


def _squared(left: Float32, right: Float32) -> Float32:
    """Squared distances ``(n, m)`` of centred rows, never negative."""
    squared: Float32 = left @ (-2 * right.T)
    squared += np.einsum("nd,nd->n", left, left)[:, None]
    squared += np.einsum("nd,nd->n", right, right)
    return np.maximum(squared, 0, out=squared)


def _vouched(distances: Float32, others: Int32, ordinary: Bools) -> Float32:
    """``(n, P)``: distance to the `VOUCHING`-th nearest image of those ``ordinary``; where too few of the nearest
    are, that of the last one remembered, which it exceeds.
    """
    rank = np.cumsum(ordinary[others], axis=2, dtype=np.int8)
    place = np.where(rank[..., -1] >= VOUCHING, (rank >= VOUCHING).argmax(axis=2), distances.shape[2] - 1)
    found: Float32 = np.take_along_axis(distances, place[..., None], 2)[..., 0]
    return found


def _averaged(oddness: Float32) -> Float32:
    """Over `WINDOW` positions each way; beyond the border the edge goes on."""
    import cv2

    border = cv2.BORDER_REPLICATE
    return np.stack([np.asarray(cv2.blur(one, (WINDOW, WINDOW), borderType=border), np.float32) for one in oddness])


def _odd(oddness: Float32, images: Bools) -> Bools:
    """The odd patches of ``images``; the least odd one of an image stays in any case."""
    aside: Bools = images[:, None, None] & (oddness > np.quantile(oddness, ODD))
    aside &= oddness > oddness.min(axis=(1, 2), keepdims=True)
    return aside
