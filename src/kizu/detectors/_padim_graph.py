"""PaDiM's scores as nodes of a graph: products with the inverses of the Cholesky factors.

A distance is ``|L⁻¹·difference|`` (eq. 2 of arXiv 2011.08785 with Σ = L·Lᵀ). A graph has no forward substitution, so
the triangular inverses are stored, computed in float64. They are cut into rows of blocks, each as wide as its last
row reaches: of the half that is zero, only a `BLOCKS`-th is stored.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kizu.expressions import Expression, constant
from kizu.graphs import Graph
from kizu.progress import Advance, ignore

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

BLOCKS = 8
"""Rows of blocks in a factor: stored are (1 + 1/8)/2 of its square."""

SMALLEST_HALVED = 32
"""Up to so many rows a triangular matrix is inverted as a full one."""

POSITIONS = 64
"""Positions whose factors are inverted at a time."""


def write_scores(
    graph: Graph,
    embedding: str,
    *,
    channels: npt.NDArray[np.int64],
    mean: Float32,
    packed: Float32,
    advance: Advance = ignore,
) -> tuple[str, str]:
    """Names of the patch scores ``(1, h, w)`` and the image score ``()`` of one embedding ``(1, h, w, D)``.

    ``channels`` ``(d,)`` are those kept, ``mean`` is ``(h, w, d)``, ``packed`` ``(d(d+1)/2, h·w)`` the lower factors,
    row after row. ``advance`` is called with positions done.
    """
    height, width, size = mean.shape
    kept = Expression(graph, embedding, np.dtype(np.float32)).take(channels.tolist(), axis=3)
    difference = (kept - constant(graph, mean)).reshape(height * width, 1, size)
    parts = [
        difference.take(range(rows.shape[1]), axis=2) @ constant(graph, rows)
        for rows in _inverses(packed, size, advance)
    ]
    solved = parts[0] if len(parts) == 1 else parts[0].apply("Concat", *parts[1:], axis=2)
    patches = (solved * solved).reduced("ReduceSum", [1, 2]).apply("Sqrt")
    return patches.reshape(1, height, width).name, patches.reduced("ReduceMax").name


def _inverse(lower: Float64) -> Float64:
    """Of lower triangular matrices ``(n, d, d)``, half by half, which takes less than inverting full ones."""
    size = lower.shape[1]
    if size <= SMALLEST_HALVED:
        return np.tril(np.linalg.inv(lower))
    half = size // 2
    upper, below, last = lower[:, :half, :half], lower[:, half:, :half], lower[:, half:, half:]
    inverse = np.zeros_like(lower)
    inverse[:, :half, :half], inverse[:, half:, half:] = _inverse(upper), _inverse(last)
    inverse[:, half:, :half] = -inverse[:, half:, half:] @ (below @ inverse[:, :half, :half])
    return inverse


def _inverses(packed: Float32, size: int, advance: Advance) -> list[Float32]:
    """The inverse factors' rows of blocks, each ``(P, columns, rows)``: to be multiplied from the right."""
    positions = packed.shape[1]
    step = -(-size // BLOCKS)
    bounds = [(first, min(first + step, size)) for first in range(0, size, step)]
    blocks: list[Float32] = [np.empty((positions, last, last - first), np.float32) for first, last in bounds]
    lower = np.tril_indices(size)
    for start in range(0, positions, POSITIONS):
        here = slice(start, min(start + POSITIONS, positions))
        factors = np.zeros((here.stop - start, size, size))
        factors[:, lower[0], lower[1]] = packed[:, here].T
        inverse = _inverse(factors)
        for block, (first, last) in zip(blocks, bounds, strict=True):
            block[here] = inverse[:, first:last, :last].transpose(0, 2, 1)
        advance(len(factors))
    return blocks
