"""A network that takes normalised float images, turned into a backbone's graph: uint8 images in, maps out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from kizu.backbones.foreign._forms import Form
from kizu.backbones.foreign._normalisation import Normalisation
from kizu.graphs import INPUT, Graph, Output

_AXIS = "kizu_axis"
_IMAGES = "kizu_images"


@dataclass(frozen=True)
class Input:
    """The images a network takes: its input's name, ``onnx.TensorProto`` type and layout."""

    name: str
    dtype: int = TensorProto.FLOAT
    channels_last: bool = False

    def value(self, image_size: int, batch: int | str = "batch") -> Any:
        """Its ``onnx.ValueInfoProto`` at a size."""
        sides = [image_size, image_size]
        shape = [batch, *sides, 3] if self.channels_last else [batch, 3, *sides]
        return helper.make_tensor_value_info(self.name, self.dtype, shape)

    def feed(self, images: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """``(batch, 3, n, n)`` float32 as the network takes them."""
        values = images.transpose(0, 2, 3, 1) if self.channels_last else images
        return {self.name: np.ascontiguousarray(values, helper.tensor_dtype_to_np_dtype(self.dtype))}


def graft(
    network: Any,
    source: Input,
    forms: Sequence[Form],
    layers: Sequence[str],
    image_size: int,
    normalisation: Normalisation,
) -> bytes:
    """What `Backbone.build` returns, of ``network`` (``onnx.ModelProto``) whose outputs hold maps of these ``forms``.

    Raises:
        BackboneError: it is larger than one ONNX graph can be.
    """
    inner = Graph()
    scale = 1 / (255 * np.array(normalisation.std))
    x = inner.images(image_size, mean=255 * np.array(normalisation.mean), scale=scale).name
    if source.channels_last:
        x = inner.node("Transpose", [x], perm=[0, 2, 3, 1])
    x = inner.node("Cast", [x], to=source.dtype)
    maps = []
    for tensor, form in zip(inner.include(network, {source.name: x}), forms, strict=True):
        maps.append(form.write(inner, inner.node("Cast", [tensor], to=TensorProto.FLOAT)))
    shapes = [("batch", form.channels, form.size, form.size) for form in forms]
    ends = [Output(name, shape) for name, shape in zip(maps, shapes, strict=True)]
    return _named(inner.model(ends), layers, shapes, image_size)


def _named(model: Any, layers: Sequence[str], shapes: Sequence[tuple[int | str, ...]], image_size: int) -> bytes:
    """``model`` in a graph of its own, in which no name but a layer's can be a layer's."""
    outer = Graph()
    outer.input(INPUT, TensorProto.UINT8, ["batch", image_size, image_size, 3])
    for name, layer in zip(outer.include(model, {INPUT: INPUT}), layers, strict=True):
        outer.node("Identity", [name], layer)
    return outer.serialised([Output(layer, shape) for layer, shape in zip(layers, shapes, strict=True)])


def one_by_one(network: Any, source: Input, dtypes: Sequence[int], image_size: int) -> tuple[Any, Input]:
    """``network``, which takes one image only, as one that takes any number, in a loop (`Scan`); and its new input.

    ``dtypes`` are the types of its outputs.
    """
    ends = [value.name for value in network.graph.output]
    axis = helper.make_node("Constant", [], [_AXIS], value_ints=[0])
    alone = helper.make_node("Unsqueeze", ["kizu_image", _AXIS], [source.name])
    closing = [helper.make_node("Squeeze", [name, _AXIS], [f"kizu_map_{i}"]) for i, name in enumerate(ends)]
    shape = [axis.dim_value for axis in source.value(image_size).type.tensor_type.shape.dim][1:]
    body = helper.make_graph(
        [axis, alone, *network.graph.node, *closing],
        "one_image",
        [helper.make_tensor_value_info("kizu_image", source.dtype, shape)],
        [helper.make_tensor_value_info(f"kizu_map_{i}", dtype, None) for i, dtype in enumerate(dtypes)],
        network.graph.initializer,
    )
    outputs = [f"kizu_maps_{i}" for i in range(len(ends))]
    scan = helper.make_node("Scan", [_IMAGES], outputs, body=body, num_scan_inputs=1)
    images = helper.make_tensor_value_info(_IMAGES, source.dtype, ["batch", *shape])
    values = [helper.make_tensor_value_info(name, dtype, None) for name, dtype in zip(outputs, dtypes, strict=True)]
    graph = helper.make_graph([scan], "one_by_one", [images], values)
    model = helper.make_model(graph, opset_imports=network.opset_import, ir_version=network.ir_version)
    return model, replace(source, name=_IMAGES)
