"""From the bank rows found for an image's patches to its scores: the highest made exact, and weighted if asked
for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from kizu.detectors._base import Float32
from kizu.detectors._reweighting import of_paper, of_walkthrough
from kizu.neighbors import Neighbors

CONFIRMED_AT_A_TIME = 8
"""Highest patch scores of an image that are searched exactly at a time, at most: one at first, then twice as many
each time, until none other can be higher."""

LOOKED_AT_AGAIN = 16
"""Highest patch scores that are searched more thoroughly before: mostly one exact search is enough then."""


class SearchedBank(Neighbors, Protocol):
    """Bank rows that can be searched, and looked up by number."""

    @property
    def rows(self) -> Float32: ...


Indices = npt.NDArray[np.int64]

Search = Callable[[Float32, int], tuple[Float32, Indices]]
"""As `Neighbors.search`."""

Weight = Callable[[Float32, int, SearchedBank], np.float32]
"""Weight of an image by its patch of largest score ``(D,)``, the number of the bank row nearest to it, and the
bank.
"""


def finished(
    queries: Float32, distances: Float32, nearest: Indices, bank: SearchedBank, weight: Weight | None
) -> tuple[Float32, np.float32]:
    """Patch scores ``(P,)`` and the score of one image.

    ``queries`` ``(P, D)``: its patches; ``distances`` ``(P, k)``, to the rows of ``bank`` found for each;
    ``nearest`` ``(P,)``, the first of these.
    """
    patches: Float32 = distances.mean(axis=1)
    top = int(patches.argmax())
    factor = np.float32(1) if weight is None else weight(queries[top], int(nearest[top]), bank)
    return patches, patches[top] * factor


def confirmed(
    queries: Float32,
    distances: Float32,
    nearest: Indices,
    bank: SearchedBank,
    again: Search | None = None,
) -> tuple[Float32, Indices]:
    """``distances`` and ``nearest`` of `finished` where an approximate search found them, never too small: with
    those of the highest patch score made exact. ``again`` is a more thorough search for a few of them.
    """
    distances, nearest = distances.copy(), nearest.copy()
    if again is not None:
        _look_again(queries, distances, nearest, again)
    patches = distances.mean(axis=1)
    order = np.argsort(-patches, kind="stable")
    highest, first, count = np.float32(-1), 0, 1
    while first < len(order) and patches[order[first]] > highest:
        part = order[first : first + count]
        distances[part], indices = bank.search(queries[part], distances.shape[1])
        nearest[part] = indices[:, 0]
        highest = max(highest, distances[part].mean(axis=1).max())
        first, count = first + count, min(2 * count, CONFIRMED_AT_A_TIME)
    return distances, nearest


def _look_again(queries: Float32, distances: Float32, nearest: Indices, again: Search) -> None:
    """Search the highest patches once more, and take what is nearer."""
    highest = np.argsort(-distances.mean(axis=1), kind="stable")[:LOOKED_AT_AGAIN]
    found, indices = again(queries[highest], distances.shape[1])
    nearer = found.mean(axis=1) < distances[highest].mean(axis=1)
    distances[highest[nearer]], nearest[highest[nearer]] = found[nearer], indices[nearer, 0]


def paper_weight(neighbors: int) -> Weight:
    """Eq. 7 of the paper, by so many rows around the nearest one, m*."""

    def weight(top: Float32, nearest: int, bank: SearchedBank) -> np.float32:
        rows = bank.rows
        _, around = bank.search(rows[nearest][None], neighbors)
        distances = np.linalg.norm(rows[around] - top, axis=2)
        return np.float32(of_paper(np.linalg.norm(rows[[nearest]] - top, axis=1), distances)[0])

    return weight


def walkthrough_weight(neighbors: int) -> Weight:
    """By how alike the distances of the top patch to so many nearest rows are."""

    def weight(top: Float32, nearest: int, bank: SearchedBank) -> np.float32:
        return np.float32(of_walkthrough(bank.search(top[None], neighbors)[0])[0])

    return weight
