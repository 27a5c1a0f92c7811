"""How a ResNet is put together: its convolutions, layer by layer, with the names and shapes of their parameters.

Sources: see `kizu.backbones.resnet`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

STEM = 64
LAYERS = ("layer1", "layer2", "layer3", "layer4")
NORM = ("weight", "bias", "running_mean", "running_var")
"""Parameters of a batch normalisation."""


class Conv(NamedTuple):
    """A convolution and the batch normalisation behind it, by their names."""

    conv: str
    norm: str
    shape: tuple[int, int, int, int]
    stride: int = 1

    @property
    def padding(self) -> int:
        return self.shape[2] // 2


STEM_CONV = Conv("conv1", "bn1", (STEM, 3, 7, 7), stride=2)


class Block(NamedTuple):
    """The convolutions of a residual block, and the one on its shortcut where there is one."""

    main: tuple[Conv, ...]
    shortcut: Conv | None


@dataclass(frozen=True)
class Plan:
    """Blocks a layer, and the ``width`` inside the bottlenecks of ``layer1``, 0 for the plain block of two 3×3."""

    repeats: tuple[int, int, int, int]
    width: int

    @property
    def expansion(self) -> int:
        return 4 if self.width else 1

    def layers(self) -> Iterator[list[Block]]:
        """The blocks of one layer after the other."""
        channels = STEM
        for i, (layer, repeats) in enumerate(zip(LAYERS, self.repeats, strict=True)):
            out = STEM * 2**i * self.expansion
            blocks = []
            for j in range(repeats):
                stride = 2 if i and not j else 1
                blocks.append(self._block(f"{layer}.{j}", channels, self.width * 2**i, out, stride))
                channels = out
            yield blocks

    def _block(self, name: str, channels: int, inner: int, out: int, stride: int) -> Block:
        shapes = [(out, channels, 3, 3), (out, out, 3, 3)]
        strided = 0
        if inner:
            shapes = [(inner, channels, 1, 1), (inner, inner, 3, 3), (out, inner, 1, 1)]
            strided = 1
        main = tuple(
            Conv(f"{name}.conv{k + 1}", f"{name}.bn{k + 1}", shape, stride if k == strided else 1)
            for k, shape in enumerate(shapes)
        )
        if stride == 1 and channels == out:
            return Block(main, None)
        return Block(main, Conv(f"{name}.downsample.0", f"{name}.downsample.1", (out, channels, 1, 1), stride))

    def convolutions(self) -> Iterator[Conv]:
        """All of them, in the order of the network."""
        yield STEM_CONV
        for blocks in self.layers():
            for main, shortcut in blocks:
                yield from main
                if shortcut is not None:
                    yield shortcut

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of every parameter up to the last layer, by name."""
        shapes: dict[str, tuple[int, ...]] = {}
        for conv in self.convolutions():
            shapes[f"{conv.conv}.weight"] = conv.shape
            shapes |= {f"{conv.norm}.{key}": conv.shape[:1] for key in NORM}
        return shapes
