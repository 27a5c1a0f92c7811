"""Nearest rows of a memory bank: exact, or approximate with its recall measured.

FAISS (arXiv 2401.08281) finds the rows; approximate search walks an HNSW graph (arXiv 1603.09320). Either way the
distances returned are computed again from differences of the rows found, so that a row's distance to itself is 0
where FAISS's ``|x|² + |y|² − 2xy`` leaves a rest. Queries whose neighbours lie within that rest are searched again
by differences alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from kizu.errors import ModelFileError

Float32 = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

GRAPH_LINKS = 16
"""Links of a row in the HNSW graph (M): 16 serves up to some 100,000 rows."""

BUILD_BREADTH = 40
"""Candidates kept while the graph is built (efConstruction)."""

GRAPH_LEVELS = 8
"""Levels that FAISS lays out for `GRAPH_LINKS` links; it finds no place for the links of a higher one."""

SEARCH_BREADTHS = (16, 32, 64, 128, 256, 512)
"""Candidates kept while searching (efSearch): the first that is accurate enough is taken."""

DIRECT_QUERIES = 16
"""So few queries FAISS compares with the rows by differences; it multiplies matrices from 20 (1.8) or 128,000 / D
queries (1.15)."""

ROWS_AT_A_TIME = 2048
"""Rows multiplied with all queries at a time: bounds the scratch memory to Q × ROWS_AT_A_TIME float32."""

RANKED_QUERIES = 1024
"""Queries whose differences are held at a time: bounds the scratch memory to RANKED_QUERIES × k × D float32."""


class Neighbors(Protocol):
    """Finds nearest rows."""

    def search(self, queries: Float32, k: int) -> tuple[Float32, Indices]:
        """``queries`` ``(Q, D)`` → plain distances ``(Q, k)`` ascending and row numbers ``(Q, k)``."""
        ...


class ExactNeighbors:
    """Compares every query with every row; holds no copy of them.

    Of rows whose distances float32 products cannot tell apart it may take the farther one, unless they are so near
    that this would matter.
    """

    def __init__(self, rows: Float32, norms: Float32 | None = None) -> None:
        """``norms`` ``(N,)``: the rows' squared lengths, where they are known."""
        self.rows = rows
        self._norms: Float32 = np.einsum("nd,nd->n", rows, rows) if norms is None else norms
        self._largest = float(self._norms.max(initial=0))

    def part(self, rows: slice) -> ExactNeighbors:
        """The same for some neighbouring rows, nothing copied; they are numbered from 0."""
        return ExactNeighbors(self.rows[rows], self._norms[rows])

    def search(self, queries: Float32, k: int) -> tuple[Float32, Indices]:
        import faiss

        k = min(k, len(self.rows))
        by_products = k == 1 and len(queries) > DIRECT_QUERIES
        found = self._nearest(queries)[:, None] if by_products else faiss.knn(queries, self.rows, k)[1]
        distances, indices = _ranked(self.rows, queries, found)
        unsure = self._unsure(queries, distances[:, -1])
        for first in range(0, len(unsure), DIRECT_QUERIES):
            part = unsure[first : first + DIRECT_QUERIES]
            found = faiss.knn(queries[part], self.rows, k)[1]
            distances[part], indices[part] = _ranked(self.rows, queries[part], found)
        return distances, indices

    def _nearest(self, queries: Float32) -> Indices:
        """The row of smallest |row|² − 2 row·query: FAISS's own flat search took four times as long here."""
        nearest = np.zeros(len(queries), dtype=np.int64)
        smallest: Float32 = np.full(len(queries), np.inf, dtype=np.float32)
        doubled = -2.0 * queries
        for first in range(0, len(self.rows), ROWS_AT_A_TIME):
            part = slice(first, first + ROWS_AT_A_TIME)
            products = doubled @ self.rows[part].T
            products += self._norms[part]
            best = products.argmin(axis=1)
            reached = np.take_along_axis(products, best[:, None], 1)[:, 0]
            nearer = reached < smallest
            smallest[nearer], nearest[nearer] = reached[nearer], first + best[nearer]
        return nearest

    def _unsure(self, queries: Float32, farthest: Float32) -> Indices:
        """Queries for which a row missed by the products may be much nearer than the ``farthest`` one found.

        The products err by at most ``blur`` (see `kizu.coreset`), so a missed row is nearer by 2 × ``blur`` at most.
        """
        roundoff = (queries.shape[1] + 64) * float(np.finfo(np.float32).eps) / 2
        blur = roundoff * (np.einsum("qd,qd->q", queries, queries) + self._largest)
        unsure: Indices = np.flatnonzero((farthest > 0) & (np.square(farthest) < 4 * blur))
        return unsure


