"""The whole of an inspector as one ONNX graph, its own backbone graph inside."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto

from kizu import maps
from kizu.calibration import Calibration
from kizu.errors import NotFittedError, bad_parameter
from kizu.exports import _area
from kizu.exports._resize import preprocessed
from kizu.expressions import Expression, constant
from kizu.graphs import INPUT, Graph, Output
from kizu.inspector import Frame, Inspector
from kizu.progress import Progress

Float32 = npt.NDArray[np.float32]

IMAGE = "image"
COLOURS = ("rgb", "bgr")


@dataclass(frozen=True)
class Exportable:
    """A graph, its ``outputs``, and what ``metadata`` says of them, as text by key."""

    graph: Graph
    outputs: tuple[Output, ...]
    metadata: dict[str, str] = field(default_factory=dict)


def write_inspector(inspector: Inspector, *, colour: str = "rgb", progress: Progress | None = None) -> Exportable:
    """Everything from an image as it is decoded to the verdict.

    Input: ``image``, ``(height, width, 3)`` uint8, of a model with a window the samples as float32, the channels in
    the order of ``colour``; of any size, with an inspected area of the size it was drawn for. Outputs:
    ``score`` ``()`` and ``anomaly_map`` ``(N, N)`` float32, as `Inspector.inspect` gives them; ``threshold`` and
    ``pixel_threshold`` ``()`` float32; ``review_threshold`` too; ``ng`` ``()`` bool: score > threshold;
    ``review`` ``()`` bool: score > review_threshold, and not NG; ``p_value`` ``()`` float32
    (`Calibration.p_value`).

    Raises:
        ExportError: the detector cannot write itself, or images are cut into tiles.
        NotFittedError: the inspector has no calibration.
        ParameterError: an unknown colour order.
    """
    if colour not in COLOURS:
        raise bad_parameter("colour", " or ".join(COLOURS), colour)
    if inspector.calibration is None:
        raise NotFittedError("this inspector has no calibration; make it with kizu.fit().")
    graph, frame = Graph(), _area.frame_of(inspector)
    seen = preprocessed(_levels(_input(graph, inspector, frame), inspector), inspector.preprocessing)
    if colour == "bgr":
        seen = seen.take([2, 1, 0], axis=3)
    (embedding,) = graph.include(onnx.load_from_string(inspector.graph), {INPUT: seen.name})
    embedding, grid = _area.counting(graph, embedding, frame, inspector.engine.grid)
    patches, score = inspector.detector.write(graph, embedding, grid, progress)
    outputs = (
        *_decisions(Expression(graph, score, np.dtype(np.float32)), inspector.calibration),
        _map(Expression(graph, patches, np.dtype(np.float32)), inspector, frame),
    )
    return Exportable(graph, outputs)


def _input(graph: Graph, inspector: Inspector, frame: Frame | None) -> Expression:
    """What of the image is looked at, as it is given."""
    deep = inspector.reading.window is not None
    name = graph.input(IMAGE, TensorProto.FLOAT if deep else TensorProto.UINT8, _area.shape_of(frame))
    return _area.cropped(Expression(graph, name, np.dtype(np.float32 if deep else np.uint8)), frame)


def _levels(samples: Expression, inspector: Inspector) -> Expression:
    """`kizu.images.Reading.levels`."""
    window = inspector.reading.window
    if window is None:
        return samples
    low, high = window
    return ((samples - low) * (255 / (high - low))).at_least(0.0).at_most(255.0)


def _decisions(score: Expression, calibration: Calibration) -> list[Output]:
    """Score, thresholds and what they say.

    All are compared in float32: a calibration's numbers are brought to the largest float32 not above them, which
    leaves every comparison with a float32 score as it is.
    """
    graph = score.graph
    names = ("threshold", "review_threshold", "pixel_threshold")
    limits = [constant(graph, maps.floor32(getattr(calibration, name))) for name in names]
    threshold, review_threshold, _ = limits
    known = np.array([maps.floor32(known) for known in calibration.scores], np.float32)
    as_high = (constant(graph, known) >= score).cast(np.float32).reduced("ReduceSum")
    score.named("score")
    for name, limit in zip(names, limits, strict=True):
        limit.named(name)
    (~(threshold >= score)).named("ng")  # so is what is no number
    ((score > review_threshold) & (threshold >= score)).named("review")
    ((as_high + 1.0) / float(len(known) + 1)).named("p_value")
    floats = [Output(name, ()) for name in ("score", *names, "p_value")]
    return [*floats, *(Output(name, (), TensorProto.BOOL) for name in ("review", "ng"))]


def _map(patches: Expression, inspector: Inspector, frame: Frame | None) -> Output:
    """`Frame.anomaly_map` of ``(1, h, w)``: bilinear and Gaussian are linear, and separable into two products."""
    height, width = inspector.engine.grid
    side = inspector.engine.image_size
    sigma = maps.default_sigma(side) if inspector.config.sigma is None else inspector.config.sigma
    rows, columns = (constant(patches.graph, weights) for weights in _both_weights(height, width, side, sigma))
    found = rows @ _area.spread(patches, frame).reshape(height, width) @ columns
    _area.within(found, frame).named("anomaly_map")
    return Output("anomaly_map", (side, side))


def _both_weights(height: int, width: int, side: int, sigma: float) -> tuple[Float32, Float32]:
    """``(side, height)`` and ``(width, side)``: what each row and column of patches adds to each of the map."""
    return _weights(height, side, sigma), _weights(width, side, sigma).T.copy()


def _weights(cells: int, side: int, sigma: float) -> Float32:
    """Along one axis, ``(side, cells)``: asked of `kizu.maps` itself, with maps that are 1 in one cell."""
    ones = np.eye(cells, dtype=np.float32)
    return np.concatenate([maps.anomaly_map(one[:, None], (side, 1), sigma) for one in ones], axis=1)
