"""The head every backbone shares: feature maps in, embeddings out, all of it nodes of the graph.

After section 3.1 of PatchCore (arXiv 2106.08265) with its neighbourhood of p = 3: each layer is averaged over
3×3 patches (stride 1, zeros around it and counted), brought to one grid and put side by side.

Differences from the paper: the grid is that of a chosen stride, not always of the finest layer, so finer
layers are averaged down to it; and channels are kept as they are, not pooled to a common number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kizu.backbones._registry import Backbone
from kizu.errors import BackboneError

if TYPE_CHECKING:
    from kizu.graphs import Graph, Map

OUTPUT = "embedding"


def embedding_graph(
    backbone: Backbone,
    layers: Sequence[str],
    image_size: int,
    *,
    patch_stride: int | None = None,
    interpolation: str = "bilinear",
) -> bytes:
    """A serialised ONNX model from images to embeddings; the same arguments give the same bytes.

    Its input is ``images``, ``(batch, image_size, image_size, 3)`` uint8 RGB; its output ``embedding``,
    ``(batch, h, w, D)`` float32, the layers side by side in the order given.

    The grid is ``image_size / patch_stride``, rounded up, which is the size of a layer of that stride; None
    stands for the finest of ``layers``. Coarser layers are brought up (``interpolation``: ``bilinear`` with
    half-pixel centres, or ``nearest``); finer ones are averaged down over squares of ``patch_stride / stride``, at
    the far edges over what is left.

    Raises:
        BackboneError: a layer does not exist, or the weights are missing or not the expected ones.
        ParameterError: an argument is out of range.
    """
    wanted = backbone.card.check(layers, image_size, patch_stride)
    import onnx
    from onnx import TensorProto

    from kizu.graphs import INPUT, Graph, Output

    model = onnx.load_from_string(backbone.build(layers, image_size))
    graph = Graph()
    graph.input(INPUT, TensorProto.UINT8, ["batch", image_size, image_size, 3])
    maps = _maps(backbone.card.name, model, graph.include(model, {INPUT: INPUT}))
    stride = patch_stride or min(layer.stride for layer in wanted)
    grid = max(x.size for x in maps) if patch_stride is None else -(-image_size // stride)
    aligned = [
        _align(graph, _patches(graph, x), stride / layer.stride, grid, interpolation)
        for x, layer in zip(maps, wanted, strict=True)
    ]
    channels = sum(x.channels for x in aligned)
    joined = graph.node("Concat", [x.name for x in aligned], axis=1)
    graph.node("Transpose", [joined], OUTPUT, perm=[0, 2, 3, 1])
    return graph.serialised([Output(OUTPUT, ("batch", grid, grid, channels))])


def _maps(backbone: str, model: object, names: Sequence[str]) -> list[Map]:
    """The outputs of a backbone's graph, called ``names`` where it was included."""
    from kizu.graphs import Map

    maps = []
    for value, name in zip(model.graph.output, names, strict=True):  # type: ignore[attr-defined]
        shape = [axis.dim_value for axis in value.type.tensor_type.shape.dim]
        if len(shape) != 4 or not all(shape[1:]) or shape[2] != shape[3]:
            raise BackboneError(f"{backbone}: the layer {value.name!r} is no square map (batch, channels, n, n).")
        maps.append(Map(name, shape[1], shape[2]))
    return maps


def _patches(graph: Graph, x: Map) -> Map:
    """Averages over 3×3 neighbourhoods, zeros outside counted."""
    name = graph.node(
        "AveragePool",
        [x.name],
        kernel_shape=[3, 3],
        strides=[1, 1],
        pads=[1, 1, 1, 1],
        count_include_pad=1,
    )
    return type(x)(name, x.channels, x.size)


def _align(graph: Graph, x: Map, ratio: float, grid: int, interpolation: str) -> Map:
    """``x``, ``ratio`` times as fine as the grid, on the grid: averaged down or interpolated."""
    if ratio > 1 and ratio.is_integer() and -(-x.size // int(ratio)) == grid:
        return _down(graph, x, int(ratio), grid)
    return x if x.size == grid else _resized(graph, x, grid, interpolation)


def _resized(graph: Graph, x: Map, grid: int, interpolation: str) -> Map:
    import numpy as np

    sizes = graph.constant(np.array([grid, grid], np.int64))
    ways: dict[str, dict[str, Any]] = {
        "bilinear": {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
        "nearest": {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
    }
    name = graph.node("Resize", [x.name, "", "", sizes], axes=[2, 3], **ways[interpolation])
    return type(x)(name, x.channels, grid)


def _down(graph: Graph, x: Map, ratio: int, grid: int) -> Map:
    """Averages over ``ratio`` × ``ratio`` squares, the last ones of an odd size over what is left of them.

    Written with padding that is not counted, not with ``ceil_mode``, whose meaning differs between versions.
    """
    rest = grid * ratio - x.size
    name = graph.node(
        "AveragePool",
        [x.name],
        kernel_shape=[ratio, ratio],
        strides=[ratio, ratio],
        pads=[0, 0, rest, rest],
        count_include_pad=0,
    )
    return type(x)(name, x.channels, grid)
