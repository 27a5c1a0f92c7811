"""Graphs in the making: what is stored, and what becomes of a graph inside another."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from kizu.errors import BackboneError
from kizu.graphs import Graph, Output, upgraded


def run(graph: Graph, name: str, **inputs: np.ndarray) -> np.ndarray:
    """What the graph gives under ``name``, which must be one axis of floats."""
    model = graph.serialised([Output(name, ("n",))])
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run([name], inputs)[0]


def doubling(opset: int = 18) -> Any:
    """``y = 2 x``, with names that any graph may use."""
    nodes = [helper.make_node("Mul", ["x", "constant_0"], ["y"], name="mul_0")]
    floats = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in "xy"]
    two = helper.make_tensor("constant_0", TensorProto.FLOAT, [], [2.0])
    inner = helper.make_graph(nodes, "inner", floats[:1], floats[1:], [two])
    return helper.make_model(inner, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def test_equal_arrays_are_stored_once_and_others_not() -> None:
    graph = Graph()
    first = graph.constant(np.array([1.0, 2.0], np.float32))
    assert graph.constant(np.array([1.0, 2.0], np.float32)) == first
    others = [np.array([1.0, 2.0]), np.array([[1.0, 2.0]], np.float32), np.array([1.0, 2.5], np.float32)]
    assert len({first, *map(graph.constant, others)}) == 4
    assert len(graph.constants) == 4


def test_graphs_inside_another_keep_to_themselves() -> None:
    graph = Graph()
    x = graph.input("x", TensorProto.FLOAT, ["n"])
    three = graph.node("Mul", [x, graph.constant(np.float32(3))])
    (six,) = graph.include(doubling(), {"x": three})
    (twelve,) = graph.include(doubling(), {"x": six})
    graph.node("Identity", [twelve], "y")
    np.testing.assert_array_equal(run(graph, "y", x=np.array([1, 5], np.float32)), [12, 60])


def test_a_branch_reads_what_was_fed_from_outside() -> None:
    """The graphs of an ``If`` read names of the graph around them, which are others once it is included."""
    branches = {}
    for branch, operator in (("then_branch", "Neg"), ("else_branch", "Identity")):
        output = helper.make_tensor_value_info(f"{operator}_out", TensorProto.FLOAT, ["n"])
        inside = helper.make_node(operator, ["x"], [f"{operator}_out"])
        branches[branch] = helper.make_graph([inside], operator, [], [output])
    model = doubling()
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.input.append(helper.make_tensor_value_info("flag", TensorProto.BOOL, []))
    model.graph.node.append(helper.make_node("If", ["flag"], ["y"], **branches))
    for flag in (True, False):
        graph = Graph()
        x = graph.input("other", TensorProto.FLOAT, ["n"])
        (y,) = graph.include(model, {"x": x, "flag": graph.constant(np.array(flag))})
        graph.node("Identity", [y], "z")
        found = run(graph, "z", other=np.array([1, 5], np.float32))
        np.testing.assert_array_equal(found, [-1, -5] if flag else [1, 5])


def test_the_newest_operator_set_wins() -> None:
    graph = Graph()
    x = graph.input("x", TensorProto.FLOAT, ["n"])
    (y,) = graph.include(doubling(opset=20), {"x": x})
    graph.include(doubling(opset=18), {"x": x})
    graph.node("Identity", [y], "y")
    model = onnx.load_from_string(graph.serialised([Output("y", ("n",))]))
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 20)]


def test_older_graphs_are_upgraded() -> None:
    nodes = [helper.make_node("ReduceMean", ["x"], ["y"], axes=[0], keepdims=1)]  # an attribute until 17
    floats = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy"]
    inner = helper.make_graph(
        nodes, "inner", floats[:1], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])]
    )
    model = upgraded(helper.make_model(inner, opset_imports=[helper.make_opsetid("", 13)], ir_version=7))
    assert model.opset_import[0].version == 18
    graph = Graph()
    (y,) = graph.include(model, {"x": graph.input("x", TensorProto.FLOAT, [2])})
    graph.node("Identity", [y], "z")
    np.testing.assert_array_equal(run(graph, "z", x=np.array([1, 5], np.float32)), [3])


def test_what_cannot_be_upgraded_is_said() -> None:
    model = doubling(opset=13)
    model.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(BackboneError, match=r"uses operator set 13 and cannot be brought to 18: .* Export it anew"):
        upgraded(model)
