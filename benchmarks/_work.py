"""Arithmetic and bytes that a stage cannot do without: counted from shapes, not measured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FLOAT = 4
"""Bytes of a float32."""

BILINEAR = 8
"""Operations for a value between four others: a weight, two multiplications and two additions each way."""

ONE_EACH = frozenset({"Add", "Sub", "Mul", "Div", "Clip", "Relu", "Sum"})
"""Operators that take one operation a value; others move values only."""


@dataclass(frozen=True)
class Work:
    """``flops``: additions and multiplications. ``moved``: bytes that come from memory or go there at least, whatever
    is kept in caches: inputs, weights and results, each once.
    """

    flops: float
    moved: float

    def seconds(self, flops_a_second: float, bytes_a_second: float) -> float:
        """The least time on a machine with these ceilings."""
        return max(self.flops / flops_a_second, self.moved / bytes_a_second)

    def bound(self, flops_a_second: float, bytes_a_second: float) -> str:
        """Which ceiling is lower."""
        return "arithmetic" if self.flops / flops_a_second >= self.moved / bytes_a_second else "memory"


def of_graph(model: bytes) -> Work:
    """One image through a backbone's graph: operations of every node, bytes of the image, weights and embedding."""
    import onnx

    graph = _inferred(onnx.load_from_string(model)).graph
    shapes = {value.name: _shape(value) for value in (*graph.input, *graph.value_info, *graph.output)}
    weights = {weight.name: tuple(weight.dims) for weight in graph.initializer}
    flops = sum(_flops(node, shapes, weights) for node in graph.node)
    stored = sum(math.prod(dims) for dims in weights.values()) * FLOAT
    image = sum(math.prod(shapes[value.name]) for value in graph.input)
    result = sum(math.prod(shapes[value.name]) for value in graph.output) * FLOAT
    return Work(flops, stored + image + result)


def _inferred(model: Any) -> Any:
    """The model for a single image, with the shape of every value."""
    import onnx

    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim)


def _flops(node: Any, shapes: Mapping[str, tuple[int, ...]], weights: Mapping[str, tuple[int, ...]]) -> int:
    values = math.prod(shapes.get(node.output[0], (0,)))
    if node.op_type == "Conv":
        return values * 2 * math.prod(weights[node.input[1]][1:])
    if node.op_type == "AveragePool":
        kernel = next(attribute.ints for attribute in node.attribute if attribute.name == "kernel_shape")
        return values * math.prod(int(size) for size in kernel)
    if node.op_type == "Resize":
        return values * BILINEAR
    return values if node.op_type in ONE_EACH else 0


def of_search(queries: int, rows: int, dimensions: int) -> Work:
    """Every query against every row: a multiplication and an addition a number."""
    moved = FLOAT * (queries + rows) * dimensions + 2 * FLOAT * queries
    return Work(2.0 * queries * rows * dimensions, float(moved))


def of_walk(distances: int, queries: int, dimensions: int) -> Work:
    """An approximate search that computed so many distances: a difference, a square and a sum a number."""
    return Work(3.0 * distances * dimensions, float(FLOAT * (distances + queries) * dimensions))


def of_blocks(rows: int, dimensions: int, picks: int, rounds: int) -> Work:
    """Greedy k-center in certified blocks that compares all pairs: all rows against all picks, read once a round."""
    return Work(2.0 * rows * dimensions * picks, float(FLOAT * rows * dimensions * rounds))


def of_passes(rows: int, dimensions: int, picks: int) -> Work:
    """The textbook's greedy k-center: all rows are read for every pick."""
    return Work(2.0 * rows * dimensions * picks, float(FLOAT * rows * dimensions * picks))


def of_gaussians(positions: int, dimensions: int, stored: int) -> Work:
    """A Mahalanobis distance a position, by a triangular factor; ``stored``: bytes of means and factors."""
    return Work(float(positions * dimensions * (dimensions + 3)), float(stored + FLOAT * positions * dimensions))


def of_map(grid: tuple[int, ...], side: int, sigma: float) -> Work:
    """Patch scores brought to a square and blurred, rows and columns apart, within 4 σ."""
    taps = 2 * int(4 * sigma + 0.5) + 1
    values = side * side
    return Work(float(values * (BILINEAR + 2 * 2 * taps)), float(FLOAT * (math.prod(grid) + values)))
