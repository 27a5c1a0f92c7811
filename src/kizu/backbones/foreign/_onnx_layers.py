"""Which tensors of an ONNX network are maps, seen by running it once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from kizu.backbones._card import Layer
from kizu.backbones.foreign import _cutting, _default_layers, _trial
from kizu.backbones.foreign._forms import Convention, Form, form_of
from kizu.backbones.foreign._onnx_network import FLOATS, Network
from kizu.errors import BackboneError


@dataclass(frozen=True)
class Listed:
    """The maps of a network, in its order, those to take where nobody chose, and how they are read."""

    layers: tuple[Layer, ...]
    default: tuple[str, ...]
    convention: Convention


def of(network: Network, path: Path) -> Listed:
    """The maps of a network at its own image size.

    Raises:
        BackboneError: ONNX Runtime cannot run it at that size, or it holds no map.
    """
    names = _tensors(network, path)
    shapes = _shapes(network, names, path)
    convention = Convention.of(shapes, network.image_size)
    forms = {name: form_of(shape, network.image_size, convention) for name, shape in zip(names, shapes, strict=True)}
    layers = tuple(_layer(name, form, network.image_size) for name, form in forms.items() if form)
    if not layers:
        raise BackboneError(
            f"{path}: none of its {len(names)} tensors is a square map of the image. Use a network "
            "that works on images."
        )
    outputs = [value.name for value in network.model.graph.output]
    default = _default_layers.of_tensors(layers, outputs, _closings(network.model.graph, forms))
    return Listed(layers, default, convention)


def _layer(name: str, form: Form, image_size: int) -> Layer:
    return Layer(name, form.channels, max(1, round(image_size / form.size)))


def _tensors(network: Network, path: Path) -> list[str]:
    """Everything the nodes make of images alone that is, or may be, an array of floats."""
    graph = network.model.graph
    others = {value.name for value in graph.input} - {tensor.name for tensor in graph.initializer}
    others.remove(network.source.name)
    blocked, made = set(others), []
    for node in graph.node:
        outputs = [name for name in node.output if name]
        if blocked.isdisjoint(_cutting.reads(node)):
            made += outputs
        else:
            blocked.update(outputs)
    if not made:
        raise BackboneError(
            f"{path}: everything in it needs more than images: {', '.join(sorted(others))}. Export the part of the "
            "network that takes images alone."
        )
    kinds = _kinds(network.model)
    return [name for name in made if _may_be_float(kinds.get(name))]


def _kinds(model: Any) -> dict[str, Any]:
    """The types known without running: not those behind operators of ONNX Runtime's own."""
    try:
        graph = onnx.shape_inference.infer_shapes(model).graph
    except Exception:  # what is wrong with the graph shows when it runs
        graph = model.graph
    return {value.name: value.type for value in [*graph.value_info, *graph.output]}


def _may_be_float(kind: Any) -> bool:
    if kind is None or not kind.WhichOneof("value"):
        return True
    return bool(kind.HasField("tensor_type") and kind.tensor_type.elem_type in FLOATS)


def _shapes(network: Network, names: Sequence[str], path: Path) -> list[tuple[int, ...]]:
    """Of those tensors, for one image: the network is run with a `Shape` node behind each."""
    whole = _cutting.cut(network.model, names)
    graph = whole.graph
    graph.node.extend(helper.make_node("Shape", [name], [f"{name}:shape"]) for name in names)
    del graph.output[:], graph.input[:]
    graph.input.append(network.source.value(network.image_size, 1))
    graph.output.extend(helper.make_tensor_value_info(f"{name}:shape", TensorProto.INT64, None) for name in names)
    image = np.asarray(_trial.pictures(1, network.image_size).transpose(0, 3, 1, 2) / 255, np.float32)
    try:
        found = _trial.run(whole.SerializeToString(), network.source.feed(image), optimise=False)
    except _trial.TrialError as error:
        raise BackboneError(
            f"{path}: ONNX Runtime cannot run it on an image of {network.image_size}×{network.image_size} pixels: "
            f"{error}. Export it for that, or put its image_size into its metadata."
        ) from error
    return [tuple(int(length) for length in shape) for shape in found]


def _closings(graph: Any, forms: dict[str, Form | None]) -> list[str]:
    """What closes a block: residual sums, of two maps of one form, each with the `Relu` behind it if there is one."""
    sums = [
        node.output[0]
        for node in graph.node
        if node.op_type == "Add"
        and len({forms.get(name) for name in [*node.input, *node.output]}) == 1
        and forms.get(node.output[0]) is not None
    ]
    activated = {node.input[0]: node.output[0] for node in graph.node if node.op_type == "Relu"}
    return [activated.get(name, name) for name in sums]
