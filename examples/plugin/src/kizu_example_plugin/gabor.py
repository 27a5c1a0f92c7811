"""Gabor: how much of each orientation and wavelength there is at every place; nothing is learnt.

A pair of filters, even and odd, under one Gaussian window; the root of the sum of their squares is the energy
there, whatever the phase (E. Adelson, J. Bergen, "Spatiotemporal energy models for the perception of motion",
J. Opt. Soc. Am. A 2, 1985). Mean colours stand beside the energies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from kizu.backbones import BackboneCard, Layer

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from kizu.graphs import Graph, Map

STRIDES = (4, 8)
ORIENTATIONS = 6
WAVELENGTHS = (1.0, 2.0)
"""In strides of the layer."""
CHANNELS = ORIENTATIONS * len(WAVELENGTHS) + 3


class Gabor:
    """A bank of Gabor filters as feature maps: ``energy4`` and ``energy8``, named after their strides."""

    card = BackboneCard(
        name="gabor",
        layers=tuple(Layer(f"energy{stride}", CHANNELS, stride) for stride in STRIDES),
        default_layers=tuple(f"energy{stride}" for stride in STRIDES),
        default_image_size=256,
        licence="Apache-2.0",
        weights="computed",
        sha256="",
        preprocessing="(x - 127.5) / 127.5 on 0 to 255 RGB",
        description="Energies of a Gabor filter bank, and mean colours",
    )

    def build(self, layers: Sequence[str], image_size: int) -> bytes:
        """See `kizu.backbones.Backbone.build`."""
        self.card.check(layers, image_size)
        from kizu.graphs import Graph  # here, since listing backbones must not load ONNX

        graph = Graph()
        return graph.layers(self._walk(graph, image_size), layers)

    def _walk(self, graph: Graph, image_size: int) -> Iterator[tuple[str, Map]]:
        image = graph.images(image_size, mean=127.5, scale=1 / 127.5)
        for layer in self.card.layers:
            yield layer.name, _layer(graph, image, layer.stride)


gabor = Gabor()


def _layer(graph: Graph, image: Map, stride: int) -> Map:
    """Energies and mean colours at every ``stride``-th pixel."""
    import numpy as np

    even, odd = (_filtered(graph, image, bank, stride) for bank in _bank(stride))
    squares = [graph.node("Mul", [part.name, part.name]) for part in (even, odd)]
    energy = graph.node("Sqrt", [graph.node("Add", squares)])
    square = np.eye(3, dtype=np.float32)[:, :, None, None] / np.float32(stride**2)
    colour = _filtered(graph, image, np.tile(square, (1, 1, stride, stride)), stride)
    return type(image)(graph.node("Concat", [energy, colour.name], axis=1), CHANNELS, even.size)


def _filtered(graph: Graph, image: Map, bank: npt.NDArray[np.float32], stride: int) -> Map:
    import numpy as np

    return graph.conv(image, bank, np.zeros(len(bank), np.float32), stride=stride)


def _bank(stride: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Even and odd filters ``(n, 3, k, k)`` on the mean of the three colours, none with a mean of its own."""
    import numpy as np

    side = 4 * stride
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    window = np.exp(-(x**2 + y**2) / (2 * stride**2))
    window /= window.sum()
    even, odd = [], []
    for wavelength in WAVELENGTHS:
        for angle in np.arange(ORIENTATIONS) * np.pi / ORIENTATIONS:
            phase = 2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / (wavelength * stride)
            wave = window * np.cos(phase)
            even.append(wave - window * wave.sum())
            odd.append(window * np.sin(phase))
    return _of_three_colours(np.array(even)), _of_three_colours(np.array(odd))


def _of_three_colours(bank: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    import numpy as np

    return np.repeat(bank[:, None] / 3, 3, axis=1).astype(np.float32)
