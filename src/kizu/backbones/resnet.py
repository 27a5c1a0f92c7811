"""ResNets and Wide ResNets with the weights that torchvision publishes, without PyTorch.

Papers: K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for Image Recognition", CVPR 2016,
https://arxiv.org/abs/1512.03385 (table 1: the stages; figure 5: the two blocks). S. Zagoruyko, N. Komodakis,
"Wide Residual Networks", BMVC 2016, https://arxiv.org/abs/1605.07146.

Differences from the papers, those of torchvision: in a bottleneck the 3×3 convolution has the stride, not the 1×1
before it ("v1.5"), and where a block changes size the shortcut is a 1×1 convolution with batch normalisation
(option B of the paper) in all of them. The wide ones have bottlenecks with twice as many channels inside and as
many outside as the plain ones; those of the paper are wider throughout. Layers and parameters are named as in
https://github.com/pytorch/vision/blob/main/torchvision/models/resnet.py.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kizu.backbones._card import BackboneCard, Layer
from kizu.backbones._registry import register
from kizu.backbones._resnet_plan import LAYERS, NORM, STEM, STEM_CONV, Block, Conv, Plan
from kizu.backbones.weights._files import RANDOM, Published, WeightFile, with_weights
from kizu.progress import Progress, Silent

if TYPE_CHECKING:
    from kizu.graphs import Graph, Map, Weights

EPSILON = 1e-5
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ResNet:
    """One of the family. ``weights``: a file, ``none``, or None for the published one; ``progress``: of `build`."""

    card: BackboneCard
    plan: Plan
    published: Published
    weights: str | None = None
    progress: Progress = field(default_factory=Silent, compare=False)

    def build(self, layers: Sequence[str], image_size: int) -> bytes:
        """See `Backbone.build`; published weights that are not on this machine are downloaded."""
        self.card.check(layers, image_size)
        from kizu.graphs import Graph

        with self.progress.stage(f"Building {self.card.name}", 2) as advance:
            weights = self._random() if self.weights == RANDOM else self._read()
            advance()
            graph = Graph()
            written = graph.layers(self._walk(graph, image_size, weights), layers)
            advance()
        return written

    def with_weights(self, weights: str) -> ResNet:
        """See `Weighted.with_weights`."""
        card, weights = with_weights(self.card, weights)
        return replace(self, card=card, weights=weights)

    def prepared(self, progress: Progress) -> ResNet:
        """See `Preparable.prepared`."""
        if self.weights is not None:
            return replace(self, progress=progress)
        from kizu.backbones.weights import _files

        path = self.published.fetch(progress)
        card = replace(self.card, sha256=_files.checksum(path))
        return replace(self, card=card, weights=str(path), progress=progress)

    def weight_file(self) -> WeightFile:
        """See `Located.weight_file`."""
        return self.published.found()

    def _read(self) -> Weights:
        from kizu.backbones.weights import _files, _state_dict

        path = self.published.fetch(self.progress) if self.weights is None else Path(self.weights)
        tensors = _state_dict.load(_files.read(path, self.card.sha256), str(path))
        family = {name: net.plan.shapes() for name, net in RESNETS.items()}
        _state_dict.check(tensors, self.plan.shapes(), str(path), self.card.name, family)
        return tensors

    def _random(self) -> Weights:
        """After He et al., arXiv 1502.01852, eq. 10, the same in every process; each block adds a little only."""
        import numpy as np

        weights: dict[str, np.ndarray] = {}
        last = {block.main[-1].norm for blocks in self.plan.layers() for block in blocks}
        for conv in self.plan.convolutions():
            rng = np.random.default_rng(zlib.crc32(conv.conv.encode()))
            fan_in = conv.shape[1] * conv.shape[2] * conv.shape[3]
            drawn = rng.standard_normal(conv.shape, np.float32)
            weights[f"{conv.conv}.weight"] = drawn * np.float32((2 / fan_in) ** 0.5)
            gain = 0.2 if conv.norm in last else 1.0
            for key, value in zip(NORM, (gain, 0.0, 0.0, 1.0), strict=True):
                weights[f"{conv.norm}.{key}"] = np.full(conv.shape[:1], value, np.float32)
        return weights

    def _walk(self, graph: Graph, image_size: int, weights: Weights) -> Iterator[tuple[str, Map]]:
        """Write the network layer by layer."""
        scale = [1 / (255 * std) for std in STD]
        x = graph.images(image_size, mean=[255 * mean for mean in MEAN], scale=scale)
        x = _max_pool(graph, _relu(graph, _conv(graph, x, STEM_CONV, weights)))
        for layer, blocks in zip(LAYERS, self.plan.layers(), strict=True):
            for block in blocks:
                x = _residual(graph, x, block, weights)
            yield layer, x


def _residual(graph: Graph, x: Map, block: Block, weights: Weights) -> Map:
    y = x
    for conv in block.main[:-1]:
        y = _relu(graph, _conv(graph, y, conv, weights))
    y = _conv(graph, y, block.main[-1], weights)
    shortcut = x if block.shortcut is None else _conv(graph, x, block.shortcut, weights)
    return _relu(graph, graph.add(y, shortcut))


def _conv(graph: Graph, x: Map, conv: Conv, weights: Weights) -> Map:
    from kizu.graphs import fold_batch_norm

    weight, bias = fold_batch_norm(weights[f"{conv.conv}.weight"], weights, conv.norm, EPSILON)
    return graph.conv(x, weight, bias, stride=conv.stride, padding=conv.padding)


def _relu(graph: Graph, x: Map) -> Map:
    return type(x)(graph.node("Relu", [x.name]), x.channels, x.size)


def _max_pool(graph: Graph, x: Map) -> Map:
    name = graph.node("MaxPool", [x.name], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    return type(x)(name, x.channels, (x.size - 1) // 2 + 1)


def _variant(name: str, repeats: tuple[int, int, int, int], width: int, sha256: str, mebibytes: float) -> ResNet:
    plan = Plan(repeats, width)
    layers = tuple(Layer(layer, STEM * 2**i * plan.expansion, 4 * 2**i) for i, layer in enumerate(LAYERS))
    url = f"https://download.pytorch.org/models/{name}-{sha256}.pth"
    card = BackboneCard(
        name=name,
        layers=layers,
        default_layers=("layer2", "layer3"),
        default_image_size=224,
        licence="BSD-3-Clause",
        weights=url,
        sha256=sha256,
        preprocessing=f"(x / 255 - mean) / std on 0 to 255 RGB, mean {MEAN}, std {STD}",
        description=f"{name} of torchvision, trained on ImageNet-1k (IMAGENET1K_V1)",
    )
    return ResNet(card, plan, Published(name, url, sha256, round(mebibytes * 2**20)))


# Repeats: table 1 of the paper. Checksums and sizes (in MiB): torchvision's documentation of the weights.
RESNETS = {
    net.card.name: net
    for net in (
        _variant("resnet18", (2, 2, 2, 2), 0, "f37072fd", 44.661),
        _variant("resnet34", (3, 4, 6, 3), 0, "b627a593", 83.275),
        _variant("resnet50", (3, 4, 6, 3), 64, "0676ba61", 97.781),
        _variant("resnet101", (3, 4, 23, 3), 64, "63fe2227", 170.511),
        _variant("resnet152", (3, 8, 36, 3), 64, "394f9c45", 230.434),
        _variant("wide_resnet50_2", (3, 4, 6, 3), 128, "95faca4d", 131.82),
        _variant("wide_resnet101_2", (3, 4, 23, 3), 128, "32ee1156", 242.896),
    )
}

for _net in RESNETS.values():
    register(_net)
