"""Several backbones as one: ``joined:efficientnet_lite0+efficientnet_lite2`` sees an image once with each.

Its layers are those of its members, the member's name before them: ``efficientnet_lite0/blocks.2``. Members normalise
the image themselves, so that they need not agree on how.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kizu.backbones._card import BackboneCard, Layer
from kizu.backbones._registry import Backbone, Located, get, prepare
from kizu.backbones.weights._files import WeightFile
from kizu.downloads import checksum
from kizu.errors import ParameterError, bad_parameter
from kizu.progress import Progress

if TYPE_CHECKING:
    from kizu.graphs import Graph

BETWEEN = "+"
"""Between the members' names."""

INSIDE = "/"
"""Between a member's name and its layer's."""


@dataclass(frozen=True)
class Joined:
    """``members``, side by side in one graph."""

    card: BackboneCard
    members: tuple[Backbone, ...]

    def build(self, layers: Sequence[str], image_size: int) -> bytes:
        """See `Backbone.build`."""
        self.card.check(layers, image_size)
        from onnx import TensorProto

        from kizu.graphs import INPUT, Graph

        graph = Graph()
        graph.input(INPUT, TensorProto.UINT8, ["batch", image_size, image_size, 3])
        found: dict[str, tuple[str, tuple[int, int]]] = {}
        for member in self.members:
            prefix = member.card.name + INSIDE
            wanted = [name.removeprefix(prefix) for name in layers if name.startswith(prefix)]
            if wanted:
                found |= _included(graph, member, wanted, image_size)
        return _named(graph, layers, found)

    def prepared(self, progress: Progress) -> Backbone:
        """See `Preparable.prepared`."""
        return _of([prepare(member, progress) for member in self.members])

    def weight_file(self) -> WeightFile:
        """See `Located.weight_file`: that of the first member whose weights are not here, or of the first."""
        files = [member.weight_file() for member in self.members if isinstance(member, Located)]
        missing = [file for file in files if file.missing]
        return (missing or files or [WeightFile(None, "", "", None)])[0]


def find(
    reference: str,
    *,
    weights: str | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Joined:
    """The backbone of the members named in ``reference``, with ``+`` between them.

    Raises:
        BackboneError: one of them does not exist.
        ParameterError: there are not two or more different ones; or weights, mean or std are given.
    """
    name = f"joined:{reference}"
    if weights is not None or mean is not None or std is not None:
        raise ParameterError(f"{name}: members bring their own weights and normalise images; leave these out.")
    members = [part.strip() for part in reference.split(BETWEEN)]
    if len(members) < 2 or len(set(members)) < len(members) or not all(members):
        hint = f"For example joined:efficientnet_lite0{BETWEEN}efficientnet_lite2."
        raise bad_parameter("backbone", f"two or more different names with {BETWEEN} between them", name, hint)
    return _of([get(member) for member in members])


def _of(members: Sequence[Backbone]) -> Joined:
    cards = [member.card for member in members]
    card = BackboneCard(
        name=f"joined:{BETWEEN.join(card.name for card in cards)}",
        layers=tuple(_inside(card, layer) for card in cards for layer in card.layers),
        default_layers=tuple(card.name + INSIDE + name for card in cards for name in card.default_layers),
        default_image_size=max(card.default_image_size for card in cards),
        licence=_all_of([card.licence for card in cards]),
        weights=_all_of([card.weights for card in cards]),
        sha256=checksum.of_bytes("".join(card.sha256 for card in cards).encode()),
        preprocessing=_all_of([card.preprocessing for card in cards]),
        description=" and ".join(card.description for card in cards),
        default_patch_stride=cards[0].default_patch_stride,
    )
    return Joined(card, tuple(members))


def _inside(card: BackboneCard, layer: Layer) -> Layer:
    return replace(layer, name=card.name + INSIDE + layer.name)


def _all_of(texts: Sequence[str]) -> str:
    """Each once, in order."""
    return " + ".join(dict.fromkeys(texts))


def _included(
    graph: Graph, member: Backbone, layers: Sequence[str], image_size: int
) -> dict[str, tuple[str, tuple[int, int]]]:
    """The member's maps in ``graph``: names there, channels and size, by the layer's name in the whole."""
    import onnx

    from kizu.graphs import INPUT

    model = onnx.load_from_string(member.build(layers, image_size))
    names = graph.include(model, {INPUT: INPUT})
    shapes = [[d.dim_value for d in value.type.tensor_type.shape.dim] for value in model.graph.output]
    return {
        member.card.name + INSIDE + layer: (name, (shape[1], shape[2]))
        for layer, name, shape in zip(layers, names, shapes, strict=True)
    }


def _named(graph: Graph, layers: Sequence[str], found: dict[str, tuple[str, tuple[int, int]]]) -> bytes:
    from kizu.graphs import Output

    outputs = []
    for layer in layers:
        name, (channels, size) = found[layer]
        graph.node("Identity", [name], layer)
        outputs.append(Output(layer, ("batch", channels, size, size)))
    return graph.serialised(outputs)
