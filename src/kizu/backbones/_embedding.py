"""The head every backbone shares: feature maps in, embeddings out, all of it nodes of the graph.

After section 3.1 of PatchCore (arXiv 2106.08265) with its neighbourhood of p = 3: each layer is averaged over
3×3 patches (stride 1, zeros around it and counted), brought to one grid and put side by side.

Differences from the paper: the grid is that of a chosen stride, not always of the finest layer, so finer
layers are averaged down to it; and channels are kept as they are unless ``embedding_dims`` asks for a fixed number,
which are then made as patchcore-inspection makes them (`kizu.backbones._fixed_width`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kizu.backbones._card import Layer
from kizu.backbones._registry import Backbone
from kizu.errors import BackboneError, KizuError, bad_parameter, sentence

if TYPE_CHECKING:
    from kizu.backbones._fixed_width import Share
    from kizu.graphs import Graph, Map

OUTPUT = "embedding"


def embedding_graph(
    backbone: Backbone,
    layers: Sequence[str],
    image_size: int,
    *,
    patch_stride: int | None = None,
    patch_size: int = 3,
    interpolation: str = "bilinear",
    embedding_dims: int | None = None,
    dtype: str = "uint8",
) -> bytes:
    """A serialised ONNX model from images to embeddings; the same arguments give the same bytes.

    Its input is ``images``, ``(batch, image_size, image_size, 3)`` RGB from 0 to 255, of ``dtype`` ``uint8``, or
    ``float32`` for levels that are not rounded; its output ``embedding``, ``(batch, h, w, D)`` float32, the layers
    side by side in the order given.

    The grid is ``image_size / patch_stride``, rounded up, which is the size of a layer of that stride; None
    stands for the finest of ``layers``. Coarser layers are brought up (``interpolation``: ``bilinear`` with
    half-pixel centres, or ``nearest``); finer ones are averaged down over squares of ``patch_stride / stride``, at
    the far edges over what is left.

    ``patch_size`` is the paper's p, an odd number of positions of a layer that are averaged each way; 1: none.
    ``embedding_dims`` is D, at least the number of layers; None: as many as the layers have channels.

    Raises:
        BackboneError: a layer does not exist, or the weights are missing or not the expected ones.
        ParameterError: an argument is out of range.
    """
    wanted = backbone.card.check(layers, image_size, patch_stride)
    _check_patch_size(patch_size, embedding_dims)
    _check_dims(embedding_dims, len(wanted))
    if dtype not in ("uint8", "float32"):
        raise bad_parameter("dtype", "uint8 or float32", dtype)
    import onnx
    from onnx import TensorProto

    from kizu.graphs import INPUT, Graph, Output

    built = backbone.build(layers, image_size)
    with _blamed(backbone.card.name):
        model = onnx.load_from_string(built)
    _check_outputs(backbone.card.name, model, wanted)
    graph = Graph()
    element = TensorProto.FLOAT if dtype == "float32" else TensorProto.UINT8  # backbones cast what they are given
    graph.input(INPUT, element, ["batch", image_size, image_size, 3])
    maps = _maps(backbone.card.name, model, graph.include(model, {INPUT: INPUT}))
    stride = patch_stride or min(layer.stride for layer in wanted)
    grid = max(x.size for x in maps) if patch_stride is None else -(-image_size // stride)

    def on_grid(patches: Sequence[Map]) -> list[Map]:
        ratios = [stride / layer.stride for layer in wanted]
        return [_align(graph, x, ratio, grid, interpolation) for x, ratio in zip(patches, ratios, strict=True)]

    if embedding_dims is None:
        joined = _concatenated(graph, on_grid([_patches(graph, x, patch_size) for x in maps]))
    else:
        joined = _of_fixed_width(graph, maps, embedding_dims, on_grid)
    graph.node("Transpose", [joined.name], OUTPUT, perm=[0, 2, 3, 1])
    with _blamed(backbone.card.name):
        return graph.serialised([Output(OUTPUT, ("batch", grid, grid, joined.channels))])


@contextmanager
def _blamed(backbone: str) -> Iterator[None]:
    """What onnx says of a graph, as said of that backbone's. Raises `BackboneError`."""
    try:
        yield
    except KizuError:
        raise
    except Exception as error:  # onnx's and protobuf's own share no base class
        said = sentence(str(error).partition("==>")[0])
        raise BackboneError(f"{backbone}: its ONNX graph is not valid: {said} Mend or update its package.") from error


def _check_outputs(backbone: str, model: Any, layers: Sequence[Layer]) -> None:
    """Whether a graph gives the maps it was asked for, by name and in order. Raises `BackboneError`."""
    given, wanted = [value.name for value in model.graph.output], [layer.name for layer in layers]
    if given != wanted:
        raise BackboneError(
            f"{backbone}: its ONNX graph gives {', '.join(given) or 'nothing'} where {', '.join(wanted)} was asked "
            "for. Mend or update its package."
        )


def _check_patch_size(size: int, dims: int | None) -> None:
    if size not in (1, 3, 5, 7, 9):
        raise bad_parameter("patch_size", "1, 3, 5, 7 or 9", size)
    if dims is not None and size != 3:
        raise bad_parameter("patch_size", "3 where `embedding_dims` is given, which averages 3 × 3", size)


def _check_dims(dims: int | None, layers: int) -> None:
    whole = isinstance(dims, int) and not isinstance(dims, bool)
    if dims is not None and not (whole and dims >= layers):
        raise bad_parameter("embedding_dims", f"a whole number, one for each of {layers} layers at least", dims)


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


def _patches(graph: Graph, x: Map, size: int) -> Map:
    """Averages over ``size`` × ``size`` neighbourhoods, zeros outside counted."""
    if size == 1:
        return x
    name = graph.node(
        "AveragePool",
        [x.name],
        kernel_shape=[size, size],
        strides=[1, 1],
        pads=[size // 2] * 4,
        count_include_pad=1,
    )
    return type(x)(name, x.channels, x.size)


def _of_fixed_width(
    graph: Graph, maps: Sequence[Map], dims: int, on_grid: Callable[[Sequence[Map]], list[Map]]
) -> Map:
    """Patches of ``dims`` values from all ``maps`` together, on one grid."""
    from kizu.backbones._fixed_width import shares

    found = shares([x.channels for x in maps], dims)
    parts = on_grid([_share_of(graph, x, share) for x, share in zip(maps, found, strict=True)])
    return _joined(graph, parts, [share.first for share in found], dims)


def _share_of(graph: Graph, x: Map, share: Share) -> Map:
    import numpy as np

    bias = np.zeros(len(share.kernel), np.float32)
    return graph.conv(x, share.kernel, bias, groups=share.groups, padding=1)


def _joined(graph: Graph, parts: Sequence[Map], firsts: Sequence[int], dims: int) -> Map:
    """Shares of ``dims`` values, put where each begins; where two overlap they add up."""
    if sum(x.channels for x in parts) == dims:
        return _concatenated(graph, parts)
    import numpy as np

    whole = []
    for x, first in zip(parts, firsts, strict=True):
        pads = np.array([0, first, 0, 0, 0, dims - first - x.channels, 0, 0], np.int64)
        whole.append(graph.node("Pad", [x.name, graph.constant(pads)]))
    return type(parts[0])(graph.node("Sum", whole), dims, parts[0].size)


def _concatenated(graph: Graph, parts: Sequence[Map]) -> Map:
    name = graph.node("Concat", [x.name for x in parts], axis=1)
    return type(parts[0])(name, sum(x.channels for x in parts), parts[0].size)


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