@dataclass(frozen=True)
class Graph:
    """An HNSW graph as plain arrays: all an index holds besides the rows.

    ``levels`` ``(N,)`` int32, ``offsets`` ``(N + 1,)`` uint64, ``links`` ``(L,)`` int32 (−1: none),
    ``entry`` the row where a search starts, ``breadth`` the candidates kept while searching.
    Raises `ModelFileError` when they do not fit together.
    """

    levels: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.uint64]
    links: npt.NDArray[np.int32]
    entry: int
    breadth: int

    def __post_init__(self) -> None:
        """FAISS follows these numbers without looking: one out of range would read foreign memory."""
        count = self.levels.size
        sound = (
            self.levels.dtype == np.int32
            and self.offsets.dtype == np.uint64
            and self.links.dtype == np.int32
            and self.levels.ndim == self.links.ndim == 1
            and count > 0
            and self.offsets.shape == (count + 1,)
            and int(self.offsets[0]) == 0
            and int(self.offsets[-1]) == len(self.links)
            and int(self.levels.min()) >= 1
            and int(self.levels.max()) <= GRAPH_LEVELS
            and 0 <= self.entry < count
            and self.levels[self.entry] == self.levels.max()
            and self._links_sound(count)
            and 1 <= self.breadth <= SEARCH_BREADTHS[-1]
        )
        if not sound:
            raise ModelFileError("the search graph is damaged; fit the model again or restore the file.")

    def _links_sound(self, count: int) -> bool:
        sizes = self.offsets[1:].astype(np.int64) - self.offsets[:-1].astype(np.int64)
        expected = 2 * GRAPH_LINKS + (self.levels.astype(np.int64) - 1) * GRAPH_LINKS
        in_range = not len(self.links) or (self.links.min() >= -1 and self.links.max() < count)
        return bool((sizes == expected).all()) and in_range and self._upper_links_reach_their_level()

    def _upper_links_reach_their_level(self) -> bool:
        """A link on level n must lead to a row that has a level n."""
        for row in np.flatnonzero(self.levels > 1):
            first = int(self.offsets[row]) + 2 * GRAPH_LINKS
            links = self.links[first : int(self.offsets[row + 1])].reshape(-1, GRAPH_LINKS)
            for level, reached in enumerate(links, start=2):
                if (self.levels[reached[reached >= 0]] < level).any():
                    return False
        return True


class ApproximateNeighbors:
    """Walks an HNSW graph; FAISS keeps its own copy of the rows. ``exact`` searches the same rows exactly."""

    def __init__(self, rows: Float32, graph: Graph) -> None:
        if len(graph.levels) != len(rows):
            raise ModelFileError(
                f"the search graph has {len(graph.levels)} rows, the memory bank {len(rows)}; restore the file."
            )
        self.rows = rows
        self.exact = ExactNeighbors(rows)
        self.graph = graph
        self._index = _index_from(rows, graph)

    def search(self, queries: Float32, k: int) -> tuple[Float32, Indices]:
        k = min(k, len(self.rows))
        self._index.hnsw.efSearch = max(self.graph.breadth, k)
        _, indices = self._index.search(queries, k)
        lost = np.flatnonzero((indices < 0).any(axis=1))  # the walk ended before it had met k rows
        if len(lost):
            _, indices[lost] = self.exact.search(queries[lost], k)
        return _ranked(self.rows, queries, indices)


def link(rows: Float32) -> Graph:
    """Build the HNSW graph of ``rows`` ``(N, D)``. One thread: with more, the graph would depend on timing."""
    import faiss

    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        index = faiss.IndexHNSWFlat(rows.shape[1], GRAPH_LINKS)
        hnsw: Any = index.hnsw
        hnsw.efConstruction = BUILD_BREADTH
        index.add(rows)
    finally:
        faiss.omp_set_num_threads(threads)
    return Graph(
        levels=faiss.vector_to_array(hnsw.levels),
        offsets=faiss.vector_to_array(hnsw.offsets),
        links=faiss.vector_to_array(hnsw.neighbors),
        entry=int(hnsw.entry_point),
        breadth=SEARCH_BREADTHS[0],
    )


@dataclass(frozen=True)
class Accuracy:
    """What an approximate search reached on a set of queries.

    ``recall``: the share that met their nearest row. ``error``: by which share distances came out too large, in sum.
    """

    recall: float = 1.0
    error: float = 0.0


def tuned(rows: Float32, queries: Float32, error: float) -> tuple[ApproximateNeighbors, Accuracy]:
    """Approximate search just broad enough that the distances of ``queries`` ``(Q, D)`` exceed the exact ones by at
    most ``error`` (a share, in sum), and what it reached; as broad as `SEARCH_BREADTHS` allow where none does.
    """
    exact, _ = ExactNeighbors(rows).search(queries, 1)
    found = ApproximateNeighbors(rows, link(rows))
    for breadth in SEARCH_BREADTHS:
        found.graph = replace(found.graph, breadth=breadth)
        distances, _ = found.search(queries, 1)
        excess = float((distances - exact).sum(dtype=np.float64)) / max(float(exact.sum(dtype=np.float64)), 1e-30)
        reached = Accuracy(float((distances <= exact).mean()), max(excess, 0.0))
        if reached.error <= error:
            break
    return found, reached


def _index_from(rows: Float32, graph: Graph) -> Any:
    import faiss

    index = faiss.IndexHNSWFlat(rows.shape[1], GRAPH_LINKS)
    index.storage.add(rows)
    hnsw: Any = index.hnsw
    faiss.copy_array_to_vector(graph.levels, hnsw.levels)
    faiss.copy_array_to_vector(graph.offsets, hnsw.offsets)
    faiss.copy_array_to_vector(graph.links, hnsw.neighbors)
    hnsw.entry_point = graph.entry
    hnsw.max_level = int(graph.levels.max()) - 1
    index.ntotal = len(rows)
    return index


def _ranked(rows: Float32, queries: Float32, indices: Indices) -> tuple[Float32, Indices]:
    """Distances from differences, and the neighbours in their order."""
    distances: Float32 = np.empty(indices.shape, dtype=np.float32)
    for first in range(0, len(queries), RANKED_QUERIES):
        part = slice(first, first + RANKED_QUERIES)
        difference = rows[indices[part]] - queries[part, None, :]
        distances[part] = np.sqrt(np.einsum("qkd,qkd->qk", difference, difference))
    if indices.shape[1] == 1:
        return distances, indices
    order = np.argsort(distances, axis=1, kind="stable")
    return np.take_along_axis(distances, order, 1), np.take_along_axis(indices, order, 1)
