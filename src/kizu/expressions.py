"""Arithmetic on the tensors of an ONNX graph in the making, written as in NumPy.

Whole numbers stay whole: lengths that are only known when the graph runs are reckoned in int32, without rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from kizu.graphs import Graph, Output


@dataclass(frozen=True)
class Expression:
    """The tensor ``name`` of ``graph``, whose elements are of ``dtype``; every operation writes a node.

    A plain number on the other side becomes a constant of this side's type.
    """

    graph: Graph
    name: str
    dtype: np.dtype[Any]

    def __add__(self, other: Expression | float) -> Expression:
        return self.apply("Add", other)

    def __sub__(self, other: Expression | float) -> Expression:
        return self.apply("Sub", other)

    def __mul__(self, other: Expression | float) -> Expression:
        return self.apply("Mul", other)

    def __truediv__(self, other: Expression | float) -> Expression:
        return self.apply("Div", other)

    def __floordiv__(self, other: Expression | int) -> Expression:
        """Of whole numbers; rounds towards zero, as ONNX does."""
        return self.apply("Div", other)

    def __mod__(self, other: Expression | int) -> Expression:
        return self.apply("Mod", other)

    def __matmul__(self, other: Expression) -> Expression:
        return self.apply("MatMul", other)

    def __gt__(self, other: Expression | float) -> Expression:
        return self._as(np.dtype(np.bool_), self.apply("Greater", other))

    def __ge__(self, other: Expression | float) -> Expression:
        return self._as(np.dtype(np.bool_), self.apply("GreaterOrEqual", other))

    def __invert__(self) -> Expression:
        return self.apply("Not")

    def __and__(self, other: Expression) -> Expression:
        return self.apply("And", other)

    def __or__(self, other: Expression) -> Expression:
        return self.apply("Or", other)

    def equals(self, other: Expression | float) -> Expression:
        return self._as(np.dtype(np.bool_), self.apply("Equal", other))

    def at_least(self, other: Expression | float) -> Expression:
        return self.apply("Max", other)

    def at_most(self, other: Expression | float) -> Expression:
        return self.apply("Min", other)

    def where(self, yes: Expression, no: Expression) -> Expression:
        """``yes`` where this is true, ``no`` elsewhere."""
        return Expression(self.graph, self.graph.node("Where", [self.name, yes.name, no.name]), yes.dtype)

    def apply(self, operator: str, *others: Expression | float, **attributes: object) -> Expression:
        """A node on this and ``others`` that gives elements of the same type."""
        inputs = [self.name, *(self._operand(other) for other in others)]
        return Expression(self.graph, self.graph.node(operator, inputs, "", **attributes), self.dtype)

    def cast(self, dtype: type[Any]) -> Expression:
        kind = np.dtype(dtype)
        if kind == self.dtype:
            return self
        to = helper.np_dtype_to_tensor_dtype(kind)
        return self._as(kind, self.apply("Cast", to=to))

    def reshape(self, *shape: int | Expression) -> Expression:
        """To a shape of numbers and of whole scalars known when the graph runs; -1 for what is left."""
        if all(isinstance(n, int) for n in shape):
            sizes = self.graph.constant(np.array(shape, np.int64))
        else:
            sizes = _sizes(self.graph, shape)
        return Expression(self.graph, self.graph.node("Reshape", [self.name, sizes]), self.dtype)

    def transpose(self, *axes: int) -> Expression:
        return self.apply("Transpose", perm=list(axes))

    def take(self, indices: Expression | Sequence[int] | int, axis: int = 0) -> Expression:
        """Elements by number along an axis; of a single number the axis goes."""
        if not isinstance(indices, Expression):
            indices = constant(self.graph, np.asarray(indices, np.int64))
        return self.apply("Gather", indices, axis=axis)

    def reduced(self, operator: str, axes: Sequence[int] | None = None, *, keep: bool = False) -> Expression:
        """``ReduceSum``, ``ReduceMax``, … over ``axes`` (None: all)."""
        inputs = [self.name]
        if axes is not None:
            inputs.append(self.graph.constant(np.asarray(axes, np.int64)))
        return Expression(self.graph, self.graph.node(operator, inputs, keepdims=int(keep)), self.dtype)

    def named(self, name: str) -> Expression:
        """The same under a name of its own, as an output needs it."""
        return Expression(self.graph, self.graph.node("Identity", [self.name], name), self.dtype)

    def inside(self, graph: Graph) -> Expression:
        """The same tensor, seen from a graph inside this one."""
        return Expression(graph, self.name, self.dtype)

    def _as(self, dtype: np.dtype[Any], result: Expression) -> Expression:
        return Expression(self.graph, result.name, dtype)

    def _operand(self, other: Expression | float) -> str:
        if isinstance(other, Expression):
            return other.name
        return self.graph.constant(np.asarray(other, self.dtype))


def constant(graph: Graph, value: Any) -> Expression:
    """A stored array as an expression."""
    array = np.asarray(value)
    return Expression(graph, graph.constant(array), array.dtype)


def zeros(graph: Graph, *shape: int | Expression) -> Expression:
    """Float32 zeros of a shape that is known when the graph runs."""
    return Expression(graph, graph.node("ConstantOfShape", [_sizes(graph, shape)]), np.dtype(np.float32))


def _sizes(graph: Graph, shape: Sequence[int | Expression]) -> str:
    """A shape as a tensor (n,) int64."""
    one = graph.constant(np.array([1], np.int64))
    parts = [
        graph.constant(np.array([n], np.int64))
        if isinstance(n, int)
        else graph.node("Reshape", [n.cast(np.int64).name, one])
        for n in shape
    ]
    return graph.node("Concat", parts, axis=0)


def added_up(start: Expression, count: Expression, term: Callable[[Expression], Expression], name: str) -> Expression:
    """``start + term(0) + term(1) + …``, ``count`` terms, one after the other in this order.

    ``term`` gets its number, int64, in a graph of its own (see `Expression.inside`), whose nodes bear ``name``.
    """
    body = Graph(f"{name}_")
    turn = Expression(body, body.input(f"{name}_turn", TensorProto.INT64, []), np.dtype(np.int64))
    more = body.input(f"{name}_more", TensorProto.BOOL, [])
    shape = tuple(f"{name}_{axis}" for axis in range(3))
    so_far = Expression(body, body.input(f"{name}_so_far", TensorProto.FLOAT, shape), start.dtype)
    go_on = body.node("Identity", [more])
    total = so_far + term(turn)
    outputs = [Output(go_on, (), TensorProto.BOOL), Output(total.name, shape)]
    loop = start.graph.node("Loop", [count.cast(np.int64).name, "", start.name], "", body=body.model(outputs).graph)
    return Expression(start.graph, loop, start.dtype)


def either(
    condition: Expression, yes: Callable[[Graph], Expression], no: Callable[[Graph], Expression], name: str
) -> Expression:
    """Of two ways to the same result, only one is taken when the graph runs: ``yes`` where ``condition`` is true.

    Each is written into a graph of its own (see `Expression.inside`), whose nodes bear ``name``; three axes.
    """
    branches, dtype = {}, condition.dtype
    for branch, write in (("then_branch", yes), ("else_branch", no)):
        body = Graph(f"{name}_{branch}_")
        result = write(body)
        dtype = result.dtype
        shape = tuple(f"{name}_{axis}" for axis in range(3))
        output = Output(result.name, shape, helper.np_dtype_to_tensor_dtype(dtype))
        branches[branch] = body.model([output]).graph
    return Expression(condition.graph, condition.graph.node("If", [condition.name], "", **branches), dtype)


def counted(count: Expression) -> Expression:
    """0, 1, … up to ``count`` (a whole scalar), int32."""
    graph = count.graph
    zero, one = (graph.constant(np.asarray(n, count.dtype)) for n in (0, 1))
    return Expression(graph, graph.node("Range", [zero, count.name, one]), count.dtype)
