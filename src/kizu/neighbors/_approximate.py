"""Nearest rows by walking a graph, and how accurate that is.

**Images.** Neighbouring patches of an image are alike, and so are the rows nearest to them. So of a grid of patches
only every second one each way is searched from the graph's entry; a patch between them starts where the searches of
the two beside it ended, and need look at few candidates from there: half the time for the same error.
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

SEARCH_BREADTHS = (16, 32, 64, 128, 256, BROADEST)
"""Candidates kept while searching (efSearch): the first that is accurate enough is taken."""

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
        if len(order.following):
            starts = np.maximum(found[order.beside, 0], 0)
            found[order.following] = self._walk_from(queries[order.following], starts, k)
        return self._settled(queries, found)

    def _walk(self, queries: Float32, k: int, breadth: int) -> Indices:
        import faiss

        parameters = faiss.SearchParametersHNSW(efSearch=max(breadth, k))  # type: ignore[attr-defined]
        indices: Indices = self._index.search(queries, k, params=parameters)[1]
        return indices

    def _walk_from(self, queries: Float32, starts: Indices, k: int) -> Indices:
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
        self._index.hnsw.efSearch = max(self.graph.following, k)  # of these searches alone: others say theirs
        given = (pointer(queries), k, pointer(rows), pointer(near), pointer(distances), pointer(found))
        self._index.search_level_0(len(queries), *given, starts.shape[1], _ALL_STARTS_AT_ONCE)
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
    pairs = height / 2
    edges = sorted({0, *(2 * round(pairs * number / count) for number in range(1, count)), height})
    return [slice(first, last) for first, last in pairwise(edges) if first < last]


@dataclass(frozen=True)
class WalkOrder:
    """Positions of a grid, by number: ``first`` ``(a,)``, ``following`` ``(b,)``, and ``beside`` these ``(b, 2)``,
    of the first.
    """

    first: Indices
    following: Indices
    beside: Indices


@lru_cache(maxsize=16)
def walk_order(height: int, width: int) -> WalkOrder:
    """Every second position each way, and the rest, each between two of them.

    >>> order = walk_order(3, 3)
    >>> order.first.tolist(), order.beside[order.following == 4].tolist()
    ([0, 2, 6, 8], [[0, 8]])
    """
    rows, columns = (place.ravel() for place in np.indices((height, width)))
    first = (rows % 2 == 0) & (columns % 2 == 0)
    last = (height - 1) // 2 * 2, (width - 1) // 2 * 2
    before = rows // 2 * 2 * width + columns // 2 * 2
    after = np.minimum((rows + 1) // 2 * 2, last[0]) * width + np.minimum((columns + 1) // 2 * 2, last[1])
    beside = np.stack([before, after], axis=1)[~first]
    return WalkOrder(np.flatnonzero(first), np.flatnonzero(~first), beside)


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
    """Candidates kept by a search that starts beside its goal, where others keep ``breadth``."""
    return max(1, breadth // 4)


def accuracy(distances: Float32, exact: Float32) -> Accuracy:
    """What ``distances`` found are worth beside the ``exact`` ones."""
    excess = float((distances - exact).sum(dtype=np.float64)) / max(float(exact.sum(dtype=np.float64)), 1e-30)
    return Accuracy(float((distances <= exact).mean()), max(excess, 0.0))
