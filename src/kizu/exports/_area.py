"""The inspected area in a graph: the box around it cut out of the image, its patches taken out of the embedding, and
their scores put back for the map (`kizu.inspector.Frame`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kizu.errors import ExportError
from kizu.expressions import Expression, constant
from kizu.graphs import Graph
from kizu.inspector import Frame, Inspector

Float32 = npt.NDArray[np.float32]


def require_exportable(inspector: Inspector) -> None:
    """Raises `ExportError` for a model that no one graph can be."""
    if inspector.tiling is not None:
        raise ExportError(
            "a model that cuts images into tiles cannot be exported: a graph would hold all tiles of one size of "
            "image at once. Run it with kizu, or fit without --tile-size, with --roi and a larger --image-size."
        )


def frame_of(inspector: Inspector) -> Frame | None:
    """How images are looked at of the size the area was drawn for; None where all of an image of any size is.

    Raises `ExportError` as `require_exportable`.
    """
    require_exportable(inspector)
    return None if inspector.area is None else inspector.frame(inspector.area.size)


def shape_of(frame: Frame | None) -> list[int | str]:
    """Of the image the graph takes: with an area that size alone."""
    return ["height", "width", 3] if frame is None else [*frame.size, 3]


def cropped(image: Expression, frame: Frame | None) -> Expression:
    """The box around the area."""
    if frame is None or (frame.crop.height, frame.crop.width) == frame.size:
        return image
    box, graph = frame.crop, image.graph
    starts, ends = [box.top, box.left], [box.top + box.height, box.left + box.width]
    bounds = [graph.constant(np.array(values, np.int64)) for values in (starts, ends, [0, 1])]
    return Expression(graph, graph.node("Slice", [image.name, *bounds]), image.dtype)


def counting(graph: Graph, embedding: str, frame: Frame | None, grid: tuple[int, int]) -> tuple[str, tuple[int, int]]:
    """The patches that count, and their grid: ``(1, 1, n, D)``; all as they are where all do."""
    if frame is None or frame.counts is None:
        return embedding, grid
    places = np.flatnonzero(frame.counts)
    rows = graph.node("Reshape", [embedding, graph.constant(np.array([1, 1, frame.counts.size, -1], np.int64))])
    return graph.node("Gather", [rows, graph.constant(places)], axis=2), (1, len(places))


def spread(patches: Expression, frame: Frame | None) -> Expression:
    """Scores of the patches that count → of every patch of the grid."""
    if frame is None or frame.nearest is None:
        return patches
    return patches.reshape(-1).take(frame.nearest.tolist())


def within(anomaly_map: Expression, frame: Frame | None) -> Expression:
    """The map, 0 outside the area."""
    if frame is None or frame.inside is None:
        return anomaly_map
    inside: Float32 = frame.inside.astype(np.float32)
    return anomaly_map * constant(anomaly_map.graph, inside)
