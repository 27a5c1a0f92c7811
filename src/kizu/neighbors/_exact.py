"""Nearest rows by comparing with every one."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from kizu.threads import available, together

Float32 = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

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
        self._known_norms = norms

    @property
    def _norms(self) -> Float32:
        """Computed when first asked for: rows may be in a file, to be read page by page."""
        if self._known_norms is None:
            self._known_norms = np.einsum("nd,nd->n", self.rows, self.rows)
        return self._known_norms

    @cached_property
    def _largest(self) -> float:
        return float(self._norms.max(initial=0))

    def take(self, numbers: Indices) -> Float32:
        """The rows ``(..., D)`` of these numbers ``(...)``; a copy."""
        taken: Float32 = self.rows[numbers]
        return taken

    def part(self, rows: slice) -> ExactNeighbors:
        """The same for some neighbouring rows, nothing copied; they are numbered from 0."""
        return ExactNeighbors(self.rows[rows], self._norms[rows])

    def search(self, queries: Float32, k: int) -> tuple[Float32, Indices]:
        import faiss

        k = min(k, len(self.rows))
        if k == len(queries) == 1:
            return ranked(self.rows, queries, self._nearest_to_one(queries[0]))
        if len(queries) <= DIRECT_QUERIES:
            return ranked(self.rows, queries, self._by_differences(queries, k))
        found = self._nearest(queries)[:, None] if k == 1 else faiss.knn(queries, self.rows, k)[1]
        distances, indices = ranked(self.rows, queries, found)
        unsure = self._unsure(queries, distances[:, -1])
        for first in range(0, len(unsure), DIRECT_QUERIES):
            part = unsure[first : first + DIRECT_QUERIES]
            distances[part], indices[part] = ranked(self.rows, queries[part], self._by_differences(queries[part], k))
        return distances, indices

    def _by_differences(self, queries: Float32, k: int) -> Indices:
        """``(Q, k)`` for `DIRECT_QUERIES` at most."""
        import faiss

        parts = np.array_split(queries, max(1, min(len(queries), available())))
        found: list[Indices] = together(lambda part: faiss.knn(part, self.rows, k)[1], parts)
        return np.concatenate(found)

    def _nearest_to_one(self, query: Float32) -> Indices:
        """``(1, 1)``, by differences in this thread: others that FAISS's search wakes find nothing to do, and cost as
        much time again.
        """
        import faiss

        pointer: Any = faiss.swig_ptr
        rows, query = np.ascontiguousarray(self.rows), np.ascontiguousarray(query)
        squared = np.empty(len(rows), dtype=np.float32)
        faiss.fvec_L2sqr_ny(  # type: ignore[attr-defined]
            pointer(squared), pointer(query), pointer(rows), rows.shape[1], len(rows)
        )
        return np.array([[squared.argmin()]])

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


def ranked(rows: Float32, queries: Float32, indices: Indices) -> tuple[Float32, Indices]:
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
