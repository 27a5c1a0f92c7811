"""Writing ONNX graphs node by node, square images in.

Every map knows its size, so that padding is written out in numbers and a graph holds no shape arithmetic. The
same calls give the same bytes: names are counted, nothing of the machine or the moment is stored.

Operators: https://onnx.ai/onnx/operators/, version 18 of the operator set, which ONNX Runtime runs since
1.14.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 18
IR_VERSION = 8
INPUT = "images"

Weights = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Map:
    """A feature map of the graph, ``(batch, channels, size, size)`` float32."""

    name: str
    channels: int
    size: int


@dataclass(frozen=True)
class Output:
    """A result of the graph: its name and its shape after the batch axis."""

    name: str
    shape: tuple[int, ...]


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after an axis in TensorFlow's "SAME" padding; the odd one goes after.

    >>> same_padding(256, kernel=3, stride=2), same_padding(75, kernel=3, stride=2)
    ((0, 1), (1, 1))
    """
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def fold_batch_norm(weight: NDArray[Any], norm: Weights, prefix: str, epsilon: float) -> list[NDArray[Any]]:
    """A convolution's float32 weight and bias with the batch normalisation behind it folded in, in float64.

    ``weight`` is ``(out, in, k, k)``; ``norm`` holds PyTorch's ``weight``, ``bias``, ``running_mean`` and
    ``running_var`` under ``prefix``.
    """
    gamma, beta, mean, variance = (
        norm[f"{prefix}.{key}"].astype(np.float64) for key in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gamma / np.sqrt(variance + epsilon)
    folded = weight.astype(np.float64) * scale[:, None, None, None]
    return [_float32(folded), _float32(beta - mean * scale)]


def _float32(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """To float32, subnormal numbers to zero: they change nothing and slow every product down."""
    smallest = np.finfo(np.float32).tiny
    return np.where(np.abs(values) < smallest, 0.0, values).astype(np.float32)


class Graph:
    """An ONNX graph in the making; every method adds nodes and returns what they give."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], Any] = {}
        self._image_size = 0

    def images(self, size: int, *, mean: ArrayLike, scale: ArrayLike) -> Map:
        """The input, uint8 RGB, as ``(x - mean) * scale``; each one value or one a channel."""
        self._image_size = size
        planes = self.node("Transpose", [INPUT], perm=[0, 3, 1, 2])
        values = self.node("Cast", [planes], to=TensorProto.FLOAT)
        centred = self.node("Sub", [values, self._channels(mean)])
        return Map(self.node("Mul", [centred, self._channels(scale)]), 3, size)

    def _channels(self, values: ArrayLike) -> str:
        return self.constant(np.asarray(values, np.float32).reshape(1, -1, 1, 1))

    def conv(
        self,
        x: Map,
        weight: NDArray[np.float32],
        bias: NDArray[np.float32],
        *,
        stride: int = 1,
        groups: int = 1,
        padding: int | None = None,
    ) -> Map:
        """A convolution with a square kernel; ``padding`` on each side, None for TensorFlow's "SAME"."""
        out, kernel = weight.shape[0], weight.shape[2]
        before, after = same_padding(x.size, kernel, stride) if padding is None else (padding, padding)
        name = self.node(
            "Conv",
            [x.name, self.constant(weight), self.constant(bias)],
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            group=groups,
            pads=[before, before, after, after],
        )
        return Map(name, out, (x.size + before + after - kernel) // stride + 1)

    def relu6(self, x: Map) -> Map:
        low, high = (self.constant(np.float32(limit)) for limit in (0, 6))
        return Map(self.node("Clip", [x.name, low, high]), x.channels, x.size)

    def add(self, x: Map, y: Map) -> Map:
        return Map(self.node("Add", [x.name, y.name]), x.channels, x.size)

    def constant(self, value: NDArray[Any] | np.float32) -> str:
        """A stored array; arrays that are equal are stored once."""
        array = np.asarray(value)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = numpy_helper.from_array(array, f"constant_{len(self._constants)}")
        return str(self._constants[key].name)

    def node(self, operator: str, inputs: Sequence[str], output: str = "", **attributes: object) -> str:
        """A node with one output, whose name is returned."""
        name = output or f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def model(self, outputs: Sequence[Output]) -> bytes:
        """The graph, serialised; ``outputs`` are nodes already written."""
        shape = ["batch", self._image_size, self._image_size, 3]
        graph = helper.make_graph(
            self._nodes,
            "kizu",
            [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, shape)],
            [helper.make_tensor_value_info(o.name, TensorProto.FLOAT, ["batch", *o.shape]) for o in outputs],
            list(self._constants.values()),
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="kizu")
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString(deterministic=True))
