"""PatchCore's scores as nodes of a graph: the bank inside, searched exactly.

The search multiplies matrices, tile by tile of the bank, as `kizu.neighbors` does; the few rows that come out nearest
are then compared by differences, so that cancellation in ``|x|² + |y|² − 2xy`` cannot reach a score. The bank is
stored once, about its mean, where the products have least to cancel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kizu.expressions import Expression, constant
from kizu.graphs import Graph

Float32 = npt.NDArray[np.float32]

ROWS_AT_A_TIME = 4096
"""Bank rows multiplied with all queries at a time: bounds the scratch memory to Q × ROWS_AT_A_TIME float32."""

SPARE = 3
"""Rows a tile offers beyond those asked for, since products err: the nearest is chosen among them by differences."""


@dataclass(frozen=True)
class _Found:
    """The nearest rows to one query: their ``distances`` ``(1, k)``, ascending, and the ``rows`` ``(1, k, D)``."""

    distances: Expression
    rows: Expression


class BankGraph:
    """A memory bank in a graph. ``bank`` ``(M, D)`` float32."""

    def __init__(self, graph: Graph, bank: Float32) -> None:
        self.size = len(bank)
        self._graph = graph
        self._mean: Float32 = bank.mean(axis=0, dtype=np.float64).astype(np.float32)
        self._tiles: list[Float32] = [
            bank[first : first + ROWS_AT_A_TIME] - self._mean for first in range(0, self.size, ROWS_AT_A_TIME)
        ]

    def centred(self, embedding: Expression) -> Expression:
        """An embedding ``(1, h, w, D)`` as queries ``(h·w, D)``, about the bank's mean as its rows are."""
        return embedding.reshape(-1, len(self._mean)) - constant(self._graph, self._mean)

    def distances(self, queries: Expression, k: int) -> Expression:
        """Plain distances ``(Q, k)``, ascending, of queries ``(Q, D)`` to their nearest rows."""
        k = min(k, self.size)
        return _smallest(_joined([distances for distances, _ in self._candidates(queries, k)]), k)[0]

    def nearest(self, query: Expression, k: int) -> _Found:
        """The nearest rows to one query ``(1, D)``."""
        k = min(k, self.size)
        found = self._candidates(query, k)
        distances, order = _smallest(_joined([distances for distances, _ in found]), k)
        return _Found(distances, _joined([rows for _, rows in found]).take(0).take(order))

    def _candidates(self, queries: Expression, k: int) -> list[tuple[Expression, Expression]]:
        """Of each tile, rows among which its nearest are, ``(Q, c, D)``, and their distances ``(Q, c)``."""
        doubled = queries * -2.0
        return [self._of_tile(queries, doubled, tile, min(k + SPARE, len(tile))) for tile in self._tiles]

    def _of_tile(
        self, queries: Expression, doubled: Expression, tile: Float32, count: int
    ) -> tuple[Expression, Expression]:
        rows = constant(self._graph, tile)
        norms = constant(self._graph, np.einsum("nd,nd->n", tile, tile, dtype=np.float64).astype(np.float32)[None])
        products = doubled.apply("Gemm", rows, norms, transB=1)
        candidates = rows.take(_smallest(products, count)[1])
        return _lengths(candidates - queries.reshape(-1, 1, len(self._mean))), candidates


def _smallest(values: Expression, k: int) -> tuple[Expression, Expression]:
    """The ``k`` smallest of each row, ascending, and where they are (int64)."""
    graph = values.graph
    count = graph.constant(np.array([k], np.int64))
    names = graph.node_of(2, "TopK", [values.name, count], axis=-1, largest=0, sorted=1)
    return Expression(graph, names[0], values.dtype), Expression(graph, names[1], np.dtype(np.int64))


def _lengths(differences: Expression) -> Expression:
    """Of the vectors along the last axis."""
    return (differences * differences).reduced("ReduceSum", [-1]).apply("Sqrt")


def _joined(parts: list[Expression]) -> Expression:
    """Side by side along axis 1."""
    return parts[0] if len(parts) == 1 else parts[0].apply("Concat", *parts[1:], axis=1)


Weight = Callable[[BankGraph, Expression], Expression]
"""From the bank and the query ``(1, D)`` that scores highest to what the image score is multiplied with, ``()``."""


def write_scores(
    graph: Graph, embedding: str, grid: tuple[int, int], bank: Float32, neighbors: int, weight: Weight | None
) -> tuple[str, str]:
    """Names of the patch scores ``(1, h, w)`` and the image score ``()`` of one embedding ``(1, h, w, D)``."""
    search = BankGraph(graph, bank)
    queries = search.centred(Expression(graph, embedding, np.dtype(np.float32)))
    distances = search.distances(queries, neighbors)
    patches = distances.reduced("ReduceMean", [1])
    score = patches.reduced("ReduceMax")
    if weight is not None and len(bank) > 1:  # one row alone weighs 1
        highest = Expression(graph, graph.node("ArgMax", [patches.name], axis=0), np.dtype(np.int64))
        score = score * weight(search, queries.take(highest))
    return patches.reshape(1, *grid).name, score.name


def paper_weight(neighbors: int) -> Weight:
    """`kizu.detectors._reweighting.of_paper`: by the ``neighbors`` rows around the query's nearest row m*."""

    def weight(bank: BankGraph, query: Expression) -> Expression:
        nearest = bank.nearest(query, 1)
        around = bank.nearest(nearest.rows.take(0, axis=1), neighbors).rows
        return _left_over(nearest.distances, _lengths(around - query))

    return weight


def walkthrough_weight(neighbors: int) -> Weight:
    """`kizu.detectors._reweighting.of_walkthrough`: by the ``neighbors`` rows nearest to the query."""

    def weight(bank: BankGraph, query: Expression) -> Expression:
        distances = bank.distances(query, neighbors)
        return _left_over(distances.reduced("ReduceMax"), distances)

    return weight


def _left_over(one: Expression, among: Expression) -> Expression:
    """``1 − exp(one) / Σ exp(among)``, not below 0: of one number and several to a scalar."""
    largest = among.reduced("ReduceMax")
    total = (among - largest).apply("Exp").reduced("ReduceSum")
    share = (one.reduced("ReduceMax") - largest).apply("Exp") / total
    return (constant(one.graph, np.float32(1)) - share).at_least(0.0)
