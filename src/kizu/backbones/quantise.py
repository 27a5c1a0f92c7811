"""A backbone in 8 bits: what precision ``int8`` runs.

Convolutions and matrix products get 8-bit weights (a scale a channel) and 8-bit inputs. Their ranges are measured on
good images as they are and made strange: ranges of good images alone cut off what makes a defect stand out. ONNX
Runtime's own quantiser writes them as QuantizeLinear and DequantizeLinear nodes:
https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html. Sums, feature maps and the head stay
in float32. What was measured to choose this is in docs/decisions/0013.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from kizu import onnx_runtime
from kizu.backbones._card import BackboneCard
from kizu.backbones._registry import Backbone
from kizu.errors import BackboneError, MissingExtraError, bad_parameter
from kizu.progress import Advance, ignore

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

IMAGES = 32
"""Good images that ranges are measured on."""

LARGEST_ERROR = 0.5
"""Above it a quantised backbone no longer sees what it was trained to see; see `error`."""

_QUANTISER = (1, 21)
"""The onnxruntime from which a bias too large for 32 bits, that of a channel of tiny weights, is seen to."""

_RECTANGLES = 6
_WEIGHTED = ("Conv", "MatMul", "Gemm")
_PASSING = ("Clip", "Relu", "MaxPool", "Concat", "Identity", "Transpose", "Reshape", "Resize", "Slice", "Split")
"""What hands values on much as they come: OpenVINO moves scale and zero point of an 8-bit map through it."""


@dataclass(frozen=True)
class Quantised:
    """``backbone`` in 8 bits, its ranges measured on ``images``, ``(B, N, N, 3)`` uint8 RGB, and on `strange` ones.

    The same arguments give the same graph, byte for byte. ``advance`` is called twice an image.
    """

    backbone: Backbone
    images: NDArray[np.uint8]
    seed: int = 0
    advance: Advance = ignore

    @property
    def card(self) -> BackboneCard:
        """That of the backbone."""
        return self.backbone.card

    def build(self, layers: Sequence[str], image_size: int) -> bytes:
        """See `Backbone.build`.

        Raises:
            ParameterError: no images, or not of ``image_size``.
            BackboneError: also when there is nothing to quantise in the backbone.
            MissingExtraError: onnxruntime is too old to quantise, or lacks a package for it.
        """
        if self.images.shape[1:] != (image_size, image_size, 3) or not len(self.images):
            raise bad_parameter("images", f"an array (B, {image_size}, {image_size}, 3)", self.images.shape)
        import numpy as np
        import onnx

        model = _prepared(onnx.load_from_string(self.backbone.build(layers, image_size)))
        plain = _plain(model)
        odd = strange(self.images, np.random.default_rng(self.seed))
        images = _Images([*self.images, *odd], self.advance)
        quantised = _reading(_quantised(model, images, list(plain)), plain)
        if all(node.op_type != "QuantizeLinear" for node in quantised.graph.node):
            raise BackboneError(
                f"{self.card.name} has no convolution or matrix product to quantise. Use --precision float32."
            )
        onnx.checker.check_model(quantised)
        return bytes(quantised.SerializeToString(deterministic=True))


def strange(images: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Copies of images ``(B, N, N, 3)``, each with rectangles of random colours on it.

    Six an image, their sides from 1/32 to 1/2 of the image's.
    """
    made, side = images.copy(), images.shape[1]
    for image in made:
        for _ in range(_RECTANGLES):
            height, width = rng.integers(side // 32, side // 2, 2, endpoint=True)
            top, left = rng.integers(0, side - height + 1), rng.integers(0, side - width + 1)
            image[top : top + height, left : left + width] = rng.integers(0, 256, 3)
    return made


def error(quantised: NDArray[np.float32], plain: NDArray[np.float32]) -> float:
    """How far embeddings ``(B, h, w, D)`` of a quantised backbone are from the float ones.

    The root mean square of the difference, as a share of how much the float ones vary (the root of the mean variance
    of their channels): 0 is none, 1 means that nothing of the image is left.
    """
    import numpy as np

    patches = plain.reshape(-1, plain.shape[-1]).astype(np.float64)
    difference = quantised.reshape(patches.shape) - patches
    spread = patches.var(axis=0).mean()
    return float(np.sqrt(np.mean(difference**2) / spread)) if spread else 0.0


class _Images:
    """Images one by one, as the quantiser asks for them."""

    def __init__(self, images: Sequence[NDArray[np.uint8]], advance: Advance) -> None:
        self._left = self._counted(images, advance)

    @staticmethod
    def _counted(images: Sequence[NDArray[np.uint8]], advance: Advance) -> Iterator[NDArray[np.uint8]]:
        for image in images:
            yield image[None]
            advance(1)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        """The next input of the graph; None at the end."""
        image = next(self._left, None)
        return None if image is None else {"images": image}


def _quantised(model: Any, images: _Images, excluded: list[str]) -> Any:
    import onnx

    _check_quantiser()
    from onnxruntime import quantization
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    add_pre_process_metadata(model)  # or the quantiser logs that it was not prepared; these graphs are
    with tempfile.TemporaryDirectory(prefix="kizu-") as folder, _hushed():
        plain, made = (str(Path(folder) / name) for name in ("plain.onnx", "quantised.onnx"))
        onnx.save(model, plain)  # given the model itself, older versions cut it up into files and lose them
        quantization.quantize_static(
            plain,
            made,
            images,
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=[*_WEIGHTED, "MaxPool", "Clip", "Relu"],
            nodes_to_exclude=excluded,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod.MinMax,
        )
        return onnx.load(made)


def _check_quantiser() -> None:
    if onnx_runtime.release() < _QUANTISER:
        raise MissingExtraError(
            f"quantising needs onnxruntime {'.'.join(map(str, _QUANTISER))} or later; this is "
            f"{onnx_runtime.imported().__version__}. Run: pip install -U onnxruntime"
        )
    try:
        import_module("onnxruntime.quantization")
    except ImportError as missing:
        raise MissingExtraError(
            f"quantising needs the package {missing.name}, which is not installed. Run: pip install {missing.name}"
        ) from None


_hushing = Lock()
"""Filters of warnings are the whole program's: two threads would leave them as neither found them."""


@contextmanager
def _hushed() -> Iterator[None]:
    """The quantiser's remarks are for its developers, and logging them on the root logger would set up `logging`."""
    handler = logging.NullHandler()
    logging.getLogger().addHandler(handler)
    try:
        with _hushing, warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        logging.getLogger().removeHandler(handler)


def _prepared(model: Any) -> Any:
    """``model`` with a name on every node, and an Identity before every output, so that no node reads an output."""
    import onnx

    nodes, made = model.graph.node, {node.output[0] for node in model.graph.node if node.op_type == "Identity"}
    inner = {value.name: f"{value.name}_inner" for value in model.graph.output if value.name not in made}
    for number, node in enumerate(nodes):
        node.name = f"{node.op_type.lower()}_{number}"
        for ends in (node.input, node.output):
            ends[:] = [inner.get(name, name) for name in ends]
    for name, inside in inner.items():
        nodes.append(onnx.helper.make_node("Identity", [inside], [name], name=f"out_{name}"))
    return model


def _plain(model: Any) -> dict[str, list[str]]:
    """Nodes that must read float maps, by name, with what they read in the float graph.

    They are those before an output and before an average over windows, back to the nodes that compute. The head
    averages every output over windows too, and OpenVINO 2026.4 takes the zeros around a window for the smallest
    8-bit value, wherever the zero point lies.
    """
    maker = {name: node for node in model.graph.node for name in node.output}
    outputs = {value.name for value in model.graph.output}
    todo = [node for node in model.graph.node if node.op_type == "AveragePool" or node.output[0] in outputs]
    found: dict[str, list[str]] = {}
    while todo:
        node = todo.pop()
        if node.name not in found:
            found[node.name] = list(node.input)
            todo += [maker[name] for name in node.input if name in maker and maker[name].op_type in _PASSING]
    return found


def _reading(model: Any, plain: dict[str, list[str]]) -> Any:
    """``model`` with the nodes named in ``plain`` reading float maps, not what became of them in 8 bits."""
    for node in model.graph.node:
        if node.name in plain:
            node.input[:] = plain[node.name]
    return model
