"""Writing ONNX graphs node by node, and putting a graph inside another.

Every map knows its size, so that padding is written out in numbers and a backbone's graph holds no shape
arithmetic. The same calls give the same bytes: names are counted, nothing of the machine or the moment is stored.

Operators: https://onnx.ai/onnx/operators/, version 18 of the operator set, which ONNX Runtime runs since 1.14; a
graph that takes in one of a newer version takes on that version.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, compose, helper, inliner, numpy_helper, version_converter

from kizu.errors import BackboneError, sentence

OPSET = 18
IR_VERSION = 8
NEWEST_IR_VERSION = 10
"""The newest that ONNX Runtime 1.18 reads."""

LARGEST_MESSAGE = 2**31 - 1
"""Bytes in one protobuf message; larger graphs need their arrays in a file beside them."""

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
    """A result of the graph: its name, shape (a word is an open length) and ``onnx.TensorProto`` type."""

    name: str
    shape: tuple[int | str, ...]
    dtype: int = TensorProto.FLOAT


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


@dataclass(frozen=True)
class Constant:
    """A stored array of a graph: ``value`` is the array, or ``onnx.TensorProto`` where it came with another graph."""

    name: str
    value: Any

    def array(self) -> NDArray[Any]:
        return self.value if isinstance(self.value, np.ndarray) else np.asarray(numpy_helper.to_array(self.value))

    def tensor(self) -> Any:
        """As ``onnx.TensorProto``, the array in it."""
        return numpy_helper.from_array(self.value, self.name) if isinstance(self.value, np.ndarray) else self.value


class Graph:
    """An ONNX graph in the making; every method adds nodes and returns what they give.

    ``prefix`` stands before the names of nodes and constants: a graph inside another one, as the body of a ``Loop``
    is, must not use a name of that.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._nodes: list[Any] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], Constant] = {}
        self._inputs: list[Any] = []
        self._taken: list[Any] = []
        self._opsets = {"": OPSET}
        self._ir_version = IR_VERSION

    def input(self, name: str, dtype: int, shape: Sequence[int | str]) -> str:
        """An input of the graph; ``dtype`` is one of ``onnx.TensorProto``, a word in ``shape`` an open length."""
        self._inputs.append(helper.make_tensor_value_info(name, dtype, list(shape)))
        return name

    def images(self, size: int, *, mean: ArrayLike, scale: ArrayLike) -> Map:
        """The input of a backbone, uint8 RGB, as ``(x - mean) * scale``; each one value or one a channel."""
        self.input(INPUT, TensorProto.UINT8, ["batch", size, size, 3])
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
        array = np.asarray(value, order="C")
        key = (array.dtype.str, array.shape, hashlib.sha256(array.data).digest())
        if key not in self._constants:
            self._constants[key] = Constant(f"{self._prefix}constant_{len(self._constants)}", array)
        return self._constants[key].name

    def node(self, operator: str, inputs: Sequence[str], output: str = "", **attributes: object) -> str:
        """A node with one output, whose name is returned."""
        name = output or f"{self._prefix}{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def node_of(self, count: int, operator: str, inputs: Sequence[str], **attributes: object) -> list[str]:
        """A node with ``count`` outputs, whose names are returned."""
        name = f"{self._prefix}{operator.lower()}_{len(self._nodes)}"
        names = [f"{name}_{number}" for number in range(count)]
        self._nodes.append(helper.make_node(operator, list(inputs), names, name=name, **attributes))
        return names

    def layers(self, walk: Iterable[tuple[str, Map]], wanted: Sequence[str]) -> bytes:
        """The bare maps of a network as a serialised model, ``(batch, channels, size, size)`` each, named as layers.

        ``walk`` writes the network into this graph layer by layer; it is left as soon as all of ``wanted`` are
        written, so that nothing behind the deepest of them is.
        """
        found: dict[str, Map] = {}
        for name, x in walk:
            found[name] = x
            if all(layer in found for layer in wanted):
                break
        for name in wanted:
            self.node("Identity", [found[name].name], name)
        maps = [found[name] for name in wanted]
        return self.serialised(
            [Output(n, ("batch", x.channels, x.size, x.size)) for n, x in zip(wanted, maps, strict=True)]
        )

    def include(self, model: Any, inputs: Mapping[str, str]) -> list[str]:
        """Put ``model`` (``onnx.ModelProto``) inside this graph; ``inputs`` says which names feed its inputs.

        Returns the names its outputs have here. Its operator set is 18 or newer (`upgraded`); this graph takes on the
        newest it holds.
        """
        prefix = f"part{len(self._taken)}_"
        self._taken.append(prefix)
        part = compose.add_prefix(inlined(model), prefix).graph
        for opset in model.opset_import:
            self._opsets[opset.domain] = max(opset.version, self._opsets.get(opset.domain, 1))
        self._ir_version = max(self._ir_version, min(model.ir_version, NEWEST_IR_VERSION))
        fed = {f"{prefix}{inner}": outer for inner, outer in inputs.items()}
        self._nodes += [_renamed(node, fed) for node in part.node]
        self._constants |= {("", (), t.name.encode()): Constant(t.name, t) for t in part.initializer}
        return [value.name for value in part.output]

    @property
    def constants(self) -> list[Constant]:
        """Every stored array, in the order they came."""
        return list(self._constants.values())

    def model(self, outputs: Sequence[Output], tensor: Callable[[Constant], Any] = Constant.tensor) -> Any:
        """The graph as ``onnx.ModelProto``, not checked; ``outputs`` are nodes already written.

        ``tensor`` gives the ``onnx.TensorProto`` of a stored array; it may keep the array itself elsewhere.
        """
        graph = helper.make_graph(
            self._nodes,
            "kizu",
            self._inputs,
            [helper.make_tensor_value_info(o.name, o.dtype, list(o.shape)) for o in outputs],
            [tensor(constant) for constant in self._constants.values()],
        )
        opsets = [helper.make_opsetid(domain, version) for domain, version in self._opsets.items()]
        return helper.make_model(graph, opset_imports=opsets, ir_version=self._ir_version, producer_name="kizu")

    def serialised(self, outputs: Sequence[Output]) -> bytes:
        """The graph as bytes, checked. Raises `BackboneError` above the 2 GiB that one such message can hold."""
        model = self.model(outputs)
        if model.ByteSize() > LARGEST_MESSAGE:
            raise BackboneError(
                "this backbone is larger than the 2 GiB one ONNX graph can hold; choose a smaller one."
            )
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString(deterministic=True))


def upgraded(model: Any) -> Any:
    """``model`` with at least version 18 of the operator set. Raises `BackboneError` when it cannot be had."""
    version = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 1)
    if version >= OPSET:
        return model
    try:
        return version_converter.convert_version(model, OPSET)
    except Exception as error:  # the converter's own exceptions share no base class
        raise BackboneError(
            f"the ONNX graph uses operator set {version} and cannot be brought to {OPSET}: {sentence(error)} Export "
            f"it anew with opset {OPSET} or later."
        ) from error


def inlined(model: Any) -> Any:
    """``model`` without functions of its own."""
    return inliner.inline_local_functions(model) if model.functions else model


def _renamed(node: Any, names: Mapping[str, str]) -> Any:
    """``node`` with inputs renamed, those of the graphs inside it (``If``, ``Loop``) too."""
    for i, name in enumerate(node.input):
        node.input[i] = names.get(name, name)
    for attribute in node.attribute:
        for inner in [attribute.g.node] if attribute.HasField("g") else [g.node for g in attribute.graphs]:
            for inside in inner:
                _renamed(inside, names)
    return node
