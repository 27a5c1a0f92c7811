"""Reading an ONNX file: the whole of it, the input that takes the images, and what it says of itself."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, external_data_helper

from kizu.backbones._card import MAX_IMAGE_SIZE, MIN_IMAGE_SIZE
from kizu.backbones.foreign import _metadata
from kizu.backbones.foreign._forms import Convention
from kizu.backbones.foreign._grafting import Input
from kizu.backbones.foreign._trial import reason
from kizu.errors import BackboneError
from kizu.graphs import LARGEST_MESSAGE, inlined

USUAL_IMAGE_SIZE = 224
"""Where neither the graph nor its metadata say one: what most networks were trained at."""

FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)
"""What ONNX Runtime convolves on every machine."""


@dataclass(frozen=True)
class Network:
    """``model`` (``onnx.ModelProto``) without functions, its arrays in it; ``image_size`` in pixels.

    ``convention``: how maps inside it are to be read where their shape leaves it open.
    """

    model: Any
    source: Input
    image_size: int
    metadata: Mapping[str, str] = field(default_factory=dict)
    convention: Convention = field(default_factory=Convention)


def stat(path: Path) -> os.stat_result:
    """Size and time of a file. Raises `BackboneError` when it is not there."""
    try:
        state = path.stat()
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise BackboneError(f"{path}: the ONNX file cannot be read: {said}. Check the path.") from error
    if not path.is_file():
        raise BackboneError(f"{path}: is no file. Give the path of an ONNX file.")
    return state


def read(path: Path) -> Network:
    """The network in a file, arrays kept beside it included.

    Raises:
        BackboneError: the file or a file beside it cannot be read, is no ONNX, larger than 2 GiB, or takes no images.
    """
    model = inlined(_load(path))
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    value = _images_of(model.graph, path)
    sides, source = _sides(value, path)
    size = _metadata.image_size_of(metadata, path) or _size_of(sides, path) or USUAL_IMAGE_SIZE
    return Network(model, source, size, metadata)


def _load(path: Path) -> Any:
    if stat(path).st_size > LARGEST_MESSAGE:
        raise _too_large(path)
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's exceptions differ between its versions
        raise _not_onnx(path, reason(error)) from error
    if not model.graph.node or not model.opset_import:
        raise _not_onnx(path, "it holds no graph")
    _load_arrays(model, path)
    return model


def _load_arrays(model: Any, path: Path) -> None:
    """Bring in the arrays that lie in files beside the model."""
    outside = [t for t in model.graph.initializer if external_data_helper.uses_external_data(t)]
    sizes = [int(entry.value) for t in outside for entry in t.external_data if entry.key == "length"]
    if sum(sizes) + model.ByteSize() > LARGEST_MESSAGE:
        raise _too_large(path)
    try:
        external_data_helper.load_external_data_for_model(model, str(path.parent))
    except Exception as error:  # a missing, short or forbidden file, each with an exception of its own
        raise BackboneError(
            f"{path}: its arrays lie in another file, which cannot be read: {reason(error)}. Keep the files together."
        ) from error


def _images_of(graph: Any, path: Path) -> Any:
    """The first float input that is no stored array."""
    stored = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in stored]
    for value in inputs:
        kind = value.type.tensor_type
        if kind.elem_type in FLOATS and (not kind.HasField("shape") or len(kind.shape.dim) == 4):
            return value
    known = ", ".join(f"{value.name} ({_described(value)})" for value in inputs) or "none"
    raise BackboneError(
        f"{path}: no input takes float images in three channels; its inputs: {known}. Export the network without its "
        "own preprocessing."
    )


def _described(value: Any) -> str:
    kind = value.type.tensor_type
    name = TensorProto.DataType.Name(kind.elem_type).lower()
    return f"{name} {' × '.join(str(side.dim_value or side.dim_param or '?') for side in kind.shape.dim)}"


def _sides(value: Any, path: Path) -> tuple[list[int], Input]:
    """Height and width, 0 where open, and the input with its layout: channels are where the 3 is."""
    kind = value.type.tensor_type
    lengths = [side.dim_value for side in kind.shape.dim] or [0, 3, 0, 0]
    if lengths[1] == 3 or (lengths[1] == 0 and lengths[3] != 3):
        return lengths[2:], Input(value.name, kind.elem_type)
    if lengths[3] == 3:
        return lengths[1:3], Input(value.name, kind.elem_type, channels_last=True)
    raise BackboneError(
        f"{path}: its input {value.name} ({_described(value)}) does not take three channels. Use a network of RGB "
        "images."
    )


def _size_of(sides: list[int], path: Path) -> int | None:
    height, width = sides
    if height and width and height != width:
        raise BackboneError(f"{path}: takes images of {height}×{width} pixels; kizu needs square ones. Export it so.")
    size = height or width
    if size and not MIN_IMAGE_SIZE <= size <= MAX_IMAGE_SIZE:
        raise BackboneError(
            f"{path}: takes images of {size} pixels; kizu works with {MIN_IMAGE_SIZE} to {MAX_IMAGE_SIZE}."
        )
    return size or None


def _not_onnx(path: Path, problem: str) -> BackboneError:
    return BackboneError(f"{path}: not an ONNX file, or a damaged one ({problem}). Export or download it again.")


def _too_large(path: Path) -> BackboneError:
    return BackboneError(
        f"{path}: larger than the 2 GiB one ONNX graph can hold. Export the part up to the layers you want."
    )
