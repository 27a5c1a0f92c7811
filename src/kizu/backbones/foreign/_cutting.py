"""Cutting a part out of an ONNX model: what some tensors need, and nothing behind them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from onnx import helper

from kizu.errors import BackboneError


def cut(model: Any, tensors: Sequence[str]) -> Any:
    """A model whose outputs are ``tensors``, in that order and without shapes; its inputs are those it needs.

    Names stay; what says where and how the model was made (descriptions, traces) is left out. Arrays that a branch or
    loop reads become constants, as `onnx.compose` overlooks them there.

    Raises:
        BackboneError: a tensor needs sparse arrays.
    """
    graph = model.graph
    nodes, read, read_inside = _needed(graph, set(tensors))
    _refuse_sparse(graph, read)
    arrays = [tensor for tensor in graph.initializer if tensor.name in read]
    inside = [tensor for tensor in arrays if tensor.name in read_inside]
    stored = {tensor.name for tensor in graph.initializer}
    part = helper.make_graph(
        [helper.make_node("Constant", [], [tensor.name], value=tensor) for tensor in inside] + nodes,
        "part",
        [value for value in graph.input if value.name in read and value.name not in stored],
        [helper.make_empty_tensor_value_info(name) for name in tensors],
        [tensor for tensor in arrays if tensor.name not in read_inside],
    )
    kept = helper.make_model(part, opset_imports=list(model.opset_import), ir_version=model.ir_version)
    _forget(kept.graph)
    return kept


def _needed(graph: Any, wanted: set[str]) -> tuple[list[Any], set[str], set[str]]:
    """The nodes that ``wanted`` need, in order; all names they read; those read in branches and loops."""
    read, read_inside, nodes = set(wanted), set(), []
    for node in reversed(graph.node):
        if read.isdisjoint(node.output):
            continue
        inside = {name for part in _parts(node) for inner in part.node for name in reads(inner)}
        read.update(node.input, inside)
        read_inside |= inside
        nodes.append(node)
    return nodes[::-1], read, read_inside


def _parts(node: Any) -> Iterator[Any]:
    """The graphs inside a node."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def reads(node: Any) -> Iterator[str]:
    """The names a node reads, and those read in the graphs inside it."""
    yield from node.input
    for part in _parts(node):
        yield from (value.name for value in part.output)
        for inner in part.node:
            yield from reads(inner)


def _refuse_sparse(graph: Any, read: set[str]) -> None:
    for tensor in graph.sparse_initializer:
        if tensor.values.name in read:
            raise BackboneError(
                f"the ONNX graph stores {tensor.values.name!r} as a sparse array, which kizu does not read. "
                "Export it anew without sparse arrays."
            )


def _forget(graph: Any) -> None:
    """Take out what tells of the machine and the moment."""
    for node in graph.node:
        node.doc_string = ""
        node.ClearField("metadata_props")
        for part in _parts(node):
            _forget(part)
    for tensor in [*graph.initializer, *graph.input]:
        tensor.doc_string = ""
