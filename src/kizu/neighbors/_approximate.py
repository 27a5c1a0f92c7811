"""Nearest rows by walking a graph, and how accurate that is.

**Images.** Neighbouring patches of an image are alike, and so are the rows nearest to them. So of a grid of patches
only every fourth one each way is searched from the graph's entry. The others start where the searches of two beside
them ended: first those halfway between, then those that are left, for which few candidates need be looked at. That
takes less than half the time for the same error.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from kizu.errors import ModelFileError
from kizu.neighbors._exact import ExactNeighbors, Float32, Indices, ranked
from kizu.neighbors._graph import BROADEST, Graph, index_from, link
from kizu.threads import available, one_thread, together

SEARCH_BREADTHS = (8, 16, 32, 64, 128, 256, BROADEST)
"""Candidates kept while searching (efSearch): the first that is accurate enough is taken."""

FIRST_EACH = 4
"""Rows and columns from one patch that is searched from the graph's entry to the next: a power of 2."""

LEAST_FOLLOWING = 3
"""Candidates kept at least by a search that starts right beside its goal."""

LOOKED_AT_AGAIN = 128
"""Candidates kept where few queries are to be found as well as a graph can."""

_ALL_STARTS_AT_ONCE = 2
"""FAISS's number for searching from several starts with one set of candidates."""


class ApproximateNeighbors:
    """Walks an HNSW graph. ``exact`` searches the same rows exactly."""

    def __init__(self, rows: Float32, graph: Graph) -> None:
        if len(graph.levels) != len(rows):
            raise ModelFileError(
                f"the search graph has {len(graph.levels)} rows, the memory bank {len(rows)}; restore the file."
            )
        self.rows = rows
        self.exact = ExactNeighbors(rows)
        self._index = index_from(rows, graph)
        self.graph = graph

    @property
    def graph(self) -> Graph:
        return self._graph

    @graph.setter
    def graph(self, graph: Graph) -> None:
        """The same links with other breadths."""
        self._graph = graph

    def search(self, queries: Float32, k: int) -> tuple[Float32, Indices]:
        """As `Neighbors`."""
        k = min(k, len(self.rows))
        return self._settled(queries, self._walk(queries, k, self.graph.breadth))

    def search_again(self, queries: Float32, k: int) -> tuple[Float32, Indices]:
        """As `search`, for a few queries more thoroughly."""
        k = min(k, len(self.rows))
        with one_thread():
            return self._settled(queries, self._walk(queries, k, max(self.graph.breadth, LOOKED_AT_AGAIN)))

    def search_image(self, patches: Float32, k: int) -> tuple[Float32, Indices]:
        """``patches`` ``(h, w, D)`` of one image → what `search` returns for ``h · w`` queries."""
        found = together(lambda band: self._search_band(patches, band, k), bands(len(patches), available()))
        distances, indices = zip(*found, strict=True)
        return np.concatenate(distances), np.concatenate(indices)

    def _search_band(self, patches: Float32, band: slice, k: int) -> tuple[Float32, Indices]:
        """Some rows of an image as they are found in the whole of it: the row behind them is searched as well, for
        patches between the two.
        """
        wanted = (band.stop - band.start) * patches.shape[1]
        distances, indices = self._search_grid(patches[band.start : band.stop + 1], k)
        return distances[:wanted], indices[:wanted]

    def _search_grid(self, patches: Float32, k: int) -> tuple[Float32, Indices]:
        height, width, channels = patches.shape
        queries = np.ascontiguousarray(patches.reshape(-1, channels))
        if not self.graph.following:
            return self.search(queries, k)
        k, order = min(k, len(self.rows)), walk_order(height, width)
        found: Indices = np.empty((len(queries), k), dtype=np.int64)
        found[order.first] = self._walk(queries[order.first], k, self.graph.breadth)
        for step in order.steps:
            starts = np.maximum(found[step.beside, 0], 0)
            breadth = self.graph.following if step.last else self.graph.breadth
            found[step.places] = self._walk_from(queries[step.places], starts, k, breadth)
        return self._settled(queries, found)

    def _walk(self, queries: Float32, k: int, breadth: int) -> Indices:
        import faiss

        parameters = faiss.SearchParametersHNSW(efSearch=max(breadth, k))  # type: ignore[attr-defined]
        indices: Indices = self._index.search(queries, k, params=parameters)[1]
        return indices

    def _walk_from(self, queries: Float32, starts: Indices, k: int, breadth: int) -> Indices:
        """From two rows each, ``starts`` ``(Q, 2)``."""
        import faiss

        pointer: Any = faiss.swig_ptr
        near: Float32 = np.empty(starts.shape, dtype=np.float32)
        for place in range(starts.shape[1]):
            difference = self.rows[starts[:, place]]
            difference -= queries
            np.einsum("qd,qd->q", difference, difference, out=near[:, place])
        rows = starts.astype(np.int32)
        rows[rows[:, 1] == rows[:, 0], 1] = -1  # a row met twice would be found twice
        distances, found = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
        parameters = faiss.SearchParametersHNSW(efSearch=max(breadth, k))  # type: ignore[attr-defined]
        given = (pointer(queries), k, pointer(rows), pointer(near), pointer(distances), pointer(found))
        many = (starts.shape[1], _ALL_STARTS_AT_ONCE)
        self._index.search_level_0(len(queries), *given, *many, parameters)
        return found

    def _settled(self, queries: Float32, indices: Indices) -> tuple[Float32, Indices]:
        """Distances from differences; queries whose walk ended before it had met k rows are searched exactly."""
        lost = np.flatnonzero((indices < 0).any(axis=1))
        if len(lost):
            _, indices[lost] = self.exact.search(queries[lost], indices.shape[1])
        return ranked(self.rows, queries, indices)


