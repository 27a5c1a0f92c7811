"""The head every backbone shares: feature maps in, embeddings out, all of it nodes of the graph.

After section 3.1 of PatchCore (arXiv 2106.08265) with its neighbourhood of p = 3: each layer is averaged over
3×3 patches (stride 1, zeros around it and counted), brought to one grid and put side by side.

Differences from the paper: the grid is that of a chosen stride, not always of the finest layer, so finer
layers are averaged down to it; and channels are kept as they are, not pooled to a common number.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kizu.backbones._card import Layer
from kizu.backbones._graph import Graph, Map, Output

OUTPUT = "embedding"


def write(
    graph: Graph, maps: Sequence[Map], layers: Sequence[Layer], image_size: int, patch_stride: int | None
) -> bytes:
    """Add the head to ``graph`` and serialise it; ``maps`` are those of ``layers``, in output order.

    The grid is ``image_size / patch_stride``, rounded up, which is the size of a layer of that stride; None
    stands for the finest of ``layers``. Coarser layers are brought up bilinearly (half-pixel centres), finer
    ones are averaged down over squares of ``patch_stride / stride``, at the far edges over what is left.
    """
    stride = patch_stride or min(layer.stride for layer in layers)
    grid = -(-image_size // stride)
    aligned = [
        _align(graph, _patches(graph, x), stride // layer.stride, grid) for x, layer in zip(maps, layers, strict=True)
    ]
    channels = sum(x.channels for x in aligned)
    joined = graph.node("Concat", [x.name for x in aligned], axis=1)
    graph.node("Transpose", [joined], OUTPUT, perm=[0, 2, 3, 1])
    return graph.model([Output(OUTPUT, (grid, grid, channels))])


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
    return Map(name, x.channels, x.size)


def _align(graph: Graph, x: Map, ratio: int, grid: int) -> Map:
    if ratio > 1:
        return _down(graph, x, ratio, grid)
    return x if x.size == grid else _up(graph, x, grid)


def _up(graph: Graph, x: Map, grid: int) -> Map:
    sizes = graph.constant(np.array([grid, grid], np.int64))
    name = graph.node(
        "Resize",
        [x.name, "", "", sizes],
        axes=[2, 3],
        mode="linear",
        coordinate_transformation_mode="half_pixel",
    )
    return Map(name, x.channels, grid)


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
    return Map(name, x.channels, grid)
