"""Arithmetic of graphs against NumPy's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import helper

from kizu.expressions import Expression, added_up, constant, counted, either, zeros
from kizu.graphs import Graph, Output


def value_of(expression: Expression) -> np.ndarray:
    """What it is when the graph runs."""
    shape = ["a", "b", "c"]
    named = expression.named("result")
    output = Output("result", tuple(shape), helper.np_dtype_to_tensor_dtype(named.dtype))
    model = expression.graph.model([output])
    model.graph.output[0].type.tensor_type.ClearField("shape")
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["result"], {})[0]


A = np.arange(1, 7, dtype=np.float32).reshape(2, 3)
B = np.array([[3, 1, 2], [6, 5, 4]], np.float32)
N = np.array([7, 8, 9], np.int32)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda a, b, n: a + b * 2.0 - 1.0, A + B * 2 - 1),
        (lambda a, b, n: a / b, A / B),
        (lambda a, b, n: n // 2, N // 2),
        (lambda a, b, n: n % 4, N % 4),
        (lambda a, b, n: a @ b.transpose(1, 0), A @ B.T),
        (lambda a, b, n: (a > b).where(a, b), np.maximum(A, B)),
        (lambda a, b, n: (a >= b) & (a > 2.0), (A >= B) & (A > 2)),
        (lambda a, b, n: a.equals(b), A == B),
        (lambda a, b, n: a.at_least(b).at_most(4.0), np.minimum(np.maximum(A, B), 4)),
        (lambda a, b, n: a.take([2, 0], axis=1), A[:, [2, 0]]),
        (lambda a, b, n: a.take(1), A[1]),
        (lambda a, b, n: a.reshape(n.take(0) - 4, -1), A.reshape(3, 2)),
        (lambda a, b, n: a.reduced("ReduceSum", [1]), A.sum(axis=1)),
        (lambda a, b, n: a.reduced("ReduceMax"), A.max()),
        (lambda a, b, n: counted(n.take(0)), np.arange(7, dtype=np.int32)),
        (lambda a, b, n: zeros(a.graph, 2, n.take(0)), np.zeros((2, 7), np.float32)),
        (lambda a, b, n: n.cast(np.float32) / 2.0, N.astype(np.float32) / 2),
    ],
)
def test_it_is_what_numpy_gives(made: Callable[..., Expression], expected: Any) -> None:
    graph = Graph()
    found = value_of(made(constant(graph, A), constant(graph, B), constant(graph, N)))
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.asarray(expected).dtype


def test_sums_are_formed_one_term_after_the_other() -> None:
    """In float32, 1e8 + 1 + … + 1 − 1e8 depends on the order."""
    terms = np.array([1e8, 1, 1, 1, -1e8], np.float32).reshape(5, 1, 1, 1)
    graph = Graph()
    stored = constant(graph, terms)
    start = constant(graph, np.zeros((1, 1, 1), np.float32))
    count = constant(graph, np.int64(5))
    total = added_up(start, count, lambda turn: stored.inside(turn.graph).take(turn), "sum")
    expected = np.float32(0)
    for term in terms.ravel():
        expected = np.float32(expected + term)
    assert value_of(total).item() == expected == 0


@pytest.mark.parametrize("condition", [True, False])
def test_one_of_two_ways(condition: bool) -> None:
    graph = Graph()
    cube = constant(graph, A.reshape(1, 2, 3))
    found = either(
        constant(graph, np.array(condition)),
        lambda inner: cube.inside(inner) * 2.0,
        lambda inner: cube.inside(inner) - 1.0,
        "choice",
    )
    np.testing.assert_array_equal(value_of(found)[0], A * 2 if condition else A - 1)
