"""Small networks as ONNX files, of the kinds people bring."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


def _array(name: str, *shape: int, dtype: type = np.float32, scale: float = 0.3) -> Any:
    rng = np.random.default_rng(len(name) + sum(map(ord, name)))
    return numpy_helper.from_array(rng.normal(0, scale, shape).astype(dtype), name)


def model(
    nodes: list[Any],
    arrays: list[Any],
    *,
    image: list[Any],
    outputs: list[str],
    dtype: int = TensorProto.FLOAT,
    opset: int = 18,
    others: tuple[Any, ...] = (),
    **metadata: str,
) -> Any:
    """A model whose input is ``image``, of that shape."""
    graph = helper.make_graph(
        nodes,
        "made on /home/somebody",
        [helper.make_tensor_value_info("image", dtype, image), *others],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        arrays,
        doc_string="secret",
    )
    graph.node[0].doc_string = "/home/somebody/train.py"
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    helper.set_model_props(made, metadata)
    return made


def convolutions(
    *,
    image: list[Any] | None = None,
    dtype: type = np.float32,
    opset: int = 18,
    names: tuple[str, ...] = ("one", "two", "three", "four"),
    **metadata: str,
) -> Any:
    """Four convolutions of stride 2, each with a `Relu`, called ``names``; then a classifier, ``logits``."""
    nodes, arrays, before, channels = [], [], "image", 3
    for i, name in enumerate(names):
        weight = _array(f"weight{i}", 4 * (i + 1), channels, 3, 3, dtype=dtype)
        arrays.append(weight)
        pads = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
        nodes.append(helper.make_node("Conv", [before, weight.name], [f"{name}_raw"], **pads))
        nodes.append(helper.make_node("Relu", [f"{name}_raw"], [name]))
        before, channels = name, 4 * (i + 1)
    arrays.append(_array("classifier", channels, 10, dtype=dtype))
    nodes += [
        helper.make_node("GlobalAveragePool", [before], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "classifier"], ["logits"]),
    ]
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    shape = image or ["batch", 3, "height", "width"]
    return model(nodes, arrays, image=shape, outputs=["logits"], dtype=kind, opset=opset, **metadata)


def channels_last(side: int | str = "side") -> Any:
    """One convolution as TensorFlow's exporter writes it: `Transpose`, `Conv`, `Transpose`. Its map is ``nhwc``."""
    nodes = [
        helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "weight"], ["nchw"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Transpose", ["nchw"], ["nhwc"], perm=[0, 2, 3, 1]),
    ]
    return model(nodes, [_array("weight", 6, 3, 4, 4)], image=["n", side, side, 3], outputs=["nhwc"])


def transformer(side: int = 64, patch: int = 8, prefix: int = 1, depth: int = 4) -> Any:
    """Tokens behind ``prefix`` others, written for one image as exporters do: ``block0``, ``block1``, …"""
    grid, width = side // patch, 12
    arrays = [
        _array("embed", width, 3, patch, patch, scale=0.1),
        _array("class", 1, prefix, width),
        _array("position", 1, grid * grid + prefix, width),
        numpy_helper.from_array(np.array([1, width, grid * grid]), "shape"),
    ]
    nodes = [
        helper.make_node("Conv", ["image", "embed"], ["patches"], kernel_shape=[patch] * 2, strides=[patch] * 2),
        helper.make_node("Reshape", ["patches", "shape"], ["flat"]),
        helper.make_node("Transpose", ["flat"], ["tokens"], perm=[0, 2, 1]),
        helper.make_node("Concat", ["class", "tokens"], ["all"], axis=1),
        helper.make_node("Add", ["all", "position"], ["placed"]),
        helper.make_node("ReduceMean", ["placed"], ["mean"], axes=[2]),  # an attribute no more in operator set 18
        helper.make_node("Sub", ["placed", "mean"], ["centred"]),
    ]
    before = "centred"
    for i in range(depth):
        for part in ("attention", "mlp"):
            name = f"block{i}" if part == "mlp" else f"block{i}_{part}"
            arrays.append(_array(f"{name}_weight", width, width))
            nodes.append(helper.make_node("MatMul", [before, f"{name}_weight"], [f"{name}_inner"]))
            nodes.append(helper.make_node("Add", [before, f"{name}_inner"], [name]))
            before = name
    nodes.append(helper.make_node("ReduceMean", [before], ["pooled"], axes=[1], keepdims=0))
    return model(nodes, arrays, image=[1, 3, side, side], outputs=["pooled"], opset=17)


def branching() -> Any:
    """A branch that reads an array from outside it; its map is ``out``."""
    branches = {}
    for name, operator in (("then_branch", "Mul"), ("else_branch", "Add")):
        node = helper.make_node(operator, ["map", "factor"], [f"{name}_out"])
        end = helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, None)
        branches[name] = helper.make_graph([node], name, [], [end])
    nodes = [
        helper.make_node("Conv", ["image", "weight"], ["map"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("If", ["always"], ["out"], **branches),
    ]
    arrays = [
        _array("weight", 6, 3, 4, 4),
        _array("factor", 6, 1, 1),
        numpy_helper.from_array(np.array(True), "always"),
    ]
    return model(nodes, arrays, image=["n", 3, "s", "s"], outputs=["out"])


def saved(network: Any, path: Path, **options: Any) -> Path:
    onnx.save(network, path, **options)
    return path