def bands(height: int, count: int) -> list[slice]:
    """``height`` rows of patches in at most ``count`` parts of about equal size, none empty; each begins at a row of
    patches that are searched from the entry.

    >>> bands(9, 2)
    [slice(0, 4, None), slice(4, 9, None)]
    """
    share = height / FIRST_EACH / count
    begins = {FIRST_EACH * round(share * number) for number in range(count)}
    edges = sorted({begin for begin in begins if begin < height} | {height})
    return [slice(first, last) for first, last in pairwise(edges)]


@dataclass(frozen=True)
class WalkStep:
    """Positions of a grid, by number: ``places`` ``(n,)``, and those ``beside`` them ``(n, 2)``, found before; the
    same one twice at the edge. ``last``: right beside them, so that few candidates need be looked at.
    """

    places: Indices
    beside: Indices
    last: bool


@dataclass(frozen=True)
class WalkOrder:
    """Positions of a grid, by number: ``first`` ``(n,)``, then the others, step by step."""

    first: Indices
    steps: tuple[WalkStep, ...]


@lru_cache(maxsize=16)
def walk_order(height: int, width: int) -> WalkOrder:
    """Every `FIRST_EACH`-th position each way, and those halfway between what is there until none is left: first in
    its columns, then the columns between.

    >>> order = walk_order(1, 5)
    >>> order.first.tolist()
    [0, 4]
    >>> [(step.places.tolist(), step.beside.tolist()) for step in order.steps]
    [([2], [[0, 4]]), ([1, 3], [[0, 2], [2, 4]])]
    """
    numbers = np.arange(height * width).reshape(height, width)
    steps, apart = [], FIRST_EACH // 2
    while apart:
        grid = numbers[::apart, ::apart]
        steps += [_between(lines, last=apart == 1) for lines in (grid[:, ::2], grid.T)]
        apart //= 2
    return WalkOrder(numbers[::FIRST_EACH, ::FIRST_EACH].ravel(), tuple(step for step in steps if len(step.places)))


def _between(lines: Indices, *, last: bool) -> WalkStep:
    """Every second of ``lines`` ``(n, m)`` of positions, each beside the line before and the line after it."""
    places = np.arange(1, len(lines), 2)
    after = np.minimum(places + 1, (len(lines) - 1) // 2 * 2)
    beside = np.stack([lines[places - 1], lines[after]], axis=-1).reshape(-1, 2)
    return WalkStep(lines[places].ravel(), beside, last)


@dataclass(frozen=True)
class Accuracy:
    """What an approximate search reached on a set of queries.

    ``recall``: the share that met their nearest row. ``error``: by which share distances came out too large, in sum.
    """

    recall: float = 1.0
    error: float = 0.0


def tuned(rows: Float32, images: Iterable[Float32], error: float) -> tuple[ApproximateNeighbors, Accuracy]:
    """Approximate search just broad enough that the distances of the patches of ``images`` ``(h, w, D)`` exceed the
    exact ones by at most ``error`` (a share, in sum), and what it reached; as broad as `SEARCH_BREADTHS` allow where
    none does.
    """
    images = list(images)
    queries = np.concatenate([image.reshape(-1, rows.shape[1]) for image in images])
    exact = ExactNeighbors(rows).search(queries, 1)[0][:, 0]
    found = ApproximateNeighbors(rows, link(rows))
    for breadth in SEARCH_BREADTHS:
        found.graph = replace(found.graph, breadth=breadth, following=following(breadth))
        distances = np.concatenate([found.search_image(image, 1)[0][:, 0] for image in images])
        reached = accuracy(distances, exact)
        if reached.error <= error:
            break
    return found, reached


def following(breadth: int) -> int:
    """Candidates kept by a search that starts right beside its goal, where others keep ``breadth``.

    >>> following(8), following(64)
    (3, 16)
    """
    return max(LEAST_FOLLOWING, breadth // 4)


def accuracy(distances: Float32, exact: Float32) -> Accuracy:
    """What ``distances`` found are worth beside the ``exact`` ones."""
    excess = float((distances - exact).sum(dtype=np.float64)) / max(float(exact.sum(dtype=np.float64)), 1e-30)
    return Accuracy(float((distances <= exact).mean()), max(excess, 0.0))
