"""From an ONNX network to a backbone's graph that takes any number of images, compared with the network itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from kizu.backbones.foreign import _cutting, _trial
from kizu.backbones.foreign._forms import Convention, Form, form_of
from kizu.backbones.foreign._grafting import graft, one_by_one
from kizu.backbones.foreign._normalisation import Normalisation
from kizu.backbones.foreign._onnx_network import Network
from kizu.errors import BackboneError
from kizu.graphs import upgraded

TOLERANCE = 1e-3
HALF_TOLERANCE = 2e-2
"""As shares of a map's range; a network in float16 rounds by itself."""

Arrays = list[NDArray[Any]]


def rebuilt(
    network: Network, layers: Sequence[str], image_size: int, normalisation: Normalisation, name: str
) -> bytes:
    """What `Backbone.build` returns. Raises `BackboneError` when the network does not work at that size."""
    part = _cutting.cut(network.model, layers)
    images = _trial.pictures(2, image_size)
    floats = normalisation.apply(images)
    tensors = _tensors(network, part, floats, name)
    forms = _forms(tensors, layers, image_size, network.convention, name)
    part, source = upgraded(part), network.source
    if not _takes_many(network, part, floats, tensors):
        dtypes = [helper.np_dtype_to_tensor_dtype(tensor.dtype) for tensor in tensors]
        part, source = one_by_one(part, source, dtypes, image_size)
    graph = graft(part, source, forms, layers, image_size, normalisation)
    expected = [form.map_of(tensor) for form, tensor in zip(forms, tensors, strict=True)]
    _check(graph, images, expected, layers, network, name)
    return graph


def _tensors(network: Network, part: Any, images: NDArray[np.float32], name: str) -> Arrays:
    """The network's own tensors, of one image after the other."""
    _set_images(network, part, images.shape[2], 1)
    model = part.SerializeToString()
    try:
        found = [_trial.run(model, network.source.feed(image[None])) for image in images]
    except _trial.TrialError as error:
        raise blind(name, images.shape[2], network.image_size, error) from error
    if any(len(tensor) != 1 for tensor in found[0]):
        layer = next(layer for layer, tensor in zip(part.graph.output, found[0], strict=True) if len(tensor) != 1)
        raise BackboneError(f"{name}: the first axis of {layer.name!r} does not count images. Choose another layer.")
    return [np.concatenate(both) for both in zip(*found, strict=True)]


def blind(name: str, image_size: int, own: int, problem: object) -> BackboneError:
    """The one form of words for a network that does not work at a size; ``own`` is the one it was made for."""
    advice = f"Its own size is {own}: give --image-size {own}." if own != image_size else "Choose another network."
    return BackboneError(f"{name}: cannot see images of {image_size}×{image_size} pixels: {problem}. {advice}")


def _set_images(network: Network, part: Any, image_size: int, batch: int | str) -> None:
    """Make the images of that size the one input of ``part``."""
    del part.graph.input[:]
    part.graph.input.append(network.source.value(image_size, batch))


def _forms(tensors: Arrays, layers: Sequence[str], image_size: int, convention: Convention, name: str) -> list[Form]:
    forms = [form_of(tensor.shape, image_size, convention) for tensor in tensors]
    for layer, tensor, form in zip(layers, tensors, forms, strict=True):
        if form is None or not np.issubdtype(tensor.dtype, np.floating):
            raise BackboneError(
                f"{name}: the layer {layer!r} is no square map of floats at {image_size} pixels (its shape is "
                f"{tensor.shape[1:]}, its type {tensor.dtype}). Choose another layer."
            )
    return [form for form in forms if form]


def _takes_many(network: Network, part: Any, images: NDArray[np.float32], expected: Arrays) -> bool:
    """Whether two images at once come out as each alone; graphs exported for one image often have that built in."""
    _set_images(network, part, images.shape[2], "batch")
    try:
        found = _trial.run(part.SerializeToString(), network.source.feed(images))
        _trial.compare(found, expected, [value.name for value in part.graph.output], _tolerance(network))
    except (_trial.TrialError, BackboneError):
        return False
    return True


def _check(
    graph: bytes, images: NDArray[np.uint8], expected: Arrays, layers: Sequence[str], network: Network, name: str
) -> None:
    try:
        for count in (1, 2):
            found = _trial.run(graph, {"images": images[:count]})
            _trial.compare(found, [tensor[:count] for tensor in expected], layers, _tolerance(network))
    except (_trial.TrialError, BackboneError) as error:
        raise BackboneError(f"{name}: cannot be used: {str(error).rstrip('.')}. Export the network anew.") from error


def _tolerance(network: Network) -> float:
    half = network.source.dtype == TensorProto.FLOAT16
    return HALF_TOLERANCE if half else TOLERANCE
