"""An ensemble's scores as nodes of a graph: each part's bank searched exactly, and joined."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kizu.detectors._patchcore_graph import BankGraph
from kizu.expressions import Expression
from kizu.graphs import Graph

Float32 = npt.NDArray[np.float32]


def write_scores(
    graph: Graph,
    embedding: str,
    grid: tuple[int, int],
    spans: Sequence[slice],
    banks: Sequence[Float32],
    scales: npt.NDArray[np.float64],
) -> tuple[str, str]:
    """Names of the patch scores ``(1, h, w)`` and the image score ``()`` of one embedding ``(1, h, w, D)``.

    ``spans``: the channels of each part, whose ``banks`` ``(M, Dₚ)`` and ``scales`` ``(P,)`` follow.
    """
    whole = Expression(graph, embedding, np.dtype(np.float32))
    total: Expression | None = None
    for span, bank, scale in zip(spans, banks, scales, strict=True):
        search = BankGraph(graph, bank)
        queries = search.centred(whole.take(range(span.start, span.stop), axis=3))
        scaled = search.distances(queries, 1) * float(1 / scale)
        squared = scaled * scaled
        total = squared if total is None else total + squared
    assert total is not None
    patches = (total * (1 / len(banks))).apply("Sqrt").reshape(1, *grid)
    return patches.name, patches.reduced("ReduceMax").name
