"""From the bank rows found for an image's patches to its scores: the highest made exact, and weighted if asked
for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from kizu.detectors._base import Float32
from kizu.detectors._highest import Closer, Indices, highest_exact
from kizu.detectors._reweighting import of_paper, of_walkthrough
from kizu.neighbors import Neighbors


class SearchedBank(Neighbors, Protocol):
    """Bank rows that can be searched, and looked up by number."""

    def take(self, numbers: Indices) -> Float32:
        """The rows ``(..., D)`` of these numbers ``(...)``; a copy."""
        ...


Lookup = Callable[[Float32, int], tuple[Float32, Indices]]
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
    queries: Float32, distances: Float32, nearest: Indices, closer: Sequence[Lookup]
) -> tuple[Float32, Indices]:
    """``distances`` and ``nearest`` of `finished` where an approximate search found them, never too small: with
    those of the highest patch score made exact. ``closer``: searches for a few patches, each nearer to the truth than
    the one before, the last exact.
    """
    distances, nearest = distances.copy(), nearest.copy()

    def searched(search: Lookup) -> Closer:
        def scores(places: Indices) -> Float32:
            found, indices = search(queries[places], distances.shape[1])
            nearer = found.mean(axis=1) < distances[places].mean(axis=1)
            distances[places[nearer]], nearest[places[nearer]] = found[nearer], indices[nearer, 0]
            scores: Float32 = distances[places].mean(axis=1)
            return scores

        return scores

    highest_exact(distances.mean(axis=1), [searched(search) for search in closer])
    return distances, nearest


def paper_weight(neighbors: int) -> Weight:
    """Eq. 7 of the paper, by so many rows around the nearest one, m*."""

    def weight(top: Float32, nearest: int, bank: SearchedBank) -> np.float32:
        row = bank.take(np.array([nearest]))
        _, around = bank.search(row, neighbors)
        distances = np.linalg.norm(bank.take(around) - top, axis=2)
        return np.float32(of_paper(np.linalg.norm(row - top, axis=1), distances)[0])

    return weight


def walkthrough_weight(neighbors: int) -> Weight:
    """By how alike the distances of the top patch to so many nearest rows are."""

    def weight(top: Float32, nearest: int, bank: SearchedBank) -> np.float32:
        return np.float32(of_walkthrough(bank.search(top[None], neighbors)[0])[0])

    return weight
